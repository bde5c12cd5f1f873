"""The screen on a wall, on the screens that hang there, and in a hand."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.until import until
from tests.web import cities
from tests.web.alerts import happened
from tests.web.conftest import OpenPage, Served, serving_at
from tests.web.people import actor
from tests.web.test_live_in_browser import COUNTED, turn
from tests.web.test_screens import SHOTS
from titik_collector.alerts.alert import AlertSubject
from titik_collector.desk import acks
from titik_collector.store import desk_opening, incident_rows
from titik_collector.web.city_view import watching
from titik_wire.instant import HOUR_MS

pytestmark = pytest.mark.usefixtures("nobody_is_doubted")
INCIDENTS, FIGURES, PLACES, MAP = range(4)  # the scenes, in their order
READABLE = 36  # of the 1080 rows of a screen: as high as text has to be at four metres
SIZES = [(1280, 720), (1366, 768), (1920, 1080), (3840, 2160)]
CURRENT = (
    "() => [...document.querySelectorAll('.scene')].findIndex((one) => one.matches('.current'))"
)
CURRENT_IN = f"scenes => scenes.includes(({CURRENT})())"
# What is not wholly inside of the window, or of its own box.
CUT = """() => {
document.body.classList.remove("shift-1", "shift-2", "shift-3");  // a few pixels, on purpose
return [...document.querySelectorAll(
  "main, .top > *, .current, .map-canvas, .pin," +
  ".current :is(.place, dd, h2, .count, .rest, .incident, .tags)"
)].filter((one) => one.getClientRects().length).filter((one) => {
  const box = one.getBoundingClientRect();
  return box.bottom > innerHeight || box.right > innerWidth || box.top < 0 || box.left < 0
    || one.scrollWidth > one.clientWidth + 1 && !one.matches(".map-canvas, .pin")
    || one.matches("main, .place, .scene, .incident, .incident h2 span")
      && one.scrollHeight > one.clientHeight + 1;
}).map((one) => `${one.className} ${one.textContent.trim().replace(/\\s+/g, " ").slice(0, 60)}`);
}"""


@pytest.fixture(scope="module")
def large_city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Sixty places, the last one in the order of titles away; six incidents."""
    with cities.city(tmp_path_factory.mktemp("large"), cities.large(60, 1)) as filled:
        filled.live()
        filled.report("r-59-0", "offline")
        now_ms = cities.now_ms()
        place = AlertSubject("site", "tempat-59")
        district = AlertSubject("group", "district:Kelurahan Nefonaek, Kecamatan Kota Lama")
        happened(filled.db, 1, place, "crowded", now_ms - 50 * HOUR_MS, severity="info")
        happened(filled.db, 2, place, "radio-stuck", now_ms - 49 * HOUR_MS, severity="warning")
        happened(filled.db, 3, district, "group-outage", now_ms - 26 * HOUR_MS)
        for number in (4, 5, 6):
            happened(filled.db, number, place, "hot", now_ms - number, severity="warning")
        with desk_opening.opened(filled.config.page_store) as db:
            acks.acknowledge(db, 3, "", actor()._replace(name="yohanes-nenobais"))
        with watching(filled.config) as view, serving_at(view) as address:
            yield Served(filled, address)


@pytest.mark.system
@pytest.mark.parametrize("kind", ["served_city", "large_city"])
def test_every_scene_fits_every_screen(
    open_page: OpenPage, request: pytest.FixtureRequest, kind: str
) -> None:
    """Nobody can scroll there."""
    page = on_wall(open_page, request.getfixturevalue(kind))
    scenes = (FIGURES, PLACES, MAP) if kind == "served_city" else (INCIDENTS, FIGURES, PLACES, MAP)
    left = {(scene, size) for scene in scenes for size in SIZES}
    while left:
        page.wait_for_function(CURRENT_IN, arg=[scene for scene, _ in left])
        now = page.evaluate(CURRENT)
        for size in [size for scene, size in left if scene == now]:
            page.set_viewport_size({"width": size[0], "height": size[1]})
            if now == MAP:
                page.locator(".pin").first.wait_for()
            assert [] == until(lambda: page.evaluate(CUT), [])
            scene, cut = page.evaluate(f"() => [({CURRENT})(), ({CUT})()]")
            if not cut:
                left.discard((scene, size))


