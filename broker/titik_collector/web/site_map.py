"""The map as the server draws it: places, coast, and a scale, in units of one drawing.

Rule: the drawing is whole without JavaScript, which later puts a map that moves in its place.
Rule: positions are those of Web Mercator, as in Leaflet, so both show the same picture.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import asinh, atan, ceil, cos, degrees, floor, hypot, log10, radians, sinh, tan
from typing import NamedTuple

from titik_collector.config.model import Config
from titik_collector.limits import MAX_APART, MAX_DRAWN_POINTS
from titik_collector.web.basemap import Basemap, Position, Ring, positions
from titik_collector.web.places import Place

WIDTH, HEIGHT = 480, 320  # a phone shows it at two thirds, a desk at twice of that
EDGE = 44  # room for the mark and the figure of a place
PLATE = (70, 35)  # of a mark with its figure, on a phone, and a little room
ROUNDS = 80  # of pushing marks apart
LEAST_KM = 2.0  # the frame of a single place
EARTH_KM = 6371.0
STEPS = (1, 2, 5)


class Spot(NamedTuple):
    """Of the drawing."""

    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Pin:
    """A place on the map."""

    place: Place
    position: Position
    point: Spot
    plate: Spot  # beside the point where another one lies upon it


@dataclass(frozen=True, slots=True)
class Meridian:
    """A line of the graticule."""

    path: str
    label: Spot
    degree: float
    digits: int  # after the point, that the degree is written with


@dataclass(frozen=True, slots=True)
class Scale:
    """A bar and what it measures: `number` of `unit`, km or m."""

    width: float
    number: float
    unit: str


@dataclass(frozen=True, slots=True)
class CityMap:
    """All that is drawn."""

    pins: tuple[Pin, ...]
    unplaced: int  # sites without a place
    land: str  # a path of SVG
    lines: str  # another
    graticule: tuple[Meridian, ...]  # empty where there is a basemap
    scale: Scale
    attribution: str  # empty: nobody is to be named
    has_basemap: bool
    width: int = WIDTH
    height: int = HEIGHT


class Frame:
    """From degrees to the drawing: the places in its middle, as large as they fit."""

    def __init__(self, places: Sequence[Position]) -> None:
        points = [mercator(one) for one in places]
        xs, ys = [one.x for one in points], [one.y for one in points]
        self._middle = Spot((min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2)
        self.north = degrees_north(self._middle.y)
        least = LEAST_KM / EARTH_KM / cos(radians(self.north))
        self.unit = max(  # of Mercator's radians
            (max(xs) - min(xs)) / (WIDTH - 2 * EDGE),
            (max(ys) - min(ys)) / (HEIGHT - 2 * EDGE),
            least / WIDTH,
        )

    def point(self, place: Position) -> Spot:
        """Where it is drawn."""
        x, y = mercator(place)
        return Spot(
            round(WIDTH / 2 + (x - self._middle.x) / self.unit, 1),
            round(HEIGHT / 2 - (y - self._middle.y) / self.unit, 1),
        )

    def place(self, point: Spot) -> Position:
        """The other way round."""
        x = self._middle.x + (point.x - WIDTH / 2) * self.unit
        y = self._middle.y - (point.y - HEIGHT / 2) * self.unit
        return degrees(x), degrees_north(y)

    @property
    def km(self) -> float:
        """Of one unit, in the middle."""
        return self.unit * EARTH_KM * cos(radians(self.north))


def mercator(place: Position) -> Spot:
    """In radians; a pole is where Leaflet ends."""
    north = max(-85.05, min(85.05, place[1]))
    return Spot(radians(place[0]), asinh(tan(radians(north))))


def degrees_north(y: float) -> float:
    """The latitude of Mercator's y."""
    return degrees(atan(sinh(y)))


def of_city(config: Config, places: Sequence[Place], basemap: Basemap | None) -> CityMap | None:
    """The map of these places, each where the configuration has it."""
    return drawn(places, positions(config), basemap)


