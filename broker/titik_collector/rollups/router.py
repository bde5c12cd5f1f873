"""The rollups of one router, from its samples.

Rule: minutes come from samples, hours from minutes, days from hours. Samples whose time is only
bounded count whole in the day they are placed in, and in no hour or minute.
"""

from collections.abc import Iterator

from titik_collector.figures.figures import Figures, Minutes, Sums, with_means
from titik_collector.figures.rates import WIRE_BPS, Step, steps
from titik_collector.figures.windows import Calendar, Span
from titik_collector.limits import MAX_COUNTS
from titik_collector.rollups import aggregation, revisions
from titik_collector.store import (
    boot_spans,
    membership,
    packed_minutes,
    rollup_sums,
    visitor_counts,
)
from titik_collector.store.database import Database
from titik_collector.store.rollups import Series
from titik_collector.timeline.readings import Readings
from titik_wire.instant import MINUTE_MS


class RouterRollups:
    """Computes them in an open database."""

    def __init__(self, db: Database, calendar: Calendar) -> None:
        self._db = db
        self._calendar = calendar
        self._readings = Readings(db)

    def roll(self, router_id: int, span: Span, sealed_ms: int, now_ms: int) -> None:
        """The minutes of `span`, and the hours and days that they are in."""
        hours = list(self._calendar.hours(*span))
        packed_minutes.unpack(
            self._db, "router", (router_id,), Span(hours[0].start_ms, hours[-1].end_ms)
        )
        minutes = Minutes(*span)
        for boot_id in boot_spans.boots(self._db, router_id, span, bounded=False):
            for step in self._steps(router_id, boot_id, span):
                minutes.add(step)
        computed = {Span(start_ms, start_ms + MINUTE_MS): one for start_ms, one in minutes}
        changed = revisions.write(
            self._db, Series("router", router_id, "1m"), span, computed, now_ms
        )
        hourly = Series("router", router_id, "1h")
        for hour in sorted({self._calendar.hour(start_ms) for start_ms in changed}):
            if hour.start_ms >= sealed_ms:
                one = with_means(rollup_sums.of_lower(self._db, hourly, hour))
                revisions.write(self._db, hourly, hour, {hour: one}, now_ms)
        # Always, because bounded samples and visitors are in no minute.
        for day in self._calendar.days(*span):
            if day.start_ms >= sealed_ms:
                one, daily = self._day(router_id, day), Series("router", router_id, "1d")
                revisions.write(self._db, daily, day, {day: one}, now_ms)

    def _day(self, router_id: int, day: Span) -> Figures:
        figures = rollup_sums.of_lower(self._db, Series("router", router_id, "1d"), day)
        bounded = Sums()
        for boot_id in boot_spans.boots(self._db, router_id, day, bounded=True):
            for step in self._steps(router_id, boot_id, day):
                if day.start_ms <= step.to_ms < day.end_ms:
                    bounded.add(step)
        extra = bounded.figures()
        fewest = [one for one in (figures.clients_min, extra.clients_min) if one is not None]
        most = [one for one in (figures.clients_max, extra.clients_max) if one is not None]
        visitors = self._visitors(router_id, day)
        whole = with_means(aggregation.plus(figures, extra))
        length_ms = day.end_ms - day.start_ms
        return whole._replace(
            covered_ms=min(whole.covered_ms, length_ms),
            up_ms=min(whole.up_ms, length_ms),
            clients_min=min(fewest, default=None),
            clients_max=max(most, default=None),
            visitors_min=visitors[0],
            visitors_max=visitors[1],
        )

    def _steps(self, router_id: int, boot_id: int, span: Span) -> Iterator[Step]:
        limits = membership.uplink_limits(self._db, router_id)

        def uplink_bps(at_ms: int) -> float:
            mbps = next((one.mbps for one in limits if one.from_ms <= at_ms), None)
            return WIRE_BPS if mbps is None else mbps * 1e6

        return steps(self._readings.of(boot_id, *span), uplink_bps)

    def _visitors(self, router_id: int, day: Span) -> tuple[int | None, int | None]:
        """At least and at most so many different ones; None: not known.

        Two runs may have counted the same visitor. So may a run that began to count again within
        the day, because the router's midnight is not the city's.
        """
        least: list[int] = []
        most: list[int] = []
        for newest in visitor_counts.last_seqs(self._db, router_id, day):
            one = visitor_counts.last(self._db, newest, day)
            for _ in range(MAX_COUNTS):
                if one is None:
                    break
                most.append(one.visitors)
                # What was counted since before the day is in part the day's before.
                if one.taken_ms is None or one.since_ms >= day.start_ms:
                    least.append(one.visitors)
                if one.taken_ms is None or one.since_ms <= day.start_ms:
                    break
                before = Span(day.start_ms, one.since_ms)
                one = visitor_counts.latest(self._db, router_id, newest.run_id, before)
        if not least:
            return None, None
        return max(least), sum(most)