@pytest.mark.system
def test_places_without_room_are_counted(open_page: OpenPage, large_city: Served) -> None:
    """The worst have room; the line below them is as long without scripts, and lives with them."""
    address = f"{large_city.address}/wall?lang=en"
    plain = open_page(address, java_script_enabled=False)
    expect(plain.locator("[data-rest]")).to_have_text("and 48 more: 48 online", use_inner_text=True)
    page = on_wall(open_page, large_city)
    page.wait_for_function(CURRENT_IN, arg=[PLACES])
    expect(page.locator(".place:visible")).to_have_count(12)
    expect(page.locator(".place").first).to_have_attribute("data-title", "Tempat 59")
    for number in range(13):
        large_city.city.report(f"r-{number}-0", "offline")
    expect(page.locator("[data-rest]")).to_have_text("and 48 more: 2 offline, 46 online")


@pytest.mark.system
def test_the_worst_incidents_have_a_scene(open_page: OpenPage, large_city: Served) -> None:
    """What is critical first; the rest is a number, and all are counted in the head."""
    page = on_wall(open_page, large_city)
    page.set_viewport_size({"width": 1920, "height": 1080})
    page.wait_for_function(CURRENT_IN, arg=[INCIDENTS])
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / "wall-incidents-en.png")
    shown = page.locator(".incident")
    expect(shown).to_have_count(4)
    expect(shown.first).to_contain_text("Kota Lama")
    expect(shown.first).to_contain_text("yohanes-nenobais handles it")
    expect(page.locator(".wall-incidents .rest")).to_have_text("and 2 more")
    expect(page.locator("[data-alerts]")).to_have_text("6 open alerts")
    sizes = page.locator(".incident :is(h2, .when, .who, .tag)").evaluate_all(
        "all => all.map((one) => parseFloat(getComputedStyle(one).fontSize))"
    )
    assert READABLE <= min(sizes)


@pytest.mark.system
def test_a_scene_without_an_incident_takes_no_turn(open_page: OpenPage, tmp_path: Path) -> None:
    """It comes with the first one, and goes with the last."""
    with cities.city(tmp_path) as filled, watching(filled.config) as view:
        filled.live()
        with serving_at(view) as address:
            page = on_wall(open_page, Served(filled, address))
            assert page.evaluate(CURRENT) in (FIGURES, PLACES, MAP)
            expect(page.locator("[data-alerts]")).to_be_hidden()
            one = happened(filled.db, 1, AlertSubject("site", "perumnas"), "hot", cities.now_ms())
            expect(page.locator("[data-alerts]")).to_be_visible()
            turn(page, 16_000)
            page.wait_for_function(CURRENT_IN, arg=[INCIDENTS])
            over = replace(one, resolved_ms=cities.now_ms())
            incident_rows.write(filled.db, [over])
            expect(page.locator("[data-alerts]")).to_be_hidden()
            turn(page, 16_000)
            expect(page.locator(".incident")).to_have_count(0)
            page.wait_for_function(CURRENT_IN, arg=[FIGURES])


@pytest.mark.system
def test_a_wall_that_hears_nothing_counts_nobody_as_online(
    open_page: OpenPage, large_city: Served
) -> None:
    """Neither in its line nor in its head; figures are gone after fifteen minutes."""
    page = open_page("about:blank")
    page.add_init_script(COUNTED)
    page.goto(f"{large_city.address}/wall?lang=en")
    expect(page.locator("[data-live]")).to_have_attribute("data-live", "live")
    page.route(lambda url: "/events" in url, lambda route: route.abort())
    page.evaluate("isDeaf = true")
    turn(page, 1_000_000)
    expect(page.locator("[data-rest]")).to_have_text("and 48 more: 48 unknown")
    expect(page.locator('[data-count="up"]')).to_have_text("0")


@pytest.mark.system
def test_a_wall_in_a_hand_scrolls_down_alone(open_page: OpenPage, served_city: Served) -> None:
    """All scenes stand below each other."""
    page = on_wall(open_page, served_city, 360, "id")
    assert 360 == page.evaluate("document.documentElement.scrollWidth")
    expect(page.locator(".scene:visible")).to_have_count(3)


def on_wall(open_page: OpenPage, served: Served, width: int = 1440, language: str = "en") -> Page:
    """The wall, live; a scene takes five seconds."""
    page = open_page(f"{served.address}/wall?every=5&lang={language}", width)
    expect(page.locator("[data-live]")).to_have_attribute("data-live", "live")
    page.wait_for_function(CURRENT_IN, arg=[INCIDENTS, FIGURES, PLACES, MAP])
    return page
