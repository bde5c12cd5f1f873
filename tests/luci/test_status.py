"""The page that shows what the agent does: each state, the check, both languages."""

import json
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.luci.conftest import OpenView
from tests.luci.rpcd import CHECKED, REFUSED, STATE, Rpcd

pytestmark = pytest.mark.system

SHELL = "/etc/init.d/titik-agent check_later"
LINES = """\
ok    config: router tirosa-1, every 30 s
--    user: titik, but: two colons
FAIL  tcp: nothing listens at mqtt.example:8883: check broker.port, and that the broker runs
end 1
"""


def state(**changed: Any) -> str:
    """What an agent writes that is well, but for what is changed; `broker__reason` is nested."""
    well: dict[str, Any] = {
        "v": 1, "router": "tirosa-1", "version": "0.1.0", "python": "3.11.14",
        "uptime_ms": 4_990_000, "clock": "ntp", "interval_s": 30,
        "broker": {
            "where": "mqtt.example:8883", "connected": True, "since_ago_ms": 7_200_000,
            "reason": None, "next_try_ms": None, "collectors": 1, "acked_ago_ms": 2_000,
        },
        "spool": {
            "samples": 0, "bytes": 0, "oldest_ago_ms": None, "merged": 0, "lost": 0, "corrupt": 0,
        },
        "sources": [
            {"name": "hostapd", "state": "ok"}, {"name": "netdev", "state": "ok"},
            {"name": "probe", "state": "none"},
        ],
        "sample": {
            "seq": 240, "ago_ms": 3_000, "clients": 17, "off_air": False, "flow_offload": False,
            "uplinks": [{"ifname": "eth0", "up": True}],
        },
    }  # fmt: skip
    for key, value in changed.items():
        outer, _, inner = key.partition("__")
        if inner:
            well[outer][inner] = value
        else:
            well[outer] = value
    return json.dumps(well)


LOST = {
    "broker__connected": False, "broker__collectors": 0, "broker__next_try_ms": 42_000,
    "broker__reason": "nothing listens at mqtt.example:8883: check broker.port",
}  # fmt: skip
AGAIN = {"broker__since_ago_ms": 5_000, "broker__acked_ago_ms": 3_600_000}  # just connected
FIRST = {"broker__acked_ago_ms": None}
HOSTAPD_FAILS = [
    {"name": "hostapd", "state": "failed", "reason": "ubus: no such file"},
    {"name": "leases", "state": "unread"},
]


def verdict(page: Page) -> Locator:
    return page.locator("#titik-verdict")


def beside(page: Page, title: str) -> Locator:
    """The cell beside a title of the details."""
    row = page.locator("#titik-details tr", has=page.locator(f"td:text-is('{title}')"))
    return row.locator("td").nth(1)


def value(page: Page, title: str) -> str:
    """What stands there."""
    return beside(page, title).inner_text()


@pytest.mark.parametrize(
    ("written", "runs", "shown"),
    [
        (state(), True, "✓ Reports arrive at the server."),
        ("", False, "The agent does not run."),
        (state(), False, "The agent does not run."),  # it was killed, and left its file
        ("", True, "The agent starts."),
        ('{"v": 2}', True, "The agent starts."),  # of a later version
        ("{", True, "The agent starts."),
        (state(uptime_ms=4_700_000), True, "The agent has shown nothing for 5 minutes."),
        (state(**LOST), True, "The connection to the server is lost. Samples are kept."),
        (
            state(**LOST, broker__acked_ago_ms=None),
            True,
            "Nothing has reached the server yet. Samples are kept.",
        ),
        (state(broker__connected=False), True, "The agent connects now."),
        (state(broker__collectors=0), True, "no collector answers there"),
        (state(**FIRST), True, "the server acknowledges nothing"),
        (state(broker__acked_ago_ms=115_000), True, "the server acknowledges nothing"),
        (state(**AGAIN | FIRST), True, "Connected. Nothing is acknowledged yet."),
        (state(**AGAIN, spool__samples=9), True, "Connected. Nothing is acknowledged yet."),
        (state(**AGAIN), True, "✓ Reports arrive at the server."),  # and nothing waits
        (state(sources=HOSTAPD_FAILS), True, "something is missing"),
    ],
)
def test_one_sentence_says_how_it_is(
    open_view: OpenView, rpcd: Rpcd, written: str, runs: bool, shown: str
) -> None:
    """What is not known is never called well."""
    rpcd.runs(agent=runs)
    if written:
        rpcd.files[STATE] = written
    expect(verdict(open_view("status"))).to_contain_text(shown)


