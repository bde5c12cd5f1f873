"""What lies under the places of a map: the operator's own file, or a coast that we ship.

Rule: a coast is chosen by place: the sites of the city lie in its box.
Rule: a city without either has a graticule. That is no error.
Rule: what is drawn names whose data it is.
Rule: browsers alone draw streets (`streets.py`); the drawing keeps the coast.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from titik_collector.config.model import Config, ConfigError
from titik_collector.limits import MAX_BASEMAP

Position = tuple[float, float]  # degrees east and north, as in GeoJSON
Ring = tuple[Position, ...]
_REMEDY = "give a GeoJSON file in degrees (WGS 84) with polygons or lines, or a .pmtiles of streets"


@dataclass(frozen=True, slots=True)
class Basemap:
    """One file of GeoJSON, as it is sent and as it is drawn."""

    content: bytes
    areas: tuple[Ring, ...]  # outlines and holes, each closed
    lines: tuple[Ring, ...]
    attribution: str  # empty: the file names nobody


def of_city(config: Config) -> Basemap | None:
    """The file that the operator gave, else the coast of the region; ConfigError, with a remedy."""
    file = config.web.basemap
    if file is None or config.web.streets is not None:
        return shipped(list(positions(config).values()))
    try:
        return parse(_read(file))
    except (OSError, ValueError) as error:
        raise ConfigError(config.file, "web.basemap", f"{file}: {error}", _REMEDY) from error


def positions(config: Config) -> dict[str, Position]:
    """Where each site lies, by name; where the file says it."""
    return {
        one.name: (one.longitude, one.latitude)
        for one in config.site
        if one.longitude is not None and one.latitude is not None
    }


def shipped(sites: Sequence[Position]) -> Basemap | None:
    """The coast whose box holds all of them; None: there is none."""
    for (west, south, east, north), found in _coasts():
        inside = (west <= x <= east and south <= y <= north for x, y in sites)
        if sites and all(inside):
            return found
    return None


@cache
def _coasts() -> tuple[tuple[tuple[float, ...], Basemap], ...]:
    folder = resources.files("titik_collector.web") / "coasts"
    files = sorted(one.name for one in folder.iterdir() if one.name.endswith(".geojson"))
    contents = [(folder / name).read_bytes() for name in files]
    return tuple([(tuple(json.loads(one)["bbox"]), parse(one)) for one in contents])


def _read(file: Path) -> bytes:
    with file.open("rb") as opened:
        content = opened.read(MAX_BASEMAP + 1)
    if len(content) > MAX_BASEMAP:
        raise ValueError(f"is larger than {MAX_BASEMAP // 2**20} MiB")
    return content


def parse(content: bytes) -> Basemap:
    """GeoJSON with polygons or lines; ValueError for anything else."""
    try:
        whole = json.loads(content)
        shapes = list(_shapes(whole))
        areas = [_ring(one) for kind, one in shapes if kind == "Polygon"]
        lines = [_ring(one) for kind, one in shapes if kind == "LineString"]
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError("is no GeoJSON") from error
    if not areas and not lines:
        raise ValueError("holds neither a polygon nor a line")
    return Basemap(content, tuple(areas), tuple(lines), _attribution(whole))


def _shapes(shape: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Every ring and every line, with what it is of."""
    match shape["type"]:
        case "FeatureCollection":
            for one in shape["features"]:
                yield from _shapes(one)
        case "GeometryCollection":
            for one in shape["geometries"]:
                yield from _shapes(one)
        case "Feature" if shape["geometry"] is not None:
            yield from _shapes(shape["geometry"])
        case "Polygon" | "MultiLineString" as kind:
            single = "Polygon" if kind == "Polygon" else "LineString"
            yield from ((single, ring) for ring in shape["coordinates"])
        case "MultiPolygon":
            yield from (("Polygon", ring) for one in shape["coordinates"] for ring in one)
        case "LineString":
            yield "LineString", shape["coordinates"]


def _ring(points: Sequence[Sequence[float]]) -> Ring:
    ring = tuple([(float(point[0]), float(point[1])) for point in points])
    if not all(-180 <= east <= 180 and -90 <= north <= 90 for east, north in ring):
        raise ValueError("has coordinates that are no degrees")
    return ring


def _attribution(whole: dict[str, Any]) -> str:
    """Of the file, or of its first feature."""
    first = (whole.get("features") or [whole])[0]
    found = whole.get("attribution") or (first.get("properties") or {}).get("attribution") or ""
    return str(found)
