"""The rollups of routers, from their samples.

Rule: minutes come from samples, hours from minutes, days from hours. Samples whose time is only
bounded count whole in the day they are placed in, and in no hour or minute.
Rule: an hour and a day that go on are computed as they begin, and then every ten minutes. Their
minutes are computed at once.
Rule: many routers are computed together, each in its own stretch of time. So the number of
statements does not depend on how many they are.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from titik_collector.figures.figures import Minutes, Sums, extremes, with_means
from titik_collector.figures.rates import WIRE_BPS, Reading, Step, steps
from titik_collector.figures.table import Figures
from titik_collector.figures.windows import Calendar, Span
from titik_collector.limits import MAX_COUNTS
from titik_collector.rollups import aggregation, revisions
from titik_collector.rollups.revisions import Computed
from titik_collector.store import boot_spans, membership, rollup_sums, visitor_counts
from titik_collector.store.boot_spans import BootSpan
from titik_collector.store.database import Database
from titik_collector.store.membership import UplinkLimit
from titik_collector.store.rollup_sums import Part
from titik_collector.store.rollups import Series
from titik_collector.timeline.readings import Readings
from titik_wire.instant import MINUTE_MS


class RouterDay(NamedTuple):
    """One day of one router."""

    router_id: int
    day: Span


class RouterRollups:
    """Computes them in an open database."""

    def __init__(self, db: Database, calendar: Calendar) -> None:
        self._db = db
        self._calendar = calendar
        self._readings = Readings(db)
        self._begun: dict[int, int] = {}  # by router the start of its newest hour

    def roll(
        self, stretches: Mapping[int, Span], sealed_ms: int, now_ms: int, horizon_ms: int
    ) -> None:
        """The minutes of each router's stretch, and the hours and days that they are in.

        Those that go on are left out, if they are computed when the horizon is later.
        """
        days = [
            RouterDay(router_id, day)
            for router_id, span in stretches.items()
            for day in self._calendar.days(*span)
        ]
        boots: defaultdict[int, list[BootSpan]] = defaultdict(list)
        for boot in boot_spans.boots(self._db, _parts(stretches, days)):
            boots[boot.router_id].append(boot)
        steps = _Steps(self._db, self._readings, stretches)
        minutes = [
            Computed(
                Series("router", router_id, "1m"),
                stretches[router_id],
                {Span(at_ms, at_ms + MINUTE_MS): one for at_ms, one in of_minutes},
            )
            for router_id, of_minutes in steps.minutes(stretches, boots)
        ]
        revisions.write(self._db, minutes, now_ms)
        whole = {
            router_id: span
            for router_id, span in stretches.items()
            if not self._later(router_id, span, horizon_ms)
        }
        hours = [
            (router_id, hour)
            for router_id, span in whole.items()
            for hour in self._calendar.hours(*span)
            if hour.start_ms >= sealed_ms
        ]
        self._write_hours(hours, now_ms)
        days = [one for one in days if one.router_id in whole and one.day.start_ms >= sealed_ms]
        self._write_days(days, boots, steps.bounded(days, boots), now_ms)

    def _later(self, router_id: int, span: Span, horizon_ms: int) -> bool:
        """Whether a stretch is of an hour that goes on, has begun, and is computed later."""
        hour_ms = self._calendar.hour(span.end_ms - 1).start_ms
        begun, self._begun[router_id] = self._begun.get(router_id) == hour_ms, hour_ms
        return begun and horizon_ms < self._calendar.refreshed_ms(span.start_ms)

    def _write_hours(self, hours: Sequence[tuple[int, Span]], now_ms: int) -> None:
        asked = [(Series("router", router_id, "1h"), hour) for router_id, hour in hours]
        computed = [
            Computed(series, hour, {hour: with_means(figures)})
            for (series, hour), figures in zip(
                asked, rollup_sums.of_lower(self._db, asked), strict=True
            )
        ]
        revisions.write(self._db, computed, now_ms)

    def _write_days(
        self,
        days: Sequence[RouterDay],
        boots: Mapping[int, Sequence[BootSpan]],
        bounded: Mapping[RouterDay, Figures],
        now_ms: int,
    ) -> None:
        visitors = self._visitors(days, boots)
        asked = [(Series("router", one.router_id, "1d"), one.day) for one in days]
        sums = rollup_sums.of_lower(self._db, asked)
        computed = [
            Computed(series, day, {day: _day(figures, bounded.get(one), visitors[n], day)})
            for n, (one, (series, day), figures) in enumerate(zip(days, asked, sums, strict=True))
        ]
        revisions.write(self._db, computed, now_ms)

    def _visitors(
        self, days: Sequence[RouterDay], boots: Mapping[int, Sequence[BootSpan]]
    ) -> list[tuple[int | None, int | None]]:
        """Of each day at least and at most so many different ones; None: not known.

        Two runs may have counted the same visitor. So may a run that began to count again within
        the day, because the router's midnight is not the city's.
        """
        least: list[list[int]] = [[] for _ in days]
        most: list[list[int]] = [[] for _ in days]
        asked = [
            (n, router_id, boot.id, day)
            for n, (router_id, day) in enumerate(days)
            for boot in boots.get(router_id, ())
            if boot.touches(day)
        ]
        found = visitor_counts.last(self._db, asked) if asked else []
        for _ in range(MAX_COUNTS):
            earlier: list[tuple[int, int, int, Span]] = []
            for n, one in found:
                day = days[n].day
                most[n].append(one.visitors)
                # What was counted since before the day is in part the day's before.
                if one.taken_ms is None or one.since_ms >= day.start_ms:
                    least[n].append(one.visitors)
                if one.taken_ms is not None and one.since_ms > day.start_ms:
                    before = Span(day.start_ms, one.since_ms)
                    earlier.append((n, days[n].router_id, one.run_id, before))
            if not earlier:
                break
            found = visitor_counts.latest(self._db, earlier)
        return [
            (max(few), sum(many)) if few else (None, None)
            for few, many in zip(least, most, strict=True)
        ]


class _Steps:
    """What successive samples say, of the routers of one pass."""

    def __init__(self, db: Database, readings: Readings, routers: Iterable[int]) -> None:
        self._readings = readings
        self._limits = membership.uplink_limits(db, list(routers))

    def minutes(
        self, stretches: Mapping[int, Span], boots: Mapping[int, Sequence[BootSpan]]
    ) -> list[tuple[int, Minutes]]:
        """Of each router the minutes of its stretch."""
        found = {router_id: Minutes(*span) for router_id, span in stretches.items()}
        asked = [
            (boot, span)
            for router_id, span in stretches.items()
            for boot in boots.get(router_id, ())
            if not boot.bounded and boot.touches(span)
        ]
        for (boot, _), readings in zip(asked, self._readings.of(asked), strict=True):
            minutes = found[boot.router_id]
            for step in self._of(boot.router_id, readings):
                minutes.add(step)
        return list(found.items())

    def bounded(
        self, days: Sequence[RouterDay], boots: Mapping[int, Sequence[BootSpan]]
    ) -> dict[RouterDay, Figures]:
        """Of each day that has any, the samples whose time is only bounded."""
        asked = [
            (one, boot)
            for one in days
            for boot in boots.get(one.router_id, ())
            if boot.bounded and boot.touches(one.day)
        ]
        found: defaultdict[RouterDay, Sums] = defaultdict(Sums)
        readings = self._readings.of([(boot, one.day) for one, boot in asked]) if asked else []
        for (one, _), some in zip(asked, readings, strict=True):
            for step in self._of(one.router_id, some):
                if one.day.start_ms <= step.to_ms < one.day.end_ms:
                    found[one].add(step)
        return {one: sums.figures() for one, sums in found.items()}

    def _of(self, router_id: int, readings: Sequence[Reading]) -> Iterable[Step]:
        limits: Sequence[UplinkLimit] = self._limits.get(router_id, ())

        def uplink_bps(at_ms: int) -> float:
            mbps = next((one.mbps for one in limits if one.from_ms <= at_ms), None)
            return WIRE_BPS if mbps is None else mbps * 1e6

        return steps(readings, uplink_bps)


def _parts(stretches: Mapping[int, Span], days: Sequence[RouterDay]) -> list[Part]:
    """Of each router the time that its stretch and the days of it take."""
    whole = dict(stretches)
    for router_id, day in days:
        was = whole[router_id]
        whole[router_id] = Span(min(was.start_ms, day.start_ms), max(was.end_ms, day.end_ms))
    return [Part(router_id, *span) for router_id, span in whole.items()]


def _day(
    hours: Figures,
    bounded: Figures | None,
    visitors: tuple[int | None, int | None],
    day: Span,
) -> Figures:
    """The figures of a day, from the sum of its hours and what is only known to be of the day."""
    whole, length_ms = hours, day.end_ms - day.start_ms
    if bounded is not None:
        whole = aggregation.plus(hours, bounded)._replace(**extremes((hours, bounded)))
    return with_means(whole)._replace(
        covered_ms=min(whole.covered_ms, length_ms),
        up_ms=min(whole.up_ms, length_ms),
        visitors_min=visitors[0],
        visitors_max=visitors[1],
    )
