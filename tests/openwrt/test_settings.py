"""Settings that the agent would refuse: found before it starts, logged once, with key and remedy.

The packages' own Python reads them, as on a router.
"""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.openwrt.field import equip, hostapd
from tests.openwrt.router import UID, Router
from tests.until import until

pytestmark = pytest.mark.system

GOOD = {"main.router": "tirosa-1", "broker.host": "mqtt.example"}
SERVICE = "titik-agent"
PROBE = "titik-agent-probe"


@pytest.fixture(scope="module")
def equipped(
    installed: Router, packages: list[Path], python: str, tmp_path_factory: pytest.TempPathFactory
) -> Router:
    """With Python and what else an image has; to be copied."""
    router = installed.copied(tmp_path_factory.mktemp("equipped") / "router")
    equip(router, python, packages[0])
    router.ujail()
    return router


@pytest.fixture
def living(equipped: Router, tmp_path: Path) -> Router:
    """A router with Python, both packages, and nothing set."""
    return equipped.copied(tmp_path / "router")


def settings(given: dict[str, str]) -> str:
    """As uci writes them."""
    sections: dict[str, str] = {}
    for key, value in given.items():
        name, option = key.split(".")
        sections[name] = sections.get(name, "") + f"\toption {option} {uci(value)}\n"
    return "".join(f"config {name} '{name}'\n{text}\n" for name, text in sections.items())


def uci(value: str) -> str:
    """A value between UCI's quotes."""
    return "'" + value.replace("'", "'\\''") + "'"


def toml(router: Router) -> dict[str, Any]:
    """What the agent reads."""
    return tomllib.loads((router.root / "var/run/titik-agent/agent.toml").read_text())


def complaints(router: Router) -> list[str]:
    """What was logged for the operator, without what was logged for nobody enrolled."""
    return [line for line in router.log().splitlines() if "not enrolled" not in line]


@pytest.mark.parametrize(
    ("key", "value", "output"),
    [
        ("main.interval_s", "abc", "'abc' must be a whole number, from 1 to 3600"),
        ("main.interval_s", "030", "'030' must be a whole number, from 1 to 3600"),
        ("main.interval_s", "-5", "'-5' must be a whole number, from 1 to 3600"),
        ("main.interval_s", "86400", "86400 is out of range; use 1 to 3600"),
        ("main.router", "Tirosa 1", "'Tirosa 1' is no router name; use a-z, 0-9 and -"),
        ("main.clock", "right", "'right' is none of auto, trusted"),
        ("broker.tls", "ja", "'ja' must be true or false"),
        ("broker.port", "mqtt", "'mqtt' must be a whole number, from 0 to 65535"),
        ("broker.ca_file", "/etc/titik/ca.crt", "needs broker.tls = true"),
        ("broker.password_file", "/nowhere", "/nowhere: No such file or directory"),
        ("reach.targets", "1.1.1.1", "'1.1.1.1' is no address; use host:port"),
        ("reach.names", "a..b", "not a host name: a..b"),
        ("probe.max_age_s", "1", "1 is out of range; use 10 to 86400"),
    ],
)
def test_a_wrong_value_is_logged_once_and_starts_nothing(
    living: Router, key: str, value: str, output: str
) -> None:
    """A crash loop of Python would cost the router more than the agent does."""
    living.uci(settings(GOOD | {key: value}))
    assert [["trigger", SERVICE]] == living.service(SERVICE)
    (line,) = complaints(living)
    assert "settings refused: " in line
    assert f"{key}: " in line or f"{key.split('.')[1]}: " in line
    assert output in line


def test_right_settings_start_it(living: Router) -> None:
    """Without a word."""
    living.uci(settings(GOOD))
    living.service(SERVICE)
    assert living.code() == living.running(SERVICE)
    assert [] == complaints(living)


def test_a_reload_with_wrong_settings_lets_the_agent_run_on(living: Router) -> None:
    """With those that it has; once they are right it is started with them."""
    living.uci(settings(GOOD))
    living.service(SERVICE)
    living.uci(settings(GOOD | {"main.interval_s": "1 min"}))
    living.shell("sh", "/etc/rc.common", f"/etc/init.d/{SERVICE}", "reload")
    assert (1, 1) == (living.starts(SERVICE), len(complaints(living)))
    assert living.running(SERVICE) is not None
    assert "interval_s" not in toml(living)
    living.uci(settings(GOOD | {"main.interval_s": "60"}))
    living.service(SERVICE, "reload")
    assert (2, 60) == (living.starts(SERVICE), toml(living)["interval_s"])


