"""Decides by what each boot is placed in time, and what must move when something better is known.

Rule: a sample whose clock is believed (`taken_ms`) keeps it. Another sample of its boot is placed
by the nearest such sample through `uptime_ms`. The quality of all of them is `ntp`.
Rule: a clock is not believed if it is later than the sample's arrival, or long before the boot can
have begun. It is kept (`claim_ms`) and judged again when more is known.
Rule: a boot without any is placed by its smallest arrival minus uptime, if the router spoke while
it ran (`arrival`). If not, its power went at the latest when the next boot began (`bounded`).
Rule: places depend on which samples, boots and successions are stored, never on their order.
Rule: what moves marks the time it leaves and the time it enters as changed. That reaches back to
the sample before and on to the sample after, because rates lie between samples.
"""

from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from titik_collector.limits import MAX_AHEAD_MS, MAX_BEHIND_MS
from titik_collector.store import boot_samples, boot_time, samples, successions
from titik_collector.store import changed_span_rows as stored_spans
from titik_collector.store.boot_samples import SamplePosition, SampleRow
from titik_collector.store.boot_time import BootTime, Quality
from titik_collector.store.changed_span_rows import ChangedSpan
from titik_collector.store.database import Database
from titik_collector.store.samples import CLIENT
from titik_collector.timeline import changed_spans
from titik_collector.timeline.change import Change
from titik_collector.timeline.changed_spans import Floors, Gone, Placed, Stretch
from titik_collector.timeline.placing_rules import (
    DRIFT,
    EARLIEST_MS,
    Claim,
    Lone,
    offsets_of_lone,
    place_by_clock,
    place_by_offset,
    to_grain,
)
from titik_wire.instant import HOUR_MS

NEAR_MS = 300_000  # of uptime: a router takes some ten samples meanwhile


class Region(NamedTuple):
    """Successive rows of a boot, and whether they begin and end it."""

    rows: Sequence[SampleRow]
    first: bool
    last: bool


@dataclass(slots=True)
class _Boot:
    """A boot that is being placed."""

    router_id: int
    id: int
    changes: list[Change] = field(default_factory=list)
    quality: Quality = "bounded"
    was: Quality | None = None  # None: new
    offset_ms: int | None = None
    arrival_ms: int | None = None
    has: int = 0  # what any sample has: WIFI, UPLINK, CLIENT
    first_ms: int = 2**62
    last_ms: int = EARLIEST_MS
    known: BootTime | None = None  # what the store remembers
    online: bool = False  # the router was heard while it ran
    prompt_ms: int | None = None  # when it began, by samples that came as they were taken
    all_again: bool = False  # all of its samples are to be placed

    def time(self) -> BootTime:
        """As the store keeps it."""
        return BootTime(
            self.quality,
            self.offset_ms,
            self.arrival_ms,
            self.has,
            self.first_ms,
            self.last_ms,
        )

    @property
    def stored(self) -> list[Change]:
        return [change for change in self.changes if change.kind == "stored"]

    @property
    def removed(self) -> list[Change]:
        return [change for change in self.changes if change.kind == "removed"]


def place_boots(db: Database, changes: Sequence[Change]) -> None:
    """Place what is new and what moves because of it; in the transaction of the changes.

    Statements are for all boots together, but for those that nobody heard and those judged again.
    """
    boots: dict[int, _Boot] = {}
    for change in changes:
        boot = boots.setdefault(change.boot_id, _Boot(change.router_id, change.boot_id))
        boot.changes.append(change)
    _recall(db, boots.values())
    for boot in boots.values():
        kinds = {change.kind for change in boot.changes}
        if "restamped" in kinds:
            # Where there are clocks, only what is between those around each change can move.
            boot.all_again, boot.arrival_ms = boot.was != "ntp", None
        if kinds & {"judged", "restamped"}:
            _judge(db, boot)
    _apply(
        db,
        [
            *_by_clock(db, [boot for boot in boots.values() if boot.quality == "ntp"]),
            *_by_arrival(db, [boot for boot in boots.values() if boot.quality == "arrival"]),
        ],
    )
    routers: defaultdict[int, dict[int, _Boot]] = defaultdict(dict)
    for boot in boots.values():
        routers[boot.router_id][boot.id] = boot
    for router_id in sorted(_with_lone_boots(db, boots.values())):
        _move_lone(db, router_id, routers[router_id])


def _recall(db: Database, boots: Collection[_Boot]) -> None:
    """What is known of the boots, and by what each is to be placed from now on."""
    loaded = boot_time.load(db, [boot.id for boot in boots])
    for boot in boots:
        known = loaded.get(boot.id)
        if known is None:
            continue
        boot.online, boot.prompt_ms, boot.known = known
        if known.time is not None:
            boot.was, boot.offset_ms, boot.arrival_ms, boot.has, boot.first_ms, boot.last_ms = (
                known.time
            )
    _choose(db, boots)


