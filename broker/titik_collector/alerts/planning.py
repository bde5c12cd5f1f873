"""Which messages wait or go out: for each open incident and each receiver, the next one.

Rule: who got a message that it fires gets one that it is over; nobody else does, and nothing
suppresses that.
Rule: the first message waits a minute, because more may follow. What waits may still change.
Rule: a message that is due is out. All later ones follow from those that are out.
Rule: a first critical message, its end and those about the server are never capped.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from titik_collector.alerts import hours, messages, muting, routing, severities
from titik_collector.alerts.alert import (
    Alert,
    AlertKey,
    Incident,
    Message,
    Notification,
    What,
)
from titik_collector.alerts.muting import FOREVER_MS, GROUP_WAIT_MS
from titik_collector.alerts.present import Present
from titik_collector.alerts.routing import Recipients
from titik_wire.instant import DAY_MS, HOUR_MS, MINUTE_MS

GROUP_INTERVAL_MS = 5 * MINUTE_MS
REPEAT_MS = 4 * HOUR_MS
RESOLVED_WAIT_MS = 10 * MINUTE_MS
DIGEST_LATE_MS = 4 * HOUR_MS  # a digest that would come later is left out
ESCALATE_MS = (30 * MINUTE_MS, 2 * HOUR_MS)  # after the first delivery; a step each
STILL_WRONG: tuple[What, ...] = ("firing", "update", "repeat", "escalation", "flapping")


class Wanted(NamedTuple):
    """The next message to a receiver."""

    what: What
    due_ms: int
    reopened: bool = False


class Thread(NamedTuple):
    """The messages to one receiver about one incident, as they follow each other."""

    out: tuple[Notification, ...]  # oldest first
    waiting: Notification | None

    @property
    def believes_it(self) -> bool:
        """Whether the receiver believes that something is wrong."""
        return bool(self.out) and self.out[-1].message.what in STILL_WRONG


Threads = Mapping[int, Mapping[str, Thread]]  # by incident and receiver
NO_THREAD = Thread((), None)


def threads_of(notifications: Iterable[Notification], at_ms: int) -> Threads:
    """The messages of each incident and receiver."""
    found: dict[int, dict[str, list[Notification]]] = {}
    for one in notifications:
        if one.incident is not None:
            found.setdefault(one.incident, {}).setdefault(one.receiver, []).append(one)
    return {
        number: {receiver: _thread(some, at_ms) for receiver, some in by_receiver.items()}
        for number, by_receiver in found.items()
    }


def _thread(some: Sequence[Notification], at_ms: int) -> Thread:
    ordered = sorted(some, key=lambda one: (one.due_ms, one.number or 0))
    out = tuple(one for one in ordered if is_out(one, at_ms))
    return Thread(out, ordered[-1] if len(out) < len(ordered) else None)


def is_out(one: Notification, at_ms: int) -> bool:
    """Whether it is too late to change it."""
    return one.due_ms < at_ms


def out_before_the_clock_was_set(
    notifications: Iterable[Notification], looked_ms: int | None, at_ms: int
) -> list[Notification]:
    """What was out at the last look and would wait again, for the clock was set back: it is out."""
    if looked_ms is None:
        return []
    return [
        replace(one, due_ms=at_ms - 1)
        for one in notifications
        if one.incident is not None and at_ms <= one.due_ms < looked_ms
    ]


@dataclass(frozen=True, slots=True)
class Deciding:
    """An incident with all that decides about its messages."""

    incident: Incident
    members: Sequence[Alert]
    recipients: Recipients
    threads: Mapping[str, Thread]
    muted_until_ms: int | None  # None: it is not muted
    is_acked: bool
    delivered_ms: int | None  # when anybody first got a message

    def is_for(self, receiver: str) -> bool:
        """Whether it concerns this receiver now; somebody else may have this week."""
        some = self.recipients
        return receiver in some.first or any(receiver in step for step in some.later)


@dataclass(eq=False)
class Planning:
    """The outbox of one look, as it is put together."""

    present: Present
    alerts: Mapping[AlertKey, Alert]
    forming: Collection[AlertKey]  # of places that may be a group in a moment
    threads: Threads
    last_number: int
    written: list[Notification] = field(default_factory=list)  # new, or in the place of another
    withdrawn: list[int] = field(default_factory=list)
    due: list[int] = field(default_factory=list)  # incidents whose messages nothing holds back

    def plan(self, incident: Incident, members: Sequence[Alert]) -> None:
        """Bring the messages about this incident to what they must be now."""
        threads = self.threads.get(incident.number, {})
        if incident.resolved_ms is not None and not any(map(_is_open, threads.values())):
            return
        is_over = incident.resolved_ms is not None
        until_ms = None if is_over else self._muted_until_ms(members)
        if until_ms is None and incident.message_ms is None and not is_over:
            self.due.append(incident.number)
        if incident.severity == "info":
            return
        about = self._about(incident, members, threads, until_ms)
        escalated = self._escalated(about)
        for receiver in dict.fromkeys((*about.recipients.first, *escalated, *threads)):
            thread = threads.get(receiver, NO_THREAD)
            self._settle(about, receiver, thread, self._wanted(about, receiver, thread, escalated))

    def plan_digest(
        self,
        digests: Iterable[Notification],
        incidents: Iterable[Incident],
        began_ms: int | None,
    ) -> None:
        """One message a day of what there was; it also shows that messages arrive.

        A city that `began_ms` after it was due has none of that morning.
        """
        settings, at_ms = self.present.settings, self.present.at_ms
        due_ms = hours.minute_of(at_ms, settings.digest_min, settings.zone)
        if not due_ms <= at_ms < due_ms + DIGEST_LATE_MS:
            return
        if began_ms is not None and began_ms > due_ms:
            return
        have = {one.receiver for one in digests if one.due_ms >= due_ms}
        wanting = [one for one in routing.digested(settings, at_ms) if one not in have]
        if wanting:
            message = messages.digest(incidents, due_ms - DAY_MS, self.present)
            for receiver in wanting:
                self._add(None, receiver, due_ms, message, is_uncapped=False)

    def _muted_until_ms(self, members: Sequence[Alert]) -> int | None:
        """Until one of those that fire is not muted; None: one is not, FOREVER_MS: none fires."""
        until_ms = FOREVER_MS
        for one in members:
            if one.phase != "firing":
                continue
            muted_ms = muting.muted_until_ms(one, self.alerts, self.present)
            if one.key in self.forming:
                muted_ms = FOREVER_MS
            if muted_ms is None:
                return None
            until_ms = min(until_ms, muted_ms)
        return until_ms

    def _about(
        self,
        incident: Incident,
        members: Sequence[Alert],
        threads: Mapping[str, Thread],
        until_ms: int | None,
    ) -> Deciding:
        present = self.present
        found = {present.site_of(one.key.subject) for one in members}
        sites = [one for one in found if one is not None]
        delivered = [one.at_ms for one in present.desk.delivered if one.incident == incident.number]
        return Deciding(
            incident,
            members,
            routing.recipients(incident, sites, present.settings, present.at_ms),
            threads,
            until_ms,
            is_acked=messages.acked_by(incident, present) is not None,
            delivered_ms=min(delivered, default=None),
        )

    def _wanted(
        self, about: Deciding, receiver: str, thread: Thread, escalated: Mapping[str, Wanted]
    ) -> Wanted | None:
        """The next message of somebody who is or was a receiver."""
        if about.incident.resolved_ms is not None:
            return self._end(about, thread)
        if about.muted_until_ms == FOREVER_MS:
            return None
        if thread.believes_it:
            can_follow = about.is_for(receiver) and about.muted_until_ms is None
            return self._next(about, thread) if can_follow else None
        if receiver in about.recipients.first:
            return self._first(about, receiver, thread)
        return escalated.get(receiver)

    def _first(self, about: Deciding, receiver: str, thread: Thread) -> Wanted | None:
        """It fires, or fires again after it was over."""
        at_ms, settings = self.present.at_ms, self.present.settings
        is_of_server = about.incident.subject.scope == "server"  # nothing counts how it flaps
        if is_of_server and thread.out and about.is_acked:
            return None
        handed_over = [
            one.due_ms
            for colleague in routing.colleagues(receiver, settings)
            for one in about.threads.get(colleague, NO_THREAD).out[-1:]
            if not thread.out
        ]
        if handed_over and about.is_acked:
            return None
        made_ms = at_ms if thread.waiting is None else thread.waiting.made_ms
        wait_ms = max(made_ms + GROUP_WAIT_MS, at_ms, about.muted_until_ms or 0)
        if thread.waiting is not None and about.muted_until_ms is None:
            wait_ms = max(wait_ms, min(thread.waiting.due_ms, at_ms + GROUP_WAIT_MS))
        due_ms = self._not_before(about, wait_ms)
        if handed_over:  # the week begins at midnight, the work in the morning
            morning_ms = severities.after_the_night(due_ms, settings)
            due_ms = max(due_ms, min(morning_ms, max(handed_over) + REPEAT_MS))
        what: What = "flapping" if about.incident.kind == "flapping" else "firing"
        return Wanted(what, due_ms, bool(thread.out))

    def _next(self, about: Deciding, thread: Thread) -> Wanted | None:
        """What follows a message that is out."""
        last = thread.out[-1]
        if _is_wider(about.incident, last.message):
            return self._at_once(about, "update", last.due_ms + GROUP_INTERVAL_MS)
        if about.incident.severity == "critical" and not about.is_acked:
            return self._at_once(about, "repeat", last.due_ms + REPEAT_MS)
        return None

    def _end(self, about: Deciding, thread: Thread) -> Wanted | None:
        """It is over, for those who believe that something is wrong."""
        falls_again = any(one.phase == "pending" for one in about.members)
        if not thread.believes_it or falls_again:
            return None
        if about.incident.kind == "flapping":  # it was stable for long enough
            due_ms = about.incident.resolved_ms or self.present.at_ms
        else:
            due_ms = messages.ended_ms(about.members, about.incident) + RESOLVED_WAIT_MS
        return Wanted("resolved", self._not_before(about, due_ms))

    def _escalated(self, about: Deciding) -> dict[str, Wanted]:
        """Who comes next while nobody acknowledges; planned ahead, for the store may fail then."""
        is_wanted = about.incident.severity == "critical" and about.delivered_ms is not None
        if not is_wanted or about.is_acked or about.muted_until_ms is not None:
            return {}
        again = [
            one.due_ms
            for thread in about.threads.values()
            for one in thread.out
            if one.message.what == "firing" and one.message.reopened
        ]
        from_ms = max((about.delivered_ms or 0, *again))
        found: dict[str, Wanted] = {}
        for after_ms, receivers in zip(ESCALATE_MS, about.recipients.later, strict=False):
            for receiver in receivers:
                found.setdefault(receiver, Wanted("escalation", from_ms + after_ms))
        return found

    def _at_once(self, about: Deciding, what: What, when_ms: int) -> Wanted | None:
        """A message that is made when it is due, of what is true then."""
        at_ms = self.present.at_ms
        if when_ms > at_ms or self._not_before(about, at_ms) > at_ms:
            return None
        return Wanted(what, at_ms)

    def _not_before(self, about: Deciding, due_ms: int) -> int:
        return severities.not_before(due_ms, about.incident.severity, self.present.settings)

    def _settle(
        self, about: Deciding, receiver: str, thread: Thread, wanted: Wanted | None
    ) -> None:
        """Write, replace or withdraw the one message that waits."""
        waiting = thread.waiting
        if wanted is None:
            if waiting is not None and waiting.number is not None:
                self.withdrawn.append(waiting.number)
            return
        message = messages.compose(
            wanted.what, about.incident, about.members, self.present, reopened=wanted.reopened
        )
        if waiting is not None:
            if waiting.due_ms != wanted.due_ms or _says_more(message, waiting.message):
                self.written.append(replace(waiting, due_ms=wanted.due_ms, message=message))
            return
        self._add(
            about.incident.number,
            receiver,
            wanted.due_ms,
            message,
            is_uncapped=_is_uncapped(message, thread),
        )

    def _add(
        self,
        incident: int | None,
        receiver: str,
        due_ms: int,
        message: Message,
        *,
        is_uncapped: bool,
    ) -> None:
        self.last_number += 1
        self.written.append(
            Notification(
                number=self.last_number,
                incident=incident,
                receiver=receiver,
                made_ms=self.present.at_ms,
                due_ms=due_ms,
                message=message,
                is_uncapped=is_uncapped,
            )
        )


def _is_uncapped(message: Message, thread: Thread) -> bool:
    if message.subject.scope == "server":
        return True
    if message.what == "resolved":
        return any(one.is_uncapped for one in thread.out)
    return message.severity == "critical" and not thread.out


def _is_open(thread: Thread) -> bool:
    """Whether the receiver waits for the end, or a message waits."""
    return thread.believes_it or thread.waiting is not None


def _says_more(message: Message, before: Message) -> bool:
    """Whether it replaces one that waits; of an end only the cause may become known."""
    if message.what == before.what == "resolved":
        return before.cause is None and message.cause is not None
    return message != before


def _is_wider(incident: Incident, message: Message) -> bool:
    """Whether the incident became more than the message had."""
    rose = severities.rank(incident.severity) > severities.rank(message.severity)
    return rose or incident.subject != message.subject
