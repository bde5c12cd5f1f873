"""The stored samples that matter for a stretch of time, as rates want them.

Rule: besides the samples of the stretch come those next to it on both sides. Where these lack
client time or counters, the next that have them come too. What else they hold lies outside the
stretch.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from titik_collector.figures.rates import Reading
from titik_collector.store import boot_samples, boot_time
from titik_collector.store.boot_samples import SamplePosition, SampleRow
from titik_collector.store.database import Database
from titik_collector.store.readings import ReadingRows, uptimes_around
from titik_collector.store.samples import CLIENT, UPLINK, WIFI

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
        edges = (found.first_ms, from_ms, to_ms, found.last_ms)
        uptimes = uptimes_around(self._db, found.router_id, boot_id, edges)
        if uptimes is None:
            return []
        readings = self._rows.between(boot_id, uptimes)
        farther = set(self._farther(boot_id, readings, from_ms, to_ms, found.has))
        for name in farther - {(one.run_id, one.seq) for one in readings}:
            readings += self._rows.one(*name)
        return sorted(readings, key=_key) if farther else readings

    def _farther(
        self, boot_id: int, readings: Sequence[Reading], from_ms: int, to_ms: int, has: int
    ) -> Iterator[Name]:
        """Samples beyond `readings` that pair with one of them, or with each other across them."""
        low, high = _key(readings[0]), _key(readings[-1])
        for bit, having in (
            (WIFI, [one for one in readings if one.wifi]),
            (UPLINK, [one for one in readings if one.uplink]),
        ):
            if has & bit:
                yield from _around(
                    having,
                    (from_ms, to_ms),
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
                (from_ms, to_ms),
                partial(boot_samples.next_in_run, self._db, boot_id, run_id, low, True),
                partial(boot_samples.next_in_run, self._db, boot_id, run_id, high, False),
            )


def _around(
    having: Sequence[Reading],
    stretch: tuple[int, int],
    older: Callable[[], SampleRow | None],
    newer: Callable[[], SampleRow | None],
) -> Iterator[Name]:
    """The next samples that have something, where the first or last that has it needs a partner."""
    from_ms, to_ms = stretch
    after = newer() if not having or having[-1].at_ms < to_ms else None
    before = None
    if (having and having[0].at_ms >= from_ms) or (not having and after is not None):
        before = older()
    for row in (before, after):
        if row is not None:
            yield row.run_id, row.seq


def _key(reading: Reading) -> SamplePosition:
    return SamplePosition(reading.uptime_ms, reading.run_id, reading.seq)
