"""Places with some routers online and others not: counted, named and marked by themselves."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect
from starlette.testclient import TestClient

from tests.until import until
from tests.web import cities
from tests.web.conftest import LOOPBACK, OpenPage, serving_at
from titik_collector.web import app
from titik_collector.web.city_view import watching

THREE = cities.large(3, 2)


def test_the_city_counts_its_routers_and_places_that_are_partly_there(tmp_path: Path) -> None:
    """Such a place is online in the headline, has a chip of its own, and its own mark."""
    with cities.city(tmp_path, THREE) as filled:
        filled.live()
        filled.report("r-1-0", "offline")
        with watching(filled.config) as view:
            until(lambda: view.snapshot.status.line.now.routers_online, 5)
            page = TestClient(app.build(view), LOOPBACK)
            text = page.get("/?lang=en&state=partly").text
            headline = re.sub("<[^>]*>", " ", re.findall(r"<dl.*?</div>", text, re.S)[0]).split()
            assert "places working · 5 of 6 routers 3 of 3" == " ".join(headline)
            assert '<span data-count="partly">1</span>' in text
            cards = re.findall(r'<li class="place ([^"]*)" data-subject="(\S+)"[^>]*?>', text)
            assert ("state-partly", "site/tempat-1") == cards[0]
            assert "1 of 2 routers" in page.get("/site/tempat-1?lang=en").text
            assert "sebagian" in page.get("/site/tempat-1?lang=id").text


def test_a_city_of_one_router_a_place_counts_places_alone(tmp_path: Path) -> None:
    """The same figure twice is of no use to anybody."""
    with cities.city(tmp_path, cities.large(3, 1)) as filled, watching(filled.config) as view:
        text = TestClient(app.build(view), LOOPBACK).get("/?lang=en").text
        assert "places working</dt>" in text


@pytest.mark.system
def test_a_place_loses_one_of_its_routers_in_sight(open_page: OpenPage, tmp_path: Path) -> None:
    """The headline, the chip, the card and the pin change without a reload."""
    with cities.city(tmp_path, THREE) as filled:
        filled.live()
        with watching(filled.config) as view, serving_at(view) as address:
            page = open_page(f"{address}/?lang=en")
            expect(page.locator("[data-live]")).to_have_attribute("data-live", "live")
            page.locator(".pin").first.wait_for()
            filled.report("r-1-0", "offline")
            expect(page.locator('.summary [data-figure="routers"]')).to_have_text("5 of 6 routers")
            expect(page.locator('.summary [data-count="up"]')).to_have_text("3")
            expect(page.locator('[data-filter="partly"]')).to_contain_text("partly 1")
            expect(page.locator(".place").first).to_contain_text("1 of 2 routers")
            expect(page.locator('.pin.state-partly use[href="#mark-partly"]')).to_have_count(1)
