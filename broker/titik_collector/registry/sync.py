"""Brings the store to what the configuration has.

Rule: the file has what is now, the store keeps what was: a move or a removal adds a dated row.
Rule: ids never change; a router that is removed and added again is the same router.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from titik_collector.config.model import Config
from titik_collector.figures.scope import CITY_ID
from titik_collector.figures.windows import minute
from titik_collector.registry import settings_sync
from titik_collector.store import (
    changed_span_rows,
    membership,
    outages,
    presence_rows,
    revocations,
    router_answers,
    site_fact_rows,
    unknown_routers,
    waiting_hours,
    wishes,
)
from titik_collector.store import registry_rows as stored
from titik_collector.store.changed_span_rows import ChangedSpan
from titik_collector.store.database import Database
from titik_collector.store.membership import Move
from titik_collector.store.registry_rows import SiteRow
from titik_collector.store.rollups import ScopeId
from titik_collector.store.site_fact_rows import ALWAYS_MS, DatedFact, SiteFacts

CUT_MS = 60_000  # `titik router remove` cuts the connection before we read the file: no outage


@dataclass(frozen=True, slots=True)
class Changes:
    """What a sync found different: names of routers and sites."""

    added: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    removed_sites: tuple[str, ...] = ()
    wished: tuple[str, ...] = ()  # routers that are to run with other settings

    def __add__(self, later: "Changes") -> "Changes":
        """What two syncs in a row found."""
        return Changes(
            self.added + later.added,
            self.moved + later.moved,
            self.removed + later.removed,
            self.removed_sites + later.removed_sites,
            self.wished + later.wished,
        )


def sync(db: Database, config: Config, now_ms: int) -> Changes:
    """Write the file's sites and routers into the store; the second time changes nothing."""
    with db.transaction():
        removed_sites = _sync_sites(db, config)
        site_fact_rows.add(db, list(_new_facts(db, config, now_ms)))
        sites, was = stored.site_ids(db), stored.routers(db)
        added, moved = [], []
        changed: dict[int, int] = {}  # sites whose routers are others than before, from when on
        for router in config.router:
            since_ms = config.since_ms(router)
            if router.name not in was or not was[router.name].registered:
                added.append(router.name)
                stored.add_router(db, router.name, now_ms)
                unknown_routers.forget(db, router.name)
            if _place(db, router.name, sites[router.site], since_ms, now_ms, changed):
                moved.append(router.name)
            _revoke(db, router.name, config.revoked_ms(router), now_ms)
        removed = sorted(
            {name for name, one in was.items() if one.registered}
            - {router.name for router in config.router}
        )
        for name in removed:
            stored.remove_router(db, name)
            _end_presence(db, was[name].id, now_ms)
            wishes.forget(db, was[name].id, now_ms)
            router_answers.forget(db, was[name].id)
            _place(db, name, None, None, now_ms, changed)
        _sum_again(db, changed)
        wished = settings_sync.wish(db, config, now_ms)
    return Changes(
        tuple(added),
        tuple(name for name in moved if name not in set(added)),
        tuple(removed),
        tuple(removed_sites),
        wished,
    )


def removed(db: Database) -> Changes:
    """Every router and site that was registered once and is not now."""
    return Changes(removed=stored.removed_routers(db), removed_sites=stored.removed_sites(db))


def _sync_sites(db: Database, config: Config) -> list[str]:
    for site in config.site:
        stored.put_site(db, SiteRow(*(getattr(site, name) for name in SiteRow._fields)))
    removed = sorted(stored.registered_sites(db).keys() - {site.name for site in config.site})
    for name in removed:
        stored.remove_site(db, name)
    return removed


def _new_facts(db: Database, config: Config, now_ms: int) -> Iterator[DatedFact]:
    """What the file says of its sites otherwise than the store does."""
    ids = stored.site_ids(db)
    was = {(one.site_id, one.name): one for one in site_fact_rows.newest(db)}
    for site in config.site:
        facts = SiteFacts(*(getattr(site, name) for name in SiteFacts._fields))
        for name, value in site_fact_rows.to_text(facts).items():
            last = was.get((ids[site.name], name))
            if value == (last.value if last else None):
                continue
            # The clock may have been set back.
            from_ms = max(now_ms, last.from_ms + 1) if last else ALWAYS_MS
            yield DatedFact(ids[site.name], name, from_ms, value)


def _revoke(db: Database, name: str, revoked_ms: int | None, now_ms: int) -> None:
    """Begin or end a revocation; what the router is, is learnt again after either."""
    router_id = stored.router_id(db, name)
    if (revoked_ms is not None) == revocations.is_open(db, router_id):
        return
    _end_presence(db, router_id, now_ms)
    if revoked_ms is None:
        revocations.end(db, router_id, now_ms)
    else:
        revocations.begin(db, router_id, revoked_ms)


def _end_presence(db: Database, router_id: int, now_ms: int) -> None:
    """The collector does not hear a removed router: whether it is away no longer matters."""
    outages.withdraw(db, router_id, now_ms - CUT_MS)
    outages.end(db, {router_id: now_ms})
    presence_rows.remove(db, router_id)


def _place(
    db: Database,
    name: str,
    site_id: int | None,
    since_ms: int | None,
    now_ms: int,
    changed: dict[int, int],
) -> bool:
    """Add a move if the router is not at that site already; True if it was elsewhere.

    A `since` that is not after the newest move belongs to an earlier one, so it is not used. A new
    router is there for the whole minute, because a site's minute is of who was there as it began.
    `changed` gets the sites that it came to and left.
    """
    router_id = stored.router_id(db, name)
    last = membership.newest_move(db, router_id)
    if last is not None and last.site_id == site_id:
        return False
    from_ms = (now_ms if last else minute(now_ms).start_ms) if since_ms is None else since_ms
    if last is not None and from_ms <= last.from_ms:
        from_ms = max(now_ms, last.from_ms + 1)  # the clock may have been set back
    membership.add_move(db, router_id, Move(from_ms, site_id))
    for one in (site_id, last.site_id if last else None):
        if one is not None:
            changed[one] = min(from_ms, changed.get(one, from_ms))
    if since_ms is not None and from_ms < now_ms:
        # Rollups of both sites have counted this stretch otherwise.
        changed_span_rows.add(db, [(router_id, ChangedSpan(from_ms, now_ms))])
    return last is not None


def _sum_again(db: Database, changed: dict[int, int]) -> None:
    """Rollups of sites and the city are of more routers now, though these may never be heard."""
    for site_id, from_ms in changed.items():
        waiting_hours.add_since(db, ScopeId("site", site_id), from_ms)
    if changed:
        waiting_hours.add_since(db, ScopeId("city", CITY_ID), min(changed.values()))
