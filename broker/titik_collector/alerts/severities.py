"""How much an incident matters, and so how long its messages may wait.

Rule: at night only the server, the city, groups and places of the first tier wake somebody.
Rule: what is only good to know has no message of its own. It is in the digest.
"""

from typing import Literal

from titik_collector.alerts import hours
from titik_collector.alerts.alert import Incident, Severity
from titik_collector.alerts.alert_settings import AlertSettings, Hours

Urgency = Literal["always", "by day", "not at night", "digest"]

_RANKS: dict[Severity, int] = {"info": 0, "warning": 1, "critical": 2}
WIDE = ("server", "city", "group")


def rank(severity: Severity) -> int:
    """The higher, the more it matters."""
    return _RANKS[severity]


def highest(one: Severity, other: Severity) -> Severity:
    """That which matters more."""
    return one if rank(one) >= rank(other) else other


def urgency(incident: Incident, tier: int | None) -> Urgency:
    """Of an incident; `tier` is that of the most important place it is about."""
    if incident.severity == "info":
        return "digest"
    if incident.severity == "warning":
        return "by day"
    return "always" if incident.subject.scope in WIDE or tier == 1 else "not at night"


def not_before(due_ms: int, how: Urgency, settings: AlertSettings) -> int:
    """When a message that is due then may go out."""
    wait: Hours | None = None
    if how == "by day":
        wait = settings.quiet
    elif how == "not at night":
        wait = hours.night(settings)
    if wait is None or not hours.is_within(due_ms, wait, settings.zone):
        return due_ms
    return hours.next_at(due_ms, wait.to_min, settings.zone)
