"""The newest sample of each boot in memory: what comes behind it is placed without a read.

Rule: a sample with a believed clock behind another one moves nothing. So what is known of the two
says all: where it belongs, and which time must be computed again.
Rule: what is in memory is what the store has. At any doubt the store is read, with the same result.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

from titik_collector.figures.rates import reach_ms
from titik_collector.limits import MAX_NEWEST
from titik_collector.store.boot_samples import SampleRow
from titik_collector.store.boot_time import BootTime
from titik_collector.store.changed_span_rows import ChangedSpan
from titik_collector.store.samples import CLIENT
from titik_collector.timeline.change import Change
from titik_wire.instant import DAY_MS

KEPT_MS = DAY_MS  # nothing is pruned so soon


class _Known(NamedTuple):
    row: SampleRow
    time: BootTime


Followed = tuple[Sequence[ChangedSpan], BootTime | None]


class Newest:
    """Of the boots that were placed last; it has a believed clock."""

    def __init__(self) -> None:
        self._boots: OrderedDict[int, _Known] = OrderedDict()

    def row(self, boot_id: int) -> SampleRow | None:
        """The newest sample of the boot; None: not in memory."""
        known = self._boots.get(boot_id)
        return None if known is None else known.row

    def set(self, boot_id: int, row: SampleRow | None, time: BootTime) -> None:
        """The boot was placed; None: it cannot be followed."""
        self._boots.pop(boot_id, None)
        if row is None or row.taken_ms is None:
            return
        self._boots[boot_id] = _Known(row, time)
        if len(self._boots) > MAX_NEWEST:
            self._boots.popitem(last=False)

    def forget(self) -> None:
        """What is stored may be another."""
        self._boots.clear()

    def follow(self, boot_id: int, changes: Sequence[Change]) -> Followed | None:
        """Take in samples behind the newest one; None where what is stored must be read.

        What must be computed again, and what is known of the boot now if that is new.
        """
        known = self._boots.get(boot_id)
        if known is None:
            return None
        newest, has = known.row, known.time.has
        row, spans = newest, []
        for change in changes:
            before, row = row, change.row  # type: ignore[assignment]
            if row is None or row.uptime_ms <= before.uptime_ms or not _is_beside(newest, row):
                return None
            has |= row.sections | (0 if row.observed_ms is None else CLIENT)
            spans.append((row.at_ms - reach_ms(row.uptime_ms - newest.uptime_ms), row.at_ms))
        span = ChangedSpan(min(spans)[0], max([at_ms for _, at_ms in spans]))
        time = known.time.reaching(has, *span)
        self._boots[boot_id] = _Known(row, time)
        self._boots.move_to_end(boot_id)
        return [span], None if time == known.time else time


def _is_beside(newest: SampleRow, row: SampleRow) -> bool:
    """Rates pair it with nothing that is older than the newest."""
    return (
        row.taken_ms is not None
        and not row.sections & ~newest.sections
        and (
            row.observed_ms is None
            or (row.run_id == newest.run_id and newest.observed_ms is not None)
        )
        and row.arrived_ms - newest.at_ms < KEPT_MS
    )
