"""A desk for each test, on SQLite and on a private PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.collector.desks import ENGINES, desk_place
from tests.postgres import Postgres
from titik_collector.config.store_table import Store
from titik_collector.store import desk_opening
from titik_collector.store.database import Database


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A server for all tests that ask for it."""
    with Postgres() as server:
        yield server


@pytest.fixture(params=ENGINES)
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A city without a desk."""
    yield from desk_place(request, tmp_path)


@pytest.fixture
def desk(where: Store) -> Iterator[Database]:
    """An empty one."""
    with desk_opening.opened(where) as db:
        yield db


@pytest.fixture
def in_file(tmp_path: Path) -> Iterator[Database]:
    """An empty one on SQLite, for what no engine does differently."""
    with desk_opening.opened(Store(path=tmp_path / "titik.db")) as db:
        yield db