def _choose(db: Database, boots: Iterable[_Boot]) -> None:
    """By what each is to be placed: by a clock if any is believed."""
    unsure = []
    for boot in boots:
        if boot.was == "ntp" and not boot.removed and not boot.all_again:
            boot.quality = "ntp"
        else:
            unsure.append(boot)
    clocked = boot_samples.with_clock(db, [boot.id for boot in unsure]) if unsure else ()
    for boot in unsure:
        if boot.id in clocked:
            boot.quality = "ntp"
        else:
            boot.quality = "arrival" if boot.online else "bounded"


def _judge(db: Database, boot: _Boot) -> None:
    """Believe the clocks of its samples by what is known now; those that moved count as new."""
    earliest_ms = None if boot.prompt_ms is None else boot.prompt_ms - MAX_BEHIND_MS
    for one in samples.doubtful_clocks(db, boot.id, MAX_AHEAD_MS, earliest_ms, DRIFT):
        claim = Claim(one.clock_ms, one.uptime_ms, one.arrived_ms)
        believed = claim.is_believed(boot.prompt_ms)
        if believed == bool(one.clocked):
            continue
        boot.all_again = True
        samples.judge_clock(db, one.run_id, one.seq, one.clock_ms, believed)
        key = (boot.router_id, boot.id, one.run_id, one.seq, one.uptime_ms)
        boot.changes += [
            Change(*key, "removed", one.at_ms, one.reach_ms),
            Change(*key, "stored", None),
        ]
    _choose(db, [boot])


class _Placed(NamedTuple):
    """A boot, some regions of it, and where their rows belong."""

    boot: _Boot
    regions: Sequence[Region] = ()
    places: Sequence[Sequence[int]] = ()


def _by_clock(db: Database, boots: Sequence[_Boot]) -> list[_Placed]:
    """Boots that have a believed clock."""
    partly = [boot for boot in boots if boot.was == "ntp" and not boot.all_again]
    regions = _regions(db, partly)
    placed = []
    for boot in boots:
        boot.offset_ms = boot.arrival_ms = None
        some = regions[boot.id] if boot.id in regions else [_whole(db, boot.id)]
        placed.append(_Placed(boot, some, [place_by_clock(one.rows) for one in some]))
    return placed


def _whole(db: Database, boot_id: int) -> Region:
    return Region(boot_samples.whole(db, boot_id), True, True)


def _regions(db: Database, boots: Sequence[_Boot]) -> dict[int, list[Region]]:
    """Of each boot the rows that the changes can move: between the believed clocks around them.

    Changes near each other are asked for together, as one. Then those that lie in what was read are
    passed over, and the next of each boot are asked for.
    """
    found: dict[int, list[Region]] = {boot.id: [] for boot in boots}
    left = {
        boot.id: deque(sorted({one.uptime_ms for one in boot.changes if one.run_id}))
        for boot in boots
    }
    while left := {boot_id: uptimes for boot_id, uptimes in left.items() if uptimes}:
        asked = [(boot_id, *_near(uptimes)) for boot_id, uptimes in left.items()]
        read = boot_samples.between_clocks(db, asked)
        for (boot_id, low_ms, high_ms), rows in zip(asked, read, strict=True):
            if not rows:
                continue
            clocks = [row.uptime_ms for row in rows if row.taken_ms is not None]
            first = not clocks or clocks[0] >= low_ms
            last = not clocks or clocks[-1] <= high_ms
            found[boot_id].append(Region(rows, first, last))
            while left[boot_id] and left[boot_id][0] < rows[-1].uptime_ms:
                left[boot_id].popleft()
    return found


def _near(uptimes: deque[int]) -> tuple[int, int]:
    """Take the first off, and those that follow it closely; the smallest and the largest."""
    low_ms = high_ms = uptimes.popleft()
    while uptimes and uptimes[0] - high_ms <= NEAR_MS:
        high_ms = uptimes.popleft()
    return low_ms, high_ms


def _by_arrival(db: Database, boots: Sequence[_Boot]) -> list[_Placed]:
    """Boots that were heard while they ran, and have no clock."""
    rows = _changed_rows(db, boots)
    for boot in boots:
        _learn_arrival(db, boot, rows)
    return [_by_offset(db, boot, to_grain(boot.arrival_ms or 0), rows) for boot in boots]


_Rows = Mapping[tuple[int, int], SampleRow]  # by run and seq


def _changed_rows(db: Database, boots: Iterable[_Boot]) -> _Rows:
    names = [(one.run_id, one.seq) for boot in boots for one in boot.stored if one.run_id]
    return boot_samples.named(db, names) if names else {}


def _learn_arrival(db: Database, boot: _Boot, rows: _Rows) -> None:
    """Keep the smallest arrival minus uptime; look again only when it may have risen."""
    if boot.arrival_ms is None or boot.removed:
        boot.arrival_ms = boot_samples.smallest_arrival(db, boot.id)
        return
    for row in _stored_rows(boot, rows):
        boot.arrival_ms = min(boot.arrival_ms, row.arrived_ms - row.uptime_ms)


def _stored_rows(boot: _Boot, rows: _Rows) -> list[SampleRow]:
    names = ((one.run_id, one.seq) for one in boot.stored)
    return [rows[name] for name in names if name in rows]


