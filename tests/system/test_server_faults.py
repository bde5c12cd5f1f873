"""A fault of the server: what the collector says of itself, and of routers meanwhile."""

import contextlib
import json
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.broker.running import Client
from tests.system.city import City
from titik_wire import topics

pytestmark = pytest.mark.system

STATUS = topics.collector("main")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own for the store, 16 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(disk)], check=True)
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def fill(disk: Path) -> Path:
    """Until nothing more fits."""
    filler = disk / "filler"
    with open(filler, "wb", 0) as full, contextlib.suppress(OSError):
        while True:
            full.write(bytes(4096))
    return filler


def until_says(city: City, engineer: Client, state: str) -> dict[str, object]:
    """The first status with this state."""
    found: list[dict[str, object]] = []

    def wanted(_: str, payload: bytes) -> bool:
        found.append(json.loads(payload))
        return found[-1]["state"] == state

    city.until_heard(engineer, wanted, f"the collector says {state}")
    return found[-1]


def storing(city: City) -> bool | None:
    """What the state file says."""
    state = city.state()
    return None if state is None else state.storing


def test_a_full_disk_is_reported_and_the_connection_stays(tmp_path: Path, disk: Path) -> None:
    """Status and state file name the disk; nothing is lost, and it goes on by itself."""
    with City(tmp_path, store=disk / "titik.db") as city:
        collector = city.collect()
        node = city.node(interval_s=0.05)
        city.until(lambda: storing(city) is True, "the state file says that all is well")
        with city.engineer(STATUS) as engineer:
            filler = fill(disk)
            said = until_says(city, engineer, "offline")
            assert (False, "database or disk is full") == (said["storing"], said["problem"])
            city.until(lambda: storing(city) is False, "the state file says so")
            state = city.state()
            assert state is not None
            assert (True, "database or disk is full") == (state.connected, state.problem)
            beat = said["beat"]
            assert isinstance(beat, int)

            def beats(_: str, payload: bytes) -> bool:
                return bool(json.loads(payload)["beat"] >= beat + 2)

            city.until_heard(engineer, beats, "it reports on")
            filler.unlink()
            said = until_says(city, engineer, "online")
            assert (True, None) == (said["storing"], said.get("problem"))
        city.until_acked()
        assert {node.run: (node.sampler.seq, node.sampler.seq, 0, 0, 0)} == city.close_books()
        assert 1 == collector.said().count("broker connected")
        assert 0 == collector.said().count("will retry")
        assert city.state() is None


def test_an_idle_city_notices_its_full_disk_once(tmp_path: Path, disk: Path) -> None:
    """Nothing has to come for it; and what writes nothing is no proof that the store works."""
    with City(tmp_path, store=disk / "titik.db") as city:
        collector = city.collect()
        city.until(lambda: storing(city) is True, "the state file says that all is well")
        filler = fill(disk)
        city.until(lambda: storing(city) is False, "the state file says so")
        filler.unlink()
        city.until(lambda: storing(city) is True, "the state file says that all is well again")
        assert 1 == collector.said().count("store fails")
        assert 1 == collector.said().count("store works again")


def test_a_locked_store_is_named(tmp_path: Path) -> None:
    """Another process holds it; the file says since when."""
    with City(tmp_path) as city:
        city.collect()
        city.node()
        city.until(lambda: storing(city) is True, "the state file says that all is well")
        with closing(sqlite3.connect(city.store, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            city.until(lambda: storing(city) is False, "the state file says so")
            state = city.state()
            assert state is not None
            assert "database is locked" == state.problem
            other.execute("ROLLBACK")
        city.until(lambda: storing(city) is True, "the store works again")
