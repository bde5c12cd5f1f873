"""Rollups kept up to date: what changed is computed again, in steps that are whole or not at all.

Rule: a router's minutes come from its samples, its hours from its minutes, its days from its hours
and from samples whose time is only bounded; sites and the city are sums (see `sums`).
Rule: what is to be done is written in the store (`dirty`, `stale`) and crossed off in the
transaction that does it, so a crash repeats or loses nothing.
Rule: a minute is computed when it is over and the sample after it has had time to arrive; when the
collector ends, without waiting for that sample: it makes the minute dirty again.
Rule: `revision` rises only when the content changed; a window of which nothing is known any more
stays, empty. Windows that begin before `sealed_before_ms` are never computed again.
"""

import time
from collections.abc import Callable
from zoneinfo import ZoneInfo

from titik_collector.figures.scope import CITY_ID, Scope
from titik_collector.figures.windows import DAY_MS, HOUR_MS, MINUTE_MS, Calendar, Span, minute
from titik_collector.rollups.aggregation import Membership
from titik_collector.rollups.rollup_table import to_message
from titik_collector.rollups.router import RouterRollups
from titik_collector.rollups.site import SiteRollups, Stale
from titik_collector.store.database import Database, transaction

__all__ = ["Rollups", "to_message"]

GRACE_MS = 40_000  # a router samples every 30 s; the figures of a minute come with its next sample
CHUNK_MS = 6 * HOUR_MS  # of a router's time in one transaction: bounds memory and waiting
MAX_HOURS = 6  # of a site's time in one transaction; fewer where many routers are summed
MAX_RANGES = 1000  # of a router looked at for one transaction


