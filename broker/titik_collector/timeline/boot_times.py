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
from titik_collector.timeline.changed_spans import Changed, Floors, Gone, Placed, Stretch
from titik_collector.timeline.newest import Newest
from titik_collector.timeline.placing_rules import (
    DRIFT,
    EARLIEST_MS,
    Claim,
    OfflineBoot,
    offsets_of_lone,
    place_by_clock,
    place_by_offset,
    to_grain,
)

NEAR_MS = 300_000  # of uptime: a router takes some ten samples in that time


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
    all_again: bool = False  # all of its samples must be placed

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

    def new_rows(self) -> list[SampleRow]:
        """All of its samples, if all are new and none is gone again; else none."""
        rows = [change.row for change in self.changes if change.row is not None]
        if self.was is not None or self.removed or self.all_again:
            return []
        return sorted(rows, key=changed_spans.key)

    def stays_at(self, offset_ms: int) -> bool:
        """None of its samples moves, were it placed by this."""
        same = (self.was, self.offset_ms) == (self.quality, offset_ms)
        return same and not self.all_again

    @property
    def stored(self) -> list[Change]:
        return [change for change in self.changes if change.kind == "stored"]

    @property
    def removed(self) -> list[Change]:
        return [change for change in self.changes if change.kind == "removed"]


class BootTimes:
    """Places what changed in the boots of a store, and remembers the newest sample of each."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._newest = Newest()

    def place(self, changes: Sequence[Change]) -> None:
        """Place what is new and what moves because of it; in the transaction of the changes.

        However many boots there are, the number of statements is the same.
        """
        boots: dict[int, list[Change]] = {}
        for change in changes:
            boots.setdefault(change.boot_id, []).append(change)
        written = _Written()
        rest = []
        for boot_id, some in boots.items():
            followed = self._newest.follow(boot_id, some)
            if followed is None:
                rest.append(_Boot(some[0].router_id, boot_id, some))
            else:
                written.add(some[0].router_id, boot_id, *followed)
        for one in _place(self._db, rest, written) if rest else ():
            self._remember(one)
        written.write(self._db)

    def forget(self) -> None:
        """The transaction failed, or what is stored was changed by others."""
        self._newest.forget()

    def _remember(self, placed: "_Placed") -> None:
        """What the next sample of the boot is placed behind, if it has a believed clock."""
        boot, row = placed.boot, None
        if boot.quality == "ntp":
            if placed.regions and placed.regions[-1].last:
                row = placed.regions[-1].rows[-1]._replace(at_ms=placed.places[-1][-1])
            elif not boot.removed and not boot.all_again:
                row = self._newest.row(boot.id)
        self._newest.set(boot.id, row, boot.time())


def place_boots(db: Database, changes: Sequence[Change]) -> None:
    """Place what changed, once; in the transaction of the changes."""
    BootTimes(db).place(changes)


@dataclass(slots=True)
class _Written:
    """What must be written of all boots that are placed."""

    spans: list[tuple[int, ChangedSpan]] = field(default_factory=list)  # by router
    times: list[tuple[int, int, BootTime]] = field(default_factory=list)  # boot and router

    def add(
        self, router_id: int, boot_id: int, spans: Iterable[ChangedSpan], time: BootTime | None
    ) -> None:
        """`time`: None where what the store has is still true."""
        self.spans += [(router_id, span) for span in spans]
        if time is not None:
            self.times.append((boot_id, router_id, time))

    def write(self, db: Database) -> None:
        stored_spans.add(db, self.spans)
        boot_time.keep(db, self.times)


def _place(db: Database, boots: Sequence[_Boot], written: _Written) -> "list[_Placed]":
    """By what is stored of the boots; as they were placed."""
    _recall(db, boots)
    judged = []
    for boot in boots:
        kinds = {change.kind for change in boot.changes}
        if "restamped" in kinds:
            # Where there are clocks, only what is between those around each change can move.
            boot.all_again, boot.arrival_ms = boot.was != "ntp", None
        if kinds & {"judged", "restamped"}:
            judged.append(boot)
    if judged:
        _judge(db, judged)
    by_clock = [boot for boot in boots if boot.quality == "ntp"]
    by_arrival = [boot for boot in boots if boot.quality == "arrival"]
    placed = [*_by_clock(db, by_clock), *_by_arrival(db, by_arrival)]
    _apply(db, placed, written)
    routers = _with_lone_boots(db, boots)
    if routers:
        lone = [*_lone(db, routers, boots)]
        _apply(db, lone, written)
        placed += lone
    return placed


def _recall(db: Database, boots: Collection[_Boot]) -> None:
    """What is known of the boots, and by what each is placed from now on."""
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
    """By what each is placed: by a clock if any is believed."""
    unsure = []
    for boot in boots:
        stays = boot.was == "ntp" and not boot.removed and not boot.all_again
        if stays or any(row.taken_ms is not None for row in boot.new_rows()):
            boot.quality = "ntp"
        else:
            unsure.append(boot)
    clocked = boot_samples.with_clock(db, [boot.id for boot in unsure]) if unsure else ()
    for boot in unsure:
        if boot.id in clocked:
            boot.quality = "ntp"
        else:
            boot.quality = "arrival" if boot.online else "bounded"


def _judge(db: Database, boots: Sequence[_Boot]) -> None:
    """Believe the clocks of samples by what is known now; those that moved count as new."""
    earliest = [
        (boot.id, None if boot.prompt_ms is None else boot.prompt_ms - MAX_BEHIND_MS)
        for boot in boots
    ]
    doubtful = samples.doubtful_clocks(db, earliest, MAX_AHEAD_MS, DRIFT)
    judged = []
    for boot in boots:
        for one in doubtful[boot.id]:
            claim = Claim(one.clock_ms, one.uptime_ms, one.arrived_ms)
            believed = claim.is_believed(boot.prompt_ms)
            if believed == bool(one.clocked):
                continue
            boot.all_again = True
            judged.append((one.run_id, one.seq, one.clock_ms, believed))
            key = (boot.router_id, boot.id, one.run_id, one.seq, one.uptime_ms)
            boot.changes += [
                Change(*key, "removed", one.at_ms, one.reach_ms),
                Change(*key, "stored"),
            ]
    samples.judge_clocks(db, judged)
    _choose(db, boots)


class _Placed(NamedTuple):
    """A boot, some regions of it, and where their rows belong."""

    boot: _Boot
    regions: Sequence[Region] = ()
    places: Sequence[Sequence[int]] = ()


def _by_clock(db: Database, boots: Sequence[_Boot]) -> list[_Placed]:
    """Boots that have a believed clock."""
    partly = [boot for boot in boots if boot.was == "ntp" and not boot.all_again]
    regions = _regions(db, partly)
    regions |= _whole(db, [boot for boot in boots if boot.id not in regions])
    placed = []
    for boot in boots:
        boot.offset_ms = boot.arrival_ms = None
        some = regions[boot.id]
        placed.append(_Placed(boot, some, [place_by_clock(one.rows) for one in some]))
    return placed


def _whole(db: Database, boots: Sequence[_Boot]) -> dict[int, list[Region]]:
    rows = {boot.id: boot.new_rows() for boot in boots}
    unread = [boot_id for boot_id, some in rows.items() if not some]
    if unread:
        rows |= boot_samples.whole(db, unread)
    return {boot_id: [Region(some, True, True)] for boot_id, some in rows.items()}


def _regions(db: Database, boots: Sequence[_Boot]) -> dict[int, list[Region]]:
    """Of each boot the rows that the changes can move: between the believed clocks around them.

    Changes near each other are asked for together, as one. Then those that lie in what was read are
    skipped, and the next of each boot are asked for.
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
    rows = _learn_arrivals(db, boots)
    return _by_offset(db, [(boot, to_grain(boot.arrival_ms or 0)) for boot in boots], rows)