def test_a_reload_starts_what_was_wrong_before(living: Router) -> None:
    """An operator need not know which of the two it takes."""
    living.uci(settings(GOOD | {"main.interval_s": "abc"}))
    living.service(SERVICE)
    living.uci(settings(GOOD))
    living.service(SERVICE, "reload")
    assert living.code() == living.running(SERVICE)


def test_a_reload_reaches_the_probe(living: Router) -> None:
    """Which reads what the agent's script has written, and is started and stopped by it."""
    given = GOOD | {"probe.targets": "192.0.2.1"}
    living.uci(settings(given))
    for name in (SERVICE, PROBE):
        living.service(name)
    living.uci(settings(given | {"probe.targets": "192.0.2.2"}))
    living.service(SERVICE, "reload")
    assert 2 == living.starts(PROBE)
    living.uci(settings(given | {"probe.enabled": "0"}))
    living.service(SERVICE, "reload")
    assert living.running(PROBE) is None


@pytest.mark.parametrize("key", ["spool.directory", "spool.persist_dir"])
@pytest.mark.parametrize("folder", ["/", "/tmp", "spool", "/tmp/", "/tmp/titik/.."])
def test_a_folder_of_the_systems_is_not_made_the_agents(
    router: Router, key: str, folder: str
) -> None:
    """Whoever owns /tmp may remove what others keep there."""
    router.uci(settings(GOOD | {key: folder}))
    assert [["trigger", SERVICE]] == router.service(SERVICE)
    (line,) = complaints(router)
    assert f"titik-agent.{key}: '{folder}' is no folder of the agent's own" in line
    assert [0, 0] == [(router.root / one).stat().st_uid for one in ("", "tmp")]


@pytest.mark.parametrize("folder", ["/etc/config", "/etc/init.d"])
def test_a_folder_that_others_have_is_not_made_the_agents(router: Router, folder: str) -> None:
    """Who may change the settings in LuCI would get the rights of root by it."""
    router.uci(settings(GOOD | {"spool.persist_dir": folder}))
    assert [["trigger", SERVICE]] == router.service(SERVICE)
    (line,) = complaints(router)
    assert f"titik-agent.spool.persist_dir: '{folder}' is no folder of the agent's own" in line
    assert 0 == (router.root / folder[1:]).stat().st_uid


def test_a_folder_elsewhere_is_made_once_and_stays_the_agents(router: Router) -> None:
    """Also after a restart; what a link leads to is nobody's to give."""
    kept = router.root / "mnt/titik"
    router.uci(settings(GOOD | {"spool.persist_dir": "/mnt/titik"}))
    for _ in range(2):
        router.service(SERVICE)
        assert [] == complaints(router)
        assert UID == kept.stat().st_uid
    kept.rmdir()
    kept.symlink_to("/etc/config")
    router.service(SERVICE)
    assert "is no folder of the agent's own" in "".join(complaints(router))
    assert 0 == (router.root / "etc/config").stat().st_uid


def test_a_check_says_what_is_wrong_and_stops_nothing(living: Router) -> None:
    """To whoever has typed it."""
    living.uci(settings(GOOD))
    living.service(SERVICE)
    living.uci(settings(GOOD | {"main.interval_s": "abc"}))
    done = living.shell("sh", "/etc/rc.common", f"/etc/init.d/{SERVICE}", "check")
    assert (
        1,
        "FAIL  config: settings refused: titik-agent.main.interval_s: 'abc' must be a whole"
        " number, from 1 to 3600\n",
    ) == (done.returncode, done.stdout)
    assert living.running(SERVICE) is not None


def test_a_python_that_fails_keeps_no_agent_from_starting(living: Router) -> None:
    """Only what the agent itself says of the settings counts."""
    living.program("usr/bin/titik-agent", "echo Killed; exit 137")
    living.uci(settings(GOOD | {"main.interval_s": "abc"}))
    living.service(SERVICE)
    assert living.code() == living.running(SERVICE)


