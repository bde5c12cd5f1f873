"""Streets of an operator's own: which files are refused, and what browsers get and draw."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Page, expect
from starlette.testclient import TestClient

from tests.until import until
from tests.web import cities, pmtiles
from tests.web.conftest import LOOPBACK, OpenPage, serving_at
from tests.web.people import add_user
from titik_collector.config import model
from titik_collector.config.model import Config, ConfigError
from titik_collector.web import app, basemap, streets
from titik_collector.web.city_view import watching

KIND = "application/vnd.pmtiles"
# How many dots of the streets' tiles have this colour, of all of them.
DOTS = """(wanted) => [...document.querySelectorAll(".map-streets canvas")].reduce((sum, tile) => {
    const { data } = tile.getContext("2d").getImageData(0, 0, tile.width, tile.height);
    let found = 0;
    for (let n = 0; n < data.length; n += 4) {
        found += data[n] === wanted[0] && data[n + 1] === wanted[1] && data[n + 2] === wanted[2];
    }
    return sum + found;
}, 0)"""
PANES = ["tile", "overlay", "marker"]  # streets, leaders, places


def configured(folder: Path) -> Config:
    """Kupang with streets, as a file names them."""
    text = cities.KUPANG.read_text().replace('directory = "broker"', "")
    (folder / "titik.toml").write_text(f'{text}\n[web]\nbasemap = "city.pmtiles"\n')
    return model.load(folder / "titik.toml")


@pytest.fixture
def config(city: cities.City) -> Config:
    """Kupang with a file that browsers can draw."""
    file = pmtiles.write(city.config.file.parent / "city.pmtiles")
    return replace(city.config, web=replace(city.config.web, basemap=file))


@pytest.fixture
def page(config: Config) -> Iterator[TestClient]:
    """Its page."""
    with watching(config) as view:
        yield TestClient(app.build(view), LOOPBACK)


def test_the_drawing_keeps_the_coast(config: Config) -> None:
    """A server cannot draw streets; the public page shows the same drawing."""
    assert basemap.of_city(config) == basemap.shipped(list(basemap.positions(config).values()))


def test_the_file_says_whose_streets_they_are(config: Config) -> None:
    """Its links are words here, for a page runs no HTML of others."""
    found = streets.of_city(config)
    assert found is not None
    assert ("© OpenStreetMap", 15) == (found.attribution, found.max_zoom)


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        ({"version": 2}, "PMTiles of version 2, not 3"),
        ({"kind": 2}, "pictures, not vector tiles"),
        ({"tiles_packed": 3}, "not with gzip"),
        ({"packed": 4}, "not with gzip"),
        ({"packed": 1}, "does not say which layers"),
        ({"cut": 1}, "is cut off"),
        ({"layer": "transportation"}, "has no layer 'roads'"),
    ],
)
def test_what_browsers_cannot_draw_is_refused_at_the_start(
    tmp_path: Path, changed: dict[str, Any], wrong: str
) -> None:
    """With its key and what to give."""
    pmtiles.write(tmp_path / "city.pmtiles", **changed)
    with pytest.raises(ConfigError, match=rf"web\.basemap.*city\.pmtiles: .*{wrong}.*extract"):
        streets.of_city(configured(tmp_path))


@pytest.mark.parametrize(("content", "wrong"), [(None, "No such file"), (b"{}", "no PMTiles")])
def test_what_is_no_such_file_is_refused(tmp_path: Path, content: bytes | None, wrong: str) -> None:
    """Also GeoJSON under this name."""
    if content is not None:
        (tmp_path / "city.pmtiles").write_bytes(content)
    with pytest.raises(ConfigError, match=rf"web\.basemap.*{wrong}"):
        streets.of_city(configured(tmp_path))


def test_a_part_is_sent_as_it_is(page: TestClient, config: Config) -> None:
    """206 with the bytes that were asked for; no compression makes others of them."""
    whole = (config.file.parent / "city.pmtiles").read_bytes()
    part = page.get("/basemap.pmtiles", headers={"Range": "bytes=7-600"})
    assert (206, KIND, whole[7:601]) == (
        part.status_code,
        part.headers["content-type"],
        part.content,
    )
    assert f"bytes 7-{min(600, len(whole) - 1)}/{len(whole)}" == part.headers["content-range"]


def test_a_part_that_is_not_there_is_refused(page: TestClient) -> None:
    """416, so that a browser sees that it has another file."""
    assert 416 == page.get("/basemap.pmtiles", headers={"Range": "bytes=9000000-"}).status_code


def test_a_part_of_another_file_is_not_mixed_in(page: TestClient, config: Config) -> None:
    """A browser that had parts of the old file gets all of the new one."""
    first = page.get("/basemap.pmtiles", headers={"Range": "bytes=0-6"})
    asked = {"Range": "bytes=0-6", "If-Range": first.headers["etag"]}
    assert 206 == page.get("/basemap.pmtiles", headers=asked).status_code
    pmtiles.write(config.file.parent / "city.pmtiles", max_zoom=14, layer="roads_of_a_new_day")
    assert 200 == page.get("/basemap.pmtiles", headers=asked).status_code


def test_a_file_that_went_away_is_not_found(page: TestClient, config: Config) -> None:
    """The page goes on."""
    (config.file.parent / "city.pmtiles").unlink()
    assert 404 == page.get("/basemap.pmtiles").status_code


def test_streets_need_a_login_as_the_page_does(page: TestClient, config: Config) -> None:
    """They show where the city's places are looked at."""
    add_user(config, "siti")
    assert 401 == page.get("/basemap.pmtiles", headers={"Range": "bytes=0-6"}).status_code


