"""Decides which stretches of a router's time its rollups must be computed again for.

Rule: what lies between two samples depends on both, so a sample touches the time from the one
before it to the one after it. Samples that lack something (client time, counters) are skipped
by rates, so here too.
Rule: rather too much than too little: computing an unchanged window again changes nothing.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence, Set
from typing import NamedTuple

from titik_collector.figures.rates import BOOT_UP_MS, reach_ms
from titik_collector.store import boot_samples
from titik_collector.store.boot_samples import NeighbourQuery, SamplePosition, SampleRow
from titik_collector.store.changed_span_rows import ChangedSpan
from titik_collector.store.database import Database
from titik_collector.store.samples import UPLINK, WIFI

# Since what uptime there was nothing before a sample that moved, were all that moved not there.
Floors = dict[SamplePosition, int]


class Placed(NamedTuple):
    """A stored sample and where it belongs now; `old_ms` is where it counted so far."""

    row: SampleRow
    at_ms: int
    old_ms: int | None  # None: nowhere, it is new

    @property
    def moved(self) -> bool:
        return self.old_ms is None or self.old_ms != self.at_ms


class Gone(NamedTuple):
    """A sample that was removed."""

    key: SamplePosition
    at_ms: int
    reach_ms: int  # how long it spoke for on its own


def key(row: SampleRow) -> SamplePosition:
    """Samples of a boot are ordered by this."""
    return SamplePosition(row.uptime_ms, row.run_id, row.seq)


class Stretch(NamedTuple):
    """Successive samples of a boot."""

    rows: Sequence[Placed]
    first: bool = False  # none of the boot is before them
    last: bool = False  # none of the boot is after them


class ChangeEnd(NamedTuple):
    """One end of what changed, and what rates may pair across it."""

    at: SamplePosition
    nearest: SampleRow | None  # the sample beyond it, if it is known; else it is looked for
    is_end: bool  # there is none


class Changed(NamedTuple):
    """Successive samples of a boot that are new, moved or gone."""

    boot_id: int
    older: ChangeEnd
    newer: ChangeEnd
    runs: Collection[int]
    sections: int  # what any of them has
    rows: Sequence[Placed] = ()
    gone: Sequence[Gone] = ()


Beyond = tuple[list[SampleRow], list[SampleRow]]  # older and newer samples beside what changed


def moved(boot_id: int, stretch: Stretch, all_moved: bool = False) -> Iterator[Changed]:
    """What is new or moved in a stretch."""
    rows, start = stretch.rows, 0
    while start < len(rows):
        end = start
        while end < len(rows) and (all_moved or rows[end].moved):
            end += 1
        if end > start:
            some = [one.row for one in rows[start:end]]
            sections = 0
            for row in some:
                sections |= row.sections
            before = rows[start - 1].row if start else None
            after = rows[end].row if end < len(rows) else None
            yield Changed(
                boot_id,
                ChangeEnd(key(some[0]), before, before is None and stretch.first),
                ChangeEnd(key(some[-1]), after, after is None and stretch.last),
                _run_starts(some).keys(),
                sections,
                rows[start:end],
            )
        start = end + 1


def removed(boot_id: int, gone: Sequence[Gone]) -> Changed:
    """Samples of one run that are gone."""
    first, last = min(gone).key, max(gone).key
    older, newer = ChangeEnd(first, None, False), ChangeEnd(last, None, False)
    return Changed(boot_id, older, newer, {first.run_id}, WIFI | UPLINK, gone=gone)


def beyond(db: Database, changed: Sequence[Changed]) -> list[Beyond]:
    """The samples beside each change: the next, and if it lacks something the next that has it."""
    sides = [_beyond(db, [(one, one.older) for one in changed], older=True)]
    sides.append(_beyond(db, [(one, one.newer) for one in changed], older=False))
    return [*zip(*sides, strict=True)]


def around(one: Changed, beside: Beyond, floors: Floors) -> list[ChangedSpan]:
    """Around what changed; `floors` is of what moved before in the boot, and grows."""
    return _around_removed(one, beside) if one.gone else _around_moved(one, beside, floors)


def merged(spans: Iterable[ChangedSpan], earliest_ms: int) -> list[ChangedSpan]:
    """In order of time, those that touch as one; nothing before `earliest_ms`."""
    found: list[ChangedSpan] = []
    for one in sorted(spans):
        from_ms = max(one.from_ms, earliest_ms)
        if one.to_ms < from_ms:
            continue
        if found and from_ms <= found[-1].to_ms:
            found[-1] = ChangedSpan(found[-1].from_ms, max(found[-1].to_ms, one.to_ms))
        else:
            found.append(ChangedSpan(from_ms, one.to_ms))
    return found


def _beyond(
    db: Database, edges: Sequence[tuple[Changed, ChangeEnd]], older: bool
) -> list[list[SampleRow]]:
    found: list[list[SampleRow]] = [
        [] if edge.nearest is None else [edge.nearest] for _, edge in edges
    ]
    asked: list[NeighbourQuery] = []
    whose: list[list[SampleRow]] = []
    for (one, edge), rows in zip(edges, found, strict=True):
        for sections, run_id in _missing(one, edge):
            asked.append(NeighbourQuery(len(asked), one.boot_id, edge.at, sections, run_id))
            whose.append(rows)
    for n, row in sorted(boot_samples.rows_beside(db, asked, older).items()):
        whose[n].append(row)
    return found


def _missing(one: Changed, edge: ChangeEnd) -> Iterator[tuple[int, int | None]]:
    """What to look for beyond an edge: a sample with sections, or one of a run."""
    nearest = edge.nearest
    if edge.is_end:
        return
    if nearest is None:
        yield 0, None
    for bit in (WIFI, UPLINK):
        if one.sections & bit and (nearest is None or not nearest.sections & bit):
            yield bit, None
    for run_id in one.runs:
        if nearest is None or nearest.run_id != run_id or nearest.observed_ms is None:
            yield 0, run_id


def _around_removed(one: Changed, beside: Beyond) -> list[ChangedSpan]:
    first, (older, newer) = one.older.at, beside
    floor_ms = min([first.uptime_ms - BOOT_UP_MS, *(row.uptime_ms for row in older)])
    counted = _counted(older)
    if first.run_id not in counted:
        floor_ms = min([floor_ms, *(gone.key.uptime_ms - gone.reach_ms for gone in one.gone)])
    here = _since(floor_ms, [(gone.at_ms, gone.key.uptime_ms) for gone in one.gone])
    return [here, *_before(newer, floor_ms, counted)]


def _around_moved(one: Changed, beside: Beyond, floors: Floors) -> list[ChangedSpan]:
    older, newer = beside
    rows = [placed.row for placed in one.rows]
    starts = _run_starts(rows)
    floor_ms = min(
        [
            rows[0].uptime_ms - (0 if older else max(BOOT_UP_MS, rows[0].covers_ms)),
            # What paired across an older one that is new too may reach as far as that.
            *(floors.get(key(row), row.uptime_ms) for row in older),
        ]
    )
    counted = _counted(older)
    floor_ms = min([floor_ms, *(ms for run_id, ms in starts.items() if run_id not in counted)])
    floors.update((key(row), floor_ms) for row in rows)
    spans = list(_before(newer, floor_ms, counted))
    for places in ([placed.old_ms for placed in one.rows], [placed.at_ms for placed in one.rows]):
        known = [
            (ms, row.uptime_ms) for ms, row in zip(places, rows, strict=True) if ms is not None
        ]
        if known:
            spans.append(_since(floor_ms, known))
    return spans


def _since(floor_ms: int, places: Sequence[tuple[int, int]]) -> ChangedSpan:
    """From an uptime to samples, each an instant and an uptime.

    Each has its own clock, so where one was set back any of them may reach the farthest.
    """
    from_ms = min(at_ms - reach_ms(uptime_ms - floor_ms) for at_ms, uptime_ms in places)
    return ChangedSpan(from_ms, max(at_ms for at_ms, _ in places))


def _run_starts(rows: Sequence[SampleRow]) -> dict[int, int]:
    """Since what uptime the first sample of each run speaks, were it the first of the run."""
    starts: dict[int, int] = {}
    for row in rows:
        if row.observed_ms is not None:
            starts.setdefault(row.run_id, row.uptime_ms - min(row.observed_ms, row.uptime_ms))
    return starts


def _counted(older: Sequence[SampleRow]) -> set[int]:
    """Runs that have client time before."""
    return {row.run_id for row in older if row.observed_ms is not None}


def _before(newer: Sequence[SampleRow], floor_ms: int, counted: Set[int]) -> Iterator[ChangedSpan]:
    """The time before samples that follow a change; of a run's first that may be long."""
    starts = _run_starts(newer)
    for row in newer:
        lowest_ms = min(floor_ms, row.uptime_ms - row.covers_ms)
        if row.run_id not in counted:
            lowest_ms = min(lowest_ms, starts.get(row.run_id, lowest_ms))
        yield ChangedSpan(row.at_ms - reach_ms(row.uptime_ms - lowest_ms), row.at_ms)
