"""What a page costs its reader: bytes and requests, as a browser counts them."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, CDPSession, Page

from tests.until import PATIENCE_S
from tests.web.conftest import Served

pytestmark = pytest.mark.system

KB = 1024


@dataclass
class Counted:
    """What came over the network for one page, by its address; the stream is not over."""

    bytes: dict[str, int] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)

    def follow(self, cdp: CDPSession) -> None:
        """From now on."""
        cdp.send("Network.enable")
        cdp.on("Network.responseReceived", self._begun)
        cdp.on("Network.loadingFinished", self._ended)

    def _begun(self, event: dict[str, object]) -> None:
        response = event["response"]
        assert isinstance(response, dict)
        self.names[str(event["requestId"])] = str(response["url"])

    def _ended(self, event: dict[str, object]) -> None:
        name = self.names.get(str(event["requestId"]), "")
        if name.startswith("http"):  # what is drawn from a data: address costs nothing
            self.bytes[name] = int(str(event["encodedDataLength"]).partition(".")[0])

    @property
    def kb(self) -> float:
        """All of it, compressed and with its heads."""
        return sum(self.bytes.values()) / KB


@pytest.fixture
def phone(browser: Browser) -> Iterator[Page]:
    """A phone that has nothing of ours yet."""
    context = browser.new_context(viewport={"width": 360, "height": 640}, locale="id-ID")
    context.set_default_timeout(PATIENCE_S * 1000)
    yield context.new_page()
    context.close()


def loaded(page: Page, address: str) -> Counted:
    """The page as it is first seen, live."""
    counted = Counted()
    counted.follow(page.context.new_cdp_session(page))
    page.goto(address)
    page.locator('[data-live="live"]').wait_for()
    return counted


def test_the_first_page_is_light(phone: Page, served_city: Served) -> None:
    """At most 45 kB in 6 requests until it is live; the map comes when it is scrolled to."""
    counted = loaded(phone, served_city.address)
    assert counted.kb <= 45
    assert len(counted.bytes) <= 6, sorted(counted.bytes)


def test_the_map_and_the_charts_are_fetched_where_they_are_seen(
    phone: Page, served_city: Served
) -> None:
    """Map and chart together cost at most 120 kB; both libraries are there once."""
    counted = loaded(phone, served_city.address)
    phone.locator("[data-map]").scroll_into_view_if_needed()
    phone.locator(".pin").first.wait_for()
    phone.goto(f"{served_city.address}/site/taman-tirosa")
    phone.locator('[data-chart="clients"]').scroll_into_view_if_needed()
    phone.locator('[data-chart="clients"] canvas').wait_for()
    files = {name: size for name, size in counted.bytes.items() if "/static/" in name}
    assert sum(files.values()) / KB <= 120
    assert 1 == sum(name.endswith("leaflet.js") for name in files)


def test_a_second_visit_fetches_no_file_again(phone: Page, served_city: Served) -> None:
    """Their addresses hold their hash, so a browser keeps them."""
    loaded(phone, served_city.address)
    counted = Counted()
    counted.follow(phone.context.new_cdp_session(phone))
    phone.goto(f"{served_city.address}/about")
    phone.wait_for_load_state("load")
    assert {f"{served_city.address}/about"} == {
        name for name, size in counted.bytes.items() if size > 0
    }


def test_nothing_comes_from_elsewhere(phone: Page, served_city: Served) -> None:
    """The page works where there is no internet at all."""
    asked: list[str] = []
    phone.on("request", lambda one: asked.append(one.url))
    loaded(phone, served_city.address)
    phone.locator("[data-map]").scroll_into_view_if_needed()
    phone.locator(".pin").first.wait_for()
    assert not [one for one in asked if not one.startswith((served_city.address, "data:"))]
