"""A filled city and its page, for the tests of the page."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page
from starlette.testclient import TestClient

from tests.postgres import Postgres
from tests.until import PATIENCE_S
from tests.web import cities
from tests.web.people import add_user, log_in
from titik_collector.config.model import Config
from titik_collector.web import app, serving
from titik_collector.web.city_view import CityView, watching
from titik_wire.instant import HOUR_MS

LOOPBACK = "http://127.0.0.1:8088"
OpenPage = Callable[..., Page]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A server for all tests that ask for it."""
    with Postgres() as server:
        yield server


@pytest.fixture(scope="module")
def nobody_is_doubted() -> Iterator[None]:
    """No collector listens here; a file's city stays as it was filled, however long its tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("titik_collector.queries.status.SILENT_AFTER_MS", HOUR_MS)
        yield


@pytest.fixture
def city(tmp_path: Path) -> Iterator[cities.City]:
    """Kupang: ten places, whose routers reported until now."""
    with cities.city(tmp_path) as filled:
        filled.live()
        yield filled


@pytest.fixture
def view(city: cities.City) -> Iterator[CityView]:
    """The city as pages see it."""
    with watching(city.config) as opened:
        yield opened


@pytest.fixture
def config(tmp_path: Path) -> Iterator[Config]:
    """Of a demo that nobody has touched; no router has reported yet."""
    with cities.city(tmp_path) as empty:
        yield empty.config


@pytest.fixture
def untouched(config: Config) -> Iterator[CityView]:
    """That demo as pages see it."""
    with watching(config) as opened:
        yield opened


@pytest.fixture
def page(view: CityView) -> TestClient:
    """The page, asked without a socket."""
    return TestClient(app.build(view), LOOPBACK, raise_server_exceptions=False)


def client(view: CityView) -> TestClient:
    """A browser that nobody has logged in with."""
    english = {"Accept-Language": "en"}
    return TestClient(app.build(view), LOOPBACK, raise_server_exceptions=False, headers=english)


def operating(view: CityView) -> TestClient:
    """A browser of somebody who may change something."""
    add_user(view.config, "siti", "operator")
    page = client(view)
    log_in(page, "siti")
    return page


@pytest.fixture
def operator(view: CityView) -> TestClient:
    """Of the city of most tests."""
    return operating(view)


@pytest.fixture
def served(view: CityView) -> Iterator[str]:
    """The page on a socket of its own: its address."""
    with serving_at(view) as address:
        yield address


@contextlib.contextmanager
def serving_at(view: CityView, port: int = 0) -> Iterator[str]:
    """A real server on that port, else a free one, with the limits of the real one.

    No socket of it outlives it. A later test would be blamed for one.
    """
    with socket.create_server(("127.0.0.1", port)) as listener:
        server = serving.PageServer(serving.settings(app.build(view), "127.0.0.1", 0))
        port = listener.getsockname()[1]
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started and thread.is_alive():
                time.sleep(0.01)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = True
            thread.join()
            assert set() == server.server_state.connections


@dataclass(frozen=True)
class Served:
    """A city and the address of its page."""

    city: cities.City
    address: str


@pytest.fixture(scope="module")
def served_city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Kupang with a past, behind a real server; two places that never close are away."""
    folder = tmp_path_factory.mktemp("city")
    with cities.city(folder) as filled:
        filled.remember(5, "tirosa-1", "fontein-1")
        filled.live(clients=17)
        filled.report("perumnas-1", "offline")
        filled.report("lerik-1", "offline")
        filled.roll()
        with watching(filled.config) as view, serving_at(view) as address:
            yield Served(filled, address)


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Opens pages, each in a context of its own, and holds that none of them complained."""
    with contextlib.ExitStack() as stack:
        complaints: list[str] = []

        def opened(address: str, width: int = 1440, **options: Any) -> Page:
            context = browser.new_context(
                viewport={"width": width, "height": 900 if width > 600 else 780},
                **{"locale": "id-ID", **options},
            )
            stack.callback(context.close)
            context.set_default_timeout(PATIENCE_S * 1000)
            page = context.new_page()
            page.on("pageerror", lambda error: complaints.append(f"{page.url}: {error}"))
            page.on("console", lambda line: _complain(complaints, page, line))
            page.goto(address)
            return page

        yield opened
        assert [] == complaints


def _complain(complaints: list[str], page: Page, line: ConsoleMessage) -> None:
    """A file that is not there, a policy that is broken; not what a test does on purpose."""
    url = line.location["url"]
    wanted = "net::ERR" in line.text or url == page.url or "/events" in url
    if line.type == "error" and not wanted:
        complaints.append(f"{line.text} {line.location['url']}")
