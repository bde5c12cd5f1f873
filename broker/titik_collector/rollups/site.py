"""The rollups of sites and of the city, from those of the routers that belonged to them then.

Rule: a site's minutes are sums over its routers, the city's over its sites; their hours and days
follow as a router's do. What `aggregation` says of means, extremes and visitors holds.
"""

from collections.abc import Sequence
from typing import NamedTuple

from titik_collector.figures.figures import Figures
from titik_collector.figures.scope import CITY_ID, FOR_EVER_MS, Scope
from titik_collector.figures.windows import Calendar, Span, Window
from titik_collector.rollups import aggregation, revisions
from titik_collector.rollups.aggregation import Headcount, Membership
from titik_collector.store import boot_spans, packed_minutes, rollup_sums
from titik_collector.store.database import Database
from titik_collector.store.rollup_sums import Part
from titik_collector.store.rollups import Place, Series
from titik_wire.instant import MINUTE_MS


class HourPart(NamedTuple):
    """What of an hour is to be summed again."""

    hour: Span
    minutes: Span


class SiteRollups:
    """Computes them in an open database, with the membership that it has."""

    def __init__(self, db: Database, calendar: Calendar, membership: Membership) -> None:
        self._db = db
        self._calendar = calendar
        self._membership = membership

    def routers(self, site_id: int) -> int:
        """How many a sum of the site can be of, at least one."""
        return max(1, len(self._membership.of(site_id, Span(0, FOR_EVER_MS))))

    def roll_site(
        self, site_id: int, parts: Sequence[HourPart], sealed_ms: int, now_ms: int
    ) -> bool:
        """Some minutes of each of these hours, the hours, and their days; True if any changed."""
        changed = 0
        for hour, minutes in parts:
            routers = {part.id for part in self._membership.of(site_id, hour)}
            packed_minutes.unpack(self._db, "router", routers, hour)
            packed_minutes.unpack(self._db, "site", (site_id,), hour)
            changed += self._write_minutes(
                Place("site", site_id), self._membership.of(site_id, minutes), minutes, now_ms
            )
            if hour.start_ms >= sealed_ms:
                changed += self._write(
                    Series("site", site_id, "1h"), hour, self._site_hour(site_id, hour), now_ms
                )
        for day in sorted({self._calendar.day(hour.start_ms) for hour, _ in parts}):
            if day.start_ms >= sealed_ms:
                changed += self._write(
                    Series("site", site_id, "1d"), day, self._site_day(site_id, day), now_ms
                )
        return bool(changed)

    def roll_city(self, part: HourPart, sealed_ms: int, now_ms: int) -> None:
        """Some minutes of an hour, the hour, and its day."""
        hour, minutes = part
        packed_minutes.unpack(self._db, "site", self._membership.sites(), hour)
        packed_minutes.unpack(self._db, "city", (CITY_ID,), hour)
        self._write_minutes(Place("city", CITY_ID), self._sites(minutes), minutes, now_ms)
        windows: tuple[tuple[Window, Span], ...] = (
            ("1h", hour),
            ("1d", self._calendar.day(hour.start_ms)),
        )
        for window, span in windows:
            if span.start_ms >= sealed_ms:
                self._write(Series("city", CITY_ID, window), span, self._city(window, span), now_ms)

    def _write(self, series: Series, span: Span, figures: Figures, now_ms: int) -> int:
        """One window; how many changed."""
        return len(revisions.write(self._db, series, span, {span: figures}, now_ms))

    def _write_minutes(
        self, place: Place, parts: Sequence[Part], minutes: Span, now_ms: int
    ) -> int:
        """What they sum to, each of the routers that were there as it began; how many changed."""
        headcount = self._headcount(place)
        always = headcount.at(minutes.start_ms) if headcount.steady(minutes) else None
        lower: Scope = "router" if place.scope == "site" else "site"
        computed = {
            Span(start_ms, start_ms + MINUTE_MS): one
            if one.routers == always
            else one._replace(routers=headcount.at(start_ms) if always is None else always)
            for start_ms, one in rollup_sums.of_minutes(self._db, lower, parts).items()
        }
        return len(revisions.write(self._db, Series(*place, "1m"), minutes, computed, now_ms))

    def _headcount(self, place: Place) -> Headcount:
        return self._membership.headcount(None if place.scope == "city" else place.scope_id)

    def _site_hour(self, site_id: int, hour: Span) -> Figures:
        parts = self._membership.of(site_id, hour)
        each = list(rollup_sums.of_each_router(self._db, parts, "1m").values())
        figures = rollup_sums.of_lower(self._db, Series("site", site_id, "1h"), hour)
        routers = self._membership.headcount(site_id).most(hour)
        return aggregation.with_sums_of_means(figures, each)._replace(routers=routers)

    def _site_day(self, site_id: int, day: Span) -> Figures:
        """Its hours, and what routers know of the day but not of the hour."""
        figures = rollup_sums.of_lower(self._db, Series("site", site_id, "1d"), day)
        each = self._each_router(site_id, day)
        last = self._membership.last_of(site_id, day)
        for router_id in boot_spans.routers_with_bounded(self._db, last, day):
            extra, had = self._bounded_share(router_id, day), each.get(router_id, Figures())
            figures = aggregation.plus(figures, aggregation.known_within(extra, had, day))
            each[router_id] = aggregation.plus(had, extra)
        visitors = rollup_sums.of_parts(self._db, "router", last, "1d", day.start_ms)
        return aggregation.with_sums_of_means(figures, list(each.values()))._replace(
            routers=self._membership.headcount(site_id).most(day),
            visitors_min=visitors.visitors_min,
            visitors_max=visitors.visitors_max,
        )

    def _each_router(self, site_id: int, day: Span) -> dict[int, Figures]:
        """Client time that each router gave: whole hours, and minutes where it came or went."""
        hours, minutes = self._split(self._membership.of(site_id, day))
        packed_minutes.unpack(self._db, "router", {part.id for part in minutes}, day)
        each = rollup_sums.of_each_router(self._db, hours, "1h")
        for router_id, extra in rollup_sums.of_each_router(self._db, minutes, "1m").items():
            each[router_id] = aggregation.plus(each.get(router_id, Figures()), extra)
        return each

    def _split(self, parts: Sequence[Part]) -> tuple[list[Part], list[Part]]:
        """The whole hours of parts, and what is left of the hours in which they begin and end."""
        hours, minutes = [], []
        for router_id, from_ms, to_ms in parts:
            first, last = self._calendar.hour(from_ms), self._calendar.hour(to_ms)
            whole_ms = from_ms if from_ms == first.start_ms else min(first.end_ms, to_ms)
            end_ms = max(whole_ms, last.start_ms)
            edges = (from_ms, whole_ms), (end_ms, to_ms)
            minutes += [Part(router_id, *edge) for edge in edges if edge[0] < edge[1]]
            if whole_ms < end_ms:
                hours.append(Part(router_id, whole_ms, end_ms))
        return hours, minutes

    def _bounded_share(self, router_id: int, day: Span) -> Figures:
        """What the router's day has beyond its hours."""
        part = Part(router_id, *day)
        whole = rollup_sums.of_parts(self._db, "router", [part], "1d", day.start_ms)
        hours = rollup_sums.of_lower(self._db, Series("router", router_id, "1d"), day)
        return aggregation.plus(whole, hours, -1)

    def _city(self, window: Window, span: Span) -> Figures:
        """Extremes from the windows below, everything else from the sites."""
        lower = rollup_sums.of_lower(self._db, Series("city", CITY_ID, window), span)
        parts = rollup_sums.of_parts(self._db, "site", self._sites(span), window, span.start_ms)
        return parts._replace(
            routers=self._membership.headcount().most(span),
            clients_min=lower.clients_min,
            clients_max=lower.clients_max,
            wifi_down_peak_bps=lower.wifi_down_peak_bps,
            uplink_down_peak_bps=lower.uplink_down_peak_bps,
        )

    def _sites(self, span: Span) -> list[Part]:
        return [Part(site_id, *span) for site_id in self._membership.sites()]
