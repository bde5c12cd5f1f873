"""Table `rollup_news`: windows that changed and are not published yet."""

from collections.abc import Iterable
from typing import NamedTuple

from titik_collector.store.database import Database
from titik_collector.store.rollups import WindowKey


class Unpublished(NamedTuple):
    """One window; without a rollup it was pruned while the collector was down."""

    key: WindowKey
    has_rollup: bool


def add(db: Database, keys: Iterable[WindowKey]) -> None:
    """Publish these windows."""
    db.executemany(
        "INSERT INTO rollup_news (scope, scope_id, length, start_ms) VALUES (?, ?, ?, ?)"
        " ON CONFLICT DO NOTHING",
        keys,
    )


def due(db: Database, minutes_ms: int, longer_ms: int, sums: bool, limit: int) -> list[Unpublished]:
    """Those that are over: sums before routers, the oldest first.

    A minute ended at `minutes_ms` or before, an hour or a day at `longer_ms`, which is not later.
    `sums`: all, and not minutes of routers only.
    """
    rows = db.execute(
        "SELECT n.scope, n.scope_id, n.length, n.start_ms, r.end_ms IS NOT NULL"
        " FROM rollup_news AS n LEFT JOIN rollup AS r USING (scope, scope_id, length, start_ms)"
        # Each router has an hour and a day that go on; most are recognized without their rollups.
        " WHERE n.start_ms + CASE n.length WHEN '1m' THEN 60000 WHEN '1h' THEN 3600000"
        "  ELSE 82800000 END <= ?"
        " AND (r.end_ms IS NULL OR r.end_ms <= CASE n.length WHEN '1m' THEN ? ELSE ? END)"
        " AND (n.scope = 'router' AND n.length = '1m' OR ?)"
        " ORDER BY n.scope = 'router', n.start_ms, n.scope LIMIT ?",
        (minutes_ms, minutes_ms, longer_ms, sums, limit),
    )
    return [Unpublished(WindowKey(*row[:4]), bool(row[4])) for row in rows]


def remove(db: Database, key: WindowKey) -> None:
    """The window is published, or is not to be."""
    db.execute(
        "DELETE FROM rollup_news WHERE scope = ? AND scope_id = ? AND length = ? AND start_ms = ?",
        key,
    )
