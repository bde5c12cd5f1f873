"""Names of routers and sites by number and back, for rollups, acks and events.

Rule: one that is registered no longer keeps its number and its name.
"""

from typing import NamedTuple

from titik_collector.store.database import Database


class NamedSite(NamedTuple):
    """One site."""

    id: int
    name: str
    title: str


class NamedRouter(NamedTuple):
    """One router."""

    id: int
    name: str


def sites(db: Database) -> list[NamedSite]:
    """Every site that there ever was, by name."""
    rows = db.execute("SELECT id, name, title FROM site ORDER BY name")
    return [NamedSite(*row) for row in rows]


def registered_sites(db: Database) -> list[NamedSite]:
    """The sites of now, by title."""
    rows = db.execute("SELECT id, name, title FROM site WHERE registered = 1 ORDER BY title")
    return [NamedSite(*row) for row in rows]


def routers(db: Database) -> list[NamedRouter]:
    """Every router that there ever was, by name."""
    return [NamedRouter(*row) for row in db.execute("SELECT id, name FROM router ORDER BY name")]


def routers_by_site(db: Database) -> dict[str | None, set[str]]:
    """The names of registered routers, by the name of the site they belong to."""
    found: dict[str | None, set[str]] = {}
    for router, site in db.execute("SELECT router, site FROM v_router WHERE registered = 1"):
        found.setdefault(site, set()).add(router)
    return found
