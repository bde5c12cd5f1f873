"""Which routers and sites there are, and which router stood where from when.

Rule: the file says what is now, the store keeps what was: a move or a removal adds a dated row.
Rule: ids never change; a router that is removed and added again is the same router.
"""

import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from titik_collector.config import model as configuration
from titik_collector.config.model import Config, ConfigError
from titik_collector.figures.scope import CITY_ID
from titik_collector.figures.windows import DAY_MS, minute
from titik_collector.store import unknown_routers
from titik_collector.store.database import Database, transaction

log = logging.getLogger(__name__)

CUT_MS = 60_000  # `titik router remove` cuts the connection before we read the file: no outage


@dataclass(frozen=True, slots=True)
class Changes:
    """What a sync found different: names of routers and sites."""

    added: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    removed_sites: tuple[str, ...] = ()


def sync(db: Database, config: Config, now_ms: int) -> Changes:
    """Write the file's sites and routers into the store; the second time changes nothing."""
    with transaction(db):
        removed_sites = _sync_sites(db, config)
        sites: dict[str, int] = dict(db.execute("SELECT name, id FROM site"))
        was: dict[str, tuple[int, int]] = {
            name: (router_id, registered)
            for name, router_id, registered in db.execute("SELECT name, id, registered FROM router")
        }
        added, moved = [], []
        changed: dict[int, int] = {}  # sites whose routers are others than before, from when on
        for router in config.router:
            since_ms = config.since_ms(router)
            if was.get(router.name, (0, 0))[1] == 0:
                added.append(router.name)
                _add(db, router.name, now_ms)
            if _place(db, router.name, sites[router.site], since_ms, now_ms, changed):
                moved.append(router.name)
            _revoke(db, router.name, config.revoked_ms(router), now_ms)
        removed = sorted(
            {name for name, (_, registered) in was.items() if registered}
            - {router.name for router in config.router}
        )
        for name in removed:
            db.execute("UPDATE router SET registered = 0 WHERE name = ?", (name,))
            _end_presence(db, was[name][0], now_ms)
            _place(db, name, None, None, now_ms, changed)
        _sum_again(db, changed)
    return Changes(
        tuple(added),
        tuple(name for name in moved if name not in set(added)),
        tuple(removed),
        tuple(removed_sites),
    )


def removed(db: Database) -> Changes:
    """Every router and site that was registered once and is not now."""
    gone = [
        tuple(name for (name,) in db.execute(f"SELECT name FROM {table} WHERE registered = 0"))
        for table in ("router", "site")
    ]
    return Changes(removed=gone[0], removed_sites=gone[1])


def _sync_sites(db: Database, config: Config) -> list[str]:
    for site in config.site:
        db.execute(
            "INSERT INTO site (name, title, latitude, longitude, capacity, uplink_mbps, registered)"
            " VALUES (?, ?, ?, ?, ?, ?, 1) ON CONFLICT (name) DO UPDATE SET title = excluded.title,"
            " latitude = excluded.latitude, longitude = excluded.longitude,"
            " capacity = excluded.capacity, uplink_mbps = excluded.uplink_mbps, registered = 1",
            (
                site.name,
                site.title,
                site.latitude,
                site.longitude,
                site.capacity,
                site.uplink_mbps,
            ),
        )
    registered = {name for (name,) in db.execute("SELECT name FROM site WHERE registered = 1")}
    removed = sorted(registered - {site.name for site in config.site})
    for name in removed:
        db.execute("UPDATE site SET registered = 0 WHERE name = ?", (name,))
    return removed


def _add(db: Database, name: str, now_ms: int) -> None:
    db.execute(
        "INSERT INTO router (name, registered, registered_ms) VALUES (?, 1, ?)"
        " ON CONFLICT (name) DO UPDATE SET registered = 1, registered_ms = excluded.registered_ms",
        (name, now_ms),
    )
    unknown_routers.forget(db, name)


def _revoke(db: Database, name: str, revoked_ms: int | None, now_ms: int) -> None:
    """Begin or end a revocation; what the router is, is learnt anew after either."""
    router_id: int = db.execute("SELECT id FROM router WHERE name = ?", (name,)).fetchone()[0]
    since_ms = db.execute(
        "SELECT from_ms FROM revocation WHERE router_id = ? AND to_ms IS NULL", (router_id,)
    ).fetchone()
    if (revoked_ms is None) == (since_ms is None):
        return
    _end_presence(db, router_id, now_ms)
    if revoked_ms is None:
        db.execute(
            "UPDATE revocation SET to_ms = ? WHERE router_id = ? AND to_ms IS NULL",
            (now_ms, router_id),
        )
    else:
        db.execute("INSERT OR REPLACE INTO revocation VALUES (?, ?, NULL)", (router_id, revoked_ms))


def _end_presence(db: Database, router_id: int, now_ms: int) -> None:
    """Nobody listens to a removed router: whether it is away is no question any more."""
    db.execute(
        "DELETE FROM outage WHERE router_id = ? AND to_ms IS NULL"
        " AND (SELECT since_ms FROM presence WHERE router_id = outage.router_id) >= ?",
        (router_id, now_ms - CUT_MS),
    )
    db.execute(
        "UPDATE outage SET to_ms = ? WHERE router_id = ? AND to_ms IS NULL", (now_ms, router_id)
    )
    db.execute("DELETE FROM presence WHERE router_id = ?", (router_id,))