def drawn(
    places: Sequence[Place], where: dict[str, Position], basemap: Basemap | None
) -> CityMap | None:
    """The map of the places that have a position, by name; None where none has."""
    placed = [(one, where[one.name]) for one in places if one.name in where]
    if not placed:
        return None
    frame = Frame([position for _, position in placed])
    points = [frame.point(position) for _, position in placed]
    pins = [
        Pin(place, position, point, plate)
        for (place, position), point, plate in zip(placed, points, apart(points), strict=True)
    ]
    return CityMap(
        tuple(sorted(pins, key=lambda pin: -pin.place.rank)),  # the worst is above the others
        len(places) - len(placed),
        path(basemap.areas if basemap else (), frame, "Z"),
        path(basemap.lines if basemap else (), frame),
        () if basemap else tuple(graticule(frame)),
        scale(frame),
        basemap.attribution if basemap else "",
        basemap is not None,
    )


def apart(points: Sequence[Spot]) -> list[Spot]:
    """Where their plates stand, so that they do not lie upon each other; of few places."""
    spots = [[one.x, one.y] for one in points]
    for _ in range(ROUNDS if len(points) <= MAX_APART else 0):
        pairs = [(a, b) for n, a in enumerate(spots) for b in spots[:n]]
        if not sum(_pushed(a, b) for a, b in pairs):
            break
    return [Spot(round(x, 1), round(y, 1)) for x, y in spots]


def _pushed(one: list[float], other: list[float]) -> bool:
    """Half of the way each, where the way is shorter; false: they did not meet."""
    over = [size - abs(one[side] - other[side]) for side, size in enumerate(PLATE)]
    if min(over) < 0.5:
        return False
    side = over.index(min(over))
    step = over[side] / 2 * (-1 if one[side] < other[side] else 1)
    one[side] += step
    other[side] -= step
    return True


def path(rings: Sequence[Ring], frame: Frame, end: str = "") -> str:
    """Rings as a path of SVG; what is too fine to be seen is left out until it is short enough."""
    seen = [[frame.point(one) for one in ring] for ring in rings]
    seen = [ring for ring in seen if _is_near(ring)]
    apart = 1.0
    while sum(map(len, thinned := [_thinned(ring, apart) for ring in seen])) > MAX_DRAWN_POINTS:
        apart *= 2
    return "".join(
        "M" + "L".join(f"{x:g} {y:g}" for x, y in ring) + end for ring in thinned if len(ring) > 1
    )


def _is_near(ring: Sequence[Spot]) -> bool:
    """Whether any of it may be in the frame."""
    xs, ys = [one.x for one in ring], [one.y for one in ring]
    return bool(ring) and max(xs) > 0 and min(xs) < WIDTH and max(ys) > 0 and min(ys) < HEIGHT


def _thinned(ring: Sequence[Spot], apart: float) -> list[Spot]:
    """Its first and last point; of the others those that are so far from the one kept before."""
    kept = [ring[0]]
    for one in ring[1:-1]:
        if hypot(one.x - kept[-1].x, one.y - kept[-1].y) >= apart:
            kept.append(one)
    return [*kept, ring[-1]]


def graticule(frame: Frame) -> Iterator[Meridian]:
    """About four lines each way, at round degrees."""
    west, north = frame.place(Spot(0, 0))
    east, south = frame.place(Spot(WIDTH, HEIGHT))
    step = rounded((east - west) / 4)
    digits = max(0, -floor(log10(step)))
    for degree in _multiples(west, east, step):
        x = frame.point((degree, north)).x
        yield Meridian(f"M{x:g} 0V{HEIGHT}", Spot(x, HEIGHT), degree, digits)
    for degree in _multiples(south, north, step):
        y = frame.point((west, degree)).y
        yield Meridian(f"M0 {y:g}H{WIDTH}", Spot(0, y), degree, digits)


def _multiples(low: float, high: float, step: float) -> Iterator[float]:
    for number in range(ceil(low / step), floor(high / step) + 1):
        yield number * step


def rounded(amount: float) -> float:
    """The next 1, 2 or 5 with zeros, at most as much."""
    power = 10.0 ** floor(log10(amount))
    return max(one for one in STEPS if one * power <= amount * 1.000001) * power


def scale(frame: Frame) -> Scale:
    """A bar of a round length, about a quarter of the width."""
    km = rounded(frame.km * WIDTH / 4)
    width = round(km / frame.km, 1)
    return Scale(width, km, "km") if km >= 1 else Scale(width, km * 1000, "m")
