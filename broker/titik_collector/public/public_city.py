"""The city as anybody may see it: what is read of the store leaves by `suppression.publish` alone.

Rule: the present is the newest quarter of an hour that is over, so nobody is seen arriving.
Rule: the past has whole hours; a day follows from its published hours, and from nothing else.
Rule: no router, no person and no figure of a single moment is in it.
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
from titik_collector.queries import history, status
from titik_collector.queries.history import Subject
from titik_collector.queries.server_warnings import Warned
from titik_collector.queries.status import SiteStatus
from titik_collector.store.database import Database
from titik_wire.instant import DAY_MS, HOUR_MS, MINUTE_MS

QUARTER_MS = 15 * MINUTE_MS
SETTLED_MS = 2 * MINUTE_MS  # after its end the minutes of a quarter are computed
HOURS_DAYS, DAYS = 7, 31  # of the past
FEW_MEAN = 2  # what an hour that is FEW counts in the mean of a day

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


@dataclass(frozen=True, slots=True)
class PublicPlace:
    """One site."""

    name: str
    title: str
    state: str  # online, silent, offline, unknown or closed
    since_ms: int | None  # when it went away; None: it did not, or that is not known
    hours: str | None  # opening hours
    position: tuple[float, float] | None  # degrees east and north
    figures: Cell  # of the quarter
    coverage: float | None  # of the quarter


@dataclass(frozen=True, slots=True)
class PublicCity:
    """Everything that leaves, but for the past."""

    title: str
    made_ms: int
    quarter: Span
    places: tuple[PublicPlace, ...]
    total: Total


class KnownQuarter(NamedTuple):
    """What is known of a site's quarter."""

    raw: Raw
    coverage: float | None


def quarter(now_ms: int) -> Span:
    """The newest one that is over and computed."""
    end_ms = (now_ms - SETTLED_MS) // QUARTER_MS * QUARTER_MS
    return Span(end_ms - QUARTER_MS, end_ms)


def gather(
    db: Database, config: Config, now_ms: int, warnings: Sequence[Warned] = ()
) -> PublicCity:
    """The present."""
    of, span = config.city, quarter(now_ms)
    found = status.gather(db, of.name, now_ms, warnings, of.title, of.timezone)
    windows = _quarters(db, config, span)
    sites = [one for one in found.sites if one.name in windows]
    published = publish([windows[one.name].raw._replace(cause=_cause(one)) for one in sites])
    positions = {
        one.name: (one.longitude, one.latitude)
        for one in config.site
        if one.longitude is not None and one.latitude is not None
    }
    places = [
        PublicPlace(
            one.name,
            one.line.title,
            _state(one),
            _since_ms(one),
            one.facts.hours,
            positions.get(one.name),
            cell,
            windows[one.name].coverage,
        )
        for one, cell in zip(sites, published.cells, strict=True)
    ]
    return PublicCity(of.title, now_ms, span, tuple(places), published.total)


def _state(one: SiteStatus) -> str:
    if one.is_open is False and one.now.state != "online":
        return "closed"
    return one.now.state


def _since_ms(one: SiteStatus) -> int | None:
    """When the last of its routers went."""
    if one.now.state not in ("offline", "silent"):
        return None
    return max((router.since_ms for router in one.routers), default=0) or None


def _cause(one: SiteStatus) -> str | None:
    """What all of its routers have as their cause."""
    causes = {router.cause for router in one.routers}
    return causes.pop() if len(causes) == 1 and one.now.state == "offline" else None


def _quarters(db: Database, config: Config, span: Span) -> dict[str, KnownQuarter]:
    """By site; the mean over the minutes that are known."""
    calendar = Calendar(config.city.timezone)
    return {one.name: _quarter(db, one, span, calendar) for one in _sites(db, config)}


def _quarter(db: Database, site: Subject, span: Span, calendar: Calendar) -> KnownQuarter:
    minutes = [one.rollup() for one in history.read(db, site, "1m", span, calendar)]
    known = [one for one in minutes if one is not None]
    covered = sum(one.coverage_ratio for one in known)
    return KnownQuarter(
        Raw(
            _mean([one.clients_mean for one in known]),
            _mean([one.wifi_down_bps for one in known]),
            _mean([one.wifi_up_bps for one in known]),
        ),
        covered / len(minutes) if minutes else None,
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [one for one in values if one is not None]
    return sum(known) / len(known) if known else None


def _sites(db: Database, config: Config) -> list[Subject]:
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
        sites = _sites(db, config)
        kept = {
            day.start_ms: self._days.get(day.start_ms) or _day(db, sites, day, over_ms, calendar)
            for day in days
        }
        # What comes late is taken in for two days.
        self._days = {start_ms: kept[start_ms] for start_ms in sorted(kept)[:-2]}
        names = ["", *(one.name for one in sites)]
        return {name: _past(name, days, kept) for name in names}


def _day(
    db: Database, sites: Sequence[Subject], day: Span, over_ms: int, calendar: Calendar
) -> dict[str, tuple[PublicHour, ...]]:
    """The published hours of a day, of each site and of the city."""
    read = {one.name: _hours(db, one, day, calendar, "1h") for one in sites}
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
