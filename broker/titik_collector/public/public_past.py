"""The city's past as anybody may see it: whole hours that left by `suppression.publish`.

Rule: a day follows from its published hours, and from nothing else.
Rule: no hour is named busy or quiet unless the place is open in all of it.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import groupby
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
from titik_collector.wording import opening_hours
from titik_wire.instant import DAY_MS, HOUR_MS, MINUTE_MS

SETTLED_MS = 2 * MINUTE_MS  # after its end the minutes of a quarter are computed
HOURS_DAYS, DAYS = 7, 31  # of the past
FEW_MEAN = 2  # what an hour that is FEW counts in a mean

Figures = Cell | Total


class PublicHour(NamedTuple):
    """A published hour of a place or of the city."""

    start_ms: int
    figures: Figures
    is_open: bool = True  # the place, in all of it


class PublicStretch(NamedTuple):
    """Hours after each other that have the same count."""

    start_ms: int
    end_ms: int
    clients: Shown


class PublicDay(NamedTuple):
    """A day of the city's zone, from its published hours."""

    span: Span
    hours: tuple[PublicHour, ...]  # those that are over
    clients: Shown  # mean
    busiest: PublicStretch | None  # open, with the highest count; None: no count is shown
    quietest: PublicStretch | None  # open, with the lowest; None: those hours are alike
    alike: Shown  # what they are then; None: they are not, or none is known
    known: int  # hours

    @property
    def goes_on(self) -> bool:
        """Not all of its hours are over."""
        return len(self.hours) < (self.span.end_ms - self.span.start_ms) // HOUR_MS

    @property
    def is_closed(self) -> bool:
        """In each of its hours."""
        return not any(one.is_open for one in self.hours)


PublicPast = tuple[PublicDay, ...]  # of a place or of the city, in order of time


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
        self._days: dict[int, Mapping[str, PublicDay]] = {}

    def read(self, db: Database, config: Config, now_ms: int) -> dict[str, PublicPast]:
        """By the site's name, and the city's under an empty one; no hour that still goes on."""
        calendar = Calendar(config.city.timezone)
        days = list(calendar.days(now_ms - (DAYS - 1) * DAY_MS, now_ms))
        over_ms = (now_ms - SETTLED_MS) // HOUR_MS * HOUR_MS
        places = sites(db, config)
        kept = {
            day: self._days.get(day.start_ms) or _day(db, config, places, day, over_ms, calendar)
            for day in days
        }
        # What comes late is taken in for two days.
        self._days = {day.start_ms: kept[day] for day in days[:-2]}
        names = ["", *(one.name for one in places)]
        return {
            name: tuple(found.get(name) or day_of(day, ()) for day, found in kept.items())
            for name in names
        }


def _day(
    db: Database,
    config: Config,
    places: Sequence[Subject],
    day: Span,
    over_ms: int,
    calendar: Calendar,
) -> dict[str, PublicDay]:
    """A day of each site and of the city."""
    read = {one.name: _hours(db, one, day, calendar, "1h") for one in places}
    opened = {one.name: open_hours(one.hours) for one in config.site}
    found: dict[str, list[PublicHour]] = {"": [], **{name: [] for name in read}}
    for hour in calendar.hours(*day):
        if hour.end_ms > over_ms:
            break
        local = datetime.fromtimestamp(hour.start_ms / 1000, config.city.timezone)
        of_week = (local.weekday(), local.hour)
        published: Published = publish([read[one].get(hour.start_ms, Raw()) for one in read])
        found[""].append(PublicHour(hour.start_ms, published.total))
        for name, cell in zip(read, published.cells, strict=True):
            found[name].append(PublicHour(hour.start_ms, cell, of_week in opened[name]))
    return {name: day_of(day, hours) for name, hours in found.items()}


@cache
def open_hours(hours: str | None) -> frozenset[tuple[int, int]]:
    """Days, Monday is 0, with an hour that a place is open throughout; None: it always is."""
    week = opening_hours.parse(hours or opening_hours.ALWAYS)
    monday = datetime(2024, 1, 1, tzinfo=UTC)
    return frozenset(
        divmod(hour, 24)
        for hour in range(7 * 24)
        if all(week.is_open(monday + timedelta(hours=hour, minutes=minute)) for minute in range(60))
    )


def _hours(
    db: Database, site: Subject, day: Span, calendar: Calendar, window: Window
) -> dict[int, Raw]:
    return {
        one.span.start_ms: Raw(found.clients_mean, found.wifi_down_bps, found.wifi_up_bps)
        for one in history.read(db, site, window, day, calendar)
        for found in [one.rollup()]
        if found is not None
    }


def day_of(day: Span, hours: Sequence[PublicHour]) -> PublicDay:
    """What follows from its published hours."""
    known = [one.figures.clients for one in hours if one.figures.clients is not None]
    opened = [one for one in hours if one.is_open and one.figures.clients is not None]
    counts = [one.figures.clients for one in opened]
    least, most = min(counts, key=number, default=None), max(counts, key=number, default=None)
    return PublicDay(
        day,
        tuple(hours),
        mean(known),
        _longest(hours, most) if isinstance(most, int) else None,
        _longest(hours, least) if least != most else None,
        least if least == most else None,
        len(known),
    )


def number(clients: Shown) -> int:
    """What a count that is known is in a mean."""
    return clients if isinstance(clients, int) else FEW_MEAN


def mean(known: Sequence[Shown]) -> Shown:
    """Of published counts; published as they are."""
    if not known:
        return None
    found = sum(map(number, known)) / len(known)
    return FEW if found < LEAST else rounded(found, STEP)


def _longest(hours: Sequence[PublicHour], clients: Shown) -> PublicStretch:
    """Where hours after each other have this count."""
    runs = groupby(hours, lambda one: one.is_open and one.figures.clients == clients)
    run = max((tuple(run) for belongs, run in runs if belongs), key=len)
    return PublicStretch(run[0].start_ms, run[-1].start_ms + HOUR_MS, clients)
