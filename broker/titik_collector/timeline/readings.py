"""Chooses the stored samples that matter for a stretch of time, for `figures.rates`.

Rule: the time between two samples lies before the newer, by its clock. So a stretch of time is one
of uptime for each offset (instant minus uptime). Samples are read from the first of these to the
last, with the one before and the one after.
Rule: believed clocks of a boot differ by `STEP_MS` at most. A clock may be set back by that long
after the stretch, so its end is later by as much. A router that is up to date has no sample there.
Rule: where samples lack client time or counters, the next that have them are read too.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from titik_collector.figures.rates import Reading
from titik_collector.limits import MAX_AHEAD_MS, MAX_BEHIND_MS
from titik_collector.store import boot_samples, boot_time
from titik_collector.store.boot_samples import SamplePosition, SampleRow
from titik_collector.store.database import Database
from titik_collector.store.reading_rows import ReadingRows, Uptimes, offsets_within
from titik_collector.store.samples import CLIENT, UPLINK, WIFI

STEP_MS = MAX_AHEAD_MS + MAX_BEHIND_MS  # a believed clock is set by at most so much

Name = tuple[int, int]  # of a sample: run and seq


class Readings:
    """Reads them from an open database."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._rows = ReadingRows(db)

    def of(self, boot_id: int, from_ms: int, to_ms: int) -> list[Reading]:
        """Of a boot, in order of uptime, for the time from `from_ms` to before `to_ms`."""
        found = boot_time.extent(self._db, boot_id)
        if found is None:
            return []
        near = (found.first_ms, from_ms - STEP_MS, to_ms + STEP_MS, found.last_ms)
        offsets = offsets_within(self._db, found.router_id, boot_id, near)
        if offsets is None:
            return []
        end_ms = to_ms + STEP_MS - offsets.least_ms
        readings = self._rows.around(boot_id, Uptimes(from_ms - offsets.most_ms, end_ms))
        farther = set(self._farther(boot_id, readings, from_ms, end_ms, found.has))
        for name in farther - {(one.run_id, one.seq) for one in readings}:
            readings += self._rows.one(*name)
        return sorted(readings, key=_key) if farther else readings

    def _farther(
        self, boot_id: int, readings: Sequence[Reading], from_ms: int, end_ms: int, has: int
    ) -> Iterator[Name]:
        """Samples beyond `readings` that pair with one of them, or with each other across them.

        `end_ms`: an uptime; no pair that begins then or later reaches into the stretch.
        """
        # The first sample since then was read. Without one the boot ends before, and none is newer.
        stretch = from_ms, end_ms if readings[-1].uptime_ms >= end_ms else None
        low, high = _key(readings[0]), _key(readings[-1])
        for bit, having in (
            (WIFI, [one for one in readings if one.wifi]),
            (UPLINK, [one for one in readings if one.uplink]),
        ):
            if has & bit:
                yield from _around(
                    having,
                    stretch,
                    partial(boot_samples.next_to, self._db, boot_id, low, True, bit),
                    partial(boot_samples.next_to, self._db, boot_id, high, False, bit),
                )
        if not has & CLIENT:
            return
        for run_id in {one.run_id for one in readings}:
            of_run = [one for one in readings if one.run_id == run_id]
            low, high = _key(of_run[0]), _key(of_run[-1])
            yield from _around(
                [one for one in of_run if None not in (one.client_ms, one.observed_ms)],
                stretch,
                partial(boot_samples.next_in_run, self._db, boot_id, run_id, low, True),
                partial(boot_samples.next_in_run, self._db, boot_id, run_id, high, False),
            )


def _around(
    having: Sequence[Reading],
    stretch: tuple[int, int | None],
    older: Callable[[], SampleRow | None],
    newer: Callable[[], SampleRow | None],
) -> Iterator[Name]:
    """The next samples that have something, where the first or last that has it needs a partner.

    `stretch`: its first instant, and the uptime that ends it; None if no sample is farther.
    """
    from_ms, end_ms = stretch
    after = None
    if end_ms is not None and (not having or having[-1].uptime_ms < end_ms):
        after = newer()
    before = None
    if (having and having[0].at_ms >= from_ms) or (not having and after is not None):
        before = older()
    for row in (before, after):
        if row is not None:
            yield row.run_id, row.seq


def _key(reading: Reading) -> SamplePosition:
    return SamplePosition(reading.uptime_ms, reading.run_id, reading.seq)
