"""Alerts that only `titik notify` can see: pure, from what it finds at one look.

Rule: they fire a minute after it is so, and are over ten minutes after it is over, as all others.
What is not known changes nothing.
Rule: while the collector lives and cannot store, that is what is wrong, and not the collector.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from titik_collector.alerts.alert import AlertSubject, Kind, Member, Message, Notification
from titik_collector.own_state.collector_state import CollectorState
from titik_collector.queries.failing_receivers import is_long
from titik_collector.store.delivery_rows import DeliveryRow

STALE_MS = 60_000  # a beat is written every 5 s
FOR_MS, KEEP_MS = 60_000, 600_000


class OwnKey(NamedTuple):
    """One such alert."""

    kind: Kind
    name: str  # the collector's id, or the receiver that nothing reaches


class OwnFinding(NamedTuple):
    """What is so at one look."""

    key: OwnKey
    title: str
    condition: bool | None
    from_ms: int  # since when, if it is true
    for_ms: int


class SeenCollector(NamedTuple):
    """What was found of the collector."""

    now_ms: int
    beat_ms: int | None  # the last in the store; None: there was none yet, or it cannot be read
    age_ms: int | None  # for how long it has been the last
    watched_ms: int  # for how long we look; before that nothing was seen
    state: CollectorState | None  # what its file says; None: there is none


def of_collector(seen: SeenCollector, collector: str, title: str) -> list[OwnFinding]:
    """Whether it works, and whether it stores."""
    down = _is_down(seen)
    stuck = _cannot_store(seen)
    from_ms = seen.now_ms - seen.watched_ms if seen.beat_ms is None else seen.beat_ms
    since_ms = from_ms if seen.state is None else seen.state.since_ms
    if stuck:
        down = None if down else down
    return [
        OwnFinding(OwnKey("collector-down", collector), title, down, from_ms, FOR_MS),
        OwnFinding(OwnKey("store-failing", collector), title, stuck, since_ms, FOR_MS),
    ]


def is_alive(seen: SeenCollector) -> bool:
    """Whether its beat is fresh."""
    return seen.age_ms is not None and seen.age_ms < STALE_MS


def _is_down(seen: SeenCollector) -> bool | None:
    if is_alive(seen):
        return False
    return seen.watched_ms >= STALE_MS or None


def _cannot_store(seen: SeenCollector) -> bool | None:
    if is_alive(seen):
        return False
    if seen.state is None or seen.state.is_stale(seen.now_ms):
        return None
    return not seen.state.storing


def of_receiver(deliveries: Sequence[DeliveryRow], receiver: str, now_ms: int) -> OwnFinding:
    """Whether messages reach it."""
    since_ms, number = _failures(deliveries, receiver)
    is_failing = since_ms is not None and is_long(since_ms, number, now_ms)
    was_tried = any(one.receiver == receiver for one in deliveries)
    condition = is_failing if was_tried and (is_failing or since_ms is None) else None
    key = OwnKey("delivery-failing", receiver)
    return OwnFinding(key, receiver, condition, since_ms or now_ms, 0)


def _failures(deliveries: Iterable[DeliveryRow], receiver: str) -> tuple[int | None, int]:
    since_ms, number = None, 0
    for one in deliveries:
        if one.receiver != receiver:
            continue
        if one.outcome in ("failed", "refused"):
            since_ms = one.at_ms if since_ms is None else since_ms
            number += 1
        elif one.outcome in ("delivered", "capped"):
            since_ms, number = None, 0
    return since_ms, number


@dataclass(frozen=True, slots=True)
class Firing:
    """One that fires by our own messages."""

    from_ms: int
    receivers: tuple[str, ...]


def firing_of(own: Iterable[Notification]) -> dict[OwnKey, Firing]:
    """What fires, as the messages have it."""
    found: dict[OwnKey, Firing] = {}
    for one in own:
        message = one.message
        key = OwnKey(message.kind, message.subject.name)
        if message.what == "resolved":
            found.pop(key, None)
        elif message.what == "firing":
            before = found[key].receivers if key in found else ()
            found[key] = Firing(message.from_ms, (*before, one.receiver))
    return found


def with_own(message: Message, own: Iterable[Notification]) -> Message:
    """A digest, with what only we saw since the one before."""
    found: dict[tuple[OwnKey, int], Member] = {}
    for one in own:
        about = one.message
        key = (OwnKey(about.kind, about.subject.name), about.from_ms)
        found[key] = Member(about.subject, about.title, about.from_ms, about.to_ms, kind=about.kind)
    some = [one for one in found.values() if one.to_ms is None or one.to_ms > message.from_ms]
    if not some:
        return message
    places = (message.places or len(message.members)) + len(some)
    return replace(message, members=(*some, *message.members), places=places)


@dataclass(eq=False)
class OwnAlerts:
    """Remembers since when what is so."""

    _since_ms: dict[tuple[OwnKey, bool], int] = field(default_factory=dict)

    def moved(self, found: OwnFinding, is_firing: bool, now_ms: int) -> Message | None:
        """A message, if it begins to fire or is over."""
        if found.condition is None:
            return None
        self._since_ms.pop((found.key, not found.condition), None)
        since_ms = self._since_ms.setdefault((found.key, found.condition), now_ms)
        if found.condition is is_firing:
            return None
        needed_ms = found.for_ms if found.condition else KEEP_MS
        if now_ms - since_ms < needed_ms:
            return None
        is_warning = found.key.kind == "delivery-failing"
        return Message(
            what="firing" if found.condition else "resolved",
            kind=found.key.kind,
            severity="warning" if is_warning else "critical",
            subject=AlertSubject("server", found.key.name),
            title=found.title,
            from_ms=found.from_ms,
            to_ms=None if found.condition else since_ms,
        )
