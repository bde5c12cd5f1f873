"""A filled city and its page, for the tests of the page."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from starlette.testclient import TestClient

from tests.postgres import Postgres
from tests.web import cities
from titik_collector.web import app, serving
from titik_collector.web.city_view import CityView, watching

LOOPBACK = "http://127.0.0.1:8088"


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A server for all tests that ask for it."""
    with Postgres() as server:
        yield server


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
def page(view: CityView) -> TestClient:
    """The page, asked without a socket."""
    return TestClient(app.build(view), LOOPBACK, raise_server_exceptions=False)


@pytest.fixture
def served(view: CityView) -> Iterator[str]:
    """The page on a socket of its own: its address."""
    with serving_at(view) as address:
        yield address


@contextlib.contextmanager
def serving_at(view: CityView) -> Iterator[str]:
    """A real server on a free port, with the limits of the real one."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(serving.settings(app.build(view), "127.0.0.1", 0))
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
