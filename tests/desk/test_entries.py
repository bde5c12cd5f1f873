"""Acknowledgements, silences, maintenance and remarks over a real desk, on both engines."""

from contextlib import closing
from pathlib import Path

import pytest

from titik_collector.accounts.audit import Actor
from titik_collector.alerts.alert import AlertSubject
from titik_collector.alerts.desk_facts import Silence
from titik_collector.desk import acks, planned_work, remarks, silences
from titik_collector.desk.checks import DeskError
from titik_collector.desk.planned_work import Entry
from titik_collector.limits import MAX_ACKS, MAX_NOTE, MAX_REMARK
from titik_collector.store import (
    desk_acks,
    desk_audit,
    desk_copying,
    desk_maintenance,
    desk_opening,
    desk_remarks,
    desk_silences,
)
from titik_collector.store.database import Database
from titik_collector.store.desk_maintenance import MaintenanceRow, Weekly
from titik_collector.store.desk_remarks import Remark

T0 = 1_795_000_000_000
MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
BUDI = Actor("budi", "203.0.113.5", T0)
SITE = AlertSubject("site", "taman-tirosa")
ROUTER = AlertSubject("router", "tirosa-1")
WORK = Entry(SITE, "new mast")


def later(ms: int) -> Actor:
    """The same, at another time."""
    return BUDI._replace(now_ms=T0 + ms)


def audited(desk: Database) -> list[tuple[str, str, str]]:
    """Who did what to what, the oldest first."""
    return [(one.actor, one.action, one.subject) for one in desk_audit.newest(desk, 99)]


def test_the_newest_acknowledgement_of_an_incident_counts_for_a_day(desk: Database) -> None:
    """Its note is one line."""
    acks.acknowledge(desk, 7, "", BUDI)
    newest = acks.acknowledge(desk, 7, " on my\nway\x1b ", later(HOUR_MS))
    other = acks.acknowledge(desk, 8, "", BUDI)
    assert ("on my way", T0 + HOUR_MS + DAY_MS) == (newest.note, newest.until_ms)
    assert 2 == len(desk_acks.of_incident(desk, 7))
    assert [newest, other] == desk_acks.not_over(desk, T0 + 2 * HOUR_MS)
    assert [newest] == desk_acks.not_over(desk, T0 + DAY_MS)
    assert ("budi", "incident acknowledged", "7") == audited(desk)[0]


def test_acknowledgements_are_bounded(in_file: Database) -> None:
    """A script that loops fills no disk."""
    for _ in range(MAX_ACKS):
        acks.acknowledge(in_file, 7, "", BUDI)
    with pytest.raises(DeskError, match="write a remark"):
        acks.acknowledge(in_file, 7, "", BUDI)
    with pytest.raises(DeskError, match=f"write at most {MAX_NOTE}"):
        acks.acknowledge(in_file, 8, "x" * (MAX_NOTE + 1), BUDI)
    assert MAX_ACKS == len(desk_audit.newest(in_file, 999))


def test_a_silence_ends_by_itself_or_by_somebody(desk: Database) -> None:
    """Its row stays."""
    until_ms = T0 + DAY_MS
    first = silences.silence(desk, SITE, None, until_ms, "festival", BUDI)
    second = silences.silence(desk, ROUTER, "hot", until_ms, "summer", BUDI)
    silences.end(desk, second, later(HOUR_MS)._replace(name="ina"))
    made = Silence(first, SITE, None, T0, until_ms, "budi", "festival")
    assert [made] == [one.silence for one in desk_silences.not_over(desk, T0 + HOUR_MS)]
    assert [] == desk_silences.not_over(desk, until_ms)
    ended, _ = desk_silences.newest(desk, 9)
    assert (T0 + HOUR_MS, "ina") == (ended.end_ms, ended.ended_by)
    assert [
        ("budi", "silence added", f"{first} site/taman-tirosa"),
        ("budi", "silence added", f"{second} router/tirosa-1/hot"),
        ("ina", "silence ended", f"{second} router/tirosa-1/hot"),
    ] == audited(desk)


