"""The rollups of one router, from its samples.

Rule: minutes come from samples, hours from minutes, days from hours. Samples whose time is only
bounded count whole in the day they are placed in, and in no hour or minute.
"""

import sqlite3
from collections.abc import Iterator

from titik_collector import cold, rolled, sums
from titik_collector.figures import Figures, Minutes, Sums, with_means
from titik_collector.rates import WIRE_BPS, Step, steps
from titik_collector.readings import Readings
from titik_collector.windows import MINUTE_MS, Calendar, Span


class RouterRollups:
    """Computes them in an open database."""

    def __init__(self, db: sqlite3.Connection, calendar: Calendar) -> None:
        self._db = db
        self._calendar = calendar
        self._readings = Readings(db)

    def roll(self, router_id: int, span: Span, sealed_ms: int, now_ms: int) -> None:
        """The minutes of `span`, and the hours and days that they are in."""
        hours = list(self._calendar.hours(*span))
        cold.thaw(self._db, "router", (router_id,), Span(hours[0].start_ms, hours[-1].end_ms))
        minutes = Minutes(*span)
        for boot_id in self._boots(router_id, span, bounded=False):
            for step in self._steps(router_id, boot_id, span):
                minutes.add(step)
        computed = {Span(start_ms, start_ms + MINUTE_MS): one for start_ms, one in minutes}
        changed = rolled.write(self._db, "router", router_id, "1m", span, computed, now_ms)
        for hour in sorted({self._calendar.hour(start_ms) for start_ms in changed}):
            if hour.start_ms >= sealed_ms:
                one = with_means(sums.of_lower(self._db, "router", router_id, "1h", hour))
                rolled.write(self._db, "router", router_id, "1h", hour, {hour: one}, now_ms)
        # Always, because bounded samples and visitors are in no minute.
        for day in self._calendar.days(*span):
            if day.start_ms >= sealed_ms:
                one = self._day(router_id, day)
                rolled.write(self._db, "router", router_id, "1d", day, {day: one}, now_ms)

    def _day(self, router_id: int, day: Span) -> Figures:
        figures = sums.of_lower(self._db, "router", router_id, "1d", day)
        bounded = Sums()
        for boot_id in self._boots(router_id, day, bounded=True):
            for step in self._steps(router_id, boot_id, day):
                if day.start_ms <= step.to_ms < day.end_ms:
                    bounded.add(step)
        extra = bounded.figures()
        fewest = [one for one in (figures.clients_min, extra.clients_min) if one is not None]
        most = [one for one in (figures.clients_max, extra.clients_max) if one is not None]
        visitors = self._visitors(router_id, day)
        whole = with_means(sums.plus(figures, extra))
        return whole._replace(
            covered_ms=min(whole.covered_ms, day.end_ms - day.start_ms),
            clients_min=min(fewest, default=None),
            clients_max=max(most, default=None),
            visitors_min=max(visitors, default=None),
            visitors_max=sum(visitors) if visitors else None,
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

    def _visitors(self, router_id: int, day: Span) -> list[int]:
        """Each run's last count of the day; two runs may have counted the same visitor."""
        last = self._db.execute(
            # Answered from the index alone: a day has thousands of samples and a few runs.
            "SELECT run_id, max(seq) FROM sample WHERE router_id = ? AND at_ms >= ? AND at_ms < ?"
            " GROUP BY run_id",
            (router_id, *day),
        ).fetchall()
        counts = []
        for run_id, seq in last:
            row = self._db.execute(
                "SELECT visitors, visitors_since_ms, taken_ms FROM sample WHERE run_id = ?"
                " AND seq <= ? AND at_ms >= ? AND at_ms < ? AND visitors IS NOT NULL"
                " ORDER BY seq DESC LIMIT 1",
                (run_id, seq, *day),
            ).fetchone()
            # What was counted since before midnight is yesterday's, if the clock can be believed.
            if row is not None and (row[2] is None or row[1] >= day.start_ms):
                counts.append(int(row[0]))
        return sorted(counts)
