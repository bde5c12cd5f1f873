"""Which settings each registered router is to have, as the configuration says now.

Rule: a router that never had one gets no wish without a key: it would hear of nothing.
"""

from titik_collector.config.model import Config
from titik_collector.config.settings_tables import effective
from titik_collector.store import registry_rows, wishes
from titik_collector.store.database import Database
from titik_wire.fleet_messages import RouterSettings


def wish(db: Database, config: Config, now_ms: int) -> tuple[str, ...]:
    """Wish what is other than before, in the caller's transaction; the names of its routers."""
    before = {one.router: one.body for one in wishes.all_of(db, "settings")}
    if not config.settings and not before:
        return ()
    changed = [
        one
        for one in effective(config.router, config.settings)
        if _is_other(before.get(one.router), one)
    ]
    if changed:
        ids = registry_rows.routers(db)
        wishes.wish_all(db, ((ids[one.router].id, one) for one in changed), now_ms)
    return tuple(one.router for one in changed)


def _is_other(body: str | None, wished: RouterSettings) -> bool:
    if body is None:
        return wished != RouterSettings(wished.router, wished.revision)
    return body != wishes.body_of(wished)
