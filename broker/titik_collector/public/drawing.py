"""The public page's drawings: bars of hours, the map's places, and badges; plain SVG."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from titik_collector.public.public_city import PublicPlace
from titik_collector.public.public_past import PublicHour
from titik_collector.public.suppression import LEAST, Shown
from titik_collector.web.basemap import Basemap
from titik_collector.web.site_map import Frame, Meridian, Spot, graticule, path

BAR, HEIGHT = 5, 120  # units of a bar's place, and of the highest bar
# What the upper line of a drawing may stand for.
GRID = tuple(one * ten for ten in (10, 100, 1000, 10_000) for one in (1, 1.5, 2, 3, 4, 6, 8))


class PublicBar(NamedTuple):
    """One hour."""

    hour: PublicHour
    x: float
    height: float  # FEW and what is not known have their own shape


@dataclass(frozen=True, slots=True)
class PublicBars:
    """Hours beside each other."""

    bars: tuple[PublicBar, ...]
    top: int  # the count of the upper line
    width: int
    height: int = HEIGHT


class PublicMark(NamedTuple):
    """A place on the map."""

    place: PublicPlace
    point: Spot


@dataclass(frozen=True, slots=True)
class PublicMap:
    """What is drawn of the city."""

    marks: tuple[PublicMark, ...]
    land: str
    lines: str
    graticule: tuple[Meridian, ...]
    attribution: str


def bars(hours: Sequence[PublicHour]) -> PublicBars:
    """As high as their counts."""
    counts = [one.figures.clients for one in hours]
    most = max((one for one in counts if isinstance(one, int)), default=LEAST)
    top = next((int(one) for one in GRID if one >= most), most)
    drawn = [
        PublicBar(hour, n * BAR, _height(hour.figures.clients, top)) for n, hour in enumerate(hours)
    ]
    return PublicBars(tuple(drawn), top, max(1, len(hours)) * BAR)


def _height(clients: Shown, top: int) -> float:
    return round(clients / top * HEIGHT, 1) if isinstance(clients, int) else 0.0


def map_of(places: Sequence[PublicPlace], basemap: Basemap | None) -> PublicMap | None:
    """Of those that have a position; None if none has."""
    placed = [(one, one.position) for one in places if one.position is not None]
    if not placed:
        return None
    frame = Frame([position for _, position in placed])
    return PublicMap(
        tuple(PublicMark(one, frame.point(position)) for one, position in placed),
        path(basemap.areas if basemap else (), frame, "Z"),
        path(basemap.lines if basemap else (), frame),
        () if basemap else tuple(graticule(frame)),
        basemap.attribution if basemap else "",
    )
