"""Alerts in a real browser, as an operator sees them: on phone and desk, in both languages."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.web import cities
from tests.web.alerts import GROUP, LERIK, MINUTE_MS, TIROSA, happened
from tests.web.conftest import OpenPage, Served, serving_at
from tests.web.people import PASSWORD, actor, add_user
from tests.web.test_fleet_page import ordered
from tests.web.test_live_in_browser import turn
from tests.web.test_screens import LOOKS, SHOTS, SWALLOWED, UPON_THE_MENU, violations
from titik_collector.alerts.alert import Alert, AlertKey, AlertSubject
from titik_collector.desk import acks, planned_work, remarks, silences
from titik_collector.desk.planned_work import Entry
from titik_collector.store import alert_rows, desk_opening, incident_rows
from titik_collector.web.city_view import watching

pytestmark = pytest.mark.system
HOUR_MS = 3_600_000
SCREENS = {
    "now": "/",
    "alerts": "/alerts?silence=city",
    "incident": "/alerts/2",
    "work": "/site/rsud-sk-lerik",
    "router-work": "/router/lerik-1",
    "fleet": "/fleet",
}


@pytest.fixture(scope="module")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Three incidents, one of them over; a silence, maintenance, and an upgrade that halted."""
    with cities.city(tmp_path_factory.mktemp("troubled")) as filled:
        filled.live(clients=17)
        filled.report("lerik-1", "offline")
        now_ms = cities.now_ms()
        happened(
            filled.db,
            1,
            TIROSA,
            "crowded",
            now_ms - 5 * HOUR_MS,
            severity="info",
            resolved_ms=now_ms - 4 * HOUR_MS,
        )
        happened(
            filled.db, 2, GROUP, "group-outage", now_ms - 70 * MINUTE_MS, members=(LERIK, TIROSA)
        )
        happened(
            filled.db,
            3,
            AlertSubject("router", "tirosa-1"),
            "hot",
            now_ms - 12 * MINUTE_MS,
            severity="warning",
        )
        ordered(filled, "halted")
        add_user(filled.config, "siti", "operator")
        with desk_opening.opened(filled.config.page_store) as db:
            me = actor()._replace(name="siti")
            acks.acknowledge(db, 2, "Teknisi dalam perjalanan", me)
            remarks.add(db, 2, "PLN: trafo rusak,\nbaru besok diganti", me)
            silences.silence(db, TIROSA, "crowded", now_ms + 72 * HOUR_MS, "Festival", me)
            work = Entry(LERIK, "Tiang baru", is_public=True)
            planned_work.plan(db, work, now_ms - HOUR_MS, now_ms + 3 * HOUR_MS, me)
            today = datetime.now(filled.config.city.timezone).weekday()
            far = planned_work.DAYS[(today + 3) % 7]  # or routers would have it now
            weekly = planned_work.weekly_of(far, "02:00", HOUR_MS)
            planned_work.repeat(db, Entry(AlertSubject("city", "kupang")), weekly, me)
        with watching(filled.config) as view, serving_at(view) as address:
            yield Served(filled, address)


@pytest.mark.parametrize(("width", "language", "theme"), LOOKS)
def test_what_an_operator_sees_is_whole(
    open_page: OpenPage, troubled: Served, width: int, language: str, theme: Any
) -> None:
    """It fits its width, hides nothing that it has, and breaks no rule of accessibility."""
    page = open_page(f"{troubled.address}/login?lang={language}", width, color_scheme=theme)
    page.fill("#name", "siti")
    page.fill("#password", PASSWORD)
    page.click("main button")
    page.wait_for_url(f"{troubled.address}/")
    SHOTS.mkdir(parents=True, exist_ok=True)
    for name, path in SCREENS.items():
        page.goto(f"{troubled.address}{path}")
        page.wait_for_load_state("load")
        page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
        page.screenshot(path=SHOTS / f"{name}-{width}-{language}-{theme}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert [] == page.evaluate(SWALLOWED)
        assert [] == page.evaluate(UPON_THE_MENU)
        assert [] == violations(page)


def test_an_operator_works_without_scripts(open_page: OpenPage, troubled: Served) -> None:
    """Logs in, acknowledges, writes, begins maintenance with one click, and ends it."""
    page = open_page(
        f"{troubled.address}/login?next=/alerts/3&lang=en", 360, java_script_enabled=False
    )
    page.fill("#name", "siti")
    page.fill("#password", PASSWORD)
    page.click("main button")
    page.fill("#note", "fan is blocked")
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.get_by_text("siti acknowledged: fan is blocked")).to_be_visible()
    page.fill("#text", "cleaned it")
    page.get_by_role("button", name="Write").click()
    expect(page.get_by_text("cleaned it")).to_be_visible()
    page.goto(f"{troubled.address}/router/tirosa-1")
    page.get_by_role("button", name="4 hours").click()
    expect(page).to_have_url(re.compile(r"/router/tirosa-1#maintenance$"))
    until_when = page.locator(".hero").get_by_text("maintenance until")
    expect(until_when).to_be_visible()
    page.locator("#maintenance .entries button").first.click()
    expect(until_when).to_have_count(0)


def test_the_count_follows_what_happens(open_page: OpenPage, troubled: Served) -> None:
    """On a page that stays open, and so do the incidents above its places."""
    page = open_page(f"{troubled.address}/login?lang=en")
    page.fill("#name", "siti")
    page.fill("#password", PASSWORD)
    page.click("main button")
    count = page.locator("[data-alerts]")
    expect(count).to_have_text("2 open")
    happened(troubled.city.db, 4, TIROSA, "uplink-full", cities.now_ms(), severity="info")
    expect(count).to_have_text("3 open")
    cards = page.locator(".now-incidents li")
    expect(cards).to_have_count(3)
    expect(cards.last).to_contain_text("Taman Tirosa")


@pytest.mark.parametrize("path", ["/", "/alerts"])
def test_incidents_follow_what_becomes_of_them(
    open_page: OpenPage, tmp_path: Path, path: str
) -> None:
    """Though as many go on: who handles one, how many it is of, and which it is."""
    with cities.city(tmp_path) as filled, watching(filled.config) as view:
        filled.live()
        now_ms = cities.now_ms()
        known = happened(filled.db, 1, GROUP, "group-outage", now_ms - 70 * MINUTE_MS)
        with serving_at(view) as address:
            page = open_page(f"{address}{path}?lang=en")
            expect(page.locator("[data-live]")).to_have_attribute("data-live", "live")
            card = page.locator(".incident.open")
            expect(card).to_contain_text("nobody handles it")
            with desk_opening.opened(filled.config.page_store) as db:
                acks.acknowledge(db, 1, "", actor()._replace(name="siti"))
            seen(page, card, "siti handles it")
            alert_rows.write(filled.db, [firing(TIROSA), firing(LERIK)])
            seen(page, card, "2 parts")
            over = replace(known, resolved_ms=cities.now_ms())
            incident_rows.write(filled.db, [over])
            happened(filled.db, 2, TIROSA, "crowded", cities.now_ms())
            seen(page, card, "crowded: Taman Tirosa")
            length = card.locator("[data-since]").inner_text()
            expect(card.locator("[data-since]")).not_to_have_text(length)


def seen(page: Page, card: Locator, text: str) -> None:
    """Soon: a page asks for its incidents each quarter of a minute at most."""
    turn(page, 16_000)
    expect(card).to_contain_text(text)


def firing(subject: AlertSubject) -> Alert:
    """An alert of the first incident."""
    key = AlertKey("site-offline", subject)
    return Alert(key=key, phase="firing", known=True, since_ms=cities.now_ms(), incident=1)
