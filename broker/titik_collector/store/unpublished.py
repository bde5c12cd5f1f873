"""Table `rollup_news`: windows that changed and are not published yet."""

from collections.abc import Iterable
from typing import NamedTuple

from titik_collector.figures.table import Figures
from titik_collector.store.database import Database
from titik_collector.store.rollups import COLUMNS, RollupRow, WindowKey


class Unpublished(NamedTuple):
    """One window."""

    key: WindowKey
    row: RollupRow | None  # None: it was pruned while the collector was down
    name: str | None  # of its router or site; None if that is registered no longer, and of the city
    has_later: bool  # whether a later window of its length is over


def add(db: Database, keys: Iterable[WindowKey]) -> None:
    """Publish these windows."""
    db.executemany(
        "INSERT INTO rollup_news (scope, scope_id, length, start_ms) VALUES (?, ?, ?, ?)"
        " ON CONFLICT DO NOTHING",
        keys,
    )


def due(db: Database, minutes_ms: int, longer_ms: int, sums: bool, limit: int) -> list[Unpublished]:
    """Those that are over, the oldest first: as many sums as windows of routers, while both wait.

    A minute ended at `minutes_ms` or before, an hour or a day at `longer_ms`, which is not later.
    `sums`: all, and not minutes of routers only.
    """
    rows = db.execute(
        "WITH n AS (SELECT scope, scope_id, length, start_ms, row_number() OVER"
        " (PARTITION BY CASE scope WHEN 'router' THEN 1 ELSE 0 END ORDER BY start_ms) AS turn"
        " FROM rollup_news LEFT JOIN rollup AS r USING (scope, scope_id, length, start_ms)"
        # Each router has an hour and a day that go on; most are recognized without their rollups.
        " WHERE start_ms + CASE length WHEN '1m' THEN 60000 WHEN '1h' THEN 3600000"
        "  ELSE 82800000 END <= ?"
        " AND (r.end_ms IS NULL OR r.end_ms <= CASE length WHEN '1m' THEN ? ELSE ? END)"
        " AND (scope = 'router' AND length = '1m' OR ?)"
        " ORDER BY turn, CASE scope WHEN 'router' THEN 1 ELSE 0 END LIMIT ?)"
        " SELECT n.scope, n.scope_id, n.length, n.start_ms,"
        " CASE n.scope WHEN 'router'"
        "  THEN (SELECT name FROM router WHERE id = n.scope_id AND registered = 1)"
        "  ELSE (SELECT name FROM site WHERE id = n.scope_id AND registered = 1) END,"
        " EXISTS (SELECT 1 FROM rollup AS later WHERE later.scope = n.scope"
        "  AND later.scope_id = n.scope_id AND later.length = n.length"
        "  AND later.start_ms > n.start_ms AND later.end_ms <= ?),"
        f" end_ms, revision, {COLUMNS}"
        " FROM n LEFT JOIN rollup USING (scope, scope_id, length, start_ms)"
        " ORDER BY n.turn, n.scope",
        (minutes_ms, minutes_ms, longer_ms, sums, limit, minutes_ms),
    )
    return [
        Unpublished(
            WindowKey(*row[:4]),
            None if row[6] is None else RollupRow(row[6], row[7], Figures._make(row[8:])),
            row[4],
            bool(row[5]),
        )
        for row in rows
    ]


def remove(db: Database, keys: Iterable[WindowKey]) -> None:
    """These windows are published, or are not to be."""
    db.executemany(
        "DELETE FROM rollup_news WHERE scope = ? AND scope_id = ? AND length = ? AND start_ms = ?",
        keys,
    )
