"""Alerts of a city under test, written as the collector writes them."""

from titik_collector.alerts.alert import (
    AlertEvent,
    AlertKey,
    AlertSubject,
    Incident,
    Kind,
    Phase,
    Severity,
)
from titik_collector.store import alert_rows, incident_rows
from titik_collector.store.alert_rows import KeptEvent
from titik_collector.store.database import Database

MINUTE_MS = 60_000
TIROSA, ROUTER = AlertSubject("site", "taman-tirosa"), AlertSubject("router", "tirosa-1")
LERIK = AlertSubject("site", "rsud-sk-lerik")
GROUP = AlertSubject("group", "district:Kelapa Lima")


def happened(
    db: Database,
    number: int,
    subject: AlertSubject,
    kind: Kind,
    from_ms: int,
    *,
    severity: Severity = "critical",
    resolved_ms: int | None = None,
    members: tuple[AlertSubject, ...] = (),
) -> Incident:
    """An incident with its alerts; each began, and ended if it is resolved."""
    incident = Incident(
        number=number,
        subject=subject,
        kind=kind,
        severity=severity,
        from_ms=from_ms,
        opened_ms=from_ms + 5 * MINUTE_MS,
        resolved_ms=resolved_ms,
    )
    changes: list[tuple[int, Phase, Phase]] = [(incident.opened_ms, "pending", "firing")]
    if resolved_ms is not None:
        changes.append((resolved_ms, "recovering", "inactive"))
    keys = [AlertKey("site-offline", one) for one in members] or [AlertKey(kind, subject)]
    with db.transaction():
        incident_rows.write(db, [incident])
        alert_rows.add_events(
            db,
            [
                KeptEvent(AlertEvent(key, at_ms, was, became, "test"), number)
                for key in keys
                for at_ms, was, became in changes
            ],
        )
    return incident
