"""The screen on a wall, on the screens that hang there, and in a hand."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.until import PATIENCE_S, until
from tests.web import cities
from tests.web.conftest import OpenPage, Served, serving_at
from tests.web.test_live_in_browser import COUNTED, turn
from titik_collector.web.city_view import watching

expect.set_options(timeout=PATIENCE_S * 1000)
SCENES = 3
SIZES = [(1280, 720), (1366, 768), (1920, 1080), (3840, 2160)]
CURRENT = (
    "() => [...document.querySelectorAll('.scene')].findIndex((one) => one.matches('.current'))"
)
CURRENT_IN = f"scenes => scenes.includes(({CURRENT})())"
# What is not wholly inside of the window, or of its own box.
CUT = """() => [...document.querySelectorAll(
  "main, .top > *, .current, .map-canvas, .pin, .current :is(.place, dd, h2, .count, .rest)"
)].filter((one) => one.getClientRects().length).filter((one) => {
  const box = one.getBoundingClientRect();
  return box.bottom > innerHeight || box.right > innerWidth || box.top < 0 || box.left < 0
    || one.scrollWidth > one.clientWidth + 1 && !one.matches(".map-canvas, .pin")
    || one.matches("main, .place, .scene") && one.scrollHeight > one.clientHeight + 1;
}).map((one) => `${one.className} ${one.textContent.trim().replace(/\\s+/g, " ").slice(0, 60)}`)"""


@pytest.fixture(scope="module")
def large_city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Sixty places, the last one in the order of titles away."""
    with cities.city(tmp_path_factory.mktemp("large"), cities.large(60, 1)) as filled:
        filled.live()
        filled.report("r-59-0", "offline")
        with watching(filled.config) as view, serving_at(view) as address:
            yield Served(filled, address)


@pytest.mark.system
@pytest.mark.parametrize("kind", ["served_city", "large_city"])
def test_every_scene_fits_every_screen(
    open_page: OpenPage, request: pytest.FixtureRequest, kind: str
) -> None:
    """Nobody can scroll there."""
    page = on_wall(open_page, request.getfixturevalue(kind))
    left = {(scene, size) for scene in range(SCENES) for size in SIZES}
    while left:
        page.wait_for_function(CURRENT_IN, arg=[scene for scene, _ in left])
        now = page.evaluate(CURRENT)
        for size in [size for scene, size in left if scene == now]:
            page.set_viewport_size({"width": size[0], "height": size[1]})
            if now == SCENES - 1:
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
    assert "and 48 more: 48 online" == plain.locator(".rest").inner_text().strip()
    page = on_wall(open_page, large_city)
    page.wait_for_function(CURRENT_IN, arg=[1])
    assert 12 == page.locator(".place:visible").count()
    expect(page.locator(".place").first).to_have_attribute("data-title", "Tempat 59")
    for number in range(13):
        large_city.city.report(f"r-{number}-0", "offline")
    expect(page.locator(".rest")).to_have_text("and 48 more: 2 offline, 46 online")


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
    expect(page.locator(".rest")).to_have_text("and 48 more: 48 unknown")
    expect(page.locator('[data-count="up"]')).to_have_text("0")


@pytest.mark.system
def test_a_wall_in_a_hand_scrolls_down_alone(open_page: OpenPage, served_city: Served) -> None:
    """All scenes stand below each other."""
    page = on_wall(open_page, served_city, 360, "id")
    assert 360 == page.evaluate("document.documentElement.scrollWidth")
    assert SCENES == page.locator(".scene:visible").count()


def on_wall(open_page: OpenPage, served: Served, width: int = 1440, language: str = "en") -> Page:
    """The wall, live; a scene takes five seconds."""
    page = open_page(f"{served.address}/wall?every=5&lang={language}", width)
    expect(page.locator("[data-live]")).to_have_attribute("data-live", "live")
    page.wait_for_function(CURRENT_IN, arg=list(range(SCENES)))
    return page
