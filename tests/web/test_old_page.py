"""A page that nobody writes any more says that it is old, in a real browser."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.web import cities
from tests.web.conftest import OpenPage
from tests.web.plain_files import Files, files_of
from titik_collector.public.static_export import PublicExport

pytestmark = pytest.mark.system

DAY_S = 86_400
SEEN = "() => fetch(location.href, {method: 'HEAD'}).then(() => new Promise(requestAnimationFrame))"


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The folder of a public page that was written now, and its server."""
    monkeypatch.setattr(Files, "ahead_s", 0.0)
    with cities.city(tmp_path) as city:
        city.live()
        PublicExport(city.config, tmp_path / "public").write()
    with files_of(tmp_path / "public") as address:
        yield address


def opened(open_page: OpenPage, address: str, device_ahead_s: float = 0) -> Page:
    """A page on a device whose clock is so much ahead."""
    page = open_page("about:blank", 360)
    page.clock.set_fixed_time(datetime.fromtimestamp(time.time() + device_ahead_s, UTC))
    page.goto(address)
    return page


@pytest.mark.parametrize("file", ["index.html", "id/place/taman-tirosa.html", "en/about.html"])
def test_a_page_that_is_old_by_its_server_s_clock_says_so(
    open_page: OpenPage, address: str, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half an hour is enough, and nothing has the colours of what is known."""
    monkeypatch.setattr(Files, "ahead_s", 1800.0)
    page = opened(open_page, f"{address}/{file}")
    expect(page.locator("[data-made]")).to_be_visible()
    expect(page.locator("html")).to_have_class("is-old")


def test_a_wrong_clock_of_the_device_makes_no_fresh_page_old(
    open_page: OpenPage, address: str
) -> None:
    """The clock of the server counts: a day ahead or behind, the page is of now."""
    for ahead_s in (DAY_S, -DAY_S):
        page = opened(open_page, address, ahead_s)
        page.evaluate(SEEN)
        expect(page.locator("[data-made]")).to_be_hidden()


def test_without_a_network_the_device_s_clock_counts(open_page: OpenPage, address: str) -> None:
    """A page that a phone kept since yesterday may be old."""
    page = open_page("about:blank", 360)
    page.clock.set_fixed_time(datetime.fromtimestamp(time.time() + DAY_S, UTC))
    page.route("**/*", lambda it: it.abort() if it.request.method == "HEAD" else it.continue_())
    page.goto(address)
    expect(page.locator("[data-made]")).to_be_visible()
