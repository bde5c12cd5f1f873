"""A year of hours at a glance: a column for each day, a row for each hour of the clock.

Rule: what counts is the hour that the city's clocks show. An hour that they skip is not there, and
of one that they show twice the cell is of both, each by its length.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from titik_collector.figures.windows import Calendar, Span
from titik_collector.queries import columnar
from titik_collector.queries.columnar import COVERAGE, Value
from titik_collector.queries.history import Subject
from titik_collector.store.database import Database
from titik_wire.instant import DAY_MS, HOUR_MS

HOURS = 24
# Means and shares: what can be put together of two hours by their lengths.
MEASURES: Final = (
    *("clients_mean", "active_mean", "wifi_down_bps", "wifi_up_bps"),
    *("uplink_down_bps", "uplink_up_bps", COVERAGE, "uptime_ratio", "internet_ratio"),
    *("airtime_busy_ratio", "weak_ratio"),
)
Cells = tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class HeatMap:
    """One figure of one subject; lists are as long as `days`."""

    subject: Subject
    field: str
    days: tuple[Span, ...]
    values: tuple[Cells, ...]  # HOURS of each day; None: not known, or skipped
    coverage: tuple[Cells, ...]  # likewise
    skipped: tuple[tuple[int, int], ...]  # day and hour that no clock of the city showed

    @property
    def highest(self) -> float | None:
        """Of all cells, for the scale."""
        return max((one for day in self.values for one in day if one is not None), default=None)


def read(
    db: Database,
    subject: Subject,
    field: str,
    span: Span,
    calendar: Calendar,
    zone: ZoneInfo,
    now_ms: int,
) -> HeatMap:
    """Every day that touches the span; `field` is one of MEASURES."""
    days = tuple(calendar.days(*span))
    whole = Span(days[0].start_ms, days[-1].end_ms)
    found = columnar.read(db, subject, "1h", whole, calendar, now_ms, (field,))
    clock = list(_clock(days, found.edges, zone))
    return HeatMap(
        subject,
        field,
        days,
        _cells(len(days), clock, found.edges, found.figures[field]),
        _cells(len(days), clock, found.edges, found.figures[COVERAGE]),
        tuple(_skipped(len(days), clock)),
    )


def _clock(
    days: Sequence[Span], edges: Sequence[Span], zone: ZoneInfo
) -> Iterator[tuple[int, int]]:
    """The number of its day, and the hour on the clock, of each window."""
    number = 0
    for edge in edges:
        while edge.start_ms >= days[number].end_ms:
            number += 1
        yield number, _hour(days[number], edge.start_ms, zone)


def _hour(day: Span, at_ms: int, zone: ZoneInfo) -> int:
    """Most days are plain, and a year has too many hours to ask the zone for each."""
    if day.end_ms - day.start_ms == DAY_MS:
        return (at_ms - day.start_ms) // HOUR_MS
    return datetime.fromtimestamp(at_ms / 1000, zone).hour


def _cells(
    days: int, clock: Iterable[tuple[int, int]], edges: Sequence[Span], column: Sequence[Value]
) -> tuple[Cells, ...]:
    cells: list[list[float | None]] = [[None] * HOURS for _ in range(days)]
    weights: dict[tuple[int, int], int] = {}
    for (day, hour), edge, value in zip(clock, edges, column, strict=True):
        if value is None:
            continue
        length_ms, before = edge.end_ms - edge.start_ms, cells[day][hour]
        if before is None:
            cells[day][hour] = value
        else:
            weight_ms = weights[day, hour]
            together = before * weight_ms + value * length_ms
            cells[day][hour] = together / (weight_ms + length_ms)
        weights[day, hour] = weights.get((day, hour), 0) + length_ms
    return tuple(map(tuple, cells))


def _skipped(days: int, clock: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    shown = set(clock)
    for day in range(days):
        yield from ((day, hour) for hour in range(HOURS) if (day, hour) not in shown)
