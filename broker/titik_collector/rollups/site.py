"""The rollups of sites and of the city, from those of the routers that belonged to them then.

Rule: a site's minutes are sums over its routers, the city's over its sites; their hours and days
follow as a router's do. What `aggregation` says of means, extremes and visitors holds.
Rule: a router that was at a site for a whole hour or day counts with that window of its own. Only
where it came or went its minutes are summed.
Rule: many sites are summed together, so the number of statements does not depend on how many.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from titik_collector.figures.figures import extremes
from titik_collector.figures.scope import CITY_ID
from titik_collector.figures.table import Figures
from titik_collector.figures.windows import Calendar, Span, Window
from titik_collector.rollups import aggregation, revisions
from titik_collector.rollups.aggregation import Membership, PartsAtOnce
from titik_collector.rollups.revisions import Computed
from titik_collector.store import boot_spans, rollup_sums, rollups
from titik_collector.store.database import Database
from titik_collector.store.rollup_sums import NO_SUMS, Asked, Part, SumsOfMeans
from titik_collector.store.rollups import ScopeId, Series
from titik_wire.instant import MINUTE_MS


class SiteHour(NamedTuple):
    """What of an hour of a site must be summed again."""

    site_id: int
    hour: Span
    minutes: Span


class SiteDay(NamedTuple):
    """One day of one site."""

    site_id: int
    day: Span


class Bounded(NamedTuple):
    """What a router knows of a day beyond its hours, and what the hours have."""

    extra: Figures
    had: Figures


class SiteRollups:
    """Computes them in an open database, with the membership that it has."""

    def __init__(self, db: Database, calendar: Calendar, membership: Membership) -> None:
        self._db = db
        self._calendar = calendar
        self._membership = membership
        self._begun: dict[ScopeId, int] = {}  # by place the start of its newest hour

    def routers(self, site_id: int) -> int:
        """How many a sum of the site can be of, at least one."""
        return max(1, self._membership.parts(site_id))

    def sites_of(self, router_id: int) -> set[int]:
        """Every site that a router ever belonged to."""
        return self._membership.sites_of(router_id)

    def roll_sites(self, hours: Sequence[SiteHour], sealed_ms: int, now_ms: int) -> set[int]:
        """Some minutes of these hours, the hours, and their days; which sites may have changed."""
        changed = revisions.write(self._db, self._minutes(hours), now_ms)
        hours = [
            one for one in hours if not self._later(ScopeId("site", one[0]), one.hour, one.minutes)
        ]
        open_hours = [one for one in hours if one.hour.start_ms >= sealed_ms]
        changed += revisions.write(self._db, self._hours(open_hours), now_ms)
        days = sorted(
            {SiteDay(one.site_id, self._calendar.day(one.hour.start_ms)) for one in hours}
        )
        open_days = [one for one in days if one.day.start_ms >= sealed_ms]
        changed += revisions.write(self._db, self._days(open_days), now_ms)
        # Minutes that changed before may change an hour of the city, and none of a site.
        return {one.scope_id for one in changed} | {one.site_id for one in hours}

    def _later(self, place: ScopeId, hour: Span, minutes: Span) -> bool:
        """Whether the hour goes on, has begun, and is computed with a later minute."""
        begun = self._begun.get(place) == hour.start_ms
        self._begun[place] = hour.start_ms
        start_ms, end_ms = minutes
        return begun and start_ms < end_ms < self._calendar.refreshed_ms(start_ms)

    def roll_city(self, hour: Span, minutes: Span, sealed_ms: int, now_ms: int) -> None:
        """Some minutes of an hour, the hour, and its day."""
        sites = self._membership.sites()
        of_minutes = rollup_sums.of_minutes(
            self._db, "site", [Asked(0, Part(one, *minutes)) for one in sites]
        )
        one = Computed(
            Series("city", CITY_ID, "1m"),
            minutes,
            self._counted(self._membership.headcount(), minutes, of_minutes),
        )
        revisions.write(self._db, [one], now_ms)
        if self._later(ScopeId("city", CITY_ID), hour, minutes):
            return
        windows: tuple[tuple[Window, Span], ...] = (
            ("1h", hour),
            ("1d", self._calendar.day(hour.start_ms)),
        )
        for window, span in windows:
            if span.start_ms >= sealed_ms:
                series = Series("city", CITY_ID, window)
                figures = self._city(series, span, sites)
                revisions.write(self._db, [Computed(series, span, {span: figures})], now_ms)

    def _minutes(self, hours: Sequence[SiteHour]) -> list[Computed]:
        """What they sum to, each of the routers that were there as it began."""
        asked = [
            Asked(n, part)
            for n, one in enumerate(hours)
            for part in self._membership.of(one.site_id, one.minutes)
        ]
        found: list[list[tuple[int, int, Figures]]] = [[] for _ in hours]
        for one in rollup_sums.of_minutes(self._db, "router", asked):
            found[one[0]].append(one)
        return [
            Computed(
                Series("site", site_id, "1m"),
                minutes,
                self._counted(self._membership.headcount(site_id), minutes, found[n]),
            )
            for n, (site_id, _, minutes) in enumerate(hours)
        ]

    def _counted(
        self, headcount: PartsAtOnce, span: Span, minutes: Iterable[tuple[int, int, Figures]]
    ) -> dict[Span, Figures]:
        """Minutes with how many routers they are of."""
        always = headcount.at(span.start_ms) if headcount.steady(span) else None
        return {
            Span(start_ms, start_ms + MINUTE_MS): figures._replace(
                routers=headcount.at(start_ms) if always is None else always
            )
            for _, start_ms, figures in minutes
        }

    def _hours(self, hours: Sequence[SiteHour]) -> list[Computed]:
        asked = [(Series("site", site_id, "1h"), hour) for site_id, hour, _ in hours]
        means = self._means("1h", [(site_id, hour) for site_id, hour, _ in hours])
        return [
            Computed(
                series,
                hour,
                {
                    hour: aggregation.with_sums_of_means(sums, means[n])._replace(
                        routers=self._membership.headcount(series.scope_id).most(hour)
                    )
                },
            )
            for n, ((series, hour), sums) in enumerate(
                zip(asked, rollup_sums.of_lower(self._db, asked), strict=True)
            )
        ]

    def _days(self, days: Sequence[SiteDay]) -> list[Computed]:
        """Their hours, and what routers know of the day but not of the hour."""
        asked = [(Series("site", site_id, "1d"), day) for site_id, day in days]
        sums = rollup_sums.of_lower(self._db, asked)
        last = [self._membership.last_of(site_id, day) for site_id, day in days]
        bounded = self._bounded(days, last)
        means = self._means("1d", days, bounded)
        visitors = rollup_sums.visitors(
            self._db,
            [
                Asked(n, Part(router_id, *days[n].day))
                for n, routers in enumerate(last)
                for router_id in routers
            ],
        )
        computed = []
        for n, (series, day) in enumerate(asked):
            figures = sums[n]
            for extra, had in bounded.get(n, {}).values():
                figures = aggregation.plus(figures, aggregation.known_within(extra, had, day))
            least, most = visitors.get(n, (None, None))
            figures = aggregation.with_sums_of_means(figures, means[n])._replace(
                routers=self._membership.headcount(series.scope_id).most(day),
                visitors_min=least,
                visitors_max=most,
            )
            computed.append(Computed(series, day, {day: figures}))
        return computed

    def _means(
        self,
        window: Window,
        asked: Sequence[tuple[int, Span]],
        bounded: Mapping[int, Mapping[int, Bounded]] = MappingProxyType({}),
    ) -> list[list[SumsOfMeans]]:
        """What the means of the routers of each site sum to, in one hour or day of it."""
        whole: list[Asked] = []
        rest: list[tuple[int, Part]] = []
        for n, (site_id, span) in enumerate(asked):
            for part in self._membership.of(site_id, span):
                if (part.from_ms, part.to_ms) == span:
                    whole.append(Asked(n, part))
                else:
                    rest.append((n, part))
        sums = rollup_sums.of_whole(self._db, window, whole)
        each = self._each_router(window, rest) if rest else {}
        # A window of its own has what is beyond its hours.
        for n, router_id in {(n, part.id) for n, part in rest}:
            beyond = bounded.get(n, {}).get(router_id)
            if beyond is not None:
                had = each[n].get(router_id, Figures())
                each[n][router_id] = aggregation.plus(had, beyond.extra)
        return [
            [sums.get(n, NO_SUMS), aggregation.sums_of_means(each.get(n, {}).values())]
            for n in range(len(asked))
        ]

    def _each_router(
        self, window: Window, parts: Sequence[tuple[int, Part]]
    ) -> dict[int, dict[int, Figures]]:
        """Client time and bytes of routers that came or went: whole hours, and minutes."""
        hours, minutes = [], []
        for n, part in parts:
            inside, edges = self._split(part) if window == "1d" else ([], [part])
            hours += [Asked(n, one) for one in inside]
            minutes += [Asked(n, one) for one in edges]
        found: defaultdict[int, dict[int, Figures]] = defaultdict(dict)
        lower: tuple[tuple[Window, list[Asked]], ...] = (("1h", hours), ("1m", minutes))
        for window, asked in lower:
            for n, router_id, more in rollup_sums.of_each_router(self._db, window, asked):
                had = found[n].get(router_id, Figures())
                found[n][router_id] = aggregation.plus(had, more)
        return found

    def _split(self, part: Part) -> tuple[list[Part], list[Part]]:
        """The whole hours of a part, and what is left of those in which it begins and ends."""
        router_id, from_ms, to_ms = part
        first, last = self._calendar.hour(from_ms), self._calendar.hour(to_ms)
        whole_ms = from_ms if from_ms == first.start_ms else min(first.end_ms, to_ms)
        end_ms = max(whole_ms, last.start_ms)
        edges = (from_ms, whole_ms), (end_ms, to_ms)
        return (
            [Part(router_id, whole_ms, end_ms)] if whole_ms < end_ms else [],
            [Part(router_id, *edge) for edge in edges if edge[0] < edge[1]],
        )

    def _bounded(
        self, days: Sequence[SiteDay], last: Sequence[Sequence[int]]
    ) -> dict[int, dict[int, Bounded]]:
        """Of the routers that each site had last what their day has beyond their hours."""
        parts = {
            Part(router_id, *day)
            for (_, day), routers in zip(days, last, strict=True)
            for router_id in routers
        }
        boots = boot_spans.boots(self._db, sorted(parts), bounded=True)
        having = {boot.router_id for boot in boots}
        asked = [
            (n, Series("router", router_id, "1d"), day)
            for n, ((_, day), routers) in enumerate(zip(days, last, strict=True))
            for router_id in routers
            if router_id in having
        ]
        if not asked:
            return {}
        of_router = [(series, day) for _, series, day in asked]
        hours = rollup_sums.of_lower(self._db, of_router)
        rows = rollups.read_many(self._db, of_router)
        found: defaultdict[int, dict[int, Bounded]] = defaultdict(dict)
        for (n, series, day), had, row in zip(asked, hours, rows, strict=True):
            whole = row[day.start_ms].figures if row else had
            extra = aggregation.plus(whole, had, -1)
            found[n][series.scope_id] = Bounded(extra, had)
        return found

    def _city(self, series: Series, span: Span, sites: Sequence[int]) -> Figures:
        """Extremes from the windows below, everything else from the sites."""
        (lower,) = rollup_sums.of_lower(self._db, [(series, span)])
        parts = rollup_sums.of_sites(self._db, series.window, span.start_ms, sites)
        return parts._replace(routers=self._membership.headcount().most(span), **extremes((lower,)))
