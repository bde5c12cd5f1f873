"""Maintenance over the past of a place: on the strip of days, in the API, and on a chart."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.web import cities
from tests.web.alerts import LERIK, TIROSA
from tests.web.conftest import client
from tests.web.people import actor
from titik_collector.desk import planned_work
from titik_collector.desk.planned_work import Entry
from titik_collector.store import desk_opening
from titik_collector.web.api.api_route import BASE
from titik_collector.web.city_view import CityView, watching

HOUR_MS = 3_600_000


@pytest.fixture
def worked(tmp_path: Path) -> Iterator[CityView]:
    """Kupang, where work was planned in the last two hours at one place, and none at another."""
    with cities.city(tmp_path) as filled:
        filled.live()
        now_ms = cities.now_ms()
        with desk_opening.opened(filled.config.page_store) as db:
            for from_ms, to_ms in ((2 * HOUR_MS, HOUR_MS), (90 * 60_000, 30 * 60_000)):
                work = Entry(LERIK, "new mast")
                planned_work.plan(db, work, now_ms - from_ms, now_ms - to_ms, actor())
        with watching(filled.config) as view:
            yield view


@pytest.fixture
def page(worked: CityView) -> TestClient:
    """It has a desk and no user, so nobody has to log in."""
    return client(worked)


@pytest.mark.parametrize(
    "path", ["/site/rsud-sk-lerik", "/router/lerik-1", "/history?s=rsud-sk-lerik"]
)
def test_a_day_with_maintenance_is_hatched(page: TestClient, path: str) -> None:
    """And says for how long, once where two stretches overlap."""
    text = page.get(path).text
    assert 'fill="url(#strip-work)"' in text
    assert "maintenance 1 h 30 m" in text or text.count("maintenance ") >= 2  # over a midnight


def test_another_place_is_not_hatched(page: TestClient) -> None:
    """Neither is the city: it went on."""
    for path in (f"/site/{TIROSA.name}", "/history"):
        text = page.get(path).text
        assert 'fill="url(#strip-work)"' not in text
        assert "strip-worked" not in text


def test_a_history_has_the_time_of_maintenance(page: TestClient) -> None:
    """Without overlaps, for the chart; of a router that of its place."""
    for subject in ("site/rsud-sk-lerik", "router/lerik-1"):
        answer = page.get(f"{BASE}/history/{subject}?from=24h").json()
        ((start_ms, end_ms),) = answer["maintenance"]
        assert 1.5 * HOUR_MS == end_ms - start_ms
    assert [] == page.get(f"{BASE}/history/city/city?from=24h").json()["maintenance"]
