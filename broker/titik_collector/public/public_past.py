"""The city's past as anybody may see it: whole hours that left by `suppression.publish`.

Rule: a day follows from its published hours, and from nothing else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from titik_collector.config.model import Config
from titik_collector.figures.windows import Calendar, Span, Window
from titik_collector.public.suppression import (
    FEW,
    LEAST,
    STEP,
    Cell,
    Published,
    Raw,
    Shown,
    Total,
    publish,
    rounded,
)
from titik_collector.queries import history
from titik_collector.queries.history import Subject
from titik_collector.store.database import Database
from titik_wire.instant import DAY_MS, HOUR_MS, MINUTE_MS

SETTLED_MS = 2 * MINUTE_MS  # after its end the minutes of a quarter are computed
HOURS_DAYS, DAYS = 7, 31  # of the past
FEW_MEAN = 2  # what an hour that is FEW counts in a mean

Figures = Cell | Total


class PublicHour(NamedTuple):
    """A published hour of a place or of the city."""

    start_ms: int
    figures: Figures


class PublicDay(NamedTuple):
    """A day of the city's zone, from its published hours."""

    start_ms: int
    clients: Shown  # mean
    busiest: PublicHour | None  # the hour with the highest count that is shown
    known: int  # hours
    hours: int  # that the day has


@dataclass(frozen=True, slots=True)
class PublicPast:
    """Hours and days of a place or of the city, in order of time."""

    hours: tuple[PublicHour, ...]
    days: tuple[PublicDay, ...]


def sites(db: Database, config: Config) -> list[Subject]:
    """Those of the configuration."""
    names = {one.name for one in config.site}
    return [
        one
        for one in history.subjects(db, config.city.name)
        if one.scope == "site" and one.name in names
    ]


class PublicPasts:
    """The past of each place and of the city, read once for each day that is over."""

    def __init__(self) -> None:
        self._days: dict[int, Mapping[str, tuple[PublicHour, ...]]] = {}

    def read(self, db: Database, config: Config, now_ms: int) -> dict[str, PublicPast]:
        """By the site's name, and the city's under an empty one; no hour that still goes on."""
        calendar = Calendar(config.city.timezone)
        days = list(calendar.days(now_ms - (DAYS - 1) * DAY_MS, now_ms))
        over_ms = (now_ms - SETTLED_MS) // HOUR_MS * HOUR_MS
        places = sites(db, config)
        kept = {
            day.start_ms: self._days.get(day.start_ms) or _day(db, places, day, over_ms, calendar)
            for day in days
        }
        # What comes late is taken in for two days.
        self._days = {start_ms: kept[start_ms] for start_ms in sorted(kept)[:-2]}
        names = ["", *(one.name for one in places)]
        return {name: _past(name, days, kept) for name in names}


def _day(
    db: Database, places: Sequence[Subject], day: Span, over_ms: int, calendar: Calendar
) -> dict[str, tuple[PublicHour, ...]]:
    """The published hours of a day, of each site and of the city."""
    read = {one.name: _hours(db, one, day, calendar, "1h") for one in places}
    found: dict[str, list[PublicHour]] = {"": [], **{name: [] for name in read}}
    for hour in calendar.hours(*day):
        if hour.end_ms > over_ms:
            break
        published: Published = publish([read[one].get(hour.start_ms, Raw()) for one in read])
        found[""].append(PublicHour(hour.start_ms, published.total))
        for name, cell in zip(read, published.cells, strict=True):
            found[name].append(PublicHour(hour.start_ms, cell))
    return {name: tuple(hours) for name, hours in found.items()}


def _hours(
    db: Database, site: Subject, day: Span, calendar: Calendar, window: Window
) -> dict[int, Raw]:
    return {
        one.span.start_ms: Raw(found.clients_mean, found.wifi_down_bps, found.wifi_up_bps)
        for one in history.read(db, site, window, day, calendar)
        for found in [one.rollup()]
        if found is not None
    }


def _past(
    name: str,
    days: Sequence[Span],
    kept: Mapping[int, Mapping[str, tuple[PublicHour, ...]]],
) -> PublicPast:
    by_day = [(day, kept[day.start_ms].get(name, ())) for day in days]
    hours = tuple(hour for _, hours in by_day[-HOURS_DAYS:] for hour in hours)
    return PublicPast(hours, tuple(day_of(day, hours) for day, hours in by_day))


def day_of(day: Span, hours: Sequence[PublicHour]) -> PublicDay:
    """The mean of its published hours, where one that is FEW counts FEW_MEAN."""
    counts = [one.figures.clients for one in hours if one.figures.clients is not None]
    numbers = [one if isinstance(one, int) else FEW_MEAN for one in counts]
    mean = sum(numbers) / len(numbers) if numbers else None
    clients: Shown = None if mean is None else FEW if mean < LEAST else rounded(mean, STEP)
    shown = [one for one in hours if isinstance(one.figures.clients, int)]
    busiest = max(shown, key=lambda one: one.figures.clients or 0, default=None)
    return PublicDay(
        day.start_ms, clients, busiest, len(counts), (day.end_ms - day.start_ms) // HOUR_MS
    )
