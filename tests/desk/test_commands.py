"""`titik ack`, `silence`, `maintenance` and `remark`, as an operator types them."""

import getpass
import time
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner

from tests.collector.test_router_command import TEXT
from titik_collector.alerts.alert import AlertSubject, Incident
from titik_collector.alerts.desk_facts import DeskFacts
from titik_collector.cli import titik
from titik_collector.config import model
from titik_collector.desk.desk_reading import DeskReading
from titik_collector.store import desk_audit, desk_opening, desk_remarks, incident_rows, opening
from titik_collector.wording import when

ME = getpass.getuser()
ZONE = ZoneInfo("Asia/Makassar")
SITE = AlertSubject("site", "taman-tirosa")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A city with one incident and no desk."""
    file = tmp_path / "titik.toml"
    file.write_text(TEXT)
    with closing(opening.open_writer(model.load(file).store)) as db, db.transaction():
        incident = Incident(
            number=7, subject=SITE, kind="site-offline", severity="critical", from_ms=1, opened_ms=1
        )
        incident_rows.write(db, [incident])
    return file


def says(file: Path, *words: str, status: int = 0) -> str:
    """What `titik WORDS` prints."""
    done = CliRunner().invoke(titik, [*words, "--config", str(file)])
    assert status == done.exit_code, done.output
    return done.output


def seen(file: Path, ahead_ms: int = 1000) -> DeskFacts:
    """By the collector, a second later."""
    with closing(DeskReading(model.load(file).store, ZONE)) as reading:
        return reading.facts(round(time.time() * 1000) + ahead_ms)


def audited(file: Path) -> list[tuple[str, str]]:
    """What was done to what, the oldest first."""
    with desk_opening.opened(model.load(file).page_store) as db:
        return [(one.action, one.subject) for one in desk_audit.newest(db, 9)]


def test_an_incident_is_acknowledged(file: Path) -> None:
    """The collector sees it at its next look."""
    output = says(file, "ack", "7", "--note", "on my way")
    assert f"incident 7 is acknowledged by {ME}\n" == output
    (ack,) = seen(file).acks
    assert (7, ME, "on my way") == (ack.incident, ack.actor, ack.note)
    assert [("incident acknowledged", "7")] == audited(file)


def test_an_incident_that_is_not_there_is_not_acknowledged(file: Path) -> None:
    """Nor does it get a remark."""
    for words in (("ack", "8"), ("remark", "8", "x")):
        assert "8: there is no such incident; titik alerts lists them" in says(
            file, *words, status=2
        )
    assert [] == audited(file)


def test_what_is_over_is_not_acknowledged(file: Path) -> None:
    """It still gets a remark."""
    with closing(opening.open_writer(model.load(file).store)) as db, db.transaction():
        found = incident_rows.one(db, 7)
        assert found is not None
        incident_rows.write(db, [replace(found, resolved_ms=2)])
    assert "incident 7 is over; write a remark" in says(file, "ack", "7", status=1)
    assert [] == audited(file)
    says(file, "remark", "7", "cable cut at the bridge")


def test_an_incident_gets_a_remark(file: Path) -> None:
    """By whoever wrote it."""
    says(file, "remark", "7", "cable cut at the bridge")
    with desk_opening.opened(model.load(file).page_store) as db:
        (remark,) = desk_remarks.of_incident(db, 7)
    assert "cable cut at the bridge" == remark.text


def test_a_silence_is_added_listed_and_ended(file: Path) -> None:
    """Its words are as they are typed."""
    words = ("silence", "add", "site/taman-tirosa/crowded", "--for", "3d", "--reason", "festival")
    assert says(file, *words).startswith("silence 1: site/taman-tirosa/crowded until 20")
    (one,) = seen(file).silences
    assert (SITE, "crowded", "festival") == (one.subject, one.kind, one.reason)
    until = when.show(one.until_ms, ZONE)
    line = f"1  site/taman-tirosa/crowded  until {until}  {ME}  festival"
    assert f"{line}\n" == says(file, "silence", "list")
    assert "silence 1 is over\n" == says(file, "silence", "end", "1")
    assert () == seen(file).silences
    assert "" == says(file, "silence", "list")
    assert says(file, "silence", "list", "--all").endswith("festival  over\n")
    assert "silence 1 is over already" in says(file, "silence", "end", "1", status=1)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("taman-tirosa", ("site", "taman-tirosa", None)),
        ("tirosa-1", ("router", "tirosa-1", None)),
        ("router/tirosa-1/hot", ("router", "tirosa-1", "hot")),
        ("city", ("city", "kupang", None)),
        ("server", ("server", "", None)),
        ("router/hot", ("router", "", "hot")),
        ("group/provider:Telkom", ("group", "provider:Telkom", None)),
        ("district:Kelapa Lima/group-outage", ("group", "district:Kelapa Lima", "group-outage")),
    ],
)
def test_a_silence_is_of_what_is_typed(
    file: Path, typed: str, expected: tuple[str, str, str | None]
) -> None:
    """A name, or scope[/name][/kind]."""
    says(file, "silence", "add", typed, "--for", "2h", "--reason", "x")
    (one,) = seen(file).silences
    assert expected == (*one.subject, one.kind)


def test_a_wrong_name_has_the_one_that_was_meant(file: Path) -> None:
    """Of silences and of maintenance."""
    output = says(file, "silence", "add", "tirosa-22", "--for", "2h", "--reason", "x", status=1)
    assert "tirosa-22: there is no such router or place; did you mean tirosa-2" in output
    output = says(file, "maintenance", "start", "group/x", status=1)
    assert "there is no such router or place" in output


def test_maintenance_of_a_group_is_entered_for_each_of_its_places(file: Path) -> None:
    """The error names them; a silence takes the group."""
    file.write_text(
        TEXT.replace('title = "Perumnas"', 'title = "Perumnas"\ndistrict = "Oebobo"').replace(
            'title = "Taman Tirosa"', 'title = "Taman Tirosa"\nprovider = "Telkom"'
        )
    )
    for typed, place in (("district:oebobo", "perumnas"), ("provider:Telkom", "taman-tirosa")):
        output = " ".join(says(file, "maintenance", "start", typed, status=2).split())
        assert f"give each place its own: {place}; or" in output
        assert f"titik silence add '{typed}'" in output
    output = says(file, "maintenance", "start", "district:Penfui", status=1)
    assert "there is no such router or place" in output


@pytest.mark.parametrize(
    ("command", "words"),
    [("start", "3h is three hours ago"), ("plan", "2h is in two hours")],
)
def test_the_help_says_in_which_direction_a_length_counts(command: str, words: str) -> None:
    """Of two commands with one option."""
    output = CliRunner().invoke(titik, ["maintenance", command, "--help"]).output
    assert words in " ".join(output.split())


def test_maintenance_begins_and_ends(file: Path) -> None:
    """A place, for some hours."""
    output = says(file, "maintenance", "start", "taman-tirosa", "--for", "90m", "--reason", "mast")
    assert output.startswith("1  site/taman-tirosa  20")
    assert output.endswith(f"{ME}  mast\n")
    (one,) = seen(file).maintenance
    assert (SITE, 90 * 60_000, False) == (one.subject, one.to_ms - one.from_ms, one.is_retroactive)
    assert output == says(file, "maintenance", "list")
    says(file, "maintenance", "end", "1")
    assert () == seen(file).maintenance
    assert "maintenance 1 is over already" in says(file, "maintenance", "end", "1", status=1)


def test_maintenance_that_began_before_is_marked(file: Path) -> None:
    """It needs a reason, and can be withdrawn."""
    words = ("maintenance", "start", "tirosa-1", "--from", "3h", "--for", "1h")
    assert "began before now needs a reason" in says(file, *words, status=1)
    assert "power meter  entered afterwards" in says(file, *words, "--reason", "power meter")
    assert "withdrawn" in says(file, "maintenance", "end", "1", "--withdraw")
    assert ["maintenance set afterwards", "maintenance withdrawn"] == [
        action for action, _ in audited(file)
    ]


def test_maintenance_is_planned(file: Path) -> None:
    """For later, and is not there yet."""
    words = ("maintenance", "plan", "city", "--from", "2h", "--for", "1h", "--public")
    assert "public" in says(file, *words)
    assert () == seen(file).maintenance
    (one,) = seen(file, ahead_ms=2 * 3_600_000 + 1000).maintenance
    assert (AlertSubject("city", "kupang"), True) == (one.subject, one.is_public)
    assert "withdrawn" in says(file, "maintenance", "end", "1")


def test_maintenance_of_each_week_is_planned(file: Path) -> None:
    """Until somebody ends it."""
    words = ("maintenance", "weekly", "tirosa-1", "--days", "mon,thu", "--at", "02:00")
    output = says(file, *words, "--for", "2h")
    assert "1  router/tirosa-1  mon,thu 02:00 for 2 h 00 min, since 20" in output
    assert "is no length; use one such as" in says(file, *words, "--for", "2", status=2)
    says(file, "maintenance", "end", "1")
    assert "" == says(file, "maintenance", "list")


def test_a_time_that_comes_is_read() -> None:
    """A length from now on, a time of the day, a date."""
    now_ms = round(datetime(2026, 11, 28, 9, 30, tzinfo=ZONE).timestamp() * 1000)
    for text, day, hour in (("08:00", 29, 8), ("10.00", 28, 10), ("2h", 28, 11.5), ("1d", 29, 9.5)):
        found = datetime.fromtimestamp(when.parse_ahead(text, ZONE, now_ms) / 1000, ZONE)
        assert (day, hour) == (found.day, found.hour + found.minute / 60)
    with pytest.raises(when.BadTime, match="such as 90m, 2h, 3d, 08:00"):
        when.parse_ahead("2x", ZONE, now_ms)
