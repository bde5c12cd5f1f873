"""What `titik notify` does in a play: it takes what is due, and tries again what failed.

Rule: which message goes next, and when one is tried again, decides `titik notify` itself.
Rule: all channels work and take no time. While the server's line is cut, only the modem works.
Rule: while nothing can be stored, it has the server's alert itself, after the same waits.
"""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.alerts.played.script import COLLECTOR, RECEIVERS, Play
from tests.alerts.played.world import ms, troubles
from titik_collector.alerts import routing
from titik_collector.alerts.alert import AlertSubject, Incident, Message, Notification, What
from titik_collector.alerts.alert_settings import AlertSettings
from titik_collector.notify import choosing
from titik_collector.notify.choosing import Failure, Waiting
from titik_collector.notify.composed import MessageKey
from titik_collector.store.delivery_rows import Box, DeliveryRow
from titik_wire.instant import HOUR_MS, MINUTE_MS

FIRING_MS, RESOLVED_MS = 2 * MINUTE_MS, 10 * MINUTE_MS  # of its own: 1 min, and 60 s


class Delivered(NamedTuple):
    """A message that somebody has."""

    at_ms: int
    receiver: str
    message: Message
    incident: int | None


@dataclass(eq=False)
class Courier:
    """Delivers one play's outbox."""

    play: Play
    settings: AlertSettings
    inbox: list[Delivered] = field(default_factory=list)
    _rows: dict[tuple[Box, int], Notification] = field(default_factory=dict)  # not yet due
    _due: list[tuple[int, Box, int]] = field(default_factory=list)  # a heap
    _waiting: dict[str, list[Waiting]] = field(default_factory=dict)  # by receiver
    _tried: dict[str, list[DeliveryRow]] = field(default_factory=dict)
    _taken: set[int] = field(default_factory=set)  # rows that were due
    _done_ms: int = -1  # all that could be tried until then was

    def __post_init__(self) -> None:
        for number, row in enumerate(self._own(), 1):
            self._put("own", number, row)
        self._needs_line = {one.name for one in RECEIVERS if one.needs_line}
        self._cuts = [(ms(one.begins), ms(one.ends)) for one in troubles(self.play, "line cut")]

    def put(self, number: int, row: Notification) -> None:
        """A row that is new, or in the place of another that was not due."""
        assert number not in self._taken, f"{row.message.what} {number} was on its way"
        self._put("store", number, row)

    def withdraw(self, number: int) -> None:
        """A row that was not due."""
        assert number not in self._taken, f"{number} was on its way"
        del self._rows["store", number]

    def _put(self, box: Box, number: int, row: Notification) -> None:
        self._rows[box, number] = row
        heapq.heappush(self._due, (row.due_ms, box, number))

    def advance(self, to_ms: int) -> Iterator[Delivered]:
        """Whatever arrives until this moment, in order."""
        while (at_ms := self._next_ms()) is not None and at_ms <= to_ms:
            self._take(at_ms)
            for receiver in list(self._waiting):
                yield from self._deliver(receiver, at_ms)
            self._done_ms = at_ms

    def _next_ms(self) -> int | None:
        again = (one.next_ms for some in self._waiting.values() for one in some)
        later = [next_ms for next_ms in again if next_ms > self._done_ms]
        return min((*later, *(due_ms for due_ms, _, _ in self._due[:1])), default=None)

    def _take(self, at_ms: int) -> None:
        while self._due and self._due[0][0] <= at_ms:
            due_ms, box, number = heapq.heappop(self._due)
            row = self._rows.get((box, number))
            if row is None or row.due_ms != due_ms:
                continue  # withdrawn, or put off
            del self._rows[box, number]
            if box == "store":
                self._taken.add(number)
            key = MessageKey(box, number, row.made_ms)
            self._waiting.setdefault(row.receiver, []).append(Waiting(key, row, 0, due_ms))

    def _deliver(self, receiver: str, at_ms: int) -> Iterator[Delivered]:
        tried = self._tried.setdefault(receiver, [])
        tried[:] = [one for one in tried if one.at_ms > at_ms - HOUR_MS]
        while self._waiting[receiver]:
            choice = choosing.choose(self._waiting[receiver], tried, at_ms, is_person=True)
            if choice is None:
                return
            failure = Failure("failed", "no line") if self._is_cut(receiver, at_ms) else None
            tried += choosing.rows_of(choice, at_ms, failure)
            rest = [one for one in self._waiting[receiver] if one not in choice.of]
            if failure is not None:
                rest += [_again(one, at_ms) for one in choice.of]
            self._waiting[receiver] = rest
            if failure is None:
                row = choice.head.notification
                arrived = Delivered(at_ms, receiver, row.message, row.incident)
                self.inbox.append(arrived)
                yield arrived
        del self._waiting[receiver]

    def _is_cut(self, receiver: str, at_ms: int) -> bool:
        return receiver in self._needs_line and any(
            begins_ms <= at_ms < ends_ms for begins_ms, ends_ms in self._cuts
        )

    def _own(self) -> Iterable[Notification]:
        """Of a store that fails: to each who would get it by the rules."""
        for trouble in troubles(self.play, "store fails"):
            begins_ms, ends_ms = ms(trouble.begins), ms(trouble.ends)
            about = Incident(
                number=0,
                subject=AlertSubject("server", COLLECTOR),
                kind="store-failing",
                severity="critical",
                from_ms=begins_ms,
                opened_ms=begins_ms,
            )
            sent: tuple[tuple[What, int], ...] = (
                ("firing", begins_ms + FIRING_MS),
                ("resolved", ends_ms + RESOLVED_MS),
            )
            for what, due_ms in sent:
                message = Message(
                    what=what,
                    kind=about.kind,
                    severity=about.severity,
                    subject=about.subject,
                    title=COLLECTOR,
                    from_ms=begins_ms,
                )
                for receiver in routing.recipients(about, (), self.settings, due_ms).first:
                    yield Notification(
                        number=None,
                        incident=None,
                        receiver=receiver,
                        made_ms=due_ms,
                        due_ms=due_ms,
                        message=message,
                        is_uncapped=True,
                    )


def _again(one: Waiting, at_ms: int) -> Waiting:
    """After a try that failed."""
    failed_ms = [at_ms] * (one.tries + 1)
    next_ms = choosing.next_try_ms(one.notification.due_ms, failed_ms)
    return one._replace(tries=len(failed_ms), next_ms=next_ms)
