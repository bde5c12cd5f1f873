"""A place that is connected and does not serve: on the page, whole and live, and in the API."""

import re
from dataclasses import replace

import pytest
from playwright.sync_api import expect
from starlette.testclient import TestClient

from tests.until import until
from tests.web.cities import City, now_ms
from tests.web.conftest import OpenPage
from titik_collector.live.presence import SILENT_AFTER_MS, Presence
from titik_collector.received import Arrived
from titik_wire import codec
from titik_wire.messages import Sample

PLACE = "taman-fontein"
CARD = re.compile(rf'<li class="place state-([a-z-]+)" data-subject="site/{PLACE}"')
STATES = [("off the air", "off-air", True), ("silent", "silent", None)]


@pytest.mark.parametrize(("state", "shape", "off_air"), STATES)
def test_a_place_that_serves_nobody_is_not_called_online(
    page: TestClient, city: City, state: str, shape: str, off_air: bool | None
) -> None:
    """By shape and word, on its card and its page; a program learns the same."""
    become(city, state)
    until(lambda: CARD.findall(page.get("/").text), [shape])
    for path in ("/?lang=en", f"/site/{PLACE}?lang=en"):
        assert f'<b data-figure="state">{state}</b>' in page.get(path).text
    for one in (
        page.get(f"/api/v1/sites/{PLACE}").json()["site"],
        *[one for one in page.get("/api/v1/now").json()["sites"] if one["name"] == PLACE],
    ):
        assert (off_air, None) == (one.get("off_air"), one.get("clients"))
        assert ("silent" if state == "silent" else "online") == one["state"]


def test_traffic_that_may_be_too_low_is_marked(page: TestClient, city: City) -> None:
    """On the pages of the router, its place and the city, and for programs."""
    paths = ("/?lang=en", f"/site/{PLACE}?lang=en", "/router/fontein-1?lang=en")
    words = "Traffic may be too low: flow offload is on."
    assert [False] * 3 == [words in page.get(path).text for path in paths]
    save(city, replace(city.taken("fontein-1", 3, now_ms()).sample, flow_offload=True))
    until(lambda: [words in page.get(path).text for path in paths], [True] * 3)
    now = page.get("/api/v1/now").json()
    marked = {one["name"] for one in now["sites"] if one.get("flow_offload")}
    assert ({PLACE}, True) == (marked, now["city"]["flow_offload"])


@pytest.mark.system
@pytest.mark.parametrize(("state", "shape"), [one[:2] for one in STATES])
def test_a_page_that_is_open_shows_it(
    open_page: OpenPage, city: City, served: str, state: str, shape: str
) -> None:
    """Without a new request of the page."""
    page = open_page(f"{served}/?lang=en")
    expect(page.locator("[data-live]")).to_have_attribute("data-live", "live")
    become(city, state)
    card = page.locator(f'.place[data-subject="site/{PLACE}"]')
    expect(card.locator('b[data-figure="state"]')).to_have_text(state)
    expect(card.locator(f'use[href="#mark-{shape}"]').first).to_be_attached()


def become(city: City, state: str) -> None:
    """Fontein's only router is off the air, or sends nothing any more."""
    if state == "silent":
        (router,) = city.db.execute("SELECT id FROM router WHERE name = 'fontein-1'").fetchone()
        with city.db.transaction():
            Presence(city.db).tick(now_ms() + SILENT_AFTER_MS + 60_000, [router])
        return
    sample = city.taken("fontein-1", None, now_ms()).sample
    bss = tuple(replace(one, off_air=True, clients=None, weak=None) for one in sample.bss or ())
    save(city, replace(sample, off_air=True, bss=bss))


def save(city: City, sample: Sample) -> None:
    """It came just now."""
    city.store.save([Arrived(sample, codec.encode(sample), True, now_ms())])
