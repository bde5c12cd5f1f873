"""How much an incident matters, and so how long its messages may wait.

Rule: critical are the server, the city, groups and places of the first tier, by day and by night.
Rule: at night nothing else wakes somebody. Warnings wait for the morning.
Rule: what is only good to know has no message of its own. It is in the digest.
"""

from titik_collector.alerts import hours
from titik_collector.alerts.alert import Severity
from titik_collector.alerts.alert_settings import AlertSettings

FIRST_TIER = 1

_RANKS: dict[Severity, int] = {"info": 0, "warning": 1, "critical": 2}


def rank(severity: Severity) -> int:
    """The higher, the more it matters."""
    return _RANKS[severity]


def highest(one: Severity, other: Severity) -> Severity:
    """That which matters more."""
    return one if rank(one) >= rank(other) else other


def not_before(due_ms: int, severity: Severity, settings: AlertSettings) -> int:
    """When a message that is due then may go out."""
    return due_ms if severity == "critical" else after_the_night(due_ms, settings)


def after_the_night(due_ms: int, settings: AlertSettings) -> int:
    """The next morning, if it is night then."""
    night = hours.night(settings)
    if not hours.is_within(due_ms, night, settings.zone):
        return due_ms
    return hours.next_at(due_ms, night.to_min, settings.zone)
