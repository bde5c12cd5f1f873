"""Every screen and address of the API on PostgreSQL, for the page's own role that only reads."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.postgres import Postgres
from tests.web import cities, loops
from tests.web.conftest import LOOPBACK
from tests.web.test_api import address
from tests.web.test_page_user import manual, served
from titik_collector.config import model
from titik_collector.config.model import Config
from titik_collector.ingest.batch import BatchWriter
from titik_collector.ingest.caps import Caps
from titik_collector.live.presence import Presence
from titik_collector.registry.registry import Registry
from titik_collector.registry.sync import sync
from titik_collector.store import postgres_schema
from titik_collector.store.postgres import PostgresPlace
from titik_collector.web import app, city_view
from titik_collector.web.api import openapi
from titik_collector.web.api.api_route import ApiRoute
from titik_collector.web.city_view import CityView, Unanswered, watching

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("nobody_is_doubted")]
SCREENS = [
    "/",
    "/?group=district&q=t",
    "/site/taman-tirosa",
    "/site/rsud-sk-lerik",
    "/router/tirosa-1",
    "/happened?days=30",
    "/history?s=city&from=365d",
    "/history?s=taman-tirosa&from=12h",
    "/history?s=taman-tirosa&s=taman-fontein&from=31d&m=wifi",
    "/history.csv?s=taman-tirosa&from=7d",
    "/wall",
    "/about",
    "/healthz",
    "/metrics",
    "/events?once",
]


@pytest.fixture(scope="module")
def view(postgres: Postgres) -> Iterator[CityView]:
    """Kupang on a server with two days of a router, as the page's role sees it."""
    with served(postgres) as (where, typed):
        typed(manual(where.schema))
        config = configured(postgres, where.schema, str(where.url))
        place = PostgresPlace(postgres.url, where.schema)
        with contextlib.closing(postgres_schema.open_writer(place)) as db:
            sync(db, config, cities.now_ms() - cities.YESTERDAY_MS)
            registry = Registry(db, config.city.name)
            store = BatchWriter(db, registry, Caps(1_000_000, 1000), Presence(db))
            city = cities.City(config, db, store, {})
            city.remember(2, "tirosa-1")
            city.live(clients=17)
            city.report("lerik-1", "offline")
            city.roll()
            with watching(config) as opened:
                yield opened


@pytest.fixture
def page(view: CityView) -> TestClient:
    """The page, asked without a socket."""
    return TestClient(app.build(view), LOOPBACK, raise_server_exceptions=False)


def configured(postgres: Postgres, schema: str, of_page: str) -> Config:
    """The example, with its store on the server."""
    store = f'url = "{postgres.url}"\nschema = "{schema}"\n[web]\nstore_url = "{of_page}"'
    text = cities.KUPANG.read_text()
    return model.parse(re.sub(r'(?m)^path = ".*"$', store, text).encode(), Path("/titik.toml"))


@pytest.mark.parametrize("path", SCREENS)
def test_each_screen_is_shown(page: TestClient, path: str) -> None:
    """With rights to read alone."""
    answer = page.get(path)
    assert 200 == answer.status_code, answer.text
    assert answer.text


@pytest.mark.parametrize("one", openapi.OFFERED, ids=lambda one: one.name)
def test_each_example_of_the_api_is_answered(page: TestClient, one: ApiRoute) -> None:
    """As on SQLite."""
    path, query = address(one)
    answer = page.get(path, params=query)
    assert 200 == answer.status_code, answer.text


def test_the_first_page_has_the_figures_of_the_server(page: TestClient) -> None:
    """Each place with its state; one of them is away."""
    states = [one["state"] for one in page.get("/api/v1/now").json()["sites"]]
    assert ["offline", *["online"] * 9] == sorted(states)


def test_the_page_asks_as_its_own_role(view: CityView) -> None:
    """The manual's, which may write nothing of the store: test_page_user."""
    assert [("titik_web",)] == loops.run(view.ask(lambda db: db.execute("SELECT current_user")))


def test_a_question_that_takes_too_long_is_given_up(
    view: CityView, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server ends it, and each reader is free for the next one."""
    with monkeypatch.context() as patched:
        patched.setattr(city_view, "DEADLINE_S", 0.5)
        for _ in range(city_view.READERS):
            with pytest.raises(Unanswered):
                loops.run(view.ask(lambda db: db.execute("SELECT pg_sleep(600)")))
    assert [(1,)] == loops.run(view.ask(lambda db: db.execute("SELECT 1")))
