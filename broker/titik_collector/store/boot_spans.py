"""Which boots of a router have figures in a stretch of time."""

from collections.abc import Sequence
from typing import NamedTuple

from titik_collector.figures.windows import Span
from titik_collector.store.database import Database
from titik_collector.store.rollup_sums import Part

_BOUNDED = " AND quality = 'bounded'"


class BootSpan(NamedTuple):
    """A boot, where its figures may lie, and what its samples have."""

    router_id: int
    id: int
    bounded: bool  # nothing but the day is known of it
    first_ms: int
    last_ms: int
    has: int  # bits of `sections`, and one for client time

    def touches(self, span: Span) -> bool:
        """Whether figures may lie in a stretch of time."""
        return self.last_ms >= span.start_ms and self.first_ms < span.end_ms


def boots(db: Database, parts: Sequence[Part], bounded: bool = False) -> list[BootSpan]:
    """The boots of some routers, each in its stretch of time, in order of their numbers.

    `bounded`: only those that nothing but the day is known of.
    """
    head, values = db.keyed(("id", "from_ms", "to_ms"), parts)
    rows = db.execute(
        f"{head} SELECT router_id, boot_id, quality = 'bounded', first_ms, last_ms, has"
        " FROM key CROSS JOIN boot_time"
        " WHERE router_id = key.id AND last_ms >= key.from_ms AND first_ms < key.to_ms"
        f"{_BOUNDED if bounded else ''} ORDER BY boot_id",
        values,
    )
    return [BootSpan(*row) for row in rows]