@pytest.mark.parametrize(
    ("subject", "kind", "until_ms", "reason", "remedy"),
    [
        (SITE, None, T0 + 30 * DAY_MS + 1, "x", "at most 30 days"),
        (SITE, None, T0, "x", "use a later time"),
        (SITE, None, T0 + 1, " \n", "needs a reason"),
        (SITE, "loud", T0 + 1, "x", "use one of: site-offline"),
        (AlertSubject("site", "No Slug"), None, T0 + 1, "x", "the name of a router"),
        (AlertSubject("group", "owner:x"), None, T0 + 1, "x", "provider:Telkom"),
        (SITE, None, T0 + 1, "x" * (MAX_NOTE + 1), "write at most"),
    ],
)
def test_a_silence_that_cannot_be_is_refused_with_the_remedy(
    in_file: Database,
    subject: AlertSubject,
    kind: str | None,
    until_ms: int,
    reason: str,
    remedy: str,
) -> None:
    """And leaves nothing, in the audit either."""
    with pytest.raises(DeskError, match=remedy):
        silences.silence(in_file, subject, kind, until_ms, reason, BUDI)
    assert ([], []) == (desk_silences.newest(in_file, 9), audited(in_file))


def test_a_silence_is_of_a_group_or_of_all_of_a_scope_too(desk: Database) -> None:
    """Thirty days are allowed."""
    until_ms = T0 + 30 * DAY_MS
    for subject in (AlertSubject("group", "provider:Telkom"), AlertSubject("server", "")):
        silences.silence(desk, subject, None, until_ms, "moves", BUDI)
    assert [("group", "provider:Telkom"), ("server", "")] == [
        one.silence.subject for one in desk_silences.not_over(desk, T0)
    ]


def test_what_is_not_there_or_over_is_not_ended(desk: Database) -> None:
    """The error has the number."""
    silence = silences.silence(desk, SITE, None, T0 + HOUR_MS, "festival", BUDI)
    work = planned_work.plan(desk, WORK, T0, T0 + HOUR_MS, BUDI).number
    before = audited(desk)
    with pytest.raises(DeskError, match=f"silence {silence} is over already"):
        silences.end(desk, silence, later(HOUR_MS))
    with pytest.raises(DeskError, match=f"maintenance {work} is over already"):
        planned_work.end(desk, work, later(HOUR_MS))
    with pytest.raises(DeskError, match="99: there is no such silence"):
        silences.end(desk, 99, BUDI)
    with pytest.raises(DeskError, match="99: there is no such maintenance"):
        planned_work.end(desk, 99, BUDI)
    assert before == audited(desk)


def test_maintenance_begins_now_or_later_without_a_reason(desk: Database) -> None:
    """One click is enough, and a second of delay makes nothing retroactive."""
    now = planned_work.plan(desk, Entry(SITE), T0 - 1000, T0 + HOUR_MS, BUDI)
    ahead = planned_work.plan(desk, WORK, T0 + DAY_MS, T0 + 2 * DAY_MS, BUDI)
    assert [now, ahead] == desk_maintenance.not_over(desk, T0)
    assert [False, False] == [now.is_retroactive, ahead.is_retroactive]
    assert [ahead] == desk_maintenance.not_over(desk, T0 + HOUR_MS)
    assert ("budi", "maintenance", f"{ahead.number} site/taman-tirosa") == audited(desk)[1]


def test_maintenance_that_is_entered_afterwards_needs_a_reason_and_is_marked(
    desk: Database,
) -> None:
    """In its row and in the audit, also if it still goes on."""
    from_ms = T0 - HOUR_MS
    with pytest.raises(DeskError, match="began before now needs a reason"):
        planned_work.plan(desk, Entry(SITE), from_ms, T0 + HOUR_MS, BUDI)
    made = planned_work.plan(desk, WORK, from_ms, T0 + HOUR_MS, BUDI)
    assert desk_maintenance.find(desk, made.number) == made
    assert made.is_retroactive
    entry = f"{made.number} site/taman-tirosa"
    assert [("budi", "maintenance set afterwards", entry)] == audited(desk)


