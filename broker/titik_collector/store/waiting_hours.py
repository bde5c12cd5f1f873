"""Which hours of sites and of the city are to be summed again: the table `stale`.

Rule: they are written with what they are summed of, and crossed off with the sum.
"""

from collections.abc import Iterable
from typing import NamedTuple

from titik_collector.figures.scope import Scope
from titik_collector.figures.windows import Span
from titik_collector.store.database import Database
from titik_collector.store.rollups import Place
from titik_wire.instant import DAY_MS


class WaitingHour(NamedTuple):
    """An hour, and what of it is to be summed again."""

    hour_ms: int
    from_ms: int
    to_ms: int


def add(db: Database, place: Place, hours: Iterable[WaitingHour]) -> None:
    """Sum these too; of an hour that waits already, what is between them as well."""
    db.executemany(
        "INSERT INTO stale VALUES (?, ?, ?, ?, ?) ON CONFLICT (scope, scope_id, hour_ms) DO"
        " UPDATE SET from_ms = min(from_ms, excluded.from_ms),"
        " to_ms = max(to_ms, excluded.to_ms)",
        [(*place, *hour) for hour in hours],
    )


def add_since(db: Database, place: Place, from_ms: int) -> None:
    """Sum the hours and days again that ended after a time."""
    db.execute(
        # Of a day at least its first hour, with which the day is computed.
        "INSERT INTO stale SELECT scope, scope_id, start_ms, start_ms,"
        "  iif(window = '1h', end_ms, start_ms) FROM rollup WHERE scope = ?1 AND scope_id = ?2"
        "  AND window IN ('1h', '1d') AND start_ms > ?3 - ?4 AND end_ms > ?3"
        " ON CONFLICT (scope, scope_id, hour_ms) DO UPDATE SET"
        " from_ms = min(from_ms, excluded.from_ms), to_ms = max(to_ms, excluded.to_ms)",
        (*place, from_ms, 2 * DAY_MS),
    )


def next_place(db: Database) -> Place | None:
    """A site with hours that wait; the city when no site has any."""
    row = db.execute("SELECT scope, scope_id FROM stale ORDER BY scope DESC LIMIT 1").fetchone()
    return None if row is None else Place(*row)


def of_place(db: Database, place: Place, limit: int) -> list[WaitingHour]:
    """The oldest first."""
    rows = db.execute(
        "SELECT hour_ms, from_ms, to_ms FROM stale WHERE scope = ? AND scope_id = ?"
        " ORDER BY hour_ms LIMIT ?",
        (*place, limit),
    )
    return [WaitingHour(*row) for row in rows]


def cross_off(db: Database, place: Place, hours: Iterable[WaitingHour]) -> None:
    """These are summed."""
    db.executemany(
        "DELETE FROM stale WHERE scope = ? AND scope_id = ? AND hour_ms = ?",
        [(*place, one.hour_ms) for one in hours],
    )


_MEMBERS: dict[Scope, str] = {
    "router": "router_id = :id",
    "site": "router_id IN (SELECT router_id FROM membership WHERE site_id = :id)",
    "city": "true",
}


def pending(db: Database, place: Place) -> Span | None:
    """From the first to the last that waits of a place, and that changed of its routers."""
    from_ms, to_ms = db.execute(
        "SELECT min(from_ms), max(to_ms) + 1 FROM ("
        f"SELECT from_ms, to_ms FROM dirty WHERE {_MEMBERS[place.scope]} UNION ALL"
        " SELECT from_ms, to_ms FROM stale WHERE scope = :scope AND scope_id = :id)",
        {"id": place.scope_id, "scope": place.scope},
    ).fetchone()
    return None if from_ms is None else Span(from_ms, to_ms)
