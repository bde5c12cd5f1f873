"""In which order the places of the first page stand; chosen in the address."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from starlette.testclient import TestClient

from tests.until import until
from tests.web import cities
from tests.web.conftest import LOOPBACK, OpenPage, serving_at
from tests.web.test_groups import groups, shown
from tests.web.test_live_in_browser import turn
from titik_collector.web import app
from titik_collector.web.city_view import CityView, watching


def test_the_most_used_place_is_first(page: TestClient, city: cities.City, view: CityView) -> None:
    """A place that is away is last, however full it was."""
    city.hear("lerik-1", 90)
    city.hear("tirosa-1", 80)
    city.hear("oesapa-1", 70)
    city.hear("fontein-1", 0)
    city.report("lerik-1", "offline")
    until(lambda: view.snapshot.status.line.now.routers_online, 9)
    until(lambda: shown(page.get("/?sort=devices").text)[-2], "taman-fontein")
    found = shown(page.get("/?sort=devices").text)
    assert ["taman-tirosa", "pantai-warna-oesapa"] == found[:2]
    assert ["taman-fontein", "rsud-sk-lerik"] == found[-2:]


def test_the_order_is_chosen_where_it_is_seen(page: TestClient) -> None:
    """The one that is chosen is marked, and the others are one step away; groups follow it."""
    text = page.get("/?sort=devices&group=provider&lang=en").text
    (chips,) = re.findall(r'<p class="chips sorts".*?</p>', text, re.S)
    found = re.findall(r'href="([^"]*)" data-keeps( aria-current="true")?>(\w+)', chips)
    assert [("problems", ""), ("devices", ' aria-current="true"'), ("name", "")] == [
        (title, current) for _, current, title in found
    ]
    assert "/?sort=name&amp;group=provider&amp;lang=en" == found[2][0]
    devices = [int(number) for _, _, number in groups(text)]
    assert sorted(devices, reverse=True) == devices


def test_titles_are_in_the_order_in_which_people_count(tmp_path: Path) -> None:
    """2 is before 10."""
    with cities.city(tmp_path, cities.large(12, 1)) as filled, watching(filled.config) as view:
        page = TestClient(app.build(view), LOOPBACK)
        expected = [f"tempat-{number}" for number in range(12)]
        assert expected == shown(page.get("/").text)
        assert expected == shown(page.get("/?sort=name").text)


@pytest.mark.system
def test_an_order_by_devices_stays_for_a_minute(open_page: OpenPage, tmp_path: Path) -> None:
    """Figures change each second; a list that moves as often cannot be read."""
    with cities.city(tmp_path, cities.large(12, 1)) as filled:
        for number, one in enumerate(filled.config.router):
            filled.hear(one.name, 20 - number)
        with watching(filled.config) as view, serving_at(view) as address:
            page = open_page(f"{address}/?sort=devices&lang=en")
            expect(page.locator("[data-live]")).to_have_attribute("data-live", "live")
            before = titles(page)
            assert [f"Tempat {number}" for number in range(12)] == before
            filled.hear("r-11-0", 500)
            expect(page.locator(".place").last.locator('[data-figure="clients"]')).to_have_text(
                "500"
            )
            assert before == titles(page)
            turn(page, 61_000)
            filled.hear("r-11-0", 600)
            expect(page.locator(".place").first).to_have_attribute("data-title", "Tempat 11")


@pytest.mark.system
def test_what_is_almost_full_moves_once_a_minute(open_page: OpenPage, tmp_path: Path) -> None:
    """A line that is full every other second moves no place under a finger; an outage does."""
    text = cities.large(4, 1).replace("[[router]]", "capacity = 100\n[[router]]")
    with cities.city(tmp_path, text) as filled:
        for one in filled.config.router:
            filled.hear(one.name, 20)
            filled.report(one.name, "online")
        with watching(filled.config) as view, serving_at(view) as address:
            page = open_page(f"{address}/?lang=en")
            expect(page.locator("[data-live]")).to_have_attribute("data-live", "live")
            filled.hear("r-3-0", 95)
            full = page.locator('.place[data-title="Tempat 3"] [data-figure="clients"]')
            expect(full).to_have_text("95")
            assert [f"Tempat {number}" for number in range(4)] == titles(page)
            filled.report("r-2-0", "offline")
            expect(page.locator(".place").first).to_have_attribute("data-title", "Tempat 2")
            assert ["Tempat 2", "Tempat 3", "Tempat 0", "Tempat 1"] == titles(page)
            filled.hear("r-3-0", 20)
            expect(full).to_have_text("20")
            assert ["Tempat 2", "Tempat 3", "Tempat 0", "Tempat 1"] == titles(page)
            turn(page, 61_000)
            filled.hear("r-3-0", 21)
            expect(page.locator(".place").nth(1)).to_have_attribute("data-title", "Tempat 0")


def titles(page: Page) -> list[str]:
    """In their order on the screen."""
    found: list[str] = page.locator(".place").evaluate_all(
        "places => places.map((one) => one.dataset.title)"
    )
    return found