@pytest.mark.parametrize(
    ("entry", "from_ms", "to_ms", "remedy"),
    [
        (WORK, T0, T0, "use a later end"),
        (WORK, T0, T0 + 31 * DAY_MS + 1, "at most 31 days"),
        (WORK, T0 + 367 * DAY_MS, T0 + 368 * DAY_MS, "begins within 366 days"),
        (WORK, T0 - 63 * DAY_MS, T0 - 62 * DAY_MS, "its report is final"),
        (Entry(AlertSubject("server", "main")), T0, T0 + 1, "the city, a place or a router"),
        (Entry(AlertSubject("site", "")), T0, T0 + 1, "give its name"),
        (Entry(SITE, "x" * (MAX_NOTE + 1)), T0, T0 + 1, "write at most"),
    ],
)
def test_maintenance_that_cannot_be_is_refused_with_the_remedy(
    in_file: Database, entry: Entry, from_ms: int, to_ms: int, remedy: str
) -> None:
    """And leaves nothing, in the audit either."""
    with pytest.raises(DeskError, match=remedy):
        planned_work.plan(in_file, entry, from_ms, to_ms, BUDI)
    assert ([], []) == (desk_maintenance.newest(in_file, 9), audited(in_file))


def test_maintenance_is_ended_before_its_time(desk: Database) -> None:
    """What was planned stays in the row."""
    made = planned_work.plan(desk, WORK, T0, T0 + DAY_MS, BUDI)
    planned_work.end(desk, made.number, later(HOUR_MS))
    found = desk_maintenance.find(desk, made.number)
    assert found == made._replace(ended_ms=T0 + HOUR_MS, ended_by="budi")
    assert found is not None
    assert (T0 + HOUR_MS, T0 + DAY_MS) == (found.end_ms, found.to_ms)
    assert "maintenance ended" == audited(desk)[-1][1]


def test_maintenance_that_was_entered_wrongly_is_withdrawn(desk: Database) -> None:
    """What has not begun is, however it is ended; what is over only if it is asked for."""
    ahead = planned_work.plan(desk, WORK, T0 + HOUR_MS, T0 + DAY_MS, BUDI)
    planned_work.end(desk, ahead.number, BUDI)
    over = planned_work.plan(desk, WORK, T0 - DAY_MS, T0 - HOUR_MS, BUDI)
    planned_work.end(desk, over.number, BUDI, withdraw=True)
    assert [over.from_ms, ahead.from_ms] == [one.end_ms for one in desk_maintenance.newest(desk, 9)]
    assert 2 == [action for _, action, _ in audited(desk)].count("maintenance withdrawn")
    with pytest.raises(DeskError, match="over already"):
        planned_work.end(desk, over.number, BUDI, withdraw=True)


def test_weekly_maintenance_goes_on_until_it_is_ended(desk: Database) -> None:
    """Its days are those of the week, in their order."""
    weekly = planned_work.weekly_of("Thursday, mon", "2.30", 2 * HOUR_MS)
    made = planned_work.repeat(desk, WORK, weekly, BUDI)
    assert Weekly(("mon", "thu"), 150, 2 * HOUR_MS) == made.weekly
    assert [made] == desk_maintenance.not_over(desk, T0 + 365 * DAY_MS)
    planned_work.end(desk, made.number, later(DAY_MS))
    assert [] == desk_maintenance.not_over(desk, T0 + DAY_MS)


