"""Which router belonged to which site from when to when; a move adds a row and changes none."""

from collections.abc import Sequence
from typing import NamedTuple

from titik_collector.figures.scope import CITY_ID, FOR_EVER_MS
from titik_collector.store.database import Database
from titik_collector.store.rollups import ScopeId


class Stay(NamedTuple):
    """A router at a site, from and to before a time."""

    router_id: int
    site_id: int
    from_ms: int
    to_ms: int


class Move(NamedTuple):
    """From when a router is at a site."""

    from_ms: int
    site_id: int | None  # None: at no site


class UplinkLimit(NamedTuple):
    """What the uplink of a router's site can carry from a time on."""

    from_ms: int
    mbps: float | None  # None: not known


def stays(db: Database) -> list[Stay]:
    """Of all routers, those of one after each other and in order of time."""
    rows = db.execute(
        "SELECT router_id, site_id, from_ms, lead(from_ms, 1, ?)"
        " OVER (PARTITION BY router_id ORDER BY from_ms) FROM membership"
        " ORDER BY router_id, from_ms",
        (FOR_EVER_MS,),
    )
    return [Stay(*row) for row in rows if row[1] is not None]


def count(db: Database) -> int:
    """How many rows there are: another number means another membership."""
    (number,) = db.execute("SELECT count(*) FROM membership").fetchone()
    return int(number)


def first_ms(db: Database, place: ScopeId) -> int | None:
    """From when on a router, or the first one of a site or the city, belonged to a site."""
    column = {"router": "router_id", "site": "site_id", "city": CITY_ID}[place.scope]
    (from_ms,) = db.execute(
        f"SELECT min(from_ms) FROM membership WHERE {column} = ?", (place.scope_id,)
    ).fetchone()
    return None if from_ms is None else int(from_ms)


def uplink_limits(db: Database, routers: Sequence[int]) -> dict[int, list[UplinkLimit]]:
    """Of each router the newest first."""
    head, values = db.keyed(("one",), [(one,) for one in routers])
    found: dict[int, list[UplinkLimit]] = {}
    for router_id, *limit in db.execute(
        f"{head} SELECT router_id, from_ms, uplink_mbps FROM key CROSS JOIN membership"
        " LEFT JOIN site ON site.id = site_id WHERE router_id = one ORDER BY from_ms DESC",
        values,
    ):
        found.setdefault(router_id, []).append(UplinkLimit(*limit))
    return found


def newest_move(db: Database, router_id: int) -> Move | None:
    """Where the router stands; None if it never stood anywhere."""
    row = db.execute(
        "SELECT from_ms, site_id FROM membership WHERE router_id = ? ORDER BY from_ms DESC LIMIT 1",
        (router_id,),
    ).fetchone()
    return None if row is None else Move(*row)


def add_move(db: Database, router_id: int, move: Move) -> None:
    """The router stands elsewhere from then on."""
    db.execute(
        "INSERT INTO membership (router_id, from_ms, site_id) VALUES (?, ?, ?)",
        (router_id, *move),
    )
