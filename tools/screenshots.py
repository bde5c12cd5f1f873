"""The pictures of docs/screens, of a demo that has its past, and in its outage: make screenshots.

The browser is Debian's Chromium.
"""

import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

from playwright.sync_api import Browser, Page, sync_playwright

from titik_collector.config.model import EXAMPLE
from titik_collector.public.static_export import PublicExport
from titik_collector.simulation.demo import CUT, Demo

CHROMIUM = "/usr/bin/chromium"
SCREENS = Path("docs/screens")
NOON = "12:10"  # offices, parks and kitchens have visitors
PAST_DAYS = 2
START_S = 60.0  # until there is a page
OUTAGE_MS = 22 * 60_000  # where it is missed, the next one is twenty minutes later
PAST_S = 600.0  # until the simulated days are there
WHOLE = 0.9  # of an hour; some of it is an outage


class Screen(NamedTuple):
    """One picture."""

    file: str
    width: int
    height: int
    path: str
    theme: Literal["light", "dark"]


_OUTAGE = (
    Screen("now.png", 1280, 800, "?lang=en", "light"),
    Screen("now-phone.png", 360, 740, "?lang=id", "dark"),
)
_PAST = (Screen("history.png", 1280, 900, f"history?lang=en&from={PAST_DAYS}d", "light"),)
_PUBLIC = (Screen("public-phone.png", 360, 740, "id/place/taman-nostalgia.html", "light"),)


class Noon(Demo):
    """A demo whose simulated day begins at noon, whenever it is."""

    def _spawn(self, name: str, package: str, *arguments: str) -> None:
        begin = ("--begin", NOON) if name == "fleet" else ()
        super()._spawn(name, package, *arguments, *begin)


@contextmanager
def city() -> Iterator[Demo]:
    """A demo in a folder that is removed."""
    with tempfile.TemporaryDirectory() as folder:
        demo = Noon(Path(folder) / "demo", EXAMPLE, PAST_DAYS)
        try:
            demo.start()
            wait_for(demo.page)
            yield demo
        finally:
            demo.stop()


def wait_for(address: str) -> None:
    """Until the page answers; not for ever."""
    until = time.monotonic() + START_S
    while True:
        try:
            urllib.request.urlopen(f"{address}healthz", timeout=5).close()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)
        else:
            return


def wait_for_the_past(browser: Browser, address: str) -> None:
    """Until each hour of the simulated days is there whole."""
    page = browser.new_page()
    question = f"{address}api/v1/history/city/city?w=1h&from={PAST_DAYS}d&fields=coverage_ratio"
    until = time.monotonic() + PAST_S
    while time.monotonic() < until:
        known = page.request.get(question).json()["figures"]["coverage_ratio"]
        if all(one is not None and one > WHOLE for one in known[1:-2]):
            return page.close()
        time.sleep(2)
    raise TimeoutError(f"not every hour is whole after {PAST_S:.0f} s: {question}")


@contextmanager
def opened(browser: Browser, address: str, screen: Screen) -> Iterator[Page]:
    """It, loaded; at the end of the block what is to be seen is kept."""
    page = browser.new_page(
        viewport={"width": screen.width, "height": screen.height}, color_scheme=screen.theme
    )
    page.goto(address + screen.path, wait_until="load")
    yield page
    page.screenshot(path=SCREENS / screen.file)
    page.close()
    print(f"{SCREENS / screen.file}: {(SCREENS / screen.file).stat().st_size:,} bytes")


def take(browser: Browser, demo: Demo, folder: Path) -> None:
    """All of them: the past first, then what is public, then the next outage."""
    wait_for_the_past(browser, demo.page)
    for screen in _PAST:
        with opened(browser, demo.page, screen) as page:
            page.locator("[data-chart] canvas").first.wait_for()
    PublicExport(demo.config, folder).write()
    for screen in _PUBLIC:
        with opened(browser, f"{folder.as_uri()}/", screen):
            pass
    away = f'[data-subject="router/{CUT}"], [data-subject="site/pantai-ketapang-satu"]'
    for screen in _OUTAGE:
        with opened(browser, demo.page, screen) as page:
            is_away = page.locator(away).and_(page.locator('[data-state="offline"]'))
            is_away.first.wait_for(timeout=OUTAGE_MS)


def main() -> None:
    """All of them."""
    SCREENS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, city() as demo, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        take(browser, demo, Path(folder))
        browser.close()


if __name__ == "__main__":
    main()
