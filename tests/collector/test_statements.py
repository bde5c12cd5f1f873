"""How many statements the store is asked depends neither on how much came nor on the city's size.

An executemany counts once: a database with processes of its own takes its rows in one go.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.city import City
from bench.statements import Statements
from titik_collector.limits import MAX_JUDGED
from titik_collector.received import Arrived

MOST_OF_A_BATCH = 20
MOST_OF_A_MINUTE = 90  # a pass over routers, one over sites, and the city: 30 each


@contextmanager
def city(folder: Path, routers: int, per_site: int = 1) -> Iterator[City]:
    """So many routers that were heard before, and their rollups."""
    found = City(folder, routers, per_site)
    try:
        found.store.save(taken(found, 2))
        roll(found)
        yield found
    finally:
        found.db.close()


def taken(here: City, count: int) -> list[Arrived]:
    """The next samples of each router, in order of time."""
    found = []
    for _ in range(count):
        found += [one.take(here.now_ms + n) for n, one in enumerate(here.routers)]
        here.now_ms += 30_000
    return found


def roll(here: City) -> None:
    """All that is over; time stands still for it."""
    while here.rollups.work(1, lambda: 0):
        pass


def minutes(here: City) -> int:
    """How many there are, of all."""
    (count,) = here.db.execute("SELECT count(*) FROM rollup WHERE window = '1m'").fetchone()
    return int(count)


@pytest.mark.parametrize("disorder", [False, True])
@pytest.mark.parametrize("routers", [1, 2 * MAX_JUDGED])
def test_a_batch_takes_as_many_statements_whatever_its_size(
    tmp_path: Path, routers: int, disorder: bool
) -> None:
    """In order, and in the disorder of what waited at routers."""
    with city(tmp_path, routers) as here:
        for _ in range(2):  # then it is known of each when it was switched on
            here.store.save(taken(here, 1))
        items = taken(here, 6)
        if disorder:
            random.Random(1).shuffle(items)
        counted = Statements(here.db)
        here.store.save(items)
        assert 5 <= counted.number <= MOST_OF_A_BATCH


@pytest.mark.parametrize(
    ("routers", "per_site"),
    [
        (3, 3),
        (30, 3),
        pytest.param(300, 300, marks=pytest.mark.thorough),
        pytest.param(300, 3, marks=pytest.mark.thorough),
    ],
)
def test_a_minute_takes_as_many_statements_whatever_the_city(
    tmp_path: Path, routers: int, per_site: int
) -> None:
    """All rollups of it, those of sites and of the city, too."""
    with city(tmp_path, routers, per_site) as here:
        before = minutes(here)
        here.store.save(taken(here, 4))
        counted = Statements(here.db)
        roll(here)
        assert 10 <= counted.number <= MOST_OF_A_MINUTE
        assert 2 * (routers + routers // per_site + 1) == minutes(here) - before