def _place(
    db: Database,
    name: str,
    site_id: int | None,
    since_ms: int | None,
    now_ms: int,
    changed: dict[int, int],
) -> bool:
    """Add a membership row if the router is not at that site already; True if it was elsewhere.

    A `since` that is not after the newest row belongs to an earlier stay, so it is not used. A new
    router is there for the whole minute, because a site's minute is of who was there as it began.
    `changed` gets the sites that it came to and left.
    """
    router_id: int = db.execute("SELECT id FROM router WHERE name = ?", (name,)).fetchone()[0]
    last = db.execute(
        "SELECT from_ms, site_id FROM membership WHERE router_id = ? ORDER BY from_ms DESC LIMIT 1",
        (router_id,),
    ).fetchone()
    if last is not None and last[1] == site_id:
        return False
    from_ms = (now_ms if last else minute(now_ms).start_ms) if since_ms is None else since_ms
    if last is not None and from_ms <= last[0]:
        from_ms = max(now_ms, last[0] + 1)  # the clock may have been set back
    db.execute(
        "INSERT INTO membership (router_id, from_ms, site_id) VALUES (?, ?, ?)",
        (router_id, from_ms, site_id),
    )
    for one in (site_id, last[1] if last else None):
        if one is not None:
            changed[one] = min(from_ms, changed.get(one, from_ms))
    if (
        since_ms is not None and from_ms < now_ms
    ):  # rollups of both sites have counted this stretch otherwise
        db.execute(
            "INSERT OR IGNORE INTO dirty (router_id, from_ms, to_ms) VALUES (?, ?, ?)",
            (router_id, from_ms, now_ms),
        )
    return last is not None


def _sum_again(db: Database, changed: dict[int, int]) -> None:
    """Rollups of sites and the city are of more routers now, though these may never be heard."""
    scopes = [("site", site_id, from_ms) for site_id, from_ms in changed.items()]
    if changed:
        scopes.append(("city", CITY_ID, min(changed.values())))
    db.executemany(
        # Of a day at least its first hour, with which the day is computed.
        "INSERT INTO stale SELECT scope, scope_id, start_ms, start_ms,"
        "  iif(window = '1h', end_ms, start_ms) FROM rollup WHERE scope = ?1 AND scope_id = ?2"
        "  AND window IN ('1h', '1d') AND start_ms > ?3 - ?4 AND end_ms > ?3"
        " ON CONFLICT (scope, scope_id, hour_ms) DO UPDATE SET"
        " from_ms = min(from_ms, excluded.from_ms), to_ms = max(to_ms, excluded.to_ms)",
        [(*scope, 2 * DAY_MS) for scope in scopes],
    )


class Registry:
    """What the store has registered, in memory; `reload` after a sync."""

    def __init__(self, db: Database, city: str) -> None:
        self.city = city
        self._db = db
        self._routers: dict[str, tuple[int, str | None]] = {}
        self._names: dict[int, str] = {}
        self._sites: dict[str, int] = {}
        self.reload()

    def reload(self) -> None:
        """Take what the store has now."""
        self._routers = {
            name: (router_id, site)
            for router_id, name, site in self._db.execute(
                "SELECT router.id, router.name, site.name FROM router"
                " LEFT JOIN membership ON membership.router_id = router.id AND membership.from_ms ="
                " (SELECT max(from_ms) FROM membership WHERE router_id = router.id)"
                " LEFT JOIN site ON site.id = membership.site_id"
                " WHERE router.registered = 1 ORDER BY router.name"
            )
        }
        self._names = {router_id: name for name, (router_id, _) in self._routers.items()}
        self._sites = dict(
            self._db.execute("SELECT name, id FROM site WHERE registered = 1 ORDER BY name")
        )

    def router_id(self, name: str) -> int | None:
        """The router's id; None if it is not registered."""
        found = self._routers.get(name)
        return None if found is None else found[0]

    def name(self, router_id: int) -> str | None:
        """The name of a registered router."""
        return self._names.get(router_id)

    def routers(self) -> Iterable[tuple[int, str, str | None]]:
        """Id, name and site of every registered router, by name."""
        return ((router_id, name, site) for name, (router_id, site) in self._routers.items())

    def sites(self) -> Iterable[tuple[int, str]]:
        """Id and name of every registered site, by name."""
        return ((site_id, name) for name, site_id in self._sites.items())


Signature = tuple[int, int, int] | None  # None: no such file


class ConfigWatch:
    """Notices that the file was edited; a broken edit is said once and changes nothing.

    An edit is taken when two polls in a row saw the same file: an editor that writes in place
    leaves half a file behind for a moment, and half a file would remove routers.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._taken = self._seen = self._signature()

    def poll(self) -> Config | None:
        """The new configuration, once, after an edit that is complete and right."""
        signature = self._signature()
        settled = signature == self._seen
        self._seen = signature
        if not settled or signature == self._taken:
            return None
        self._taken = signature
        try:
            config = configuration.load(self._file)
        except ConfigError as error:
            log.error("configuration not taken, the one before stays error=%s", error)
            return None
        log.info("configuration read again file=%s routers=%d", self._file, len(config.router))
        return config

    def _signature(self) -> Signature:
        try:
            stat = os.stat(self._file)
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_size, stat.st_ino
