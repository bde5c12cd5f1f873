"""What a router or a place that is away last reported, as past and never as live."""

import re

import pytest
from playwright.sync_api import expect
from starlette.testclient import TestClient

from tests.until import until
from tests.web import cities
from tests.web.conftest import OpenPage
from titik_collector.web.city_view import CityView

LAST = re.compile(r'data-figure="last"[^>]*>([^<]*)<')


def test_what_is_away_shows_its_last_report(
    page: TestClient, city: cities.City, view: CityView
) -> None:
    """To the second, with its devices; how much waits on it is not known."""
    city.report("lerik-1", "offline")
    until(lambda: view.snapshot.status.line.now.routers_online, 9)
    router = page.get("/router/lerik-1?lang=en").text
    text = LAST.findall(router)[0]
    assert re.fullmatch(r"Last report \d\d:\d\d:\d\d: \d+ devices", text.split(" Nov ")[-1]), text
    assert "known when it is back" in router
    assert re.search(r'data-figure="age" data-age="\d+"', router)
    assert [text, text] == LAST.findall(page.get("/site/rsud-sk-lerik?lang=en").text)
    assert [text] == [one for one in LAST.findall(page.get("/?lang=en").text) if one]


def test_what_is_online_shows_no_last_report(page: TestClient) -> None:
    """Its figures are those of now."""
    router = page.get("/router/lerik-1?lang=en").text
    assert [""] == LAST.findall(router)
    assert "known when it is back" not in router


@pytest.mark.system
def test_the_list_shows_what_is_known_of_a_place_that_goes_away(
    open_page: OpenPage, city: cities.City, served: str
) -> None:
    """Its last report instead of four points."""
    page = open_page(f"{served}/?lang=en")
    expect(page.locator("[data-live]")).to_have_attribute("data-live", "live")
    place = page.locator('.place[data-subject="site/rsud-sk-lerik"]')
    expect(place.locator(".figures")).to_be_visible()
    city.report("lerik-1", "offline")
    expect(place.locator('[data-figure="last"]')).to_contain_text("devices")
    expect(place.locator(".figures")).to_be_hidden()


@pytest.mark.system
def test_a_router_that_goes_away_leaves_its_last_report(
    open_page: OpenPage, city: cities.City, served: str
) -> None:
    """On a page that is open."""
    page = open_page(f"{served}/router/lerik-1?lang=en")
    expect(page.locator("[data-live]")).to_have_attribute("data-live", "live")
    last = page.locator('[data-figure="last"]')
    expect(last).to_be_hidden()
    city.hear("lerik-1", 31)
    expect(page.locator('[data-figure="clients"]')).to_have_text("31")
    city.report("lerik-1", "offline")
    expect(last).to_contain_text("31 devices")
    expect(page.locator('[data-figure="clients"]')).to_have_text("·")
    expect(page.locator('[data-figure="age"]')).to_contain_text("ago")
