"""What the rules remember from one look to the next, and what a look changes in it.

Rule: all of it is read back from its rows. A collector that starts again plans the same messages.
Rule: a look numbers its own incidents and notifications. Applied twice, it writes the same rows.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from titik_collector.alerts.alert import Alert, AlertEvent, AlertKey, Incident, Notification
from titik_wire.instant import HOUR_MS

EVENTS_MS = HOUR_MS  # changes of the last hour show who flaps


class FaultTime(NamedTuple):
    """When the server went once more, and for how long it had been there between its faults."""

    from_ms: int
    there_ms: int


class ServerFault(NamedTuple):
    """The newest time in which what routers did could not be known, with what followed it.

    Faults are one as long as each begins before routers had time to come back from the last one.
    """

    from_ms: int  # of the first
    until_ms: int | None = None  # None: it goes on
    newest_ms: int | None = None  # when the newest began; None: there was one
    there_ms: int = 0  # for how long the server was there between them
    times: int = 1
    lately: tuple[FaultTime, ...] = ()  # some of those after the first, oldest first


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertBook:
    """All that a look needs of the looks before it."""

    looked_ms: int | None = None  # when the last look was; None: there was none
    alerts: Mapping[AlertKey, Alert] = field(default_factory=dict)
    incidents: Mapping[int, Incident] = field(default_factory=dict)  # open, or resolved lately
    notifications: Mapping[int, Notification] = field(default_factory=dict)  # of these incidents
    events: tuple[AlertEvent, ...] = ()  # of the last EVENTS_MS, oldest first
    fault: ServerFault | None = None
    last_incident: int = 0  # the highest number that was ever given
    last_notification: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertStep:
    """What one look found: the book after it, and the rows that are written in one transaction."""

    book: AlertBook
    alerts: tuple[Alert, ...] = ()  # new or changed
    ended: tuple[AlertKey, ...] = ()  # their rows are deleted
    events: tuple[AlertEvent, ...] = ()  # new
    incidents: tuple[Incident, ...] = ()  # new or changed
    notifications: tuple[Notification, ...] = ()  # new, or in the place of the same number
    withdrawn: tuple[int, ...] = ()  # numbers; their rows are deleted
    fault_changed: bool = False  # the fault in the book is written

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to be written but when the look was."""
        return not (
            self.alerts
            or self.ended
            or self.events
            or self.incidents
            or self.notifications
            or self.withdrawn
            or self.fault_changed
        )


def book_of(
    *,
    looked_ms: int | None,
    alerts: Iterable[Alert],
    incidents: Iterable[Incident],
    notifications: Iterable[Notification],
    events: Iterable[AlertEvent],
    fault: ServerFault | None,
    last_incident: int,
    last_notification: int,
) -> AlertBook:
    """The book of these rows.

    Needed are all alerts, and the incidents that go on or were resolved in the last day, with their
    notifications. So are the digests of the last two days, and the events of the last EVENTS_MS.
    """
    return AlertBook(
        looked_ms=looked_ms,
        alerts={one.key: one for one in alerts},
        incidents={one.number: one for one in incidents},
        notifications={one.number: one for one in notifications if one.number is not None},
        events=tuple(events),
        fault=fault,
        last_incident=last_incident,
        last_notification=last_notification,
    )
