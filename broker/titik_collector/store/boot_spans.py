"""Which boots of a router have figures in a stretch of time."""

import json
from collections.abc import Sequence

from titik_collector.figures.windows import Span
from titik_collector.store.database import Database
from titik_collector.store.rollup_sums import WITH_PARTS, Part


def boots(db: Database, router_id: int, span: Span, *, bounded: bool) -> list[int]:
    """Boots of a router; `bounded`: those that nothing but the day is known of."""
    rows = db.execute(
        "SELECT boot_id FROM boot_time WHERE router_id = ? AND last_ms >= ? AND first_ms < ?"
        " AND (quality = 'bounded') = ? ORDER BY boot_id",
        (router_id, *span, int(bounded)),
    )
    return [boot_id for (boot_id,) in rows]


def routers_with_bounded(db: Database, parts: Sequence[Part], span: Span) -> list[int]:
    """Those of some routers that have boots that nothing but the day is known of."""
    rows = db.execute(
        f"{WITH_PARTS} SELECT DISTINCT part.id FROM part CROSS JOIN boot_time"
        " ON router_id = part.id AND last_ms >= ? AND first_ms < ? AND quality = 'bounded'"
        " ORDER BY part.id",
        (json.dumps(parts), *span),
    )
    return [router_id for (router_id,) in rows]
