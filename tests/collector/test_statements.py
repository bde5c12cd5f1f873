"""How many statements the store is asked depends neither on how much came nor on the city's size.

An executemany counts once: a database with processes of its own takes its rows in one go.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.city import City, Everybody
from bench.statements import Statements
from tests.collector.build import T0, Registered, received, sample
from titik_collector.broker_link.inbox import ReceivedMessage
from titik_collector.ingest.batch import BatchWriter
from titik_collector.ingest.caps import Caps
from titik_collector.ingest.items import to_item
from titik_collector.limits import MAX_JUDGED
from titik_collector.live.presence import Presence
from titik_collector.received import Arrived, Item
from titik_wire.messages import Held

pytestmark = pytest.mark.thorough

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
    (count,) = here.db.execute("SELECT count(*) FROM rollup WHERE length = '1m'").fetchone()
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


def restarted(here: City) -> BatchWriter:
    """Another collector on the same store, with nothing in memory."""
    return BatchWriter(here.db, Everybody(), Caps(1_000_000, 1000), Presence(here.db))


@pytest.mark.parametrize("disorder", [False, True])
@pytest.mark.parametrize("routers", [1, 40])
def test_after_a_start_the_first_batch_reads_each_kind_in_one_statement(
    tmp_path: Path, routers: int, disorder: bool
) -> None:
    """Runs, boots, interfaces and presence of all its routers; one more for all acks."""
    with city(tmp_path, routers) as here:
        items = taken(here, 6)
        if disorder:
            random.Random(1).shuffle(items)
        store, counted = restarted(here), Statements(here.db)
        saved = store.save(items)
        assert 5 <= counted.number <= MOST_OF_A_BATCH

        counted.number = 0
        assert routers == len(store.acks(saved.routers))
        assert 1 == counted.number


@pytest.mark.parametrize("routers", [1, 40])
def test_a_new_city_takes_no_more_statements_than_its_first_router(
    tmp_path: Path, routers: int
) -> None:
    """What is new of runs, boots and interfaces is written together."""
    here = City(tmp_path, routers)
    counted = Statements(here.db)
    here.store.save(taken(here, 1))
    here.db.close()
    assert 5 <= counted.number <= MOST_OF_A_BATCH


def after_a_power_cut(number: int) -> list[Item]:
    """What waited of a boot that nobody heard, and the boot after it that names its run."""
    name, run, boot = f"bench-{number}", f"{number + 1000:016x}", f"{number:08x}"
    lone = [sample(n, router=name, run=run, boot=boot, clock="guess") for n in range(1, 4)]
    # Its first word came before: that boot is known, and what it names is new.
    naming = sample(9, router=name, run=f"{number + 2000:016x}", others=[Held(run, (1, 3))])
    waited = [to_item(received(one), T0 + 900_000) for one in lone]
    return [*waited, to_item(received(naming, True), T0 + 900_000)]


def test_power_cuts_of_a_district_take_as_many_statements_as_one(tmp_path: Path) -> None:
    """Boots that nobody heard are placed together, too."""
    counts = set()
    for routers in (1, 30):
        with city(tmp_path / f"{routers}", routers) as here:
            counted = Statements(here.db)
            here.store.save([one for n in range(1, routers + 1) for one in after_a_power_cut(n)])
            counts.add(counted.number)
            assert [(routers,)] == here.db.execute(
                "SELECT count(*) FROM boot_time WHERE quality = 'bounded'"
            )
    assert 1 == len(counts)


def test_what_is_refused_takes_as_many_statements_as_one_message(tmp_path: Path) -> None:
    """Malformed messages, and those of routers that nobody registered."""
    counts = set()
    for many in (1, 50):
        here = City(tmp_path / f"{many}", 1)
        store = BatchWriter(here.db, Registered(), Caps(1_000_000, 1000), Presence(here.db))
        counted = Statements(here.db)
        unknown = [sample(1, router=f"nobody-{n}") for n in range(many)]
        items = [to_item(received(one), T0 + 900_000) for one in unknown]
        broken = ReceivedMessage("titik/v1/router/tirosa-1/sample", b"{}", (1, 1))
        store.save([*items, *(to_item(broken, T0) for _ in range(many))])
        counts.add(counted.number)
        here.db.close()
    assert 1 == len(counts)


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