_Rows = Mapping[tuple[int, int], SampleRow]  # by run and seq


def _learn_arrivals(db: Database, boots: Sequence[_Boot]) -> _Rows:
    """Keep the smallest arrival minus uptime of each; look again only when it may have risen.

    What was stored just now.
    """
    names = [(one.run_id, one.seq) for boot in boots for one in boot.stored if one.run_id]
    rows = boot_samples.named(db, names) if names else {}
    unsure = [boot.id for boot in boots if boot.arrival_ms is None or boot.removed]
    arrivals = boot_samples.smallest_arrivals(db, unsure) if unsure else {}
    for boot in boots:
        if boot.arrival_ms is None or boot.removed:
            boot.arrival_ms = arrivals.get(boot.id)
            continue
        for row in _stored_rows(boot, rows):
            boot.arrival_ms = min(boot.arrival_ms, row.arrived_ms - row.uptime_ms)
    return rows


def _stored_rows(boot: _Boot, rows: _Rows) -> list[SampleRow]:
    names = ((one.run_id, one.seq) for one in boot.stored)
    return [rows[name] for name in names if name in rows]


def _by_offset(db: Database, boots: Sequence[tuple[_Boot, int]], rows: _Rows) -> list[_Placed]:
    """Boots by their offsets: what is new of a boot whose offset stays, else all of it."""
    regions = _whole(db, [boot for boot, offset_ms in boots if not boot.stays_at(offset_ms)])
    placed = []
    for boot, offset_ms in boots:
        some = regions.get(boot.id)
        if some is None:
            some = [Region([row], False, False) for row in _stored_rows(boot, rows)]
        boot.offset_ms = offset_ms
        placed.append(_Placed(boot, some, [place_by_offset(one.rows, offset_ms) for one in some]))
    return placed


