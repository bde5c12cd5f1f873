"""How far the upgrade of the city's routers is: wave by wave, and what became of each router.

Rule: who was asked and has not come through is named, with the reason; who failed comes first.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, NamedTuple

from titik_collector.alerts.desk_facts import RolloutOrder
from titik_collector.languages.codes import marked
from titik_collector.live.presence import Presence
from titik_collector.registry.registry import Registry
from titik_collector.store import rollout_rows
from titik_collector.store.database import Database
from titik_collector.store.rollout_rows import RolloutRow, WaveRouter
from titik_collector.wishes import waves
from titik_collector.wishes.waves import LaterWave
from titik_collector.wording.sentence import Sentence

ORDERED: Final = marked(
    "The upgrade to {version} was ordered. A collector that hears its broker begins it in seconds."
)
ASKED: Final = marked("{word} was typed. A collector that hears its broker takes it in seconds.")
NOT_FAILED = ("asked", "away", "waiting")
ORDER = (
    *("upgraded", "asked", "refused", "rolled-back"),
    *("restarts", "silent", "unanswered", "away", "waiting"),
)


@dataclass(frozen=True, slots=True)
class WaveStatus:
    """One wave in numbers."""

    wave: int  # 0: the canaries
    routers: int
    upgraded: int
    open: int  # asked, and nothing is known yet
    failed: int
    away: int  # not asked, because they are not online
    waiting: int  # not asked yet


@dataclass(frozen=True, slots=True)
class RolloutRouter:
    """A router that was asked and has not come through, or is away."""

    name: str
    wave: int
    what: str  # `asked`, `away`, or what it failed by
    reason: str | None
    version: str | None  # that it runs
    since_ms: int | None

    @property
    def has_failed(self) -> bool:
        """Whether it counts against the upgrade."""
        return self.what not in NOT_FAILED


class RolloutCount(NamedTuple):
    """How many routers are so."""

    what: str  # as of a router; `upgraded` and `waiting` too
    routers: int


@dataclass(frozen=True, slots=True)
class RolloutStatus:
    """All of it."""

    row: RolloutRow
    waves: tuple[WaveStatus, ...]
    unfinished: tuple[RolloutRouter, ...]  # who failed, then the others, by name
    next: LaterWave | None = None  # None: there is no other wave, or nobody is asked now

    def counts(self) -> tuple[RolloutCount, ...]:
        """Over all waves; what no router is, is left out."""
        counts = Counter(one.what for one in self.unfinished)
        counts["upgraded"] = sum(one.upgraded for one in self.waves)
        counts["waiting"] = sum(one.waiting for one in self.waves)
        return tuple([RolloutCount(what, counts[what]) for what in ORDER if counts[what]])


def document(found: RolloutStatus | None, pending: Sentence | None) -> dict[str, Any]:
    """For programs; what is not known is absent."""
    head = {"v": 1} if pending is None else {"v": 1, "pending": pending}
    if found is None:
        return head
    return {
        **head,
        "upgrade": found.row._asdict(),
        "waves": [asdict(one) for one in found.waves],
        "routers": [
            {name: value for name, value in asdict(one).items() if value is not None}
            for one in found.unfinished
        ],
    }


def look(db: Database, city: str) -> RolloutStatus | None:
    """None: no upgrade was ever ordered."""
    row = rollout_rows.read(db)
    if row is None:
        return None
    routers = rollout_rows.routers(db)
    presence, registry = Presence(db), Registry(db, city)
    presence.know(one.router_id for one in routers)
    unfinished, counts, away = [], Counter[tuple[int, str]](), set()
    for one in routers:
        state = presence.state(one.router_id)
        what = _what(one, state.state == "online")
        if state.state not in ("online", "unknown") or not state.was_heard:
            away.add(one.router_id)
        counts[one.wave, what] += 1
        if what != "upgraded" and (what != "waiting" or one.reason):
            since_ms = one.fate_ms or one.asked_ms or state.since_ms or None
            name = registry.name(one.router_id) or ""
            unfinished.append(
                RolloutRouter(name, one.wave, what, one.reason, state.version, since_ms)
            )
    unfinished.sort(key=lambda one: (not one.has_failed, one.name))
    after = waves.next_wave(routers, away) if row.state == "runs" else None
    return RolloutStatus(row, tuple(_waves(routers, counts)), tuple(unfinished), after)


def pending(db: Database, order: RolloutOrder | None) -> Sentence | None:
    """What somebody entered that the collector has not taken in; `order`: the newest one."""
    if order is None:
        return None
    row = rollout_rows.read(db)
    if row is None or (row.number, row.at_ms) != (order.number, order.at_ms):
        is_left_out = row is None and rollout_rows.is_of_before(db, order.at_ms)
        if order.state == "stopped" or is_left_out:
            return None
        return Sentence(ORDERED, version=order.version)
    return None if (word := _asked(order, row)) is None else Sentence(ASKED, word=word)


def _asked(order: RolloutOrder, row: RolloutRow) -> str | None:
    """The command, unless the collector did what it says."""
    if order.state == "stopped":
        return None if row.state == "stopped" else "titik fleet stop"
    is_resumed = order.resumes > row.resumes
    if order.state == "paused" and (is_resumed or row.state in ("runs", "over")):
        return "titik fleet pause"
    return "titik fleet resume" if is_resumed else None


def _what(one: WaveRouter, is_online: bool) -> str:
    if one.fate is not None:
        return one.fate
    if one.asked_ms is not None:
        return "asked"
    return "waiting" if is_online else "away"


def _waves(routers: Sequence[WaveRouter], counts: Counter[tuple[int, str]]) -> list[WaveStatus]:
    found = []
    for wave, total in sorted(Counter(one.wave for one in routers).items()):
        known = [counts[wave, what] for what in ("upgraded", "asked", "away", "waiting")]
        upgraded, asked, away, waiting = known
        failed = total - sum(known)
        found.append(WaveStatus(wave, total, upgraded, asked, failed, away, waiting))
    return found
