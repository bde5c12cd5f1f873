"""What the rules of alerts remember: read back at a start, and written after each look.

Rule: a look is written in one transaction, and what it changed alone.
"""

from titik_collector.alerts.alert import AlertEvent, AlertKey
from titik_collector.alerts.book import (
    EVENTS_MS,
    AlertBook,
    AlertStep,
    FaultTime,
    ServerFault,
    book_of,
)
from titik_collector.limits import MAX_RECENT_CHANGES
from titik_collector.store import alert_rows, incident_rows, outbox_rows, settings
from titik_collector.store.alert_rows import KeptEvent
from titik_collector.store.database import Database
from titik_wire.instant import DAY_MS

INCIDENTS_MS, DIGESTS_MS = DAY_MS, 2 * DAY_MS


def read(db: Database, now_ms: int) -> AlertBook:
    """The book as the last look left it."""
    looked_ms = settings.number(db, "alerts_looked_ms")
    since_ms = now_ms if looked_ms is None else min(now_ms, looked_ms)
    incidents = incident_rows.since(db, since_ms - INCIDENTS_MS)
    rows = [
        *outbox_rows.of_incidents(db, [one.number for one in incidents]),
        *outbox_rows.of_no_incident(db, since_ms - DIGESTS_MS),
    ]
    changes = alert_rows.events(db, since_ms - EVENTS_MS, MAX_RECENT_CHANGES)
    return book_of(
        looked_ms=looked_ms,
        alerts=alert_rows.read(db),
        incidents=incidents,
        notifications=[one.notification for one in rows if one.withdrawn_ms is None],
        events=[one.event for one in changes],
        fault=_fault(db),
        last_incident=incident_rows.last_number(db),
        last_notification=outbox_rows.last_number(db),
    )


def write(db: Database, before: AlertBook, step: AlertStep, now_ms: int) -> None:
    """What a look changed, in a transaction of the caller's; the second time changes nothing."""
    incident_rows.write(db, step.incidents)
    alert_rows.write(db, step.alerts)
    alert_rows.remove(db, step.ended)
    alert_rows.add_events(db, [_kept(one, before, step.book) for one in step.events])
    outbox_rows.put(db, step.notifications)
    outbox_rows.withdraw(db, step.withdrawn, now_ms)
    settings.keep(db, "alerts_looked_ms", now_ms)
    if step.fault_changed:
        _keep_fault(db, step.book.fault)


def _kept(event: AlertEvent, before: AlertBook, after: AlertBook) -> KeptEvent:
    return KeptEvent(event, _incident(event.key, after) or _incident(event.key, before))


def _incident(key: AlertKey, book: AlertBook) -> int | None:
    alert = book.alerts.get(key)
    return None if alert is None else alert.incident


def _fault(db: Database) -> ServerFault | None:
    from_ms = settings.number(db, "fault_from_ms")
    if not from_ms:
        return None
    lately = settings.numbers(db, "fault_lately")
    return ServerFault(
        from_ms,
        settings.number(db, "fault_until_ms") or None,
        settings.number(db, "fault_newest_ms") or None,
        settings.number(db, "fault_there_ms") or 0,
        settings.number(db, "fault_times") or 1,
        tuple(map(FaultTime, lately[::2], lately[1::2])),
    )


def _keep_fault(db: Database, fault: ServerFault | None) -> None:
    """As numbers: 0 is none."""
    if fault is None:
        settings.change(db, "fault_from_ms", 0)
        return
    settings.change(db, "fault_from_ms", fault.from_ms)
    settings.change(db, "fault_until_ms", fault.until_ms or 0)
    settings.change(db, "fault_newest_ms", fault.newest_ms or 0)
    settings.change(db, "fault_there_ms", fault.there_ms)
    settings.change(db, "fault_times", fault.times)
    lately = (number for one in fault.lately for number in one)
    settings.change(db, "fault_lately", *lately)
