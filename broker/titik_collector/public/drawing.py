"""The public page's drawings: bars of hours, the map's places, and badges; plain SVG."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from titik_collector.public.public_city import PublicPlace
from titik_collector.public.public_past import PublicDay
from titik_collector.public.suppression import LEAST, Shown
from titik_collector.public.usual_day import HOURS, UsualDay
from titik_collector.web.basemap import Basemap
from titik_collector.web.places import STATES
from titik_collector.web.site_map import Frame, Meridian, Spot, apart, graticule, path
from titik_wire.instant import HOUR_MS

BAR, HEIGHT = 5, 120  # units of an hour, and of the highest bar
CLOCK_COLUMN = 3  # hours of the clock in one
# What the upper line of a drawing may stand for; half of it is whole too.
GRID = tuple(one * ten for ten in (10, 100, 1000, 10_000) for one in (1, 2, 3, 4, 6, 8))


class PublicBar(NamedTuple):
    """One hour."""

    at: int  # when it began in milliseconds since 1970, or the hour of the clock
    clients: Shown
    x: float
    width: float
    height: float  # FEW and what is not known have their own shape


@dataclass(frozen=True, slots=True)
class PublicBars:
    """Hours beside each other, in columns of equal width."""

    bars: tuple[PublicBar, ...]
    top: int  # the count of the upper line
    columns: int
    width: int
    height: int = HEIGHT


class PublicMark(NamedTuple):
    """A place on the map."""

    place: PublicPlace
    point: Spot
    plate: Spot  # beside the point where another one would lie upon it


@dataclass(frozen=True, slots=True)
class PublicMap:
    """What is drawn of the city."""

    marks: tuple[PublicMark, ...]  # the worst is above the others
    land: str
    lines: str
    graticule: tuple[Meridian, ...]
    attribution: str


def week(days: Sequence[PublicDay]) -> PublicBars:
    """The hours of these days, a column for each; what is yet to come is left free."""
    width = HOURS * BAR
    hours = []
    for n, day in enumerate(days):
        unit = width / (day.span.end_ms - day.span.start_ms)  # of a millisecond
        for one in day.hours:
            x = n * width + (one.start_ms - day.span.start_ms) * unit
            hours.append((one.start_ms, one.figures.clients, x, HOUR_MS * unit))
    return _drawn(hours, len(days), len(days) * width)


def clock(usual: UsualDay) -> PublicBars:
    """The hours of the clock."""
    hours = [(hour, clients, hour * BAR, BAR) for hour, clients in enumerate(usual.hours)]
    return _drawn(hours, HOURS // CLOCK_COLUMN, HOURS * BAR)


def _drawn(
    hours: Sequence[tuple[int, Shown, float, float]], columns: int, width: int
) -> PublicBars:
    """As high as their counts."""
    most = max((one for _, one, *_ in hours if isinstance(one, int)), default=LEAST)
    top = next((one for one in GRID if one >= most), most)
    bars = [
        PublicBar(at, clients, round(x, 2), round(wide, 2), _height(clients, top))
        for at, clients, x, wide in hours
    ]
    return PublicBars(tuple(bars), top, columns, width)


def _height(clients: Shown, top: int) -> float:
    return round(clients / top * HEIGHT, 1) if isinstance(clients, int) else 0.0


def map_of(places: Sequence[PublicPlace], basemap: Basemap | None) -> PublicMap | None:
    """Of those that have a position; None if none has."""
    placed = [(one, one.position) for one in places if one.position is not None]
    if not placed:
        return None
    frame = Frame([position for _, position in placed])
    points = [frame.point(position) for _, position in placed]
    marks = [
        PublicMark(one, point, plate)
        for (one, _), point, plate in zip(placed, points, apart(points), strict=True)
    ]
    return PublicMap(
        tuple(sorted(marks, key=lambda one: -STATES.index(one.place.state))),
        path(basemap.areas if basemap else (), frame, "Z"),
        path(basemap.lines if basemap else (), frame),
        () if basemap else tuple(graticule(frame)),
        basemap.attribution if basemap else "",
    )
