"""The rows of routers and sites, registered or removed.

Rule: ids never change, and no row goes: what is removed is only no longer registered.
"""

from collections.abc import Mapping
from typing import NamedTuple

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
    """The site is no longer registered."""
    db.execute("UPDATE site SET registered = 0 WHERE name = ?", (name,))


def site_ids(db: Database) -> Mapping[str, int]:
    """Every site that ever was registered, by name."""
    return dict(db.execute("SELECT name, id FROM site").fetchall())


def registered_sites(db: Database) -> dict[str, int]:
    """Ids of the registered sites by name, in order of name."""
    rows = db.execute("SELECT name, id FROM site WHERE registered = 1 ORDER BY name")
    return dict(rows.fetchall())


def removed_sites(db: Database) -> tuple[str, ...]:
    """Names of sites that are no longer registered."""
    return tuple(name for (name,) in db.execute("SELECT name FROM site WHERE registered = 0"))


def add_router(db: Database, name: str, now_ms: int) -> None:
    """Register a router that is new, or was removed."""
    db.execute(
        "INSERT INTO router (name, registered, registered_ms) VALUES (?, 1, ?)"
        " ON CONFLICT (name) DO UPDATE SET registered = 1, registered_ms = excluded.registered_ms",
        (name, now_ms),
    )


def remove_router(db: Database, name: str) -> None:
    """The router is no longer registered."""
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
    """Names of routers that are no longer registered."""
    return tuple(name for (name,) in db.execute("SELECT name FROM router WHERE registered = 0"))