class Rollups:
    """Works off what is dirty in an open database, for a city in one time zone."""

    def __init__(
        self,
        db: Database,
        zone: ZoneInfo,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        grace_ms: int = GRACE_MS,
    ) -> None:
        self._db = db
        self._calendar = Calendar(zone)
        self._now_ms = now_ms
        self._grace_ms = grace_ms
        self._routers = RouterRollups(db, self._calendar)
        self._sites: SiteRollups | None = None
        self._memberships = -1  # how many the sums know of
        self._turn = 0  # router whose turn it was last

    def work(self, budget_s: float, clock: Callable[[], float]) -> bool:
        """Work for about so long; True if there is more to do.

        Routers first, because sites are sums of them; but sites get half of the time, so that a
        long backfill does not starve them.
        """
        start = clock()
        while (spent := clock() - start) < budget_s:
            if spent < budget_s / 2:
                busy = self._step_router() or self._step_sum()
            else:
                busy = self._step_sum() or self._step_router()
            if not busy:
                return False
        return True

    def finish(self, budget_s: float, clock: Callable[[], float]) -> bool:
        """The last work before an end: minutes that are over, waiting for nothing."""
        self._grace_ms = 0
        return self.work(budget_s, clock)

    def rebuild(self) -> None:
        """Compute all that is over and not sealed again; if all was right, nothing changes."""
        with transaction(self._db):
            self._db.execute(
                "INSERT OR IGNORE INTO dirty SELECT router_id, min(first_ms), max(last_ms) FROM ("
                " SELECT router_id, first_ms, last_ms FROM boot_time UNION ALL"
                " SELECT scope_id, start_ms, end_ms FROM rollup WHERE scope = 'router')"
                " GROUP BY router_id"
            )
            self._db.execute(
                "INSERT OR REPLACE INTO stale SELECT scope, scope_id, start_ms, start_ms, end_ms"
                " FROM rollup WHERE window = '1h' AND scope != 'router'"
            )
        while self._step_router() or self._step_sum():
            pass

    def _step_router(self) -> bool:
        """Compute one stretch of one router's time; False if none is due."""
        horizon_ms = minute(self._now_ms() - self._grace_ms).start_ms
        due = "SELECT min(router_id) FROM dirty WHERE from_ms < ?"
        if self._db.execute(due, (horizon_ms,)).fetchone()[0] is None:
            return False
        # In turn, so that one router with much to do holds up nobody.
        (self._turn,) = self._db.execute(
            f"SELECT coalesce(({due} AND router_id > ?), ({due}))",
            (horizon_ms, self._turn, horizon_ms),
        ).fetchone()
        with transaction(self._db):
            span = self._next_stretch(self._turn, horizon_ms)
            self._cross_off(self._turn, span.end_ms)
            if span.start_ms < span.end_ms:
                self._routers.roll(self._turn, span, self._sealed_ms(), self._now_ms())
                self._mark_sites(self._turn, span)
        return True

    def _next_stretch(self, router_id: int, horizon_ms: int) -> Span:
        """The first whole minutes of it that are dirty; an empty stretch if there is no data."""
        ranges = self._db.execute(
            "SELECT from_ms, to_ms FROM dirty WHERE router_id = ? AND from_ms < ?"
            " ORDER BY from_ms LIMIT ?",
            (router_id, horizon_ms, MAX_RANGES),
        ).fetchall()
        start_ms = end_ms = minute(ranges[0][0]).start_ms
        for from_ms, to_ms in ranges:
            if minute(from_ms).start_ms > end_ms:
                break
            end_ms = max(end_ms, minute(to_ms).end_ms)
        end_ms = min(end_ms, horizon_ms)
        known_ms = self._earliest_known(router_id, start_ms)
        if known_ms is None or known_ms >= end_ms:
            return Span(end_ms, end_ms)
        start_ms = max(start_ms, minute(known_ms).start_ms, self._sealed_ms())
        return Span(start_ms, max(start_ms, min(end_ms, start_ms + CHUNK_MS)))

    def _earliest_known(self, router_id: int, at_ms: int) -> int | None:
        """From when on anything is, or has been, known of a router: years without are one step."""
        found = self._db.execute(
            "SELECT min(ms) FROM (SELECT min(first_ms) AS ms FROM boot_time"
            " WHERE router_id = :router AND last_ms >= :at UNION ALL"
            " SELECT min(start_ms) FROM rollup WHERE scope = 'router' AND scope_id = :router"
            "  AND window = '1m' AND start_ms >= :at UNION ALL"
            " SELECT min(day_ms) FROM cold WHERE scope = 'router' AND scope_id = :router"
            "  AND day_ms > :at - :day UNION ALL"
            " SELECT min(start_ms) FROM rollup WHERE scope = 'router' AND scope_id = :router"
            "  AND window = '1d' AND start_ms > :at - :days)",
            {"router": router_id, "at": at_ms, "day": DAY_MS, "days": 2 * DAY_MS},
        ).fetchone()[0]
        return None if found is None else max(at_ms, int(found))

    def _cross_off(self, router_id: int, end_ms: int) -> None:
        """What lies before `end_ms` is done with this transaction; the rest stays."""
        self._db.execute(
            "INSERT OR IGNORE INTO dirty SELECT router_id, ?, max(to_ms) FROM dirty"
            " WHERE router_id = ? AND from_ms < ? AND to_ms >= ? GROUP BY router_id",
            (end_ms, router_id, end_ms, end_ms),
        )
        self._db.execute(
            "DELETE FROM dirty WHERE router_id = ? AND from_ms < ?", (router_id, end_ms)
        )

    def _mark_sites(self, router_id: int, span: Span) -> None:
        """Every site it ever belonged to, because its membership may be what changed."""
        for (site_id,) in self._db.execute(
            "SELECT DISTINCT site_id FROM membership WHERE router_id = ? AND site_id IS NOT NULL",
            (router_id,),
        ).fetchall():
            self._mark_stale("site", site_id, span)

    def _mark_stale(self, scope: Scope, scope_id: int, span: Span) -> None:
        self._db.executemany(
            "INSERT INTO stale VALUES (?, ?, ?, ?, ?) ON CONFLICT (scope, scope_id, hour_ms) DO"
            " UPDATE SET from_ms = min(from_ms, excluded.from_ms),"
            " to_ms = max(to_ms, excluded.to_ms)",
            [
                (
                    scope,
                    scope_id,
                    hour.start_ms,
                    max(hour.start_ms, span.start_ms),
                    min(hour.end_ms, span.end_ms),
                )
                for hour in self._calendar.hours(*span)
            ],
        )

    def _step_sum(self) -> bool:
        """Sum up hours of a site, or one of the city when no site is left; False if none is due."""
        found = self._db.execute(
            "SELECT scope, scope_id FROM stale ORDER BY scope DESC LIMIT 1"
        ).fetchone()
        if found is None:
            return False
        scope, scope_id = found
        sealed_ms = self._sealed_ms()
        with transaction(self._db):
            sites = self._site_rollups()
            most = 1 if scope == "city" else max(1, MAX_HOURS // sites.routers(scope_id))
            rows = self._db.execute(
                "SELECT hour_ms, from_ms, to_ms FROM stale WHERE scope = ? AND scope_id = ?"
                " ORDER BY hour_ms LIMIT ?",
                (scope, scope_id, most),
            ).fetchall()
            stale = [
                Stale(
                    self._calendar.hour(hour_ms),
                    Span(max(from_ms, sealed_ms), max(to_ms, sealed_ms)),
                )
                for hour_ms, from_ms, to_ms in rows
            ]
            if scope == "city":
                sites.roll_city(*stale[0], sealed_ms, self._now_ms())
            elif sites.roll_site(scope_id, stale, sealed_ms, self._now_ms()):
                for _, from_ms, to_ms in rows:
                    self._mark_stale("city", CITY_ID, Span(from_ms, to_ms))
            self._db.executemany(
                "DELETE FROM stale WHERE scope = ? AND scope_id = ? AND hour_ms = ?",
                [(scope, scope_id, row[0]) for row in rows],
            )
        return True

    def _site_rollups(self) -> SiteRollups:
        """With the membership of now; rows are only ever added to it."""
        (count,) = self._db.execute("SELECT count(*) FROM membership").fetchone()
        if self._sites is None or count != self._memberships:
            self._sites = SiteRollups(self._db, self._calendar, Membership(self._db))
            self._memberships = count
        return self._sites

    def _sealed_ms(self) -> int:
        found = self._db.execute(
            "SELECT CAST(value AS INTEGER) FROM setting WHERE name = 'sealed_before_ms'"
        ).fetchone()
        return -(-found[0] // MINUTE_MS) * MINUTE_MS if found else 0
