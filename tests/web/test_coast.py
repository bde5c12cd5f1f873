"""The coast that is shipped, and the tool that cut it."""

import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.project.sources import PACKAGES, ROOT
from titik_collector.config import model
from tools import coast

KUPANG: dict[str, Any] = json.loads(
    (PACKAGES["titik_collector"] / "web/coasts/kupang.geojson").read_text()
)
SITES = model.load(ROOT / "examples/kupang.toml").site
BOX = (0.0, 0.0, 10.0, 10.0)
INSIDE = [(1.0, 1.0), (2.0, 1.0), (2.0, 3.0), (1.0, 1.0)]
DEGREE_M = 111_200.0


def test_what_lies_inside_stays_as_it_is() -> None:
    """Point for point, so a coast is nowhere drawn differently."""
    assert INSIDE == coast.clipped(INSIDE, BOX)


def test_what_lies_outside_goes() -> None:
    """An island of another city is not shipped."""
    assert [] == coast.clipped([(east + 20, north) for east, north in INSIDE], BOX)


def test_land_is_closed_along_the_edge_of_the_box() -> None:
    """Otherwise half of an island would be filled across its bay."""
    across = [(-5.0, 2.0), (5.0, 2.0), (5.0, 8.0), (-5.0, 8.0), (-5.0, 2.0)]
    expected = {(0.0, 2.0), (5.0, 2.0), (5.0, 8.0), (0.0, 8.0)}
    found = coast.clipped(across, BOX)
    assert expected == set(found)
    assert found[0] == found[-1]


ring = st.lists(
    st.tuples(st.floats(-15, 25, width=32), st.floats(-15, 25, width=32)), min_size=3, max_size=12
).map(lambda points: [*points, points[0]])


@given(ring)
def test_nothing_reaches_out_of_the_box(points: list[coast.Position]) -> None:
    """Whatever the shape of the land; a ring is closed."""
    found = coast.clipped(points, BOX)
    assert all(0 <= east <= 10 and 0 <= north <= 10 for east, north in found)
    assert found[:1] == found[-1:]


def test_the_box_holds_30_km_around_every_site() -> None:
    """As far as the map can be moved."""
    west, south, east, north = coast.around([(123.6, -10.1), (None, None)])
    assert math.isclose(30_000, (north + 10.1) * DEGREE_M, rel_tol=0.05)
    assert math.isclose(
        30_000, (east - 123.6) * DEGREE_M * math.cos(math.radians(10.1)), rel_tol=0.05
    )
    assert (west + east, south + north) == pytest.approx((247.2, -20.2))


def test_the_coast_of_kupang_is_of_its_sites() -> None:
    """The box of the file is what the tool cuts for the example."""
    expected = coast.around([(one.longitude, one.latitude) for one in SITES])
    assert list(expected) == KUPANG["bbox"]


def test_the_coast_says_whose_it_is() -> None:
    """The ODbL asks for both."""
    assert "© OpenStreetMap contributors" == KUPANG["properties"]["attribution"]
    assert "Open Database License" in KUPANG["properties"]["licence"]


def test_the_sites_of_kupang_are_on_land() -> None:
    """All but the beach of Oesapa, whose place in the example is approximate."""
    outlines = [polygon[0] for polygon in KUPANG["geometry"]["coordinates"]]
    at_sea = [
        one.name
        for one in SITES
        if one.longitude and one.latitude
        if not any(is_inside(one.longitude, one.latitude, outline) for outline in outlines)
    ]
    assert ["pantai-warna-oesapa"] == at_sea


def test_the_tool_reads_one_country_at_a_time(tmp_path: Path) -> None:
    """The file of the package has a line for each."""
    shape = {"type": "Polygon", "coordinates": [INSIDE]}
    file = tmp_path / "map.geo.json"
    lines = ",\n".join(
        json.dumps({"type": "Feature", "geometry": shape}, separators=(",", ":")) for _ in range(2)
    )
    file.write_text('{"type":"FeatureCollection", "features": [\n' + lines + "\n]}\n")
    assert [[INSIDE], [INSIDE]] == coast.cut(coast.features(file), BOX)


def is_inside(east: float, north: float, outline: list[list[float]]) -> bool:
    """Whether a ray to the east crosses the outline an odd number of times."""
    crossed = False
    for (x1, y1), (x2, y2) in pairwise(outline):
        if (y1 > north) != (y2 > north) and east < x1 + (north - y1) / (y2 - y1) * (x2 - x1):
            crossed = not crossed
    return crossed
