"""What several files of these tests ask for."""

from collections.abc import Iterator

import pytest

from tests.collector.conftest import postgres as postgres
from tests.collector.desks import ENGINES
from tests.postgres import Postgres


@pytest.fixture(params=ENGINES)
def store(request: pytest.FixtureRequest) -> Iterator[str]:
    """What a configuration has of its store, on each engine."""
    if request.param == "sqlite":
        yield 'path = "titik.db"'
        return
    server: Postgres = request.getfixturevalue("postgres")
    with server.schema() as name:
        yield f'url = "{server.url}"\nschema = "{name}"'
    for other in ("desk", "notify"):
        server.drop(f"{name}-{other}")