def _by_offset(db: Database, boot: _Boot, offset_ms: int, rows: _Rows) -> _Placed:
    if boot.was == boot.quality and boot.offset_ms == offset_ms and not boot.all_again:
        regions = [Region([row], False, False) for row in _stored_rows(boot, rows)]
    else:
        regions = [_whole(db, boot.id)]
    boot.offset_ms = offset_ms
    return _Placed(boot, regions, [place_by_offset(one.rows, offset_ms) for one in regions])


def _with_lone_boots(db: Database, boots: Collection[_Boot]) -> set[int]:
    """Routers that have a boot that nobody heard, and that these concern."""
    found = {boot.router_id for boot in boots if boot.quality == "bounded"}
    rest = [(boot.id, boot.router_id) for boot in boots if boot.router_id not in found]
    return found | successions.following_bounded(db, rest) if rest else found


def _move_lone(db: Database, router_id: int, changed: Mapping[int, _Boot]) -> None:
    """All boots of a router that were never heard, together: each bounds those before it."""
    boots = {boot.id: boot for boot in changed.values() if boot.quality == "bounded"}
    for boot_id in boot_time.bounded(db, router_id):
        if boot_id not in changed:
            boots[boot_id] = _Boot(router_id, boot_id)
    _recall(db, [boot for boot_id, boot in boots.items() if boot_id not in changed])
    rows = _changed_rows(db, boots.values())
    newer = successions.newer_boots(db, router_id)
    lone, starts = {}, {}
    for boot in boots.values():
        _learn_arrival(db, boot, rows)
        end = boot_samples.last(db, boot.id)
        if boot.arrival_ms is None or end is None:  # all of its samples are gone
            if boot.changes:
                _apply(db, [_Placed(boot)])
            continue
        lone[boot.id] = Lone(boot.arrival_ms, end.uptime_ms, frozenset(newer.get(boot.id, ())))
        for newer_id in newer.get(boot.id, frozenset()) - boots.keys():
            start = boot_samples.first(db, newer_id)
            if start is not None:
                starts[newer_id] = to_grain(start.at_ms - start.uptime_ms)
    for boot_id, offset_ms in offsets_of_lone(lone, starts).items():
        if boots[boot_id].changes or boots[boot_id].offset_ms != offset_ms:
            _apply(db, [_by_offset(db, boots[boot_id], offset_ms, rows)])


def _apply(db: Database, placed: Sequence[_Placed]) -> None:
    """Write the places that differ, and mark the time around what is new, moved or gone."""
    stretches = [(one.boot, [*_stretches(one)]) for one in placed]
    moved = []
    for boot, some in stretches:
        for stretch in some:
            for row, at_ms, _ in stretch.rows:
                boot.has |= row.sections | (0 if row.observed_ms is None else CLIENT)
                if (at_ms, boot.quality) != (row.at_ms, row.quality):
                    moved.append((at_ms, boot.quality, row.run_id, row.seq))
    samples.move(db, moved)
    changed: list[tuple[int, ChangedSpan]] = []
    times: list[tuple[int, int, BootTime]] = []
    for boot, some in stretches:
        spans = changed_spans.merged(_changed(db, boot, some), EARLIEST_MS)
        changed += [(boot.router_id, span) for span in spans]
        if _grow(boot, spans):
            times.append((boot.id, boot.router_id, boot.time()))
    stored_spans.add(db, changed)
    boot_time.keep(db, times)


def _stretches(placed: _Placed) -> Iterator[Stretch]:
    new = {(change.run_id, change.seq) for change in placed.boot.stored}
    for region, places in zip(placed.regions, placed.places, strict=True):
        rows = [
            Placed(row, at_ms, None if (row.run_id, row.seq) in new else row.at_ms)
            for row, at_ms in zip(region.rows, places, strict=True)
        ]
        yield Stretch(rows, region.first, region.last)


def _changed(db: Database, boot: _Boot, stretches: Iterable[Stretch]) -> Iterator[ChangedSpan]:
    floors: Floors = {}
    # A boot that is believed otherwise leaves or enters minutes without moving.
    all_moved = boot.was != boot.quality
    for stretch in stretches:
        yield from changed_spans.around(db, boot.id, stretch, floors, all_moved=all_moved)
    for gone in _gone(boot):
        yield from changed_spans.around_removed(db, boot.id, gone)


def _gone(boot: _Boot) -> Iterable[list[Gone]]:
    """What was removed, by run."""
    runs: defaultdict[int, list[Gone]] = defaultdict(list)
    for change in boot.removed:
        if change.at_ms is not None:
            place = SamplePosition(change.uptime_ms, change.run_id, change.seq)
            runs[change.run_id].append(Gone(place, change.at_ms, change.reach_ms))
    return runs.values()


def _grow(boot: _Boot, spans: Sequence[ChangedSpan]) -> bool:
    """Where its figures may lie; True if what is known of the boot is new."""
    if spans:
        boot.first_ms = min(boot.first_ms, spans[0].from_ms)
        if spans[-1].to_ms > boot.last_ms:
            # An hour in advance, so that a live router does not write this with each sample.
            boot.last_ms = spans[-1].to_ms + HOUR_MS
    return boot.time() != boot.known
