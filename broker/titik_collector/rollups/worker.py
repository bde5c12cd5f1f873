"""Rollups kept up to date: what changed is computed again, in steps that are whole or not at all.

Rule: a router's minutes come from its samples, and its hours from its minutes. Its days come from
its hours, and from samples whose time is only bounded. Sites and the city are sums (`aggregation`).
Rule: what must be done is in the store: changed spans of routers, hours that wait to be summed. It
is crossed off in the transaction that does it, so a crash repeats or loses nothing.
Rule: a minute is computed when it is over and the sample after it has had time to arrive. When the
collector ends, it does not wait for that sample, which changes the minute again.
Rule: an hour and a day that go on are computed with the last minute of each ten. That is written
down with the minutes before it, so a router that is silent from then on loses nothing.
Rule: `revision` rises only when the content changed; a window without any known figure stays,
empty. Windows that begin before `sealed_before_ms` are never computed again.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from math import inf
from zoneinfo import ZoneInfo

from titik_collector.figures.scope import CITY_ID, FOR_EVER_MS
from titik_collector.figures.windows import Calendar, Span, minute
from titik_collector.limits import (
    MAX_LOOKS,
    MAX_PASS,
    MAX_PASS_MINUTES,
    MAX_SITE_HOURS,
    MAX_SPANS,
    MAX_SUMMED,
)
from titik_collector.rollups.aggregation import Membership
from titik_collector.rollups.router import RouterRollups
from titik_collector.rollups.site import SiteHour, SiteRollups
from titik_collector.store import (
    changed_span_rows,
    membership,
    packed_minutes,
    settings,
    waiting_hours,
)
from titik_collector.store.changed_span_rows import ChangedSpan
from titik_collector.store.database import Database, is_of_the_store
from titik_collector.store.rollups import ScopeId
from titik_collector.store.waiting_hours import WaitingHour
from titik_wire.instant import HOUR_MS, MINUTE_MS

log = logging.getLogger(__name__)

GRACE_MS = 40_000  # a router samples every 30 s; the figures of a minute come with its next sample
HOLD_S = 10.0  # four minutes of 10,000 routers are computed in it
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
        self._ending = False  # nothing is left for later
        self._routers = RouterRollups(db, self._calendar)
        self._sites: SiteRollups | None = None
        self._memberships = -1  # how many the sums know of
        self._summed_s = -inf  # when nothing waited to be summed
        self._left_out: set[int] = set()  # routers that meet a bug of ours
        self._turn = 0  # router whose turn it was last

    def work(self, budget_s: float, clock: Callable[[], float]) -> bool:
        """Work for about so long; True if there is more to do.

        All routers first, because sites are sums of them. But sites wait HOLD_S at most, so that
        a long backfill does not starve them.
        """
        start = clock()
        while clock() - start < budget_s:
            if clock() - self._summed_s < HOLD_S:
                busy = self._step_routers() or self._sum(clock)
            else:
                busy = self._sum(clock) or self._step_routers()
            if not busy:
                return False
        return True

    def finish(self, budget_s: float, clock: Callable[[], float]) -> bool:
        """The last work before an end: minutes that are over, waiting for nothing."""
        if not self._ending:
            self._grace_ms = 0
            horizon_ms = self._horizon_ms()
            with self._db.transaction():
                changed_span_rows.bring_forward(
                    self._db, horizon_ms, self._calendar.refreshed_ms(horizon_ms)
                )
            self._ending = True
        return self.work(budget_s, clock)

    def _horizon_ms(self) -> int:
        """Minutes that begin before it are computed."""
        return minute(self._now_ms() - self._grace_ms).start_ms

    def _sum(self, clock: Callable[[], float]) -> bool:
        """Sum some hours; False if none waits."""
        busy = self._step_sums()
        if not busy:
            self._summed_s = clock()
        return busy

    def _step_routers(self) -> bool:
        """Compute a stretch of the time of each of some routers; False if none is due."""
        horizon_ms = self._horizon_ms()
        since_ms = packed_minutes.open_from_ms(self._db)
        due = dict(islice(self._due(Span(since_ms, horizon_ms)).items(), MAX_PASS))
        if not due:
            return False
        self._turn = list(due)[-1]
        try:
            self._compute(due, Span(since_ms, horizon_ms))
        except Exception as error:
            if is_of_the_store(error):
                raise
            for one in due.items():
                self._compute_alone(*one, Span(since_ms, horizon_ms))
        return True

    def _due(self, span: Span) -> dict[int, list[ChangedSpan]]:
        """Spans by router, in turn, so that one router with much to do delays no other."""
        # Those of a router that is left out stay, and may be all that one look finds.
        for _ in range(min(len(self._left_out) + 1, MAX_LOOKS)):
            found = changed_span_rows.due(self._db, span, self._turn, MAX_SPANS)
            due = {one: spans for one, spans in found.items() if one not in self._left_out}
            if due or not found:
                return due
            self._turn = list(found)[-1]
        return {}

    def _compute_alone(self, router_id: int, due: Sequence[ChangedSpan], span: Span) -> None:
        """One router; a bug that it meets leaves it alone out until the next start."""
        try:
            self._compute({router_id: due}, span)
        except Exception as error:
            if is_of_the_store(error):
                raise
            self._left_out.add(router_id)
            log.exception("a bug stops the rollups of a router router_id=%d", router_id)

    def _compute(self, due: Mapping[int, Sequence[ChangedSpan]], span: Span) -> None:
        """The next stretch of each, in one transaction."""
        since_ms, horizon_ms = span
        with self._db.transaction():
            sealed_ms = self._sealed_ms()
            stretches = self._next_stretches(due, horizon_ms, sealed_ms)
            ends = {router_id: span.end_ms for router_id, span in stretches.items()}
            changed_span_rows.cross_off(self._db, since_ms, ends)
            stretches = {
                one: span for one, span in stretches.items() if span.start_ms < span.end_ms
            }
            if stretches:
                whole_ms = FOR_EVER_MS if self._ending else horizon_ms
                self._routers.roll(stretches, sealed_ms, self._now_ms(), whole_ms)
                self._go_on(stretches, whole_ms)

    def _go_on(self, stretches: Mapping[int, Span], whole_ms: int) -> None:
        """Sites, and the minutes with which hours and days that go on are computed later."""
        ends = {one: self._calendar.refreshed_ms(span.start_ms) for one, span in stretches.items()}
        changed_span_rows.add(
            self._db,
            [
                (router_id, ChangedSpan(end_ms - MINUTE_MS, end_ms - 1))
                for router_id, end_ms in ends.items()
                if end_ms > whole_ms
            ],
        )
        # Up to the end of the ten minutes a site's hour and day are computed, too.
        self._add_sites(
            {
                one: Span(start_ms, end_ms if ends[one] > whole_ms else max(end_ms, ends[one]))
                for one, (start_ms, end_ms) in stretches.items()
            }
        )

    def _next_stretches(
        self, due: Mapping[int, Sequence[ChangedSpan]], horizon_ms: int, sealed_ms: int
    ) -> dict[int, Span]:
        """The first whole minutes of each that changed; an empty stretch if there is no data."""
        found = {one: _first_changed(spans, horizon_ms) for one, spans in due.items()}
        # Years that nothing is known of are one step.
        long = {one: span.start_ms for one, span in found.items() if _length(span) > HOUR_MS}
        known = changed_span_rows.earliest_known(self._db, long) if long else {}
        most_ms = max(MINUTE_MS, min(CHUNK_MS, MAX_PASS_MINUTES // len(due) * MINUTE_MS))
        for router_id, (start_ms, end_ms) in found.items():
            if router_id in long:
                known_ms = known.get(router_id, end_ms)
                start_ms = max(start_ms, minute(min(known_ms, end_ms)).start_ms)
            if start_ms < end_ms:
                start_ms = max(start_ms, sealed_ms)
                end_ms = max(start_ms, min(end_ms, start_ms + most_ms))
            found[router_id] = Span(start_ms, end_ms)
        return found

    def _add_sites(self, stretches: Mapping[int, Span]) -> None:
        """Every site they ever belonged to, because a membership may be what changed."""
        sites = self._site_rollups()
        waiting_hours.add(
            self._db,
            [
                hour
                for router_id, span in stretches.items()
                for site_id in sites.sites_of(router_id)
                for hour in self._hours(ScopeId("site", site_id), span)
            ],
        )

    def _hours(self, place: ScopeId, span: Span) -> Iterator[WaitingHour]:
        """The hours of a stretch, as they wait to be summed."""
        for start_ms, end_ms in self._calendar.hours(*span):
            yield WaitingHour(
                *place, start_ms, max(start_ms, span.start_ms), min(end_ms, span.end_ms)
            )

    def _step_sums(self) -> bool:
        """Sum up hours of sites, or one of the city when no site is left; False if none is due."""
        since_ms = packed_minutes.open_from_ms(self._db)
        waiting = waiting_hours.due(self._db, since_ms, MAX_SITE_HOURS)
        if not waiting:
            return False
        with self._db.transaction():
            sites, sealed_ms = self._site_rollups(), self._sealed_ms()
            if waiting[0].scope == "city":
                hour, minutes = self._parts(waiting[0], sealed_ms)
                sites.roll_city(hour, minutes, sealed_ms, self._now_ms())
            else:
                waiting = _within(waiting, sites)
                hours = [SiteHour(one.scope_id, *self._parts(one, sealed_ms)) for one in waiting]
                changed = sites.roll_sites(hours, sealed_ms, self._now_ms())
                city = [
                    hour
                    for one in waiting
                    if one.scope_id in changed
                    for hour in self._hours(ScopeId("city", CITY_ID), Span(one.from_ms, one.to_ms))
                ]
                waiting_hours.add(self._db, city)
            waiting_hours.cross_off(self._db, waiting)
        return True

    def _parts(self, waiting: WaitingHour, sealed_ms: int) -> tuple[Span, Span]:
        """The hour, and what of it is not sealed."""
        minutes = Span(max(waiting.from_ms, sealed_ms), max(waiting.to_ms, sealed_ms))
        return self._calendar.hour(waiting.hour_ms), minutes

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


def _first_changed(spans: Sequence[ChangedSpan], horizon_ms: int) -> Span:
    """The whole minutes of the first spans, as far as they follow each other."""
    start_ms = end_ms = minute(spans[0].from_ms).start_ms
    for from_ms, to_ms in spans:
        if minute(from_ms).start_ms > end_ms:
            break
        end_ms = max(end_ms, minute(to_ms).end_ms)
    return Span(start_ms, min(end_ms, horizon_ms))


def _length(span: Span) -> int:
    return span.end_ms - span.start_ms


def _within(waiting: Sequence[WaitingHour], sites: SiteRollups) -> list[WaitingHour]:
    """As many as are summed in a short time, at least one."""
    found: list[WaitingHour] = []
    left = MAX_SUMMED
    for one in waiting:
        minutes = (one.to_ms - one.from_ms) // MINUTE_MS + 1
        left -= sites.routers(one.scope_id) * minutes
        if found and left < 0:
            break
        found.append(one)
    return found
