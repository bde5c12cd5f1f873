"""The page of settings: what is shown, saved and refused, as the agent takes it."""

import re
from pathlib import Path
from typing import Any, get_args

import pytest
from playwright.sync_api import Page, expect

from tests.luci.conftest import OpenView
from tests.luci.rpcd import CHECKED, STATE, Rpcd
from tests.openwrt.test_init import FEED
from titik_agent import config
from titik_agent.limits import MAX_TARGETS

pytestmark = pytest.mark.system

SECTIONS = ("main", "broker", "spool", "interfaces", "sources", "reach", "probe")


@pytest.fixture(autouse=True)
def enrolled(rpcd: Rpcd) -> Rpcd:
    """A router as its bundle leaves it."""
    rpcd.sections = {
        name: {".name": name, ".type": "agent" if name == "main" else name} for name in SECTIONS
    }
    rpcd.sections["main"] |= {"enabled": "1", "router": "tirosa-1"}
    rpcd.sections["broker"] |= {
        "host": "mqtt.example", "tls": "1", "ca_file": "/etc/titik/ca.crt",
        "cert_file": "/etc/titik/router.crt", "key_file": "/etc/titik/router.key",
    }  # fmt: skip
    rpcd.sections["reach"] |= {"targets": ["1.1.1.1:443"]}
    return rpcd


def field(page: Page, section: str, option: str) -> Any:
    return page.locator(f'[data-field="cbid.titik-agent.{section}.{option}"]')


def write(page: Page, section: str, option: str, text: str) -> None:
    field(page, section, option).locator("input").fill(text)


def place(key: str) -> tuple[str, str]:
    """Section and option of a key of the agent's."""
    section, option = f"main.{key}".split(".")[-2:]
    return section, option


def save(page: Page) -> None:
    button = page.locator("#handleSaveApply")
    button.click()
    expect(button).to_be_enabled()


def test_what_is_set_is_shown(open_view: OpenView) -> None:
    """And where nothing is set, what is usual."""
    page = open_view("settings")
    assert "tirosa-1" == field(page, "main", "router").locator("input").input_value()
    expect(field(page, "broker", "tls").locator("input")).to_be_checked()
    interval = field(page, "main", "interval_s").locator("input")
    assert ("", "30") == (interval.input_value(), interval.get_attribute("placeholder"))
    assert ["1.1.1.1:443"] == field(page, "reach", "targets").locator(".item").all_inner_texts()
    assert "password" == field(page, "broker", "password").locator("input").get_attribute("type")


def test_nothing_changed_saves_nothing(open_view: OpenView, enrolled: Rpcd) -> None:
    """A look at the page is no restart of the agent."""
    save(open_view("settings"))
    assert [("apply", {"timeout": 90, "rollback": True})] == enrolled.changes


def test_what_changed_is_saved_and_nothing_else(open_view: OpenView, enrolled: Rpcd) -> None:
    """Interfaces are chosen from those that are there; several are a list."""
    page = open_view("settings")
    write(page, "main", "interval_s", "60")
    field(page, "interfaces", "uplink").locator("select").select_option(["eth0", "eth1"])
    write(page, "reach", "targets", "example.net:443")
    page.keyboard.press("Enter")
    field(page, "probe", "enabled").locator("input").uncheck()
    field(page, "broker", "tls").locator("input").uncheck()
    field(page, "sources", "hostapd").locator("select").select_option("ubus")
    save(page)
    assert [
        ("set", {"section": "main", "values": {"interval_s": "60"}}),
        ("delete", {"section": "broker", "options": ["tls"]}),
        *[
            ("delete", {"section": "broker", "options": [one]})
            for one in ("ca_file", "cert_file", "key_file")
        ],
        ("set", {"section": "interfaces", "values": {"uplink": ["eth0", "eth1"]}}),
        ("set", {"section": "sources", "values": {"hostapd": "ubus"}}),
        ("set", {"section": "reach", "values": {"targets": ["1.1.1.1:443", "example.net:443"]}}),
        ("set", {"section": "probe", "values": {"enabled": "0"}}),
        ("apply", {"timeout": 90, "rollback": True}),
    ] == enrolled.changes


def test_an_invalid_value_saves_nothing(open_view: OpenView, enrolled: Rpcd) -> None:
    """Not even what is right beside it; the field says what it may be."""
    page = open_view("settings")
    write(page, "main", "interval_s", "60")
    write(page, "main", "router", "Tirosa 1")
    save(page)
    assert [] == enrolled.changes
    expect(page.locator("#notifications")).to_contain_text("Cannot save")
    expect(field(page, "main", "router")).to_contain_text("Only a-z, 0-9 and -")


def test_the_settings_speak_indonesian(open_view: OpenView) -> None:
    """Titles, help and what is refused."""
    page = open_view("settings", "id")
    write(page, "main", "router", "Tirosa 1")
    expect(field(page, "main", "router")).to_contain_text("Hanya a-z, 0-9 dan -")
    expect(page.locator('[data-tab="main"]')).to_contain_text("Laporkan router ini")


