"""Desks for tests: on SQLite in a file, and on PostgreSQL in a schema of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgres import Postgres
from titik_collector.config.store_table import Store

ENGINES = ("sqlite", pytest.param("postgres", marks=pytest.mark.system))


def desk_place(request: pytest.FixtureRequest, folder: Path) -> Iterator[Store]:
    """Where a city's store is that has nothing yet, on the engine that the fixture is asked for."""
    if request.param == "sqlite":
        yield Store(path=folder / "titik.db")
        return
    server: Postgres = request.getfixturevalue("postgres")
    with server.schema() as name:
        yield Store(url=server.url, schema=name)
    server.drop(f"{name}-desk")
