"""What people do to a page: keys, back, two tabs, sleep, a thousand routers, stillness, paper.

What becomes of figures when a line or a server fails is in test_live_in_browser.py.
"""

import contextlib
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.until import until
from tests.web import cities
from tests.web.conftest import OpenPage, Served, serving_at
from titik_collector.web import site_map, static_files
from titik_collector.web.city_view import watching
from titik_collector.web.site_map import Spot

pytestmark = pytest.mark.system

TIROSA = '.place[data-subject="site/taman-tirosa"]'


@pytest.fixture
def lived(tmp_path: Path) -> Iterator[Served]:
    """A city of its own, for tests that change it."""
    with cities.city(tmp_path) as filled:
        filled.live()
        with watching(filled.config) as view, serving_at(view) as address:
            yield Served(filled, address)


@contextlib.contextmanager
def served_large(folder: Path, text: str) -> Iterator[Served]:
    """A city of many places, each of whose routers was heard."""
    with cities.city(folder, text) as filled:
        filled.hear_all(2)
        with watching(filled.config) as view, serving_at(view) as address:
            yield Served(filled, address)


def is_live(page: Page, word: str = "live") -> None:
    """Wait until the head says so."""
    expect(page.locator("[data-live]")).to_have_attribute("data-live", word)


def clients(page: Page, text: str | re.Pattern[str]) -> None:
    """Wait until Taman Tirosa has so many."""
    expect(page.locator(f'{TIROSA} [data-figure="clients"]')).to_have_text(text)


def test_figures_change_without_a_reload(open_page: OpenPage, lived: Served) -> None:
    """In the list and on the map."""
    page = open_page(lived.address)
    is_live(page)
    page.locator(".pin").first.wait_for()
    lived.city.hear("tirosa-1", 77)
    clients(page, "77")
    expect(page.locator('.pin[href="/site/taman-tirosa"] .pin-count')).to_have_text("77")


def test_an_outage_changes_shape_word_and_place(open_page: OpenPage, lived: Served) -> None:
    """Not only a colour; what is wrong goes first."""
    page = open_page(f"{lived.address}/?lang=en")
    is_live(page)
    page.locator(".pin").first.wait_for()
    lived.city.report("tirosa-1", "offline")
    expect(page.locator(f'{TIROSA} [data-figure="state"]').first).to_have_text("offline")
    expect(page.locator(f"{TIROSA} h2 use")).to_have_attribute("href", "#mark-offline")
    expect(page.locator(".places > li").first).to_have_attribute("data-title", "Taman Tirosa")
    pin = page.locator('.pin[href="/site/taman-tirosa"]')
    expect(pin).to_have_class(re.compile("state-offline"))
    expect(pin).to_have_attribute("title", "Taman Tirosa: offline")


def test_a_phone_without_javascript_reads_the_same(browser: Browser, served_city: Served) -> None:
    """Every figure and the map are in the page itself; what needs a script is not there."""
    context = browser.new_context(java_script_enabled=False, viewport={"width": 360, "height": 780})
    with contextlib.closing(context):
        page = context.new_page()
        page.goto(served_city.address)
        clients(page, re.compile(r"^\d+$"))
        expect(page.locator(".map-drawing .map-place")).to_have_count(10)
        page.goto(f"{served_city.address}/site/taman-tirosa")
        expect(page.locator("[data-table]").first).to_be_hidden()
        expect(page.locator(".chart-tools a[download]").first).to_be_visible()


def test_everything_is_reached_by_keyboard(open_page: OpenPage, served_city: Served) -> None:
    """Search by a key, a place by Tab, its page by Enter, and each focus is seen."""
    page = open_page(served_city.address)
    is_live(page)
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_class(re.compile("skip"))
    page.keyboard.press("/")
    page.keyboard.type("fontein")
    expect(page.locator(".places > li:visible")).to_have_count(1)
    for _ in range(12):
        page.keyboard.press("Tab")
        expect(page.locator(":focus")).not_to_have_css("outline-style", "none")
        if page.evaluate("document.activeElement.closest('.place h2') !== null"):
            break
    page.keyboard.press("Enter")
    page.wait_for_url("**/site/taman-fontein")