def test_every_option_of_the_router_is_there(open_view: OpenView) -> None:
    """Those that the init script reads, no more and no fewer."""
    script = (FEED / "files/etc/init.d/titik-agent").read_text()
    read = set(re.findall(r"^\t+(?:text|texts|number|flag) (\w+) (\w+)", script, re.M))
    known = re.search(r'^KNOWN="([^"]*)"', script, re.M)
    assert known is not None
    read |= {(one.split(".")[0], one.split(".")[1]) for one in known[1].split()}
    declared = open_view("settings").evaluate("declared()")
    assert sorted(read) == sorted((one["section"], one["option"]) for one in declared)


def test_ranges_and_choices_are_the_agents_own(open_view: OpenView) -> None:
    """The probe's pace has its range in its own init script."""
    declared = {
        (one["section"], one["option"]): one for one in open_view("settings").evaluate("declared()")
    }
    ranges = {place(key): both for key, both in config.RANGES.items()}
    ranges[("probe", "every_s")] = (10, 86400)
    assert ("broker", "port") in ranges
    assert {
        key: "port" if key == ("broker", "port") else "and(uinteger,range({},{}))".format(*both)
        for key, both in ranges.items()
    } == {key: declared[key]["datatype"] for key in ranges}
    for key, kind in {
        ("main", "clock"): config.Config,
        ("sources", "hostapd"): config.Sources,
    }.items():
        wanted = get_args(kind.__annotations__[key[1]])
        assert list(wanted) == [choice for choice, _ in declared[key]["choices"]]


VALUES = {
    "router": ["tirosa-1", "a" * 64, "a" * 65, "Tirosa", "a b", "-"],
    "interval_s": ["1", "3600", "0", "3601", "030", "x", "1.5", "-1"],
    "broker.port": ["0", "65535", "65536", "0080", "x"],
    "spool.limit_bytes": ["65536", "65535", "1073741824", "1073741825"],
    "reach.every_s": ["5", "4", "3600", "3601"],
    "probe.max_age_s": ["10", "9", "86400", "86401"],
    "reach.targets": [
        "1.1.1.1:443", "[2001:db8::1]:443", "example.net:443", "example.net", "a b:1", "a:0",
        "a:65536", ":1", "a:b", "2001:db8::1:443",
    ],
    "sources.hostapd": ["auto", "ubus", "control", "off"],
}  # fmt: skip


def taken(folder: Path, key: str, text: str) -> bool:
    """Whether the agent takes it, from a file as the init script writes it."""
    is_number = text.isdigit() and not re.match("0.", text) and key != "router"
    value = text if is_number else f'"{text}"'
    given = {"router": '"a"', "broker.host": '"h"'}
    given[key] = f"[{value}]" if key == "reach.targets" else value
    file = folder / "agent.toml"
    file.write_text("".join(f"{one} = {it}\n" for one, it in given.items()))
    try:
        config.load(str(file))
    except config.ConfigError:
        return False
    return True


def test_the_page_refuses_what_the_agent_refuses(open_view: OpenView, tmp_path: Path) -> None:
    """And takes what it takes: a setting that only one of them takes stops a router."""
    page = open_view("settings")
    found: dict[tuple[str, str], bool] = {}
    for key, texts in VALUES.items():
        section, option = place(key)
        for text in texts:
            fault = page.evaluate("given => faultOf(...given)", [section, option, text])
            found[key, text] = fault is None
    assert {key: taken(tmp_path, *key) for key in found} == found


def test_there_are_no_more_targets_than_a_round_may_ask(
    open_view: OpenView, enrolled: Rpcd
) -> None:
    """The ninth stays in its field."""
    enrolled.sections["reach"]["targets"] = [f"192.0.2.{one}:443" for one in range(MAX_TARGETS)]
    page = open_view("settings")
    write(page, "reach", "targets", "example.net:443")
    page.keyboard.press("Enter")
    targets = field(page, "reach", "targets")
    expect(targets).to_contain_text(f"At most {MAX_TARGETS}")
    expect(targets.locator(".item")).to_have_count(MAX_TARGETS)


def test_certificate_and_key_go_together(open_view: OpenView) -> None:
    """As the agent has it; without encryption neither is asked for."""
    page = open_view("settings")
    write(page, "broker", "key_file", "")
    expect(field(page, "broker", "cert_file")).to_contain_text("go together")
    field(page, "broker", "tls").locator("input").uncheck()
    expect(field(page, "broker", "cert_file")).to_be_hidden()


def test_the_pages_need_every_right_that_they_have(open_view: OpenView, enrolled: Rpcd) -> None:
    """Least rights: rpcd's list allows what the two pages do, and nothing else."""
    enrolled.files |= {STATE: "{}", CHECKED: "end 0\n"}
    page = open_view("settings")
    write(page, "main", "interval_s", "60")
    save(page)
    page = open_view("status")
    page.locator("#titik-check-now").click()
    expect(page.locator("#titik-check-now")).to_be_enabled()
    assert set() == enrolled.unused


def test_the_stand_in_refuses_what_luci_has_not(open_view: OpenView) -> None:
    """Or it would show nothing of a page on a real router."""
    page = open_view("settings")
    for wrong in (
        "L.nothing", "fs.write", "ui.alert", "form.Vaule", "rpc.declare({ objekt: 'x' })",
        "new form.Map('x').tabed = true", "isOf('uint', '1')", "E('<p>')", "'%j'.format(1)",
        "new form.Map('x').section(form.NamedSection, 'a', 'a').option(form.Value, 'a').datatyp",
    ):  # fmt: skip
        with pytest.raises(Exception, match="not in LuCI's documentation"):
            page.evaluate(wrong)
