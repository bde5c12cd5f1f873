"""The map that the server draws: places, what lies under them, and its scale."""

import json
import re
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.until import until
from tests.web import cities
from tests.web.conftest import LOOPBACK
from titik_collector.config import model
from titik_collector.config.model import ConfigError
from titik_collector.limits import MAX_BASEMAP, MAX_DRAWN_POINTS
from titik_collector.web import app, basemap, site_map
from titik_collector.web.basemap import Position
from titik_collector.web.city_view import CityView
from titik_collector.web.places import Place, places
from titik_collector.web.site_map import Frame, Spot

KUPANG: Position = (123.6, -10.16)
SQUARE = {"type": "Polygon", "coordinates": [[[123, -11], [124, -11], [124, -9], [123, -11]]]}


def test_every_place_is_drawn_with_its_state_and_clients(page: TestClient) -> None:
    """Without JavaScript; each leads to its site."""
    drawing = page.get("/").text.partition('<svg class="map-drawing"')[2].partition("</svg>\n<p")[0]
    assert 10 == len(re.findall(r'<a class="map-place state-online" href="/site/', drawing))
    assert 10 == len(re.findall(r'<text[^>]* data-figure="clients">\d+<', drawing))


def test_the_map_names_whose_coast_it_is(page: TestClient) -> None:
    """As the ODbL asks."""
    assert '<p class="map-credit">© OpenStreetMap contributors</p>' in page.get("/").text


def test_the_coast_is_sent_once_and_asked_for_again(page: TestClient) -> None:
    """A browser keeps it, and learns by its tag that nothing changed."""
    answer = page.get("/basemap.geojson")
    assert "application/geo+json" == answer.headers["content-type"]
    assert "Feature" == answer.json()["type"]
    again = page.get("/basemap.geojson", headers={"If-None-Match": answer.headers["etag"]})
    assert (304, b"") == (again.status_code, again.content)


def test_both_ways_between_degrees_and_the_drawing() -> None:
    """To a tenth of a unit."""
    frame = Frame([(123.58, -10.17), (123.65, -10.14)])
    assert frame.place(frame.point(KUPANG)) == pytest.approx(KUPANG, abs=1e-4)


def test_all_places_are_in_the_frame() -> None:
    """With room for their marks."""
    corners: list[Position] = [(123.58, -10.17), (123.65, -10.14), KUPANG]
    frame = Frame(corners)
    for x, y in map(frame.point, corners):
        assert site_map.EDGE - 1 <= x <= site_map.WIDTH - site_map.EDGE + 1
        assert site_map.EDGE - 1 <= y <= site_map.HEIGHT - site_map.EDGE + 1


def test_a_single_place_is_in_the_middle_of_two_kilometres() -> None:
    """Not of a point without size."""
    frame = Frame([KUPANG])
    assert frame.point(KUPANG) == Spot(site_map.WIDTH / 2, site_map.HEIGHT / 2)
    assert 2.0 == pytest.approx(frame.km * site_map.WIDTH)


@pytest.mark.parametrize("span", [0.0, 0.01, 0.4, 12.0])
def test_the_scale_is_round_and_fits(span: float) -> None:
    """1, 2 or 5 with zeros; at most a quarter of the width."""
    frame = Frame([KUPANG, (KUPANG[0] + span, KUPANG[1])])
    bar = site_map.scale(frame)
    assert f"{bar.number:g}"[0] in "125"
    assert 0 < bar.width <= site_map.WIDTH / 4 + 0.1


def test_a_city_without_coast_has_a_grid_of_degrees() -> None:
    """A few round lines each way, inside of the drawing."""
    lines = list(site_map.graticule(Frame([(10.0, 50.0), (10.1, 50.05)])))
    upright = [one for one in lines if "V" in one.path]
    assert 2 <= len(upright) <= 12
    assert 2 <= len(lines) - len(upright) <= 12
    assert [round(one.degree, one.digits) for one in lines] == pytest.approx(
        [one.degree for one in lines], abs=1e-9
    )


