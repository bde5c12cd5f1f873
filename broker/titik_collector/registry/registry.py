"""Which routers and sites are registered, in memory."""

from collections.abc import Iterable

from titik_collector.store import registry_rows as stored
from titik_collector.store.database import Database
from titik_collector.store.registry_rows import PlacedRouter


class Registry:
    """What the store has registered, in memory; `reload` after a sync."""

    def __init__(self, db: Database, city: str) -> None:
        self.city = city
        self._db = db
        self._routers: dict[str, PlacedRouter] = {}
        self._names: dict[int, str] = {}
        self._sites: dict[str, int] = {}
        self.reload()

    def reload(self) -> None:
        """Take what the store has now."""
        self._routers = {one.name: one for one in stored.registered_routers(self._db)}
        self._names = {one.id: name for name, one in self._routers.items()}
        self._sites = stored.registered_sites(self._db)

    def router_id(self, name: str) -> int | None:
        """The router's id; None if it is not registered."""
        found = self._routers.get(name)
        return None if found is None else found.id

    def name(self, router_id: int) -> str | None:
        """The name of a registered router."""
        return self._names.get(router_id)

    def router(self, name: str) -> PlacedRouter | None:
        """A registered router and its site."""
        return self._routers.get(name)

    def routers(self) -> Iterable[PlacedRouter]:
        """Id, name and site of every registered router, by name."""
        return self._routers.values()

    def sites(self) -> Iterable[tuple[int, str]]:
        """Id and name of every registered site, by name."""
        return ((site_id, name) for name, site_id in self._sites.items())