def test_who_may_only_look_gets_no_password(open_view: OpenView, rpcd: Rpcd) -> None:
    """The status needs no settings, where the broker's password may stand."""
    rpcd.grants_only("luci-app-titik", "read")
    rpcd.files[STATE] = state()
    expect(verdict(open_view("status"))).to_contain_text("Reports arrive")
    asked = {"object": "uci", "method": "get", "args": {"config": "titik-agent"}}
    assert [REFUSED, None] == json.loads(rpcd.answer(json.dumps(asked)))


def test_the_details_are_those_of_the_agent(open_view: OpenView, rpcd: Rpcd) -> None:
    """Ages grow with the file's own: it was written ten seconds ago."""
    rpcd.files[STATE] = state()
    page = open_view("status")
    assert {
        "Server": "mqtt.example:8883",
        "State": "connected for 2 hours",
        "Next try": "-",
        "Collectors online": "1",
        "Last acknowledged": "12 seconds ago",
        "Samples that wait": "0",
        "Taken": "13 seconds ago",
        "Clients": "17",
        "To the internet": "eth0",
        "Probe": "not on this router",
        "Wi-Fi": "✓ read",
        "Version": "0.1.0",
        "Clock": "set",
    } == {
        title: value(page, title)
        for title in (
            "Server", "State", "Next try", "Collectors online", "Last acknowledged",
            "Samples that wait", "Taken", "Clients", "To the internet", "Probe", "Wi-Fi",
            "Version", "Clock",
        )
    }  # fmt: skip


@pytest.mark.parametrize(
    ("became", "reason", "shown"),
    [
        ("applied", None, "✓ in use change 7"),
        ("trying", None, "on trial change 7"),
        ("refused", "interval_s: must be 5 to 3600", "refused change 7 interval_s: must be"),
        ("rolled-back", "no ack in 180 s", "taken back change 7 no ack in 180 s"),
    ],
)
def test_settings_from_the_server_are_shown(
    open_view: OpenView, rpcd: Rpcd, became: str, reason: str | None, shown: str
) -> None:
    """Whoever changes them here knows what counts."""
    rpcd.files[STATE] = state(settings={"revision": 7, "state": became, "reason": reason})
    expect(beside(open_view("status"), "Settings from the server")).to_contain_text(shown)


def test_an_outage_shows_the_reason_and_a_spool_that_grows(open_view: OpenView, rpcd: Rpcd) -> None:
    """Without a reload."""
    rpcd.files[STATE] = state()
    page = open_view("status")
    grown = {"samples": 12, "bytes": 8400, "oldest_ago_ms": 360_000, "merged": 3, "lost": 1}
    rpcd.files[STATE] = state(
        **LOST, spool={**grown, "corrupt": 0}, clock="guess", uptime_ms=5_000_000,
        sample__off_air=True, sample__clients=None, sample__flow_offload=True,
        sample__uplinks=[{"ifname": "eth0", "up": False}],
    )  # fmt: skip
    page.evaluate("pollNow()")
    expect(verdict(page)).to_contain_text("check broker.port")
    titles = (
        "Next try", "Samples that wait", "Size", "The oldest waits for", "Lost", "Clients",
        "To the internet", "Flow offload",
    )  # fmt: skip
    assert [
        "in 42 seconds", "12", "9 KiB", "6 minutes", "✗ 1", "Wi-Fi is off", "eth0 (down)",
        "! on: bytes may be counted too low",
    ] == [value(page, title) for title in titles]  # fmt: skip
    assert "not known to be right" in value(page, "Clock")


