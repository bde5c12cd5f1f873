"""Decides which stretches of a router's time its rollups must be computed again for.

Rule: what lies between two samples depends on both, so a sample touches the time from the one
before it to the one after it. Samples that lack something (client time, counters) are passed over
by rates, so here too.
Rule: rather too much than too little: computing an unchanged window again changes nothing.
"""

from collections.abc import Iterable, Iterator, Sequence, Set
from typing import NamedTuple

from titik_collector.figures.rates import BOOT_UP_MS, reach_ms
from titik_collector.store import boot_samples
from titik_collector.store.boot_samples import SamplePosition, SampleRow
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


def around(
    db: Database, boot_id: int, stretch: Stretch, floors: Floors, all_moved: bool = False
) -> list[ChangedSpan]:
    """Around what moved in a stretch; `floors` is of the stretches before, and grows."""
    spans: list[ChangedSpan] = []
    rows, start = stretch.rows, 0
    while start < len(rows):
        end = start
        while end < len(rows) and (all_moved or rows[end].moved):
            end += 1
        if end > start:
            older = _next_to(db, boot_id, stretch, start, older=True)
            newer = _next_to(db, boot_id, stretch, end - 1, older=False)
            spans += _around_moved(db, boot_id, rows[start:end], (older, newer), floors)
        start = end + 1
    return spans


def around_removed(db: Database, boot_id: int, gone: Sequence[Gone]) -> list[ChangedSpan]:
    """Around samples of one run that are gone."""
    first, last = min(gone).key, max(gone).key
    before = boot_samples.next_to(db, boot_id, first, older=True)
    after = boot_samples.next_to(db, boot_id, last, older=False)
    runs, lacking = {first.run_id}, WIFI | UPLINK
    older = _neighbours(db, boot_id, first, before, runs, lacking, older=True)
    newer = _neighbours(db, boot_id, last, after, runs, lacking, older=False)
    floor_ms = min([first.uptime_ms - BOOT_UP_MS, *(row.uptime_ms for row in older)])
    counted = _counted(older)
    if first.run_id not in counted:
        floor_ms = min([floor_ms, *(one.key.uptime_ms - one.reach_ms for one in gone)])
    here = _since(floor_ms, [(one.at_ms, one.key.uptime_ms) for one in gone])
    return [here, *_before(newer, floor_ms, counted)]


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


def _next_to(
    db: Database, boot_id: int, stretch: Stretch, index: int, older: bool
) -> SampleRow | None:
    """The sample before or after one of a stretch; only beyond its ends it has to be looked for."""
    beside = index - 1 if older else index + 1
    if 0 <= beside < len(stretch.rows):
        return stretch.rows[beside].row
    if stretch.first if older else stretch.last:
        return None
    return boot_samples.next_to(db, boot_id, key(stretch.rows[index].row), older)


def _around_moved(
    db: Database,
    boot_id: int,
    block: Sequence[Placed],
    beside: tuple[SampleRow | None, SampleRow | None],
    floors: Floors,
) -> list[ChangedSpan]:
    before, after = beside
    rows = [one.row for one in block]
    starts = _run_starts(rows)
    sections = 0
    for row in rows:
        sections |= row.sections
    runs, first, last = starts.keys(), key(rows[0]), key(rows[-1])
    older = _neighbours(db, boot_id, first, before, runs, sections, older=True)
    newer = _neighbours(db, boot_id, last, after, runs, sections, older=False)
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
    for places in ([one.old_ms for one in block], [one.at_ms for one in block]):
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


def _neighbours(
    db: Database,
    boot_id: int,
    at: SamplePosition,
    nearest: SampleRow | None,
    runs: Iterable[int],
    sections: int,
    older: bool,
) -> list[SampleRow]:
    """The next sample, and if it lacks something the next that has it."""
    if nearest is None:
        return []
    found = [nearest]
    for bit in (WIFI, UPLINK):
        if sections & bit and not nearest.sections & bit:
            found += _one(boot_samples.next_to(db, boot_id, at, older, bit))
    for run_id in runs:
        if nearest.run_id != run_id or nearest.observed_ms is None:
            found += _one(boot_samples.next_in_run(db, boot_id, run_id, at, older))
    return found


def _one(row: SampleRow | None) -> list[SampleRow]:
    return [] if row is None else [row]
