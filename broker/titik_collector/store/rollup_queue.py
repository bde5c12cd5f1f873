"""Which rollups are to be computed, and which hours are to be summed.

Rule: the table `dirty` has the changed spans of routers, `stale` the hours of sites and of the
city whose sums wait. Both are written with what changed, and crossed off with what was computed.
"""

from collections.abc import Iterable
from typing import NamedTuple

from titik_collector.figures.scope import Scope
from titik_collector.figures.windows import DAY_MS, Span
from titik_collector.store.database import Database


class ChangedSpan(NamedTuple):
    """A stretch of a router's time, both ends included."""

    from_ms: int
    to_ms: int


class Place(NamedTuple):
    """A router, a site or the city."""

    scope: Scope
    scope_id: int


class WaitingHour(NamedTuple):
    """An hour, and what of it is to be summed again."""

    hour_ms: int
    from_ms: int
    to_ms: int


def next_router(db: Database, before_ms: int, after: int) -> int | None:
    """A router that changed before a time: the first with a greater id than `after`, else any."""
    due = "SELECT min(router_id) FROM dirty WHERE from_ms < ?"
    if db.execute(due, (before_ms,)).fetchone()[0] is None:
        return None
    (router_id,) = db.execute(
        f"SELECT coalesce(({due} AND router_id > ?), ({due}))", (before_ms, after, before_ms)
    ).fetchone()
    return int(router_id)


def changed_spans(db: Database, router_id: int, before_ms: int, limit: int) -> list[ChangedSpan]:
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


def cross_off_spans(db: Database, router_id: int, end_ms: int) -> None:
    """What lies before `end_ms` is computed; the rest of a span stays."""
    db.execute(
        "INSERT OR IGNORE INTO dirty SELECT router_id, ?, max(to_ms) FROM dirty"
        " WHERE router_id = ? AND from_ms < ? AND to_ms >= ? GROUP BY router_id",
        (end_ms, router_id, end_ms, end_ms),
    )
    db.execute("DELETE FROM dirty WHERE router_id = ? AND from_ms < ?", (router_id, end_ms))


def next_place(db: Database) -> Place | None:
    """A site with hours that wait; the city when no site has any."""
    row = db.execute("SELECT scope, scope_id FROM stale ORDER BY scope DESC LIMIT 1").fetchone()
    return None if row is None else Place(*row)


def waiting_hours(db: Database, place: Place, limit: int) -> list[WaitingHour]:
    """The oldest first."""
    rows = db.execute(
        "SELECT hour_ms, from_ms, to_ms FROM stale WHERE scope = ? AND scope_id = ?"
        " ORDER BY hour_ms LIMIT ?",
        (*place, limit),
    )
    return [WaitingHour(*row) for row in rows]


def add_hours(db: Database, place: Place, hours: Iterable[WaitingHour]) -> None:
    """Sum these too; of an hour that waits already, what is between them as well."""
    db.executemany(
        "INSERT INTO stale VALUES (?, ?, ?, ?, ?) ON CONFLICT (scope, scope_id, hour_ms) DO"
        " UPDATE SET from_ms = min(from_ms, excluded.from_ms),"
        " to_ms = max(to_ms, excluded.to_ms)",
        [(*place, *hour) for hour in hours],
    )


def cross_off_hours(db: Database, place: Place, hours: Iterable[WaitingHour]) -> None:
    """These are summed."""
    db.executemany(
        "DELETE FROM stale WHERE scope = ? AND scope_id = ? AND hour_ms = ?",
        [(*place, one.hour_ms) for one in hours],
    )


def add_everything(db: Database) -> None:
    """Compute all that is known of routers again, and sum every hour."""
    db.execute(
        "INSERT OR IGNORE INTO dirty SELECT router_id, min(first_ms), max(last_ms) FROM ("
        " SELECT router_id, first_ms, last_ms FROM boot_time UNION ALL"
        " SELECT scope_id, start_ms, end_ms FROM rollup WHERE scope = 'router')"
        " GROUP BY router_id"
    )
    db.execute(
        "INSERT OR REPLACE INTO stale SELECT scope, scope_id, start_ms, start_ms, end_ms"
        " FROM rollup WHERE window = '1h' AND scope != 'router'"
    )


_MEMBERS: dict[Scope, str] = {
    "router": "router_id = :id",
    "site": "router_id IN (SELECT router_id FROM membership WHERE site_id = :id)",
    "city": "true",
}


def waiting_span(db: Database, place: Place) -> Span | None:
    """From the first to the last that waits of a place, or of a router that it is summed of."""
    from_ms, to_ms = db.execute(
        "SELECT min(from_ms), max(to_ms) + 1 FROM ("
        f"SELECT from_ms, to_ms FROM dirty WHERE {_MEMBERS[place.scope]} UNION ALL"
        " SELECT from_ms, to_ms FROM stale WHERE scope = :scope AND scope_id = :id)",
        {"id": place.scope_id, "scope": place.scope},
    ).fetchone()
    return None if from_ms is None else Span(from_ms, to_ms)