def _with_lone_boots(db: Database, boots: Collection[_Boot]) -> set[int]:
    """Routers that have a boot that was not heard, and that these concern."""
    found = {boot.router_id for boot in boots if boot.quality == "bounded"}
    rest = [(boot.id, boot.router_id) for boot in boots if boot.router_id not in found]
    return found | successions.following_bounded(db, rest) if rest else found


def _lone(db: Database, routers: Collection[int], changed: Sequence[_Boot]) -> Iterator[_Placed]:
    """All boots of routers that were never heard, together: each bounds those before it."""
    known = {boot.id for boot in changed}
    others = [
        _Boot(router_id, boot_id)
        for boot_id, router_id in boot_time.bounded(db, routers).items()
        if boot_id not in known
    ]
    if others:
        _recall(db, others)
    boots = {boot.id: boot for boot in changed if boot.quality == "bounded"}
    boots |= {boot.id: boot for boot in others}
    rows = _learn_arrivals(db, [*boots.values()])
    newer = successions.newer_boots(db, routers)
    ends = boot_samples.lasts(db, [*boots])
    lone = {}
    for boot in boots.values():
        end = ends.get(boot.id)
        if boot.arrival_ms is not None and end is not None:
            lone[boot.id] = OfflineBoot(
                boot.arrival_ms, end.uptime_ms, frozenset(newer.get(boot.id, ()))
            )
        elif boot.changes:  # all of its samples are gone
            yield _Placed(boot)
    heard = {newer_id for one in lone.values() for newer_id in one.newer} - boots.keys()
    firsts = boot_samples.firsts(db, [*heard]) if heard else {}
    starts = {boot_id: to_grain(one.at_ms - one.uptime_ms) for boot_id, one in firsts.items()}
    moved = [
        (boots[boot_id], offset_ms)
        for boot_id, offset_ms in offsets_of_lone(lone, starts).items()
        if boots[boot_id].changes or boots[boot_id].offset_ms != offset_ms
    ]
    yield from _by_offset(db, moved, rows)


def _apply(db: Database, placed: Sequence[_Placed], written: _Written) -> None:
    """Write the places that differ, and mark the time around what is new, moved or gone."""
    moved: list[tuple[int, Quality, int, int]] = []
    changed: list[Changed] = []
    for one in placed:
        boot = one.boot
        # A boot that is believed otherwise leaves or enters minutes without moving.
        all_moved = boot.was != boot.quality
        for stretch in _stretches(one):
            for row, at_ms, _ in stretch.rows:
                boot.has |= row.sections | (0 if row.observed_ms is None else CLIENT)
                if (at_ms, boot.quality) != (row.at_ms, row.quality):
                    moved.append((at_ms, boot.quality, row.run_id, row.seq))
            changed += changed_spans.moved(boot.id, stretch, all_moved)
        changed += [changed_spans.removed(boot.id, gone) for gone in _gone(boot)]
    samples.move(db, moved)
    spans: defaultdict[int, list[ChangedSpan]] = defaultdict(list)
    floors: defaultdict[int, Floors] = defaultdict(dict)
    for where, beside in zip(changed, changed_spans.beyond(db, changed), strict=True):
        spans[where.boot_id] += changed_spans.around(where, beside, floors[where.boot_id])
    for boot in (one.boot for one in placed):
        merged = changed_spans.merged(spans[boot.id], EARLIEST_MS)
        if merged:
            grown = boot.time().reaching(boot.has, merged[0].from_ms, merged[-1].to_ms)
            boot.first_ms, boot.last_ms = grown.first_ms, grown.last_ms
        time = boot.time()
        written.add(boot.router_id, boot.id, merged, None if time == boot.known else time)


def _stretches(placed: _Placed) -> Iterator[Stretch]:
    new = {(change.run_id, change.seq) for change in placed.boot.stored}
    for region, places in zip(placed.regions, placed.places, strict=True):
        rows = [
            Placed(row, at_ms, None if (row.run_id, row.seq) in new else row.at_ms)
            for row, at_ms in zip(region.rows, places, strict=True)
        ]
        yield Stretch(rows, region.first, region.last)


def _gone(boot: _Boot) -> Iterable[list[Gone]]:
    """What was removed, by run."""
    runs: defaultdict[int, list[Gone]] = defaultdict(list)
    for change in boot.removed:
        if change.at_ms is not None:
            place = SamplePosition(change.uptime_ms, change.run_id, change.seq)
            runs[change.run_id].append(Gone(place, change.at_ms, change.reach_ms))
    return runs.values()
