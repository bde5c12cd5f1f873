"""Chooses the stored samples that matter for a stretch of time, for `figures.rates`.

Rule: the time between two samples lies before the newer, by its clock. So a stretch of time is one
of uptime for each offset (instant minus uptime). Samples are read from the first of these to the
last, with the one before and the one after.
Rule: believed clocks of a boot differ by `MAX_STEP_MS` at most. So far may a clock be set back
after the stretch: its end is later by as much. A router that is up to date has no sample there.
Rule: where samples lack client time or counters, the next that have them are read too.
Rule: the stretches of many boots are read together, with a few statements for all.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from titik_collector.figures.rates import Reading
from titik_collector.figures.windows import Span
from titik_collector.limits import MAX_STEP_MS
from titik_collector.store import boot_samples
from titik_collector.store.boot_samples import NeighbourQuery, SamplePosition
from titik_collector.store.boot_spans import BootSpan
from titik_collector.store.database import Database
from titik_collector.store.reading_rows import AskedOffsets, ReadingRows, Uptimes, offsets_within
from titik_collector.store.samples import CLIENT, UPLINK, WIFI


@dataclass(slots=True)
class _Kind:
    """The readings of a stretch that have something, such as counters of the uplink."""

    stretch: int  # which
    boot_id: int
    having: Sequence[Reading]
    low: SamplePosition  # of the first reading that was read, whether it has it or not
    high: SamplePosition
    sections: int = 0
    run_id: int | None = None
    newer: bool = False  # there is one beyond the last

    def older_wanted(self, from_ms: int) -> bool:
        """The first that has it needs a partner."""
        return self.having[0].at_ms >= from_ms if self.having else self.newer


@dataclass(slots=True)
class _Stretch:
    boot: BootSpan
    from_ms: int
    end_ms: int  # an uptime; no pair that begins then or later reaches into the stretch
    readings: list[Reading] = field(default_factory=list)


class Readings:
    """Reads them from an open database."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._rows = ReadingRows(db)

    def of(self, asked: Sequence[tuple[BootSpan, Span]]) -> list[list[Reading]]:
        """Of each boot, in order of uptime, for the time of its stretch."""
        found: list[list[Reading]] = [[] for _ in asked]
        stretches: list[_Stretch] = []
        uptimes: list[tuple[int, Uptimes]] = []
        edges = [
            AskedOffsets(
                boot.router_id,
                boot.id,
                boot.first_ms,
                span.start_ms - MAX_STEP_MS,
                span.end_ms + MAX_STEP_MS,
                boot.last_ms,
            )
            for boot, span in asked
        ]
        where: list[int] = []
        for n, offsets in enumerate(offsets_within(self._db, edges)):
            if offsets is None:
                continue
            boot, span = asked[n]
            end_ms = span.end_ms + MAX_STEP_MS - offsets.least_ms
            uptimes.append((boot.id, Uptimes(span.start_ms - offsets.most_ms, end_ms)))
            stretches.append(_Stretch(boot, span.start_ms, end_ms))
            where.append(n)
        for n, stretch, readings in zip(where, stretches, self._rows.around(uptimes), strict=True):
            stretch.readings = found[n] = readings
        self._add_farther(stretches)
        return found

    def _add_farther(self, stretches: Sequence[_Stretch]) -> None:
        """Samples beyond those read that pair with one of them, or with each other across them."""
        kinds = [kind for n, one in enumerate(stretches) if one.readings for kind in _kinds(n, one)]
        ahead = [n for n, kind in enumerate(kinds) if _needs_newer(kind, stretches[kind.stretch])]
        names: set[tuple[int, int, int]] = set()
        for n, run_id, seq in self._beside(kinds, ahead, older=False):
            kinds[n].newer = True
            names.add((kinds[n].stretch, run_id, seq))
        behind = [
            n for n, kind in enumerate(kinds) if kind.older_wanted(stretches[kind.stretch].from_ms)
        ]
        for n, run_id, seq in self._beside(kinds, behind, older=True):
            names.add((kinds[n].stretch, run_id, seq))
        grown: set[int] = set()
        for n, reading in self._rows.named(sorted(names)) if names else ():
            stretches[n].readings.append(reading)
            grown.add(n)
        for n in grown:
            # One that was read already may have been found again.
            unique = {(one.run_id, one.seq): one for one in stretches[n].readings}
            stretches[n].readings[:] = sorted(unique.values(), key=_key)

    def _beside(
        self, kinds: Sequence[_Kind], which: Sequence[int], older: bool
    ) -> list[tuple[int, int, int]]:
        asked = []
        for n in which:
            kind = kinds[n]
            at = kind.low if older else kind.high
            asked.append(NeighbourQuery(n, kind.boot_id, at, kind.sections, kind.run_id))
        return boot_samples.beside(self._db, asked, older)


def _kinds(n: int, stretch: _Stretch) -> Iterator[_Kind]:
    readings, has = stretch.readings, stretch.boot.has
    low, high = _key(readings[0]), _key(readings[-1])
    if has & WIFI:
        yield _Kind(n, stretch.boot.id, [one for one in readings if one.wifi], low, high, WIFI)
    if has & UPLINK:
        yield _Kind(n, stretch.boot.id, [one for one in readings if one.uplink], low, high, UPLINK)
    if has & CLIENT:
        of_run: defaultdict[int, list[Reading]] = defaultdict(list)
        for one in readings:
            of_run[one.run_id].append(one)
        for run_id, some in of_run.items():
            having = [one for one in some if None not in (one.client_ms, one.observed_ms)]
            yield _Kind(n, stretch.boot.id, having, _key(some[0]), _key(some[-1]), run_id=run_id)


def _needs_newer(kind: _Kind, stretch: _Stretch) -> bool:
    """Whether one beyond the last reading may pair across the end of the stretch."""
    # The first sample since then was read. Without one the boot ends before, and none is newer.
    if stretch.readings[-1].uptime_ms < stretch.end_ms:
        return False
    return not kind.having or kind.having[-1].uptime_ms < stretch.end_ms


def _key(reading: Reading) -> SamplePosition:
    return SamplePosition(reading.uptime_ms, reading.run_id, reading.seq)
