"""A city with its own authority, and the same with a broker that runs."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.broker import enrolled
from tests.broker.enrolled import City
from tests.broker.running import RunningBroker
from titik_collector.store.sqlite import open_writer


@pytest.fixture
def city(tmp_path: Path) -> City:
    """Made as an operator makes it."""
    return enrolled.made(tmp_path)


@pytest.fixture
def stored(city: City) -> City:
    """With one enrolled router, which the store knows."""
    city.says("router", "add", "tirosa-1", "--site", "taman-tirosa")
    with closing(open_writer(city.folder / "titik.db")) as db:
        db.execute("INSERT INTO router (name, registered, registered_ms) VALUES ('tirosa-1', 1, 1)")
    return city


@pytest.fixture
def running(city: City) -> Iterator[City]:
    """With one enrolled router and a broker that runs."""
    city.says("router", "add", "tirosa-1", "--site", "taman-tirosa")
    with RunningBroker(city.broker):
        yield city