@pytest.mark.parametrize("every_s", ["abc", "9", "86401", "0300", "5 m"])
def test_a_wrong_time_between_rounds_starts_no_probe(living: Router, every_s: str) -> None:
    """It is the probe's own option, which the agent does not read."""
    living.uci(settings(GOOD | {"probe.every_s": every_s}))
    living.service(SERVICE)
    living.service(PROBE)
    assert living.running(PROBE) is None
    (line,) = complaints(living)
    assert f"titik-agent.probe.every_s: '{every_s}' must be a whole number" in line


def test_what_is_ignored_is_logged(router: Router) -> None:
    """A section without a name, one of another name, an option that nobody reads."""
    given = settings(GOOD | {"main.intervall_s": "60"})
    router.uci(f"{given}config reach\n\tlist targets 'a:1'\n\nconfig x 'more'\n\toption a 'b'\n")
    router.service(SERVICE)
    output = complaints(router)
    assert 3 == len(output), output
    assert "section ignored, it has no name; the names are main broker" in output[0]
    assert "uci delete titik-agent.cfg" in output[0]
    assert "section ignored, it is none of main broker" in output[1]
    assert "uci delete titik-agent.more" in output[1]
    assert "option ignored, there is none of this name: titik-agent.main.intervall_s" in output[2]
    assert "open" in [one[0] for one in router.calls()]


def test_a_file_that_uci_cannot_read_is_logged(router: Router) -> None:
    """It is no router that nobody has enrolled."""
    router.uci("config agent 'main\n\toption router 'tirosa-1'\n")
    assert [["trigger", SERVICE]] == router.service(SERVICE)
    (line,) = complaints(router)
    assert "/etc/config/titik-agent cannot be read" in line


ODD = [
    'a "b" \\ c\\',
    "$(reboot) `reboot` $HOME ; & | > <",
    "two\nlines",
    "ends with a line\n",
    "a\ttab",
    " blanks at both ends ",
    "kopi é 咖啡 ☕",
    "it's",
    "*",
    "#",
    "-n",
    "%s %d \\n",
]


@pytest.mark.parametrize("value", ODD)
def test_odd_values_reach_the_agent_as_they_are(router: Router, value: str) -> None:
    """As a text, and as an item of a list."""
    given = settings(GOOD | {"interfaces.uplink": value})
    router.uci(f"{given}\tlist lan {uci(value)}\n\tlist lan 'br-lan'\n")
    router.service(SERVICE)
    assert {"uplink": value, "lan": [value, "br-lan"]} == toml(router)["interfaces"]


def test_empty_values_are_not_set(router: Router) -> None:
    """As LuCI leaves them."""
    router.uci(settings(GOOD | {"main.interval_s": "", "broker.tls": "", "interfaces.uplink": ""}))
    router.service(SERVICE)
    reported = toml(router)
    assert ("interval_s" in reported, reported["interfaces"]) == (False, {})
    assert {"host": "mqtt.example"} == reported["broker"]


def test_an_option_where_a_list_is_meant_is_cut_at_blanks(router: Router) -> None:
    """As UCI's own lists are in a shell."""
    router.uci(settings(GOOD | {"reach.targets": "1.1.1.1:443 8.8.8.8:443"}))
    router.service(SERVICE)
    assert ["1.1.1.1:443", "8.8.8.8:443"] == toml(router)["reach"]["targets"]


@pytest.mark.parametrize(("listed", "mark"), [(True, "ok  "), (False, "FAIL")])
def test_a_check_sees_what_the_service_sees(living: Router, listed: bool, mark: str) -> None:
    """Without its access list, ubusd shows the agent no access point, though root sees all."""
    living.uci(settings(GOOD))
    if not listed:
        (living.root / "usr/share/acl.d/titik-agent.json").unlink()

    def checked() -> bool:
        """The agent gives ubusd a second, which a machine with other work may take."""
        done = living.shell("sh", "/etc/rc.common", f"/etc/init.d/{SERVICE}", "check")
        assert "ok    user: titik\n" in done.stdout
        return f"{mark}  source hostapd: " in done.stdout

    with hostapd(living):
        assert until(checked, True)
