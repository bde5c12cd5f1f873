"""The public page in a real browser: what is drawn has room, and whole pages break no rule.

What it looked like is left in var/screens, for people who look.
"""

import re
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.web import cities
from tests.web.conftest import OpenPage
from tests.web.plain_files import files_of
from tests.web.test_screens import LOOKS, SHOTS, violations
from titik_collector.public.static_export import PublicExport

pytestmark = pytest.mark.system

SCREENS = {
    "now": "index.html",
    "place": "place/taman-tirosa.html",
    "history": "history.html",
    "about": "about.html",
}
# Two that lie upon each other, of what a selector finds.
UPON = """(selector) => {
  const boxes = [...document.querySelectorAll(selector)].map((one) => one.getBoundingClientRect());
  const over = (a, b, start, end) => a[start] < b[end] - 1 && b[start] < a[end] - 1;
  const meet = (a, b) => over(a, b, "left", "right") && over(a, b, "top", "bottom");
  return boxes.filter((one, n) => boxes.slice(0, n).some((other) => meet(one, other))).length;
}"""
# Figures of the map that touch their mark or their plate.
CRAMPED = """() => [...document.querySelectorAll(".map-plate")].filter((one) => {
  const boxOf = (part) => one.querySelector(part).getBoundingClientRect();
  const [mark, plate, text] = [".mark", "rect", "text"].map(boxOf);
  return text.left < mark.right + 1 || text.right > plate.right - 2;
}).length"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page of a city with a past, where a hospital is away, others are full or have gaps."""
    folder = tmp_path_factory.mktemp("city")
    since = date.today() - timedelta(days=10)
    text = re.sub(r"(\[\[router\]\]\n)", rf"\1since = {since}\n", cities.KUPANG.read_text())
    with cities.city(folder, text) as city:
        city.remember(5, "tirosa-1", "fontein-1", "lerik-1", "solor-1")
        city.live(minutes=45, clients=96, gappy=["tirosa-1"])
        city.report("lerik-1", "offline")
        city.roll()
        PublicExport(city.config, folder / "public").write()
    with files_of(folder / "public") as address:
        yield address


@pytest.mark.parametrize("name", SCREENS)
@pytest.mark.parametrize(("width", "language", "theme"), LOOKS)
def test_a_public_screen_is_whole(
    open_page: OpenPage, address: str, name: str, width: int, language: str, theme: Any
) -> None:
    """It fits its width, nothing lies upon another, and no rule of accessibility is broken."""
    page = open_page(f"{address}/{language}/{SCREENS[name]}", width, color_scheme=theme)
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"public-{name}-{width}-{language}-{theme}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert 0 == page.evaluate(UPON, ".map-plate rect")
    assert 0 == page.evaluate(CRAMPED)
    assert [] == violations(page)


def test_a_printed_page_has_no_menu(open_page: OpenPage, address: str) -> None:
    """Nobody can follow it on paper."""
    page = open_page(f"{address}/en/index.html")
    menu = page.locator(".top nav").first
    expect(menu).to_be_visible()
    page.emulate_media(media="print")
    expect(menu).to_be_hidden()
