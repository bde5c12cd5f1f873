"""Which hours of sites and of the city must be summed again: the table `stale`.

Rule: they are written with what they are summed of, and crossed off with the sum.
"""

from collections.abc import Iterable
from typing import NamedTuple

from titik_collector.figures.scope import Scope
from titik_collector.figures.windows import Span
from titik_collector.store.database import Database
from titik_collector.store.rollups import ScopeId
from titik_wire.instant import DAY_MS


class WaitingHour(NamedTuple):
    """An hour of a site or of the city, and what of it must be summed again."""

    scope: Scope
    scope_id: int
    hour_ms: int
    from_ms: int
    to_ms: int


_EARLIER = "CASE WHEN excluded.from_ms < stale.from_ms THEN excluded.from_ms ELSE stale.from_ms END"
_LATER = "CASE WHEN excluded.to_ms > stale.to_ms THEN excluded.to_ms ELSE stale.to_ms END"
_BOTH = (
    f" ON CONFLICT (scope, scope_id, hour_ms) DO UPDATE SET from_ms = {_EARLIER}, to_ms = {_LATER}"
)


def add(db: Database, hours: Iterable[WaitingHour]) -> None:
    """Sum these too; of an hour that waits already, what is between them as well."""
    joined: dict[tuple[Scope, int, int], WaitingHour] = {}
    for one in hours:
        was = joined.setdefault(one[:3], one)
        from_ms, to_ms = min(was.from_ms, one.from_ms), max(was.to_ms, one.to_ms)
        joined[one[:3]] = was._replace(from_ms=from_ms, to_ms=to_ms)
    db.executemany(
        "INSERT INTO stale (scope, scope_id, hour_ms, from_ms, to_ms) VALUES (?, ?, ?, ?, ?)"
        + _BOTH,
        joined.values(),
    )


def add_since(db: Database, place: ScopeId, from_ms: int) -> None:
    """Sum the hours and days again that ended after a time."""
    db.execute(
        # Of a day at least its first hour, with which the day is computed.
        "INSERT INTO stale (scope, scope_id, hour_ms, from_ms, to_ms)"
        " SELECT scope, scope_id, start_ms, start_ms,"
        "  CASE length WHEN '1h' THEN end_ms ELSE start_ms END FROM rollup"
        "  WHERE scope = ? AND scope_id = ? AND length IN ('1h', '1d')"
        "  AND start_ms > ? AND end_ms > ?" + _BOTH,
        (*place, from_ms - 2 * DAY_MS, from_ms),
    )


def due(db: Database, since_ms: int, limit: int) -> list[WaitingHour]:
    """Hours from a time on: of sites, site by site and the oldest first; else one of the city."""
    rows = db.execute(
        "SELECT scope, scope_id, hour_ms, from_ms, to_ms FROM stale WHERE scope = 'site'"
        " AND hour_ms >= ? ORDER BY scope_id, hour_ms LIMIT ?",
        (since_ms, limit),
    ) or db.execute(
        "SELECT scope, scope_id, hour_ms, from_ms, to_ms FROM stale WHERE hour_ms >= ?"
        " ORDER BY hour_ms LIMIT 1",
        (since_ms,),
    )
    return [WaitingHour(*row) for row in rows]


def cross_off(db: Database, hours: Iterable[WaitingHour]) -> None:
    """These are summed."""
    db.executemany(
        "DELETE FROM stale WHERE scope = ? AND scope_id = ? AND hour_ms = ?",
        [one[:3] for one in hours],
    )


_MEMBERS: dict[Scope, str] = {
    "router": "router_id = :id",
    "site": "router_id IN (SELECT router_id FROM membership WHERE site_id = :id)",
    "city": "true",
}


def pending(db: Database, place: ScopeId) -> Span | None:
    """From the first to the last that waits of a place, and that changed of its routers."""
    from_ms, to_ms = db.execute(
        "SELECT min(from_ms), max(to_ms) + 1 FROM ("
        f"SELECT from_ms, to_ms FROM dirty WHERE {_MEMBERS[place.scope]} UNION ALL"
        " SELECT from_ms, to_ms FROM stale WHERE scope = :scope AND scope_id = :id) AS waiting",
        {"id": place.scope_id, "scope": place.scope},
    ).fetchone()
    return None if from_ms is None else Span(from_ms, to_ms)