def test_a_source_that_fails_has_its_remedy(open_view: OpenView, rpcd: Rpcd) -> None:
    """The agent's reason, and what a person can look at."""
    rpcd.files[STATE] = state(sources=HOSTAPD_FAILS)
    page = open_view("status")
    shown = value(page, "Wi-Fi")
    assert shown.startswith("✗ cannot be read ubus: no such file Is Wi-Fi on?")
    assert "not read yet" == value(page, "Leases")


def test_before_the_first_sample_there_is_none(open_view: OpenView, rpcd: Rpcd) -> None:
    """And no zero in its place."""
    rpcd.files[STATE] = state(sample=None)
    assert "none yet" == value(open_view("status"), "Taken")


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "a&b"]
)
def test_text_is_never_html(open_view: OpenView, rpcd: Rpcd, text: str) -> None:
    """Whoever names a router, or answers as a broker, writes no page."""
    rpcd.files[STATE] = state(
        **{**LOST, "broker__reason": text}, router=text, broker__where=text, version=text,
        sources=[{"name": text, "state": "failed", "reason": text}],
        sample__uplinks=[{"ifname": text, "up": True}],
    )  # fmt: skip
    rpcd.files[CHECKED] = f"ok    {text}: {text}\n{text}\nend 0\n"
    page = open_view("status")
    page.locator("#titik-check-now").click()
    expect(page.locator("#titik-check tr")).to_have_count(2)
    expect(verdict(page)).to_contain_text(text)
    assert [text] * 4 == [
        value(page, one) for one in ("Name", "Server", "Version", "To the internet")
    ]
    shown = page.locator("#titik-check").inner_text()
    assert 3 == shown.count(text)
    expect(page.locator("#view script, #view img")).to_have_count(0)


def test_the_check_shows_its_lines_as_they_come(open_view: OpenView, rpcd: Rpcd) -> None:
    """The button rests until the last one is there."""
    rpcd.files[STATE] = state()
    page = open_view("status")
    rpcd.files[CHECKED] = LINES.splitlines(keepends=True)[0]
    button = page.locator("#titik-check-now")
    button.click()
    expect(page.locator("#titik-check tr")).to_have_count(1)
    assert [SHELL] == rpcd.executed
    expect(button).to_be_disabled()
    rpcd.runs(agent=False)
    page.evaluate("pollNow()")
    expect(verdict(page)).to_contain_text("The agent rests while it is checked.")
    rpcd.runs()
    rpcd.files[CHECKED] = LINES
    expect(button).to_be_enabled()
    for at, line in enumerate(["✓ ok router tirosa-1, every 30 s", "! -- titik, but: two colons"]):
        cell = page.locator("#titik-check tr").nth(at).locator("td").nth(1)
        expect(cell).to_have_text(line, use_inner_text=True)
    expect(page.locator("#titik-check")).to_contain_text("nothing listens at mqtt.example:8883")


def test_a_check_that_cannot_start_says_why(open_view: OpenView, rpcd: Rpcd) -> None:
    """An agent of an earlier version has no such command."""
    rpcd.exit = 1
    page = open_view("status")
    page.locator("#titik-check-now").click()
    expect(page.locator("#notifications")).to_contain_text("could not be started: no such command")


def test_the_page_speaks_indonesian(open_view: OpenView, rpcd: Rpcd) -> None:
    """From the catalogue as it is installed."""
    rpcd.files[STATE] = state(sources=HOSTAPD_FAILS)
    page = open_view("status", "id")
    expect(verdict(page)).to_contain_text("Laporan sampai, tetapi ada yang kurang.")
    assert "terhubung selama 2 jam" == value(page, "Keadaan")
    expect(page.locator("#titik-check-now")).to_have_text("Periksa")
