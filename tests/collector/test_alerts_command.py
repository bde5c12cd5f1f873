"""`titik alerts`: what is wrong and what was, and who would get which message."""

import json
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.collector.alert_city import HEAD, PARK, AlertCity, places
from titik_collector.cli import titik
from titik_collector.store.sqlite import open_writer

ROUTES = """
[[receiver]]
name = "kepala"
type = "email"
to = "kepala@kupang.example"
language = "en"
[[route]]
receivers = ["dinas"]
severities = ["critical", "warning"]
escalate = [["kepala"]]
"""
NOON = "2026-11-23T12:00"


@pytest.fixture
def city(tmp_path: Path) -> Path:
    """Its configuration, of a city with a store that knows nothing."""
    file = tmp_path / "titik.toml"
    file.write_text(HEAD + ROUTES + PARK + places(6))
    open_writer(tmp_path / "titik.db").close()
    return file


def alerts(city: Path, *words: str, status: int = 0) -> list[str]:
    arguments = ["alerts", *words, "--config", str(city)]
    done = CliRunner(env={"COLUMNS": "120"}).invoke(titik, arguments)
    assert status == done.exit_code, done.output
    return done.output.splitlines()


def test_nothing_fires_in_a_new_city(city: Path) -> None:
    """On one line, and for programs."""
    assert ["no alert is firing, and none did in this time"] == alerts(city)
    assert [] == json.loads("\n".join(alerts(city, "--json")))["incidents"]


@pytest.mark.thorough
def test_what_goes_on_comes_before_what_is_over(tmp_path: Path) -> None:
    """With its number, which `titik ack` takes."""
    with closing(open_writer(tmp_path / "titik.db")) as db:
        city = AlertCity(tmp_path, db, PARK + places(2))
        city.goes_online("park-1", "p0-1", "p1-1")
        city.waits(60)
        city.goes_offline("p0-1")
        city.waits(10 * 60)
        city.goes_online("p0-1")
        city.waits(30 * 60)
        city.goes_offline("park-1")
        city.waits(10 * 60)
    first, second = alerts(city.file, "--since", "2026-11-22", "--utc")[1:]
    assert ["2", "critical", "site-offline", "park"] == first.split()[:4]
    assert "1 firing" in first
    assert ["1", "warning", "site-offline", "p0"] == second.split()[:4]
    assert "over" in second
    found = json.loads("\n".join(alerts(city.file, "--since", "2026-11-22", "--json")))
    assert [("firing", True), ()] == [
        next(((one["state"], one["known"]) for one in incident["alerts"]), ())
        for incident in found["incidents"]
    ]
    assert ["resolved" in one for one in found["incidents"]] == [False, True]


def test_a_trial_prints_who_would_get_what_and_when(city: Path) -> None:
    """In the language of each, with the escalation that nobody acknowledged; nothing is sent."""
    found = alerts(city, "test", "site-offline", "park", "--dry", "--at", NOON)
    assert ["2026-11-23 12:06 dinas: 🔴 Taman mati sejak 12.00"] == [found[0].partition(" WITA")[0]]
    (escalated,) = [line for line in found if " kepala: " in line]
    assert escalated.startswith("2026-11-23 12:36 kepala: 🔴 Nobody has acknowledged: Taman is off")
    with closing(open_writer(city.with_name("titik.db"))) as db:
        assert [] == db.execute("SELECT * FROM notification")


def test_at_night_a_place_of_a_lower_tier_waits_in_a_trial_too(city: Path) -> None:
    """Hours count as they would."""
    (first, *_) = alerts(city, "test", "site-offline", "p0", "--dry", "--at", "2026-11-23T23:30")
    assert first.startswith("2026-11-24 07:00 dinas: 🟠")


@pytest.mark.parametrize(
    "words",
    [
        ("group-outage", "provider:Telkom"),
        ("group-outage", "city"),
        ("router-offline", "park-1"),
        ("no-internet", "park-1"),
        ("wifi-unreadable", "park-1"),
        ("hot", "park-1"),
        ("radio-stuck", "park"),
        ("broker-down",),
        ("store-failing",),
        ("disk-low",),
        ("certificate-ending",),
        ("backup-missing",),
        ("backup-old",),
        ("backup-unverified",),
        ("line-down",),
        ("copied-city",),
        ("store-alone",),
        ("upgrade-halted",),
    ],
)
def test_each_rule_with_a_message_can_be_tried(city: Path, words: tuple[str, ...]) -> None:
    """So an operator sees whether a change of a route or a threshold does what was meant."""
    found = alerts(city, "test", *words, "--dry", "--at", NOON)
    assert "dinas: " in found[0]


@pytest.mark.parametrize("kind", ["crowded", "uplink-full"])
def test_what_is_only_good_to_know_has_no_message(city: Path, kind: str) -> None:
    """It is in the digest."""
    assert ["nobody gets a message of its own: it is in the digest, or no route has it"] == alerts(
        city, "test", kind, "park", "--dry", "--at", NOON
    )


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("hot", "park-1"), "nothing is sent by this command; add --dry; to send a message: titik"),
        (("flapping", "park", "--dry"), "flapping depends on what happens in time; it cannot be"),
        (("hot", "park", "--dry"), "of hot NAME is a router"),
        (("crowded", "park-1", "--dry"), "of crowded NAME is a place"),
        (("group-outage", "park", "--dry"), "of group-outage NAME is the city, provider:NAME or"),
    ],
)
def test_what_cannot_be_tried_has_a_remedy(
    city: Path, words: tuple[str, ...], expected: str
) -> None:
    """On one line."""
    status = 2
    assert expected in " ".join(alerts(city, "test", *words, status=status))
