"""Every screen in a real browser: on phone and desk, in both languages, light and dark.

What it looked like is left in var/screens, for people who look.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.project.sources import ROOT
from tests.web import cities
from tests.web.conftest import OpenPage, Served, serving_at
from tests.web.people import add_user
from titik_collector.web.city_view import watching

pytestmark = pytest.mark.system

SHOTS = ROOT / "var" / "screens"
AXE = ROOT / "node_modules/axe-core/axe.min.js"
SCREENS = {
    "now": "/",
    "groups": "/?group=district",
    "site": "/site/taman-tirosa",
    "away": "/site/rsud-sk-lerik",
    "router": "/router/tirosa-1",
    "events": "/happened",
    "history": "/history?s=taman-tirosa&from=7d",
    "compare": "/history?s=taman-tirosa&s=taman-fontein&from=31d&m=wifi",
    "about": "/about",
    "missing": "/nowhere",
    "wall": "/wall",
    "logout": "/logout",
    "login": "/login",
}
# Every value with every other: what two of them break together is seen, at half of the time.
LOOKS = [
    (360, "id", "light"),
    (360, "en", "dark"),
    (1440, "id", "dark"),
    (1440, "en", "light"),
]

# Headings that take no room though nothing says that they are hidden. What stands beside the map
# has room on a wide page alone.
SWALLOWED = """() => [...document.querySelectorAll("main :is(h1, h2, h3)")].filter((one) =>
  !one.closest("[hidden], details:not([open]), .aside .day, .scene:not(.current)")
  && !one.getClientRects().length
).map((one) => one.textContent.trim())"""
# What lies over the menu of the page, wherever it is scrolled to.
UPON_THE_MENU = """() => {
  const every = [...document.querySelectorAll(".top nav a")];
  const links = every.filter((one) => one.getClientRects().length);
  const found = new Set();
  for (let y = 0; y < document.body.scrollHeight; y += 200) {
    scrollTo(0, y);
    for (const link of links) {
      const { left, top, width, height } = link.getBoundingClientRect();
      const there = document.elementFromPoint(left + width / 2, top + height / 2);
      if (there && !link.contains(there)) found.add(there.outerHTML.slice(0, 80));
    }
  }
  scrollTo(0, 0);
  return [...found];
}"""


@pytest.fixture(scope="module")
def locked_city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Whoever looks at it logs in first."""
    with cities.city(tmp_path_factory.mktemp("locked")) as filled:
        add_user(filled.config)
        with watching(filled.config) as view, serving_at(view) as address:
            yield Served(filled, address)


@pytest.mark.parametrize("name", SCREENS)
@pytest.mark.parametrize(("width", "language", "theme"), LOOKS)
def test_a_screen_is_whole(
    open_page: OpenPage,
    request: pytest.FixtureRequest,
    name: str,
    width: int,
    language: str,
    theme: Any,
) -> None:
    """It fits its width, hides nothing that it has, and breaks no rule of accessibility."""
    path = SCREENS[name]
    served: Served = request.getfixturevalue("locked_city" if name == "login" else "served_city")
    address = f"{served.address}{path}{'&' if '?' in path else '?'}lang={language}"
    page = open_page(address, width, color_scheme=theme)
    page.wait_for_load_state("load")
    assert [] == violations(page)  # before what is fetched where it is seen
    settled(page)
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}-{width}-{language}-{theme}.png", full_page=True)
    assert language == page.locator("html").get_attribute("lang")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert [] == page.evaluate(SWALLOWED)
    assert [] == page.evaluate(UPON_THE_MENU)
    assert [] == violations(page)


def settled(page: Page) -> None:
    """All that is drawn by scripts is there, below the window too."""
    page.wait_for_load_state("load")
    for figure in page.locator("[data-chart]:visible, [data-heat]:visible").all():
        figure.scroll_into_view_if_needed()
        figure.locator("canvas").first.wait_for()
    if page.locator("[data-map]:visible").count():
        page.locator("[data-map]").scroll_into_view_if_needed()
        page.locator(".pin").first.wait_for()
    page.evaluate("scrollTo(0, 0)")


def violations(page: Page) -> list[str]:
    """What axe-core finds, by rule and element."""
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run({resultTypes: ['violations']})")
    return [
        f"{rule['id']}: {node['html'][:160]}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]