@pytest.mark.system
@pytest.mark.parametrize(
    ("theme", "ground", "road", "on_paper"),
    [
        ("light", [226, 223, 218], [255, 255, 255], "none"),
        ("dark", [31, 31, 31], [61, 61, 61], "invert(1) hue-rotate(180deg)"),
    ],
)
def test_a_road_is_seen_below_the_places(
    open_page: OpenPage,
    config: Config,
    theme: str,
    ground: list[int],
    road: list[int],
    on_paper: str,
) -> None:
    """In a real browser, with whose it is, in the colours of the page; paper is light."""
    with watching(config) as view, serving_at(view) as address:
        page = open_page(f"{address}/?theme={theme}")
        page.locator("[data-map]").scroll_into_view_if_needed()
        assert until(lambda: page.evaluate(DOTS, ground) > 5000, True)
        assert until(lambda: page.evaluate(DOTS, road) > 500, True)
        expect(page.locator(".leaflet-control-attribution")).to_contain_text("© OpenStreetMap")
        assert sorted(PANES, key=lambda pane: level(page, pane)) == PANES
        assert ["none", on_paper] == [filter_of(page, media) for media in ("screen", "print")]


def filter_of(page: Page, media: Literal["screen", "print"]) -> str:
    """What makes dark streets light."""
    page.emulate_media(media=media)
    return str(page.locator(".map-streets").evaluate("(one) => getComputedStyle(one).filter"))


def level(page: Page, pane: str) -> int:
    """How far above the others it is."""
    found = page.locator(f".leaflet-{pane}-pane")
    return int(found.evaluate("(one) => getComputedStyle(one).zIndex"))


@pytest.mark.system
def test_streets_that_do_not_come_leave_the_coast(open_page: OpenPage, config: Config) -> None:
    """With whose the coast is, and not the streets'; a server that knows no parts has none."""
    with watching(config) as view, serving_at(view) as address:
        page = open_page("about:blank")
        page.route("**/basemap.pmtiles", lambda route: route.fulfill(status=200, body=""))
        page.goto(address)
        page.locator("[data-map]").scroll_into_view_if_needed()
        page.locator(".map-canvas .map-land").first.wait_for(state="attached")
        credit = page.locator(".leaflet-control-attribution")
        expect(credit).to_contain_text("© OpenStreetMap contributors")
        expect(page.locator(".map-streets")).to_have_count(0)


@pytest.mark.system
def test_without_streets_nothing_of_them_is_fetched(open_page: OpenPage, served: str) -> None:
    """Neither the file nor the library."""
    page = open_page("about:blank")
    asked: list[str] = []
    page.on("request", lambda one: asked.append(one.url))
    page.goto(served)
    page.locator("[data-map]").scroll_into_view_if_needed()
    page.locator(".pin").first.wait_for()
    page.locator(".map-land").first.wait_for(state="attached")
    assert not [one for one in asked if "pmtiles" in one or "protomaps" in one]
