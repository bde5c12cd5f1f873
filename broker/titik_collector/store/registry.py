"""Routers and sites, registered or not any more, and which router stood where from when.

Rule: ids never change, and no row goes: what is removed is only not registered any more.
"""

from collections.abc import Mapping
from typing import NamedTuple

from titik_collector.figures.windows import DAY_MS
from titik_collector.store.database import Database


class SiteRow(NamedTuple):
    """A site as the configuration describes it."""

    name: str
    title: str
    latitude: float | None
    longitude: float | None
    capacity: int | None
    uplink_mbps: float | None


class RouterRow(NamedTuple):
    """A router that is, or was, registered."""

    id: int
    registered: bool


class PlacedRouter(NamedTuple):
    """A registered router and the site where it stands; None: at no site."""

    id: int
    name: str
    site: str | None


class Stay(NamedTuple):
    """From when a router is at a site; None: at no site."""

    from_ms: int
    site_id: int | None


def put_site(db: Database, site: SiteRow) -> None:
    """Register the site, or describe it otherwise."""
    db.execute(
        "INSERT INTO site (name, title, latitude, longitude, capacity, uplink_mbps, registered)"
        " VALUES (?, ?, ?, ?, ?, ?, 1) ON CONFLICT (name) DO UPDATE SET title = excluded.title,"
        " latitude = excluded.latitude, longitude = excluded.longitude,"
        " capacity = excluded.capacity, uplink_mbps = excluded.uplink_mbps, registered = 1",
        site,
    )


def remove_site(db: Database, name: str) -> None:
    """The site is not registered any more."""
    db.execute("UPDATE site SET registered = 0 WHERE name = ?", (name,))


def site_ids(db: Database) -> Mapping[str, int]:
    """Every site that ever was registered, by name."""
    return dict(db.execute("SELECT name, id FROM site").fetchall())


def registered_sites(db: Database) -> dict[str, int]:
    """Ids of the registered sites by name, in order of name."""
    rows = db.execute("SELECT name, id FROM site WHERE registered = 1 ORDER BY name")
    return dict(rows.fetchall())


def removed_sites(db: Database) -> tuple[str, ...]:
    """Names of sites that are not registered any more."""
    return tuple(name for (name,) in db.execute("SELECT name FROM site WHERE registered = 0"))


def add_router(db: Database, name: str, now_ms: int) -> None:
    """Register a router that is new, or was removed."""
    db.execute(
        "INSERT INTO router (name, registered, registered_ms) VALUES (?, 1, ?)"
        " ON CONFLICT (name) DO UPDATE SET registered = 1, registered_ms = excluded.registered_ms",
        (name, now_ms),
    )


def remove_router(db: Database, name: str) -> None:
    """The router is not registered any more."""
    db.execute("UPDATE router SET registered = 0 WHERE name = ?", (name,))


def router_id(db: Database, name: str) -> int:
    """The id of a router that is, or was, registered."""
    found: int = db.execute("SELECT id FROM router WHERE name = ?", (name,)).fetchone()[0]
    return found


def routers(db: Database) -> Mapping[str, RouterRow]:
    """Every router that ever was registered, by name."""
    return {
        name: RouterRow(router_id, bool(registered))
        for name, router_id, registered in db.execute("SELECT name, id, registered FROM router")
    }


def registered_routers(db: Database) -> list[PlacedRouter]:
    """The registered routers, by name."""
    rows = db.execute(
        "SELECT router.id, router.name, site.name FROM router"
        " LEFT JOIN membership ON membership.router_id = router.id AND membership.from_ms ="
        " (SELECT max(from_ms) FROM membership WHERE router_id = router.id)"
        " LEFT JOIN site ON site.id = membership.site_id"
        " WHERE router.registered = 1 ORDER BY router.name"
    )
    return [PlacedRouter(*row) for row in rows]


def removed_routers(db: Database) -> tuple[str, ...]:
    """Names of routers that are not registered any more."""
    return tuple(name for (name,) in db.execute("SELECT name FROM router WHERE registered = 0"))


def newest_stay(db: Database, router_id: int) -> Stay | None:
    """Where the router stands; None if it never stood anywhere."""
    row = db.execute(
        "SELECT from_ms, site_id FROM membership WHERE router_id = ? ORDER BY from_ms DESC LIMIT 1",
        (router_id,),
    ).fetchone()
    return None if row is None else Stay(*row)


def add_stay(db: Database, router_id: int, stay: Stay) -> None:
    """The router stands elsewhere from then on."""
    db.execute(
        "INSERT INTO membership (router_id, from_ms, site_id) VALUES (?, ?, ?)",
        (router_id, *stay),
    )


def is_revoked(db: Database, router_id: int) -> bool:
    """The router has no access now."""
    found = db.execute(
        "SELECT 1 FROM revocation WHERE router_id = ? AND to_ms IS NULL", (router_id,)
    ).fetchone()
    return found is not None


def revoke(db: Database, router_id: int, from_ms: int) -> None:
    """The router has no access from then on."""
    db.execute("INSERT OR REPLACE INTO revocation VALUES (?, ?, NULL)", (router_id, from_ms))


def end_revocation(db: Database, router_id: int, to_ms: int) -> None:
    """The router has access again."""
    db.execute(
        "UPDATE revocation SET to_ms = ? WHERE router_id = ? AND to_ms IS NULL", (to_ms, router_id)
    )


def end_presence(db: Database, router_id: int, now_ms: int, cut_ms: int) -> None:
    """Nobody listens to the router any more: an outage ends, and none counts that began since.

    `cut_ms`: an outage that began then or later is no outage.
    """
    db.execute(
        "DELETE FROM outage WHERE router_id = ? AND to_ms IS NULL"
        " AND (SELECT since_ms FROM presence WHERE router_id = outage.router_id) >= ?",
        (router_id, cut_ms),
    )
    db.execute(
        "UPDATE outage SET to_ms = ? WHERE router_id = ? AND to_ms IS NULL", (now_ms, router_id)
    )
    db.execute("DELETE FROM presence WHERE router_id = ?", (router_id,))


def sum_again(db: Database, scope: str, scope_id: int, from_ms: int) -> None:
    """Sum the hours and days of a site or the city again that ended after `from_ms`."""
    db.execute(
        # Of a day at least its first hour, with which the day is computed.
        "INSERT INTO stale SELECT scope, scope_id, start_ms, start_ms,"
        "  iif(window = '1h', end_ms, start_ms) FROM rollup WHERE scope = ?1 AND scope_id = ?2"
        "  AND window IN ('1h', '1d') AND start_ms > ?3 - ?4 AND end_ms > ?3"
        " ON CONFLICT (scope, scope_id, hour_ms) DO UPDATE SET"
        " from_ms = min(from_ms, excluded.from_ms), to_ms = max(to_ms, excluded.to_ms)",
        (scope, scope_id, from_ms, 2 * DAY_MS),
    )
