"""Rollups kept up to date: what changed is computed again, in steps that are whole or not at all.

Rule: a router's minutes come from its samples, and its hours from its minutes. Its days come from
its hours, and from samples whose time is only bounded. Sites and the city are sums (`aggregation`).
Rule: what is to be done is in the store: changed spans of routers, hours that wait to be summed. It
is crossed off in the transaction that does it, so a crash repeats or loses nothing.
Rule: a minute is computed when it is over and the sample after it has had time to arrive. When the
collector ends, it does not wait for that sample, which changes the minute again.
Rule: `revision` rises only when the content changed; a window without any known figure stays,
empty. Windows that begin before `sealed_before_ms` are never computed again.
"""

import time
from collections.abc import Callable
from zoneinfo import ZoneInfo

from titik_collector.figures.scope import CITY_ID
from titik_collector.figures.windows import Calendar, Span, minute
from titik_collector.limits import MAX_HOURS, MAX_SPANS
from titik_collector.rollups.aggregation import Membership
from titik_collector.rollups.router import RouterRollups
from titik_collector.rollups.site import HourPart, SiteRollups
from titik_collector.store import changed_span_rows, membership, settings, waiting_hours
from titik_collector.store.database import Database
from titik_collector.store.rollups import Place
from titik_collector.store.waiting_hours import WaitingHour
from titik_wire.instant import HOUR_MS, MINUTE_MS

GRACE_MS = 40_000  # a router samples every 30 s; the figures of a minute come with its next sample
CHUNK_MS = 6 * HOUR_MS  # of a router's time in one transaction: bounds memory and waiting


class Rollups:
    """Computes what waits in an open database, for a city in one time zone."""

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

    def _step_router(self) -> bool:
        """Compute one stretch of one router's time; False if none is due."""
        horizon_ms = minute(self._now_ms() - self._grace_ms).start_ms
        # In turn, so that one router with much to do holds up nobody.
        router_id = changed_span_rows.next_router(self._db, horizon_ms, self._turn)
        if router_id is None:
            return False
        self._turn = router_id
        with self._db.transaction():
            span = self._next_stretch(router_id, horizon_ms)
            changed_span_rows.cross_off(self._db, router_id, span.end_ms)
            if span.start_ms < span.end_ms:
                self._routers.roll(router_id, span, self._sealed_ms(), self._now_ms())
                self._add_sites(router_id, span)
        return True

    def _next_stretch(self, router_id: int, horizon_ms: int) -> Span:
        """The first whole minutes of it that changed; an empty stretch if there is no data."""
        spans = changed_span_rows.of_router(self._db, router_id, horizon_ms, MAX_SPANS)
        start_ms = end_ms = minute(spans[0].from_ms).start_ms
        for from_ms, to_ms in spans:
            if minute(from_ms).start_ms > end_ms:
                break
            end_ms = max(end_ms, minute(to_ms).end_ms)
        end_ms = min(end_ms, horizon_ms)
        # Years that nothing is known of are one step.
        known_ms = changed_span_rows.earliest_known(self._db, router_id, start_ms)
        if known_ms is None or known_ms >= end_ms:
            return Span(end_ms, end_ms)
        start_ms = max(start_ms, minute(known_ms).start_ms, self._sealed_ms())
        return Span(start_ms, max(start_ms, min(end_ms, start_ms + CHUNK_MS)))

    def _add_sites(self, router_id: int, span: Span) -> None:
        """Every site it ever belonged to, because its membership may be what changed."""
        for site_id in membership.sites_of(self._db, router_id):
            self._add_hours(Place("site", site_id), span)

    def _add_hours(self, place: Place, span: Span) -> None:
        """The hours of a stretch wait to be summed."""
        hours = [
            WaitingHour(
                hour.start_ms,
                max(hour.start_ms, span.start_ms),
                min(hour.end_ms, span.end_ms),
            )
            for hour in self._calendar.hours(*span)
        ]
        waiting_hours.add(self._db, place, hours)

    def _step_sum(self) -> bool:
        """Sum up hours of a site, or one of the city when no site is left; False if none is due."""
        place = waiting_hours.next_place(self._db)
        if place is None:
            return False
        sealed_ms = self._sealed_ms()
        with self._db.transaction():
            sites = self._site_rollups()
            most = (
                1 if place.scope == "city" else max(1, MAX_HOURS // sites.routers(place.scope_id))
            )
            hours = waiting_hours.of_place(self._db, place, most)
            parts = [
                HourPart(
                    self._calendar.hour(hour_ms),
                    Span(max(from_ms, sealed_ms), max(to_ms, sealed_ms)),
                )
                for hour_ms, from_ms, to_ms in hours
            ]
            if place.scope == "city":
                sites.roll_city(parts[0], sealed_ms, self._now_ms())
            elif sites.roll_site(place.scope_id, parts, sealed_ms, self._now_ms()):
                for _, from_ms, to_ms in hours:
                    self._add_hours(Place("city", CITY_ID), Span(from_ms, to_ms))
            waiting_hours.cross_off(self._db, place, hours)
        return True

    def _site_rollups(self) -> SiteRollups:
        """With the membership of now; rows are only ever added to it."""
        count = membership.count(self._db)
        if self._sites is None or count != self._memberships:
            self._sites = SiteRollups(self._db, self._calendar, Membership(self._db))
            self._memberships = count
        return self._sites

    def _sealed_ms(self) -> int:
        sealed_ms = settings.number(self._db, "sealed_before_ms") or 0
        return -(-sealed_ms // MINUTE_MS) * MINUTE_MS
