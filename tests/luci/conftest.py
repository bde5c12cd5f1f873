"""Pages of the application in Chromium, on the stand-in of LuCI."""

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Route

from tests.luci.rpcd import APPLICATION, Rpcd
from tests.until import PATIENCE_S
from tools import luci

ROUTER = "http://router.test"
OpenView = Callable[..., Page]  # view, language
SHELL = """<!doctype html><html lang="en"><meta charset="utf-8"><title>LuCI</title>
<style>
body { font: 15px/1.5 sans-serif; margin: 1em auto; max-width: 60em; color: #222 }
.table { border-collapse: collapse; width: 100% } .td { padding: 4px 8px; border: solid #ddd;
border-width: 1px 0; vertical-align: top } .alert-message { padding: 8px 14px; margin: 8px 0;
border-left: 6px solid #888; background: #f3f3f3 } .cbi-value { display: flex; margin: 6px 0 }
.cbi-value[hidden] { display: none } .cbi-value-title { width: 14em; text-align: right;
padding-right: 1em } .cbi-value-description { color: #666; font-size: 13px } .cbi-value-error {
color: #b3261e } button { margin-right: 8px }
</style>
<div id="notifications"></div><main><div id="view"></div></main>
<script src="/stand_in.js"></script><script>open(location.pathname.slice(1));</script></html>"""


@pytest.fixture
def rpcd() -> Rpcd:
    """A router whose agent runs."""
    router = Rpcd()
    router.runs()
    return router


@pytest.fixture
def open_view(browser: Browser, rpcd: Rpcd) -> Iterator[OpenView]:
    """Opens a page, and holds in the end that the browser complained of nothing."""
    with contextlib.ExitStack() as stack:
        complaints: list[str] = []

        def opened(view: str, language: str = "en") -> Page:
            context = browser.new_context(viewport={"width": 1000, "height": 900})
            stack.callback(context.close)
            context.set_default_timeout(PATIENCE_S * 1000)
            page = context.new_page()
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("console", lambda message: _note(complaints, message))
            page.route(f"{ROUTER}/**", lambda route: _serve(route, rpcd, language))
            page.goto(f"{ROUTER}/titik/{view}")
            page.wait_for_selector("body[data-ready]", state="attached")
            return page

        yield opened
        assert [] == complaints


def _note(complaints: list[str], message: ConsoleMessage) -> None:
    if message.type in ("warning", "error"):
        complaints.append(message.text)


def _serve(route: Route, rpcd: Rpcd, language: str) -> None:
    path = route.request.url.removeprefix(ROUTER)
    if path == "/ubus":
        route.fulfill(body=rpcd.answer(route.request.post_data or ""))
    elif path == "/translations":
        catalogue = luci.read_lmo(luci.lmo(luci.translations(language)))
        route.fulfill(body=json.dumps({f"{key:08x}": text for key, text in catalogue.items()}))
    elif path == "/stand_in.js":
        _file(route, Path(__file__).parent / "stand_in.js")
    elif path.startswith("/luci-static/"):
        _file(route, APPLICATION / "htdocs" / path[1:])
    elif path == "/favicon.ico":
        route.fulfill(status=204)
    else:
        route.fulfill(body=SHELL, content_type="text/html; charset=utf-8")


def _file(route: Route, file: Path) -> None:
    route.fulfill(body=file.read_bytes(), content_type="text/javascript; charset=utf-8")
