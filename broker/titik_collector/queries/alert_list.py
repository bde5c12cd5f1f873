"""What is wrong now, and what was lately: incidents with their alerts."""

from dataclasses import dataclass
from typing import Any

from titik_collector.alerts.alert import Alert, Incident
from titik_collector.limits import MAX_INCIDENTS_SHOWN
from titik_collector.store import alert_rows, incident_rows
from titik_collector.store.database import Database
from titik_wire import instant

ACTIVE = ("firing", "recovering")


@dataclass(frozen=True, slots=True)
class IncidentNow:
    """One incident, and those of its alerts that are active."""

    incident: Incident
    alerts: tuple[Alert, ...]

    @property
    def is_known(self) -> bool:
        """Whether it is known that it goes on."""
        return any(one.known for one in self.alerts)


def lately(db: Database, since_ms: int) -> list[IncidentNow]:
    """Those that go on, then those that ended since, the newest of each first."""
    active: dict[int, list[Alert]] = {}
    for one in alert_rows.read(db):
        if one.phase in ACTIVE and one.incident is not None:
            active.setdefault(one.incident, []).append(one)
    found = incident_rows.since(db, since_ms)
    found.sort(key=lambda one: (one.resolved_ms is not None, -one.from_ms, -one.number))
    newest = found[:MAX_INCIDENTS_SHOWN]
    return [IncidentNow(one, tuple(active.get(one.number, ()))) for one in newest]


def document(found: list[IncidentNow], now_ms: int) -> dict[str, Any]:
    """For programs; what is not known is absent."""
    return {
        "v": 1,
        "at": instant.to_text(now_ms),
        "incidents": [_incident(one) for one in found],
    }


def _incident(one: IncidentNow) -> dict[str, Any]:
    incident = one.incident
    resolved_ms = incident.resolved_ms
    return {
        "number": incident.number,
        "kind": incident.kind,
        "scope": incident.subject.scope,
        "name": incident.subject.name,
        "severity": incident.severity,
        "began": instant.to_text(incident.from_ms),
        "opened": instant.to_text(incident.opened_ms),
        **({} if resolved_ms is None else {"resolved": instant.to_text(resolved_ms)}),
        "alerts": [
            {
                "kind": alert.key.kind,
                "scope": alert.key.subject.scope,
                "name": alert.key.subject.name,
                "state": alert.phase,
                "known": alert.known,
                "since": instant.to_text(alert.since_ms),
                **({} if alert.value is None else {"value": alert.value}),
            }
            for alert in one.alerts
        ],
    }
