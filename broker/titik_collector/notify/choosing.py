"""Which message a receiver gets next: pure functions over what waits and what was tried.

Rule: messages of an incident keep their order. Where all that wait are late, people get the newest
alone, which says everything; a program gets each.
Rule: people get so many an hour, then one that counts the rest. A first critical message, its end,
the server's own, the digest and the report always go out.
Rule: what a receiver refused for good, or did not take for a day, is not tried again. A report of
a month is tried for six.
"""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from titik_collector.alerts.alert import Notification, Severity, What
from titik_collector.limits import MAX_MESSAGES
from titik_collector.notify.composed import MessageKey
from titik_collector.store.delivery_rows import Box, DeliveryRow, Outcome
from titik_wire.instant import DAY_MS, HOUR_MS, MINUTE_MS

RETRIES_S = (10, 30, 120, 600, 1800)  # after each failure; then each hour
LAST_RETRY_S = 3600
TRIED_MS = DAY_MS
REPORT_TRIED_MS = 6 * DAY_MS  # after a holiday somebody mends the mail server
MERGED_MS = 10 * MINUTE_MS  # what waited so long is merged
SERVED_MS = HOUR_MS  # after a restore, older ones are not sent
_RANK: dict[Severity, int] = {"critical": 0, "warning": 1, "info": 2}

ALONE: tuple[What, ...] = ("digest", "report", "test")  # no other belongs to it

Form = Literal["single", "merged", "more"]


class Waiting(NamedTuple):
    """A message that has not arrived."""

    key: MessageKey
    notification: Notification
    tries: int
    next_ms: int  # when the next try is due

    @property
    def chain(self) -> tuple[object, ...]:
        """The same for messages that must keep their order."""
        about, message = self.notification, self.notification.message
        if message.what in ALONE:
            return (self.key,)
        if about.incident is not None:
            return (about.incident,)
        return (message.kind, message.subject)


class Choice(NamedTuple):
    """What goes out at one try: a message, the last of a chain, or one that counts the others."""

    form: Form
    of: tuple[Waiting, ...]  # in their order

    @property
    def head(self) -> Waiting:
        """Whose words and whose number it bears."""
        return self.of[0] if self.form == "more" else self.of[-1]


def key_of(box: Box, notification: Notification) -> MessageKey:
    """Of a row with a number."""
    assert notification.number is not None
    return MessageKey(box, notification.number, notification.made_ms)


def tried(delivery: DeliveryRow) -> MessageKey:
    """Which message a try was of."""
    return MessageKey(delivery.box, delivery.message, delivery.made_ms)


def waiting_of(
    messages: Iterable[tuple[MessageKey, Notification]], deliveries: Iterable[DeliveryRow]
) -> list[Waiting]:
    """What has not arrived of these, with what was tried."""
    failures: dict[MessageKey, list[int]] = {}
    settled = set()
    for one in deliveries:
        if one.outcome == "failed":
            failures.setdefault(tried(one), []).append(one.at_ms)
        else:
            settled.add(tried(one))
    return [
        Waiting(key, message, len(failed), next_try_ms(message.due_ms, failed))
        for key, message in messages
        if key not in settled
        for failed in (failures.get(key, []),)
    ]


def next_try_ms(due_ms: int, failed: Sequence[int]) -> int:
    """When a message that failed at these times is tried again."""
    if not failed:
        return due_ms
    tries = len(failed)
    wait_s = RETRIES_S[tries - 1] if tries <= len(RETRIES_S) else LAST_RETRY_S
    return max(failed) + wait_s * 1000


def is_over(one: Waiting, now_ms: int) -> bool:
    """Whether it was tried for long enough."""
    tried_ms = REPORT_TRIED_MS if one.notification.message.what == "report" else TRIED_MS
    return now_ms - one.notification.due_ms > tried_ms


def choose(
    waiting: Iterable[Waiting], deliveries: Iterable[DeliveryRow], now_ms: int, *, is_person: bool
) -> Choice | None:
    """What one receiver gets now; `waiting` and `deliveries` are this receiver's."""
    chains: dict[tuple[object, ...], list[Waiting]] = {}
    for one in sorted(waiting, key=lambda one: (one.notification.due_ms, one.key)):
        chains.setdefault(one.chain, []).append(one)
    ready = [
        found for chain in chains.values() if (found := _next(chain, now_ms, is_person)) is not None
    ]
    ready.sort(key=_order)
    if not is_person:
        return ready[0] if ready else None
    free = [one for one in ready if not is_capped(one)]
    recent = [one for one in deliveries if one.at_ms > now_ms - HOUR_MS]
    arrived = sum(one.outcome == "delivered" for one in recent)
    if arrived < MAX_MESSAGES:
        return ready[0] if ready else None
    if free:
        return free[0]
    if not ready or any(one.outcome == "capped" for one in recent):
        return None
    return Choice("more", tuple([one for choice in ready for one in choice.of]))


def is_capped(choice: Choice) -> bool:
    """Whether it counts among so many an hour."""
    return not any(
        one.notification.is_uncapped or one.notification.message.what in ALONE for one in choice.of
    )


def _next(chain: list[Waiting], now_ms: int, is_person: bool) -> Choice | None:
    """The first of a chain, or all of it in one."""
    late = all(now_ms - one.notification.due_ms > MERGED_MS for one in chain)
    if is_person and late and len(chain) > 1:
        due = min(one.next_ms for one in chain) <= now_ms
        return Choice("merged", tuple(chain)) if due else None
    return Choice("single", (chain[0],)) if chain[0].next_ms <= now_ms else None


def _order(choice: Choice) -> tuple[int, int, MessageKey]:
    head = choice.head
    about = head.notification
    return (_RANK[about.message.severity], about.due_ms, head.key)


def expired(
    messages: Iterable[tuple[MessageKey, Notification]], now_ms: int
) -> list[tuple[MessageKey, Notification]]:
    """What is not sent after a restore, because it is of before."""
    return [one for one in messages if one[1].due_ms < now_ms - SERVED_MS]


class Failure(NamedTuple):
    """Why a try failed, and whether there is another one."""

    outcome: Outcome
    detail: str


def rows_of(choice: Choice, at_ms: int, failure: Failure | None) -> list[DeliveryRow]:
    """What is written of a try: one row for each message in it; `failure` None: it arrived."""
    return [row_of(one, at_ms, *_became(one, choice, failure)) for one in choice.of]


def _became(one: Waiting, choice: Choice, failure: Failure | None) -> tuple[Outcome, str | None]:
    if failure is not None:
        return failure
    if choice.form == "more":
        return "capped", None
    return ("delivered", None) if one is choice.head else ("merged", choice.head.key.id)


def row_of(one: Waiting, at_ms: int, outcome: Outcome, detail: str | None) -> DeliveryRow:
    """A row about one message."""
    about = one.notification
    return DeliveryRow(
        one.key.box,
        one.key.number,
        one.key.made_ms,
        about.incident,
        about.receiver,
        at_ms,
        outcome,
        detail,
    )