def test_a_map_is_moved_by_keyboard_and_in_the_address(
    open_page: OpenPage, served_city: Served
) -> None:
    """Who passes the address on, or comes back, sees the same part of the city."""
    page = open_page(served_city.address)
    page.locator(".pin").first.wait_for()
    page.locator(".map-canvas").focus()
    page.keyboard.press("+")
    page.wait_for_url(re.compile(r"map=[\d.]+/-10\.\d+/123\.\d+"))
    where = page.url
    page.goto(f"{served_city.address}/about")
    page.go_back()
    page.locator(".pin").first.wait_for()
    expect(page).to_have_url(where)


def test_a_chart_that_is_long_in_coming_says_so(open_page: OpenPage, served_city: Served) -> None:
    """After three seconds, in words; they go when it is drawn."""
    page = open_page("about:blank")
    held: list[Route] = []
    page.route(lambda url: "/api/v1/history/" in url, lambda one: held.append(one))
    page.goto(f"{served_city.address}/site/taman-tirosa?lang=id")
    box = page.locator('[data-chart="clients"] .chart-box')
    box.scroll_into_view_if_needed()
    expect(box).to_have_attribute("data-slow", "memuat …")
    for one in held:
        one.continue_()
    page.locator('[data-chart="clients"] .chart-box:not([data-slow]) canvas').wait_for()


def test_a_chart_is_read_by_keyboard(open_page: OpenPage, served_city: Served) -> None:
    """The end, a step back, ten more; the readout has it in words, and a table has the same."""
    page = open_page(f"{served_city.address}/site/taman-tirosa?lang=en")
    figure = page.locator('[data-chart="clients"]')
    figure.locator("canvas").wait_for()
    readout = figure.locator(".chart-readout")
    figure.locator(".chart-box").focus()
    seen = [readout.inner_text()]
    for key in ("End", "ArrowLeft", "Shift+ArrowLeft", "Home"):
        page.keyboard.press(key)
        expect(readout).not_to_have_text(seen[-1])
        seen.append(readout.inner_text())
    assert 5 == len(set(seen))
    assert re.search(r"\d\d:\d\d", seen[1])
    figure.locator("[data-table]").click()
    rows = figure.locator("tbody tr")
    expect(rows.nth(23)).to_be_attached()
    expect(rows.nth(25)).not_to_be_attached()  # 24 rows are whole hours, in the first minute of one
    page.locator("[data-heat]").scroll_into_view_if_needed()
    page.locator("[data-heat] canvas").wait_for()
    page.locator("[data-heat] .chart-box").focus()
    page.keyboard.press("ArrowUp")
    expect(page.locator("[data-heat] .chart-readout")).to_have_text(re.compile(r"\d\d\W\d\d: "))


def test_the_day_of_a_place_stands_beside_the_map(open_page: OpenPage, served_city: Served) -> None:
    """The city's first; a click on a card changes it, in the address too, and a reload keeps it."""
    page = open_page(f"{served_city.address}/?lang=en")
    is_live(page)
    day = page.locator(".day")
    day.locator("canvas").first.wait_for()
    expect(day.locator(".day-title")).to_have_text("Kota Kupang")
    page.locator(f"{TIROSA} .figures").click()
    expect(day.locator(".day-title")).to_have_text("Taman Tirosa")
    expect(page).to_have_url(re.compile("place=taman-tirosa"))
    page.reload()
    expect(day.locator(".day-title")).to_have_text("Taman Tirosa")
    expect(page.locator(TIROSA)).to_have_class(re.compile("chosen"))
    day.locator(".day-city").click()
    expect(day.locator(".day-title")).to_have_text("Kota Kupang")
    expect(page).not_to_have_url(re.compile("place="))


def test_a_phone_fetches_no_day(open_page: OpenPage, served_city: Served) -> None:
    """There is no room beside the map, so nothing of it is there."""
    asked: list[str] = []
    page = open_page("about:blank", 360)
    page.on("request", lambda one: asked.append(one.url))
    page.goto(served_city.address)
    is_live(page)
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    page.locator(".pin").first.wait_for()
    expect(page.locator(".day")).to_be_hidden()
    assert [] == [one for one in asked if "/api/v1/history" in one or "uPlot" in one]


