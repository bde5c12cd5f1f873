"""The rollups of one router, from its samples.

Rule: minutes come from samples, hours from minutes, days from hours. Samples whose time is only
bounded count whole in the day they are placed in, and in no hour or minute.
"""

from collections.abc import Iterator

from titik_collector.figures.figures import Figures, Minutes, Sums, with_means
from titik_collector.figures.rates import WIRE_BPS, Step, steps
from titik_collector.figures.windows import MINUTE_MS, Calendar, Span
from titik_collector.rollups import aggregation, rollup_table
from titik_collector.store import packed_minutes
from titik_collector.store.database import Database
from titik_collector.timeline.readings import Readings

MAX_COUNTS = 8  # that one run began within a day; a router's day is as long as the city's


class RouterRollups:
    """Computes them in an open database."""

    def __init__(self, db: Database, calendar: Calendar) -> None:
        self._db = db
        self._calendar = calendar
        self._readings = Readings(db)

    def roll(self, router_id: int, span: Span, sealed_ms: int, now_ms: int) -> None:
        """The minutes of `span`, and the hours and days that they are in."""
        hours = list(self._calendar.hours(*span))
        packed_minutes.thaw(
            self._db, "router", (router_id,), Span(hours[0].start_ms, hours[-1].end_ms)
        )
        minutes = Minutes(*span)
        for boot_id in self._boots(router_id, span, bounded=False):
            for step in self._steps(router_id, boot_id, span):
                minutes.add(step)
        computed = {Span(start_ms, start_ms + MINUTE_MS): one for start_ms, one in minutes}
        changed = rollup_table.write(self._db, "router", router_id, "1m", span, computed, now_ms)
        for hour in sorted({self._calendar.hour(start_ms) for start_ms in changed}):
            if hour.start_ms >= sealed_ms:
                one = with_means(aggregation.of_lower(self._db, "router", router_id, "1h", hour))
                rollup_table.write(self._db, "router", router_id, "1h", hour, {hour: one}, now_ms)
        # Always, because bounded samples and visitors are in no minute.
        for day in self._calendar.days(*span):
            if day.start_ms >= sealed_ms:
                one = self._day(router_id, day)
                rollup_table.write(self._db, "router", router_id, "1d", day, {day: one}, now_ms)

    def _day(self, router_id: int, day: Span) -> Figures:
        figures = aggregation.of_lower(self._db, "router", router_id, "1d", day)
        bounded = Sums()
        for boot_id in self._boots(router_id, day, bounded=True):
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

    def _boots(self, router_id: int, span: Span, bounded: bool) -> list[int]:
        rows = self._db.execute(
            "SELECT boot_id FROM boot_time WHERE router_id = ? AND last_ms >= ? AND first_ms < ?"
            " AND (quality = 'bounded') = ? ORDER BY boot_id",
            (router_id, *span, int(bounded)),
        )
        return [boot_id for (boot_id,) in rows]

    def _steps(self, router_id: int, boot_id: int, span: Span) -> Iterator[Step]:
        limits: list[tuple[int, float | None]] = self._db.execute(
            "SELECT from_ms, uplink_mbps FROM membership LEFT JOIN site ON site.id = site_id"
            " WHERE router_id = ? ORDER BY from_ms DESC",
            (router_id,),
        ).fetchall()

        def uplink_bps(at_ms: int) -> float:
            mbps = next((mbps for from_ms, mbps in limits if from_ms <= at_ms), None)
            return WIRE_BPS if mbps is None else mbps * 1e6

        return steps(self._readings.of(boot_id, *span), uplink_bps)

    def _visitors(self, router_id: int, day: Span) -> tuple[int | None, int | None]:
        """At least and at most so many different ones; None: not known.

        Two runs may have counted the same visitor, and so may a run that began to count anew
        within the day, because the router's midnight is not the city's.
        """
        last = self._db.execute(
            # Answered from the index alone: a day has thousands of samples and a few runs.
            "SELECT run_id, max(seq) FROM sample WHERE router_id = ? AND at_ms >= ? AND at_ms < ?"
            " GROUP BY run_id",
            (router_id, *day),
        ).fetchall()
        least: list[int] = []
        most: list[int] = []
        for run_id, seq in last:
            row = self._db.execute(
                "SELECT visitors, visitors_since_ms, taken_ms FROM sample WHERE run_id = ?"
                " AND seq <= ? AND at_ms >= ? AND at_ms < ? AND visitors IS NOT NULL"
                " ORDER BY seq DESC LIMIT 1",
                (run_id, seq, *day),
            ).fetchone()
            for _ in range(MAX_COUNTS):
                if row is None:
                    break
                count, since_ms, taken_ms = row
                most.append(int(count))
                # What was counted since before the day is in part the day's before.
                if taken_ms is None or since_ms >= day.start_ms:
                    least.append(int(count))
                if taken_ms is None or since_ms <= day.start_ms:
                    break
                row = self._counted_before(router_id, run_id, Span(day.start_ms, since_ms))
        if not least:
            return None, None
        return max(least), sum(most)

    def _counted_before(
        self, router_id: int, run_id: int, span: Span
    ) -> tuple[int, int, int] | None:
        """The run's count before it began anew."""
        row: tuple[int, int, int] | None = self._db.execute(
            "SELECT visitors, visitors_since_ms, taken_ms FROM sample WHERE router_id = ?"
            " AND at_ms >= ? AND at_ms < ? AND run_id = ? AND visitors IS NOT NULL"
            " ORDER BY at_ms DESC LIMIT 1",
            (router_id, *span, run_id),
        ).fetchone()
        return row
