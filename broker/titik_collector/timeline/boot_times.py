"""By what each boot is placed in time, and what must move when something better is known.

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

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
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
    """Place what is new and what moves because of it; in the transaction of the changes."""
    routers: defaultdict[int, dict[int, _Boot]] = defaultdict(dict)
    for change in changes:
        boots = routers[change.router_id]
        boot = boots.setdefault(change.boot_id, _Boot(change.router_id, change.boot_id))
        boot.changes.append(change)
    for router_id, boots in routers.items():
        for boot in boots.values():
            _recall(db, boot)
            kinds = {change.kind for change in boot.changes}
            if "restamped" in kinds:
                # Where there are clocks, only what is between those around each change can move.
                boot.all_again, boot.arrival_ms = boot.was != "ntp", None
            if kinds & {"judged", "restamped"}:
                _judge(db, boot)
            if boot.quality == "ntp":
                _move_by_clock(db, boot)
            elif boot.quality == "arrival":
                _learn_arrival(db, boot)
                _move_by_offset(db, boot, to_grain(boot.arrival_ms or 0))
        if _concerns_lone_boots(db, boots.values()):
            _move_lone(db, router_id, boots)


def _recall(db: Database, boot: _Boot) -> None:
    """What is known of the boot, and by what it is to be placed from now on."""
    known = boot_time.load(db, boot.id)
    if known is not None:
        boot.online, boot.prompt_ms, boot.known = known
        if known.time is not None:
            boot.was, boot.offset_ms, boot.arrival_ms, boot.has, boot.first_ms, boot.last_ms = (
                known.time
            )
    boot.quality = _quality(db, boot)


def _quality(db: Database, boot: _Boot) -> Quality:
    if _has_clock(db, boot):
        return "ntp"
    return "arrival" if boot.online else "bounded"


def _has_clock(db: Database, boot: _Boot) -> bool:
    if boot.was == "ntp" and not boot.removed and not boot.all_again:
        return True
    return boot_samples.have_clock(db, boot.id)


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
    boot.quality = _quality(db, boot)


def _move_by_clock(db: Database, boot: _Boot) -> None:
    regions = (
        _regions(db, boot) if boot.was == "ntp" and not boot.all_again else [_whole(db, boot.id)]
    )
    boot.offset_ms = boot.arrival_ms = None
    _apply(db, boot, regions, [place_by_clock(region.rows) for region in regions])


def _whole(db: Database, boot_id: int) -> Region:
    return Region(boot_samples.whole(db, boot_id), True, True)


def _regions(db: Database, boot: _Boot) -> list[Region]:
    """The rows whose place the changes can touch: between the believed clocks around each."""
    regions: list[Region] = []
    for uptime_ms in sorted({one.uptime_ms for one in boot.changes if one.run_id}):
        if regions and regions[-1].rows and uptime_ms < regions[-1].rows[-1].uptime_ms:
            continue  # it lies inside the one before
        rows = boot_samples.between_clocks(db, boot.id, uptime_ms)
        if rows:
            clocks = [row.uptime_ms for row in rows if row.taken_ms is not None]
            first = not clocks or clocks[0] >= uptime_ms
            last = not clocks or clocks[-1] <= uptime_ms
            regions.append(Region(rows, first, last))
    return regions


def _learn_arrival(db: Database, boot: _Boot) -> None:
    """Keep the smallest arrival minus uptime; look again only when it may have risen."""
    if boot.arrival_ms is None or boot.removed:
        boot.arrival_ms = boot_samples.smallest_arrival(db, boot.id)
        return
    for change in boot.stored:
        row = boot_samples.one(db, change.run_id, change.seq)
        if row is not None:
            boot.arrival_ms = min(boot.arrival_ms, row.arrived_ms - row.uptime_ms)


def _move_by_offset(db: Database, boot: _Boot, offset_ms: int) -> None:
    if boot.was == boot.quality and boot.offset_ms == offset_ms and not boot.all_again:
        found = (boot_samples.one(db, change.run_id, change.seq) for change in boot.stored)
        regions = [Region([row], False, False) for row in found if row is not None]
    else:
        regions = [_whole(db, boot.id)]
    boot.offset_ms = offset_ms
    _apply(db, boot, regions, [place_by_offset(region.rows, offset_ms) for region in regions])


def _concerns_lone_boots(db: Database, boots: Iterable[_Boot]) -> bool:
    return any(
        boot.quality == "bounded" or successions.follows_bounded(db, boot.id, boot.router_id)
        for boot in boots
    )


def _move_lone(db: Database, router_id: int, changed: Mapping[int, _Boot]) -> None:
    """All boots of a router that were never heard, together: each bounds those before it."""
    boots = {boot.id: boot for boot in changed.values() if boot.quality == "bounded"}
    for boot_id in boot_time.bounded(db, router_id):
        if boot_id not in changed:
            boots[boot_id] = _Boot(router_id, boot_id)
            _recall(db, boots[boot_id])
    newer = successions.newer_boots(db, router_id)
    lone, starts = {}, {}
    for boot in boots.values():
        _learn_arrival(db, boot)
        end = boot_samples.last(db, boot.id)
        if boot.arrival_ms is None or end is None:  # all of its samples are gone
            if boot.changes:
                _apply(db, boot)
            continue
        lone[boot.id] = Lone(boot.arrival_ms, end.uptime_ms, frozenset(newer.get(boot.id, ())))
        for newer_id in newer.get(boot.id, frozenset()) - boots.keys():
            start = boot_samples.first(db, newer_id)
            if start is not None:
                starts[newer_id] = to_grain(start.at_ms - start.uptime_ms)
    for boot_id, offset_ms in offsets_of_lone(lone, starts).items():
        if boots[boot_id].changes or boots[boot_id].offset_ms != offset_ms:
            _move_by_offset(db, boots[boot_id], offset_ms)


def _apply(
    db: Database,
    boot: _Boot,
    regions: Sequence[Region] = (),
    places: Sequence[Sequence[int]] = (),
) -> None:
    """Write the places that differ, and mark the time around what is new, moved or gone."""
    new = {(change.run_id, change.seq) for change in boot.stored}
    stretches = [
        Stretch(
            [
                Placed(row, at_ms, None if (row.run_id, row.seq) in new else row.at_ms)
                for row, at_ms in zip(region.rows, placed, strict=True)
            ],
            region.first,
            region.last,
        )
        for region, placed in zip(regions, places, strict=True)
    ]
    for stretch in stretches:
        for row, at_ms, _ in stretch.rows:
            boot.has |= row.sections | (0 if row.observed_ms is None else CLIENT)
            if (at_ms, boot.quality) != (row.at_ms, row.quality):
                samples.move(db, row.run_id, row.seq, at_ms, boot.quality)
    spans: list[ChangedSpan] = []
    floors: Floors = {}
    for stretch in stretches:
        # A boot that is believed otherwise leaves or enters minutes without moving.
        all_moved = boot.was != boot.quality
        spans += changed_spans.around(db, boot.id, stretch, floors, all_moved=all_moved)
    for gone in _gone(boot):
        spans += changed_spans.around_removed(db, boot.id, gone)
    spans = changed_spans.merged(spans, EARLIEST_MS)
    stored_spans.add(db, boot.router_id, spans)
    _remember(db, boot, spans)


def _gone(boot: _Boot) -> Iterable[list[Gone]]:
    """What was removed, by run."""
    runs: defaultdict[int, list[Gone]] = defaultdict(list)
    for change in boot.removed:
        if change.at_ms is not None:
            place = SamplePosition(change.uptime_ms, change.run_id, change.seq)
            runs[change.run_id].append(Gone(place, change.at_ms, change.reach_ms))
    return runs.values()


def _remember(db: Database, boot: _Boot, spans: Sequence[ChangedSpan]) -> None:
    """What the boot is placed by, and where its figures may lie."""
    if spans:
        boot.first_ms = min(boot.first_ms, spans[0].from_ms)
        if spans[-1].to_ms > boot.last_ms:
            # An hour in advance, so that a live router does not write this with each sample.
            boot.last_ms = spans[-1].to_ms + HOUR_MS
    time = boot.time()
    if time != boot.known:
        boot_time.keep(db, boot.id, boot.router_id, time)
