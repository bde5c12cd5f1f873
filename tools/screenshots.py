"""The pictures of docs/screens, taken of a demo's page while its outage goes on: make screenshots.

The browser is Debian's Chromium.
"""

import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

from playwright.sync_api import Browser, sync_playwright

from titik_collector.config.model import EXAMPLE
from titik_collector.simulation.demo import CUT, Demo

CHROMIUM = "/usr/bin/chromium"
SCREENS = Path("docs/screens")
NOON = "12:10"  # offices, parks and kitchens have visitors
PAST_DAYS = 2
START_S = 60.0  # until there is a page
OUTAGE_MS = 420_000  # until it shows, perhaps the next one


class Screen(NamedTuple):
    """One picture."""

    file: str
    width: int
    height: int
    path: str
    theme: Literal["light", "dark"]


_SCREENS = (
    Screen("now.png", 1280, 800, "?lang=en", "light"),
    Screen("now-phone.png", 360, 740, "?lang=id", "dark"),
)


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


def take(browser: Browser, address: str, screen: Screen) -> None:
    """Open it, wait until the outage shows, and keep what is to be seen."""
    page = browser.new_page(
        viewport={"width": screen.width, "height": screen.height}, color_scheme=screen.theme
    )
    page.goto(address + screen.path, wait_until="load")
    away = f'[data-subject="router/{CUT}"], [data-subject="site/pantai-ketapang-satu"]'
    page.locator(away).and_(page.locator('[data-state="offline"]')).first.wait_for(
        timeout=OUTAGE_MS
    )
    page.screenshot(path=SCREENS / screen.file)
    page.close()
    print(f"{SCREENS / screen.file}: {(SCREENS / screen.file).stat().st_size:,} bytes")


def main() -> None:
    """All of them."""
    SCREENS.mkdir(parents=True, exist_ok=True)
    with city() as demo, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for screen in _SCREENS:
            take(browser, demo.page, screen)
        browser.close()


if __name__ == "__main__":
    main()