@pytest.mark.parametrize("width", [360, 1440])
def test_no_pin_lies_upon_another(open_page: OpenPage, served_city: Served, width: int) -> None:
    """Each is read and touched by itself; a line leads from it to its place."""
    page = open_page(served_city.address, width)
    page.locator("[data-map]").scroll_into_view_if_needed()
    expect(page.locator(".pin")).to_have_count(10)
    assert 0 == until(lambda: len(upon_another(page)), 0)


def upon_another(page: Page) -> list[tuple[Any, Any]]:
    """Boxes of pins that share some of the screen."""
    boxes = page.locator(".pin").evaluate_all(
        "pins => pins.map((one) => one.getBoundingClientRect().toJSON())"
    )
    return [
        (one, other)
        for n, one in enumerate(boxes)
        for other in boxes[:n]
        if abs(one["x"] - other["x"]) < min(one["width"], other["width"]) - 1
        and abs(one["y"] - other["y"]) < one["height"] - 1
    ]


def test_both_maps_push_their_pins_apart_alike(open_page: OpenPage, served_city: Served) -> None:
    """The drawing of the server and the map that moves have the same heaps of places."""
    page = open_page(served_city.address)
    module = static_files.static_files().address("js/map.js")
    width, height = site_map.PLATE
    draw = random.Random(7)
    for count in (2, 10, 40):
        heap = [Spot(draw.randrange(200), draw.randrange(120)) for _ in range(count)]
        spots = [{"x": x, "y": y, "width": width, "height": height} for x, y in heap]
        moved = page.evaluate(
            "([module, spots]) => import(module).then((map) => (map.apart(spots), spots))",
            [module, spots],
        )
        there = [one[side] for one in moved for side in ("x", "y")]
        assert [side for one in site_map.apart(heap) for side in one] == pytest.approx(
            there, abs=0.06
        )


def test_reload_and_back_show_what_was_shown(open_page: OpenPage, served_city: Served) -> None:
    """All of it is in the address."""
    page = open_page(f"{served_city.address}/?lang=en")
    is_live(page)
    page.locator('[data-filter="offline"]').click()
    expect(page.locator(".places > li:visible")).to_have_count(2)
    page.reload()
    expect(page.locator(".places > li:visible")).to_have_count(2)
    page.locator(".places > li:visible a").first.click()
    page.wait_for_url("**/site/*")
    page.go_back()
    expect(page.locator(".places > li:visible")).to_have_count(2)
    is_live(page)


def test_two_tabs_live_side_by_side(open_page: OpenPage, lived: Served) -> None:
    """Each has a stream of its own."""
    pages = [open_page(lived.address), open_page(f"{lived.address}/site/taman-tirosa")]
    for page in pages:
        is_live(page)
    lived.city.hear("tirosa-1", 63)
    for page in pages:
        clients(page, "63")


def test_after_a_sleep_the_page_is_not_taken_for_live(open_page: OpenPage, lived: Served) -> None:
    """Its scripts stand still, as in a phone in a pocket; then it catches up."""
    page = open_page(lived.address)
    is_live(page)
    cdp = page.context.new_cdp_session(page)
    cdp.send("Page.setWebLifecycleState", {"state": "frozen"})
    lived.city.hear("tirosa-1", 52)
    cdp.send("Page.setWebLifecycleState", {"state": "active"})
    clients(page, "52")
    is_live(page)


def test_without_a_collector_every_place_is_unknown(open_page: OpenPage, tmp_path: Path) -> None:
    """What was true as it ended is not known now, and the page says so."""
    with contextlib.ExitStack() as collector:
        filled = collector.enter_context(cities.city(tmp_path))
        filled.live()
        with watching(filled.config) as view, serving_at(view) as address:
            page = open_page(f"{address}/?lang=en")
            is_live(page)
            expect(page.locator('[data-bar="blind"]')).to_be_hidden()
            collector.close()
            expect(page.locator('[data-bar="blind"]')).to_be_visible()
            expect(page.locator(f'{TIROSA} [data-figure="state"]').first).to_have_text("unknown")


