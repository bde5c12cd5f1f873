"""What a receiver that forgets must get again: alerts that go on, and those that ended just now.

Rule: what a message replaced under other labels is over from then on, such as a place that became
one of a group.
"""

from collections.abc import Iterable
from typing import NamedTuple

from titik_collector.alerts.alert import AlertSubject, Kind, Notification, Severity
from titik_collector.alerts.planning import STILL_WRONG
from titik_collector.limits import MAX_STANDING

Thread = tuple[object, ...]


class Standing(NamedTuple):
    """One alert, by the newest message that has its labels."""

    notification: Notification
    ended_ms: int | None  # None: it goes on


class AlertIdentity(NamedTuple):
    """What an alert is known by there: its labels but for those of the incident."""

    kind: Kind
    subject: AlertSubject
    severity: Severity


def standing(notifications: Iterable[Notification], since_ms: int) -> list[Standing]:
    """Of one receiver: what goes on, and what ended from then on; so many of the newest."""
    threads: dict[Thread, dict[AlertIdentity, Standing]] = {}
    for one in sorted(notifications, key=lambda one: (one.due_ms, one.number or 0)):
        message = one.message
        if message.what == "resolved":
            ended_ms = message.to_ms or one.due_ms
        elif message.what in STILL_WRONG:
            ended_ms = None
        else:
            continue
        known = threads.setdefault(_thread(one), {})
        for labels, before in known.items():
            if before.ended_ms is None:
                known[labels] = Standing(before.notification, one.due_ms)
        labels = AlertIdentity(message.kind, message.subject, message.severity)
        known[labels] = Standing(one, ended_ms)
    found = [
        one
        for known in threads.values()
        for one in known.values()
        if one.ended_ms is None or one.ended_ms >= since_ms
    ]
    return found[-MAX_STANDING:]


def _thread(one: Notification) -> Thread:
    about = one.message
    return (about.kind, about.subject) if one.incident is None else (one.incident,)