def test_a_coast_is_drawn_where_all_places_lie_in_its_box() -> None:
    """Another city by the same sea gets it too; one elsewhere does not."""
    assert basemap.shipped([KUPANG, (123.7, -10.0)]) is not None
    assert basemap.shipped([KUPANG, (124.7, -10.0)]) is None
    assert basemap.shipped([]) is None


def configured(folder: Path, content: str | None) -> model.Config:
    """Kupang with a file of its own as basemap."""
    file = folder / "own.geojson"
    if content is not None:
        file.write_text(content)
    text = cities.KUPANG.read_text().replace('directory = "broker"', "")
    (folder / "titik.toml").write_text(text + '\n[web]\nbasemap = "own.geojson"\n')
    return model.load(folder / "titik.toml")


def test_the_operator_s_own_file_goes_before_ours(tmp_path: Path) -> None:
    """Its areas, lines and attribution."""
    roads = {"type": "MultiLineString", "coordinates": [[[123, -10], [124, -10]]]}
    own = {
        "type": "FeatureCollection",
        "features": [
            {"type": "Feature", "properties": {"attribution": "© Kota"}, "geometry": SQUARE},
            {"type": "Feature", "properties": None, "geometry": roads},
            {"type": "Feature", "properties": {}, "geometry": None},
            {"type": "Feature", "geometry": {"type": "Point", "coordinates": [123, -10]}},
        ],
    }
    found = basemap.of_city(configured(tmp_path, json.dumps(own)))
    assert found is not None
    assert (1, 1, "© Kota") == (len(found.areas), len(found.lines), found.attribution)


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (None, "No such file"),
        ("PMTiles\3", "Expecting value"),
        ("[1]", "is no GeoJSON"),
        ('{"type":"Feature"}', "is no GeoJSON"),
        ('{"type":"Point","coordinates":[1,2]}', "neither a polygon nor a line"),
        ('{"type":"LineString","coordinates":[[500000,900000],[1,2]]}', "no degrees"),
        (" " * (MAX_BASEMAP + 1), "larger than 1 MiB"),
    ],
)
def test_a_file_that_is_none_is_named_at_the_start(
    tmp_path: Path, content: str | None, wrong: str
) -> None:
    """With its key and what to give."""
    with pytest.raises(ConfigError, match=rf"web\.basemap.*{wrong}.*GeoJSON"):
        basemap.of_city(configured(tmp_path, content))


def test_a_large_coast_is_thinned_for_the_page() -> None:
    """The map that moves gets all of it."""
    frame = Frame([(123.0, -10.0), (124.0, -10.5)])
    coast = tuple((123 + n / 100_000, -10.2 + (n % 2) / 10) for n in range(100_000))
    drawn = site_map.path([coast], frame)
    assert drawn.count("L") <= MAX_DRAWN_POINTS


def test_islands_of_another_region_are_not_drawn() -> None:
    """Nothing of them could be seen."""
    assert "" == site_map.path([((10.0, 50.0), (11.0, 50.0), (11.0, 51.0))], Frame([KUPANG]))


def test_a_city_without_any_place_has_no_map(view: CityView) -> None:
    """The list is there all the same."""
    assert site_map.drawn(shown(view), {}, None) is None


def test_places_that_are_not_on_the_map_are_counted(view: CityView) -> None:
    """Nobody believes that a place is gone."""
    where = basemap.positions(view.config)
    del where["perumnas"]
    drawn = site_map.drawn(shown(view), where, None)
    assert drawn is not None
    assert (9, 1) == (len(drawn.pins), drawn.unplaced)


def test_what_is_away_is_drawn_above_what_is_online(city: cities.City, view: CityView) -> None:
    """Last in the drawing."""
    city.report("perumnas-1", "offline")
    assert until(lambda: "offline" in states(view), True)
    page = TestClient(app.build(view), LOOPBACK)
    assert (
        "perumnas"
        == re.findall(r'<a class="map-place .*? href="/site/(.+?)"', page.get("/").text)[-1]
    )


def shown(view: CityView) -> list[Place]:
    """The places of the page."""
    return places(view.config, view.snapshot.status.sites)


def states(view: CityView) -> set[str]:
    """Of all sites."""
    return {one.now.state for one in view.snapshot.status.sites}
