"""A collector that stands by leaves alone what the city wishes of its routers."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.broker import enrolled
from tests.broker.enrolled import City
from tests.broker.running import RunningBroker
from tests.postgres import Postgres
from tests.system.city import COLLECTOR, STANDS_BY, Process
from tests.until import until
from titik_collector.commands.desk_entering import entering
from titik_collector.config import model
from titik_collector.desk import questions
from titik_collector.store import opening, rollout_rows, router_answers, wishes
from titik_collector.store.database import Database

pytestmark = pytest.mark.system

NAME = "tirosa-1"
TWICE_S = 4.5  # what publishes wishes has run twice by then, where a collector collects
WISHED = {"settings", "certificate", "question", "order"}


@pytest.fixture
def city(tmp_path: Path) -> Iterator[City]:
    """Its broker runs, and its store is on a server."""
    made = enrolled.made(tmp_path)
    file = made.folder / "titik.toml"
    with Postgres() as server:
        where = f'url = "{server.url}"\nschema = "titik"'
        file.write_text(file.read_text().replace('path = "titik.db"', where))
        made.says("router", "add", NAME, "--site", "taman-tirosa")
        with RunningBroker(made.broker):
            yield made


@contextmanager
def collecting(city: City, until_it_writes: str) -> Iterator[Process]:
    """A collector, from what it has to write on."""
    log = city.folder / f"{until_it_writes[:6]}.log"
    started = Process(log, *COLLECTOR, "collect", "--config", str(city.folder / "titik.toml"))
    try:
        assert until(lambda: until_it_writes in started.output(), True), started.output()
        yield started
    finally:
        started.stop()


def wish(city: City) -> None:
    """Something of every kind."""
    city.says("router", "renew", NAME)
    city.says("router", "set", NAME, "interval_s=60")
    city.says("fleet", "upgrade", "0.2.0")
    with entering(city.folder / "titik.toml") as desk:
        questions.ask(desk.db, NAME, desk.actor)


def written(db: Database) -> set[str]:
    """What stands in the store of it."""
    found = {
        one.kind for kind in wishes.KINDS for one in wishes.all_of(db, kind) if one.body is not None
    }
    has = {
        "question": router_answers.of_router(db, NAME) is not None,
        "order": rollout_rows.read(db) is not None,
    }
    return found | {what for what, is_there in has.items() if is_there}


def test_a_standby_writes_and_sends_nothing_of_wishes(city: City) -> None:
    """It takes all of them up when the store is its."""
    store = model.load(city.folder / "titik.toml").store
    with collecting(city, "broker connected"):
        pass  # so there is a store
    with ExitStack() as other:
        held = other.enter_context(opening.writing(store))
        before = written(held)
        wish(city)
        held.renew()  # the lease, which is for 30 s
        with collecting(city, STANDS_BY) as standby:
            held.renew()
            time.sleep(TWICE_S)
            assert before == written(held) == set()
            assert "broker connected" not in standby.output()
            other.close()
            with opening.reading(store) as db:
                assert until(lambda: written(db), WISHED) == WISHED
