"""Alerts, incidents, the outbox and the beat, as the store keeps them."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from tests.collector.build import T0, opened
from titik_collector.alerts.alert import (
    Alert,
    AlertEvent,
    AlertKey,
    AlertSubject,
    Incident,
    Member,
    Message,
    Notification,
    Phase,
)
from titik_collector.alerts.book import AlertStep, FaultTime, ServerFault
from titik_collector.store import (
    alert_rows,
    beat_rows,
    book_rows,
    incident_rows,
    outbox_rows,
    retention,
)
from titik_collector.store.alert_rows import KeptEvent
from titik_collector.store.beat_rows import Beat
from titik_collector.store.database import Database
from titik_collector.store.outbox_rows import OutboxRow
from titik_collector.store.retention import Days
from titik_wire.instant import DAY_MS

SITE = AlertSubject("site", "taman-tirosa")
DOWN = AlertKey("site-offline", SITE)
FULL = AlertKey("crowded", AlertSubject("site", "pantai"))
INCIDENT = Incident(
    number=1, subject=SITE, kind="site-offline", severity="critical", from_ms=T0, opened_ms=T0 + 1
)
MESSAGE = Message(
    what="firing",
    kind="group-outage",
    severity="critical",
    subject=AlertSubject("group", "provider:Telkom"),
    title="Telkom",
    from_ms=T0,
    members=(Member(SITE, "Taman Tirosa", T0, None, "power cut", 17), Member(SITE, "B", T0, T0)),
    places=6,
    value=0.5,
    notes=("ditelepon", "kemudian"),
)


def notification(number: int = 1, due_ms: int = T0 + 60_000) -> Notification:
    return Notification(
        number=number,
        incident=1,
        receiver="dinas",
        made_ms=T0,
        due_ms=due_ms,
        message=MESSAGE,
        is_uncapped=True,
    )


def planned(db: Database) -> list[OutboxRow]:
    return outbox_rows.after(db, 0)


def test_a_fault_of_the_server_comes_out_as_it_went_in(tmp_path: Path) -> None:
    """Also one of several; and none after it."""
    faults = (
        ServerFault(T0),
        ServerFault(T0, T0 + 9),
        ServerFault(T0, None, T0 + 20, 11, 2),
        ServerFault(T0, T0 + 30, T0 + 20, 11, 2),
        ServerFault(T0, None, T0 + 40, 21, 3, (FaultTime(T0 + 20, 11), FaultTime(T0 + 40, 21))),
        ServerFault(T0, T0 + 50, None, 0, 1),
        None,
        ServerFault(T0 + 99),
    )
    with opened(tmp_path / "db") as db:
        for fault in faults:
            before = book_rows.read(db, T0)
            book = replace(before, looked_ms=T0, fault=fault)
            book_rows.write(db, before, AlertStep(book=book, fault_changed=True), T0)
            assert fault == book_rows.read(db, T0).fault


def test_an_alert_is_what_was_written_last(tmp_path: Path) -> None:
    """Without a row it is inactive; times and figures that are not known stay so."""
    down = Alert(key=DOWN, phase="pending", known=True, since_ms=T0)
    full = Alert(
        key=FULL,
        phase="firing",
        known=False,
        since_ms=T0,
        from_ms=T0 - 1,
        seen_ms=T0 + 5,
        held_ms=900,
        incident=1,
        value=1.25,
    )
    with opened(tmp_path / "db") as db:
        incident_rows.write(db, [INCIDENT])
        alert_rows.write(db, [down, full])
        assert [full, down] == alert_rows.read(db)
        down = replace(down, phase="firing", incident=1)
        alert_rows.write(db, [down])
        alert_rows.remove(db, [FULL])
        assert [down] == alert_rows.read(db)


def test_the_changes_of_an_alert_stay_when_it_is_over(tmp_path: Path) -> None:
    """With the incident that it was part of; the newest are read, in order."""
    steps: list[tuple[Phase, Phase, int | None]] = [
        ("inactive", "pending", None),
        ("pending", "firing", 1),
        ("firing", "recovering", 1),
    ]
    first, second, third = (
        KeptEvent(AlertEvent(DOWN, T0 + n, was, became, "no router online"), incident)
        for n, (was, became, incident) in enumerate(steps)
    )
    with opened(tmp_path / "db") as db:
        incident_rows.write(db, [INCIDENT])
        for one in (first, second, third):
            alert_rows.add_events(db, [one])
        assert [second, third] == alert_rows.events(db, 0, 2)
        assert [second, third] == alert_rows.newest_events(db, 2)
        assert [first] == alert_rows.events(db, T0, 9, T0 + 1)
        assert [second, third] == alert_rows.events_of(db, 1, 9)


def test_an_incident_is_found_while_it_goes_on_and_after(tmp_path: Path) -> None:
    """Its number goes on from the highest that was ever given."""
    over = replace(INCIDENT, number=2, resolved_ms=T0 + 9, message_ms=T0 + 3)
    with opened(tmp_path / "db") as db:
        assert 0 == incident_rows.last_number(db)
        incident_rows.write(db, [INCIDENT, replace(over, resolved_ms=None)])
        incident_rows.write(db, [over])
        assert [INCIDENT, over] == incident_rows.since(db, T0 + 9)
        assert [INCIDENT] == incident_rows.since(db, T0 + 10)
        assert [over, INCIDENT] == incident_rows.newest(db, 2)
        assert [INCIDENT] == incident_rows.newest(db, 9, below=2)
        assert (over, None) == (incident_rows.one(db, 2), incident_rows.one(db, 3))
        assert 2 == incident_rows.last_number(db)


def test_a_message_comes_out_as_it_went_in(tmp_path: Path) -> None:
    """At its time, once it has a number."""
    with opened(tmp_path / "db") as db:
        incident_rows.write(db, [INCIDENT])
        outbox_rows.put(db, [notification()])
        (one,) = planned(db)
        assert notification() == one.notification
        assert [] == outbox_rows.due(db, 0, T0 + 59_999)
        assert [one] == outbox_rows.due(db, T0 + 60_000, T0 + 60_000)
        assert [] == outbox_rows.due(db, T0 + 60_001, T0 + 90_000)
        assert [one] == outbox_rows.named(db, [one.number, 99])


def test_a_planned_message_may_be_another_before_it_is_due(tmp_path: Path) -> None:
    """It keeps its number."""
    with opened(tmp_path / "db") as db:
        incident_rows.write(db, [INCIDENT])
        outbox_rows.put(db, [notification()])
        (one,) = planned(db)
        wider = replace(one.notification, due_ms=T0 + 5, message=replace(MESSAGE, places=9))
        outbox_rows.put(db, [wider])
        assert [OutboxRow(one.number, wider)] == planned(db)


def test_a_withdrawn_message_is_not_due_and_its_number_stays_its_own(tmp_path: Path) -> None:
    """A mail or a delivery may have it."""
    with opened(tmp_path / "db") as db:
        incident_rows.write(db, [INCIDENT])
        outbox_rows.put(db, [notification()])
        (one,) = planned(db)
        outbox_rows.withdraw(db, [one.number], T0 + 3)
        outbox_rows.withdraw(db, [one.number], T0 + 4)
        assert ([], []) == (planned(db), outbox_rows.due(db, 0, T0 + DAY_MS))
        assert [one._replace(withdrawn_ms=T0 + 3)] == outbox_rows.of_incidents(db, [1, 2])
        outbox_rows.put(db, [notification(2)])
        assert [2] == [one.number for one in planned(db)]
        assert 2 == outbox_rows.last_number(db)


def test_a_digest_is_of_no_incident(tmp_path: Path) -> None:
    """Those that were made since a time, and were not withdrawn."""
    old, new, gone = (
        replace(notification(n, T0 + n), incident=None, made_ms=T0 + n) for n in (1, 2, 3)
    )
    with opened(tmp_path / "db") as db:
        incident_rows.write(db, [INCIDENT])
        outbox_rows.put(db, [old, new, gone, notification(4)])
        outbox_rows.withdraw(db, [3], T0)
        assert [OutboxRow(2, new)] == outbox_rows.of_no_incident(db, T0 + 2)


def test_messages_go_after_three_months_but_for_the_newest_number(tmp_path: Path) -> None:
    """So no number is given again. What happened to an alert stays."""
    event = KeptEvent(AlertEvent(DOWN, T0, "pending", "firing", "no router online"), 1)
    with opened(tmp_path / "db") as db:
        assert 0 == outbox_rows.last_number(db)
        incident_rows.write(db, [INCIDENT])
        alert_rows.add_events(db, [event])
        outbox_rows.put(db, [notification(), notification(2)])
        keep = Days(messages=1, samples=30, minutes=90)
        retention.prune(db, T0 + 60_000 + 90 * DAY_MS, keep)
        assert [1, 2] == [one.number for one in planned(db)]
        retention.prune(db, T0 + 60_001 + 90 * DAY_MS, keep)
        assert [2] == [one.number for one in planned(db)]
        assert [event] == alert_rows.events(db, 0, 9)


def test_a_message_that_cannot_be_read_delays_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A later version wrote it, before the operator went back to this one."""
    with opened(tmp_path / "db") as db:
        incident_rows.write(db, [INCIDENT])
        outbox_rows.put(db, [notification()])
        db.execute("UPDATE notification SET message = replace(message, 'firing', 'sung')")
        outbox_rows.put(db, [notification(2, T0 + 70_000)])
        with caplog.at_level(logging.ERROR):
            assert [T0 + 70_000] == [one.notification.due_ms for one in planned(db)]
        assert ["message cannot be read notification"] == [
            one.getMessage().partition("=")[0] for one in caplog.records
        ]


def test_a_beat_is_the_newest_of_its_name(tmp_path: Path) -> None:
    """None before the first."""
    with opened(tmp_path / "db") as db:
        assert beat_rows.read(db, beat_rows.COLLECTOR) is None
        beat_rows.write(db, "other", Beat(T0))
        beat_rows.write(db, beat_rows.COLLECTOR, Beat(T0))
        beat_rows.write(db, beat_rows.COLLECTOR, Beat(T0 + 5000, "busy"))
        assert Beat(T0 + 5000, "busy") == beat_rows.read(db, beat_rows.COLLECTOR)
