"""A real collector whose machine has a wrong clock, at its start or while it runs."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.system.city import City, wall_ms
from titik_collector.store import server_clock_row
from titik_collector.store.sqlite import open_reader

pytestmark = pytest.mark.system

LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
NEAR_MS = 5000
ROUTERS = ("tirosa-1", "tirosa-2")


class WrongClock:
    """How wrong the clock of the collector's process is; its uptime is left alone."""

    def __init__(self, folder: Path, wrong: str) -> None:
        self._file = folder / "wrong"
        self.set(wrong)

    def set(self, wrong: str) -> None:
        """As faketime has it, `-3h` or `+12y`."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{wrong}\n")
        new.replace(self._file)

    def into(self, patch: pytest.MonkeyPatch) -> None:
        """For the processes that are started next."""
        assert LIBRARY is not None, "install faketime"
        patch.setenv("LD_PRELOAD", str(LIBRARY))
        patch.setenv("FAKETIME_TIMESTAMP_FILE", str(self._file))
        patch.setenv("FAKETIME_NO_CACHE", "1")
        patch.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")


def collect(city: City, clock: WrongClock) -> None:
    with pytest.MonkeyPatch.context() as patch:
        clock.into(patch)
        city.collect()


def ask(city: City, sql: str) -> list[tuple[Any, ...]]:
    with closing(open_reader(city.store)) as db:
        return db.execute(sql).fetchall()


def known(city: City) -> server_clock_row.Known | None:
    with closing(open_reader(city.store)) as db:
        return server_clock_row.load(db)


def farthest_ms(city: City, began_ms: int) -> int:
    """How far a sample is from the time in which all were taken."""
    places = [at_ms for (at_ms,) in ask(city, "SELECT at_ms FROM sample")]
    return max(0, *(max(began_ms - int(one), int(one) - wall_ms()) for one in places))


def stored(city: City) -> int:
    try:
        return int(ask(city, "SELECT count(*) FROM sample")[0][0])
    except sqlite3.Error:
        return 0


@pytest.mark.parametrize("wrong", ["-3h", "+3h", "+40d", "-40d", "+12y"])
@pytest.mark.parametrize("at_start", [False, True])
def test_a_wrong_clock_of_the_server_misplaces_and_deletes_nothing(
    tmp_path: Path, wrong: str, at_start: bool
) -> None:
    """Samples, presence and seals are as if the clock had been right."""
    began_ms = wall_ms()
    clock = WrongClock(tmp_path, wrong if at_start else "+0")
    with City(tmp_path, *ROUTERS) as city:
        collect(city, clock)
        for name in ROUTERS:
            city.node(name, interval_s=0.3)
        city.until(lambda: stored(city) >= 20, "some samples")
        clock.set(wrong)
        city.until(lambda: (now := known(city)) is not None and bool(now.since_ms), "it is noticed")
        before = stored(city)
        city.until(lambda: stored(city) >= before + 20, "more samples")
        assert farthest_ms(city, began_ms) <= NEAR_MS
        clock.set("+0")
        city.until(lambda: (now := known(city)) is not None and not now.since_ms, "it is right")
        assert farthest_ms(city, began_ms) <= NEAR_MS
        assert [("online",)] * 2 == ask(city, "SELECT state FROM presence")
        heard = "SELECT max(heard_ms) FROM presence"
        city.until(lambda: abs(ask(city, heard)[0][0] - wall_ms()) <= NEAR_MS, "they are heard now")
        seals = ask(city, "SELECT value FROM setting WHERE name = 'sealed_before_ms'")
        assert all(int(seal) < began_ms for (seal,) in seals)