@pytest.mark.parametrize(
    ("days", "at", "length_ms", "remedy"),
    [
        ("mon,mon", "02:00", HOUR_MS, "each once"),
        ("", "02:00", HOUR_MS, "choose a day of the week"),
        ("someday", "02:00", HOUR_MS, "use some of mon,tue"),
        ("mon", "24:00", HOUR_MS, "write it as 02:00"),
        ("mon", "02:00", 25 * HOUR_MS, "to 24 hours"),
        ("mon", "02:00", 0, "from 1 minute"),
    ],
)
def test_weekly_maintenance_that_cannot_be_is_refused_with_the_remedy(
    in_file: Database, days: str, at: str, length_ms: int, remedy: str
) -> None:
    """And leaves nothing."""
    with pytest.raises(DeskError, match=remedy):
        planned_work.repeat(in_file, WORK, planned_work.weekly_of(days, at, length_ms), BUDI)
    assert ([], []) == (desk_maintenance.newest(in_file, 9), audited(in_file))


def test_a_remark_keeps_its_lines(desk: Database) -> None:
    """And has who wrote it, and when."""
    remarks.add(desk, 7, " PLN called:\r\n\r\n\x1b[1mback at 16.00 \n", BUDI)
    remarks.add(desk, 7, "cable cut", later(1))
    assert [
        Remark(7, "budi", T0, "PLN called:\n\n [1mback at 16.00"),
        Remark(7, "budi", T0 + 1, "cable cut"),
    ] == desk_remarks.of_incident(desk, 7)
    for text, remedy in ((" \n", "has a text"), ("x" * (MAX_REMARK + 1), "at most 4,000")):
        with pytest.raises(DeskError, match=remedy):
            remarks.add(desk, 7, text, BUDI)
    assert [("budi", "remark added", "7")] * 2 == audited(desk)


def test_what_its_audit_does_not_hold_is_not_kept(desk: Database) -> None:
    """Both are one transaction."""
    with desk.transaction():
        desk.execute("ALTER TABLE audit RENAME TO away")
    makes = (
        lambda: acks.acknowledge(desk, 7, "", BUDI),
        lambda: silences.silence(desk, SITE, None, T0 + 1, "x", BUDI),
        lambda: planned_work.plan(desk, WORK, T0, T0 + 1, BUDI),
        lambda: remarks.add(desk, 7, "x", BUDI),
    )
    for make in makes:
        with pytest.raises(Exception, match="audit"):
            make()
    tables = ("acknowledgement", "silence", "maintenance", "remark")
    assert [0] * 4 == [desk.execute(f"SELECT count(*) FROM {one}")[0][0] for one in tables]


def test_a_row_is_read_as_it_was_written(desk: Database) -> None:
    """Each column at its place."""
    row = MaintenanceRow(
        *(0, ROUTER, 1, None, Weekly(("sun",), 3, 4), "budi", 5, "reason", True, True)
    )
    with desk.transaction():
        number = desk_maintenance.add(desk, row)
        desk_maintenance.end(desk, number, 6, "ina")
    expected = row._replace(number=number, ended_ms=6, ended_by="ina")
    assert [expected] == desk_maintenance.newest(desk, 1)


def test_a_copy_of_the_desk_has_all_of_it(desk: Database, tmp_path: Path) -> None:
    """A backup brings back what was entered, and goes on with numbers of its own."""
    acks.acknowledge(desk, 7, "on my way", BUDI)
    silences.silence(desk, SITE, "hot", T0 + DAY_MS, "festival", BUDI)
    work = planned_work.plan(desk, WORK, T0 - HOUR_MS, T0 + HOUR_MS, BUDI)
    remarks.add(desk, 7, "cable", BUDI)
    with closing(desk_opening.open_file(tmp_path / "copy" / "desk.db")) as copy:
        desk_copying.copy(desk, copy, "copy")
        silences.end(desk, 1, later(HOUR_MS))
        desk_copying.copy(desk, copy, "copy")
        assert desk_acks.of_incident(copy, 7) == desk_acks.of_incident(desk, 7)
        assert desk_silences.newest(copy, 9) == desk_silences.newest(desk, 9)
        assert [work] == desk_maintenance.newest(copy, 9)
        assert desk_remarks.of_incident(copy, 7) == desk_remarks.of_incident(desk, 7)
        assert work.number + 1 == planned_work.plan(copy, WORK, T0, T0 + 1, BUDI).number