def test_a_thousand_routers_are_listed_grouped_and_live(
    open_page: OpenPage, tmp_path: Path
) -> None:
    """500 places: groups on the map, one router of a place changes its card."""
    with served_large(tmp_path, cities.large(500, 2)) as large:
        page = open_page(large.address, locale="en-GB")
        is_live(page)
        expect(page.locator(".places > li")).to_have_count(500)
        page.locator(".pin-group").first.wait_for()
        expect(page.locator("[data-key-group]")).to_be_visible()
        assert until(lambda: 0 < page.locator(".pin").count() < 300, True)
        large.city.hear("r-7-0", 50)
        figure = page.locator('.place[data-subject="site/tempat-7"] [data-figure="clients"]')
        expect(figure.first).to_have_text("52")


@pytest.mark.parametrize("part", ["places", "map", "day"])
def test_of_many_places_each_part_is_a_few_keys_away(
    open_page: OpenPage, tmp_path: Path, part: str
) -> None:
    """All 500 are shown, with two stops each; nobody passes them to reach the map or the chart."""
    with served_large(tmp_path, cities.large(500, 2)) as large:
        page = open_page(f"{large.address}/?all=yes&lang=en")
        is_live(page)
        page.locator(".pin").first.wait_for()
        stops = 0
        while page.evaluate("document.activeElement.getAttribute('href')") != f"#{part}":
            page.keyboard.press("Tab")
            stops += 1
            assert stops <= 4
        page.keyboard.press("Enter")
        expect(page).to_have_url(re.compile(f"#{part}$"))
        page.keyboard.press("Tab")
        page.wait_for_function(f"document.activeElement.closest('#{part}') !== null")


def test_a_phone_reaches_the_map_of_many_places(open_page: OpenPage, tmp_path: Path) -> None:
    """All of it is seen, though places above it are drawn only when they are near."""
    text = cities.large(500, 2).replace("\nlongitude", "\ncapacity = 100\nlongitude")
    with served_large(tmp_path, text.replace("latitude", "uplink_mbps = 50\nlatitude")) as large:
        page = open_page(f"{large.address}/?lang=en", width=360)
        is_live(page)
        expect(page.locator("[data-all]")).to_have_text("Show all 500", use_inner_text=True)
        page.locator(".to-map").click()
        page.locator(".pin").first.wait_for()
        page.wait_for_function(
            "() => { const box = (one) => document.querySelector(one).getBoundingClientRect();"
            " const { top, bottom } = box('.map-canvas');"
            " return top >= 0 && bottom <= box('.top nav').top; }"
        )


def test_who_opens_a_group_by_keyboard_stays_on_the_map(
    open_page: OpenPage, tmp_path: Path
) -> None:
    """The group is gone; its first place has the focus, else the map."""
    with served_large(tmp_path, cities.large(500, 1)) as large:
        page = open_page(f"{large.address}/?lang=en")
        is_live(page)
        page.locator(".pin-group").first.focus()
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile("map="))
        page.wait_for_function("document.activeElement.matches('a.pin, .map-canvas')")


def test_nothing_moves_for_who_wants_it_still(open_page: OpenPage, served_city: Served) -> None:
    """Neither the map nor a colour that fades."""
    page = open_page(served_city.address, reduced_motion="reduce")
    page.locator(".pin").first.wait_for()
    expect(page.locator(".leaflet-zoom-anim")).to_have_count(0)
    durations = page.evaluate(
        "[...document.querySelectorAll('*')].map(one => getComputedStyle(one).transitionDuration)"
    )
    assert {"0s"} == set(durations)


def test_paper_is_light_and_has_no_buttons(open_page: OpenPage, served_city: Served) -> None:
    """Whatever the theme of the screen."""
    page = open_page(f"{served_city.address}/site/taman-tirosa", color_scheme="dark")
    is_live(page)
    page.emulate_media(media="print")
    surface = "getComputedStyle(document.documentElement).getPropertyValue('--card').trim()"
    assert "#FFFFFF" == page.evaluate(surface)
    expect(page.locator("nav")).to_be_hidden()
    expect(page.locator(".chart-tools").first).to_be_hidden()
    expect(page.locator("h1")).to_be_visible()
