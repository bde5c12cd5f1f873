"""Which stretches of a router's time its rollups must be computed again for: the table `dirty`.

Rule: they are written with what changed, and crossed off with what was computed.
"""

from collections.abc import Iterable
from typing import NamedTuple

from titik_collector.store.database import Database
from titik_wire.instant import DAY_MS


class ChangedSpan(NamedTuple):
    """A stretch of time, both ends included."""

    from_ms: int
    to_ms: int


def add(db: Database, router_id: int, spans: Iterable[ChangedSpan]) -> None:
    """Write the spans down, until their rollups are computed."""
    db.executemany(
        "INSERT OR IGNORE INTO dirty (router_id, from_ms, to_ms) VALUES (?, ?, ?)",
        [(router_id, *span) for span in spans],
    )


def next_router(db: Database, before_ms: int, after: int) -> int | None:
    """A router that changed before a time: the first with a greater id than `after`, else any."""
    due = "SELECT min(router_id) FROM dirty WHERE from_ms < ?"
    if db.execute(due, (before_ms,)).fetchone()[0] is None:
        return None
    (router_id,) = db.execute(
        f"SELECT coalesce(({due} AND router_id > ?), ({due}))", (before_ms, after, before_ms)
    ).fetchone()
    return int(router_id)


def of_router(db: Database, router_id: int, before_ms: int, limit: int) -> list[ChangedSpan]:
    """Those of a router that begin before a time, the oldest first."""
    rows = db.execute(
        "SELECT from_ms, to_ms FROM dirty WHERE router_id = ? AND from_ms < ?"
        " ORDER BY from_ms LIMIT ?",
        (router_id, before_ms, limit),
    )
    return [ChangedSpan(*row) for row in rows]


def earliest_known(db: Database, router_id: int, at_ms: int) -> int | None:
    """From when on anything is, or has been, known of a router that is not before a time."""
    (found,) = db.execute(
        "SELECT min(ms) FROM (SELECT min(first_ms) AS ms FROM boot_time"
        " WHERE router_id = :router AND last_ms >= :at UNION ALL"
        " SELECT min(start_ms) FROM rollup WHERE scope = 'router' AND scope_id = :router"
        "  AND window = '1m' AND start_ms >= :at UNION ALL"
        " SELECT min(day_ms) FROM cold WHERE scope = 'router' AND scope_id = :router"
        "  AND day_ms > :at - :day UNION ALL"
        " SELECT min(start_ms) FROM rollup WHERE scope = 'router' AND scope_id = :router"
        "  AND window = '1d' AND start_ms > :at - :days)",
        {"router": router_id, "at": at_ms, "day": DAY_MS, "days": 2 * DAY_MS},
    ).fetchone()
    return None if found is None else max(at_ms, int(found))


def cross_off(db: Database, router_id: int, end_ms: int) -> None:
    """What lies before `end_ms` is computed; the rest of a span stays."""
    db.execute(
        "INSERT OR IGNORE INTO dirty SELECT router_id, ?, max(to_ms) FROM dirty"
        " WHERE router_id = ? AND from_ms < ? AND to_ms >= ? GROUP BY router_id",
        (end_ms, router_id, end_ms, end_ms),
    )
    db.execute("DELETE FROM dirty WHERE router_id = ? AND from_ms < ?", (router_id, end_ms))
