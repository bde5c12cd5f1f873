"""The store on PostgreSQL: the same tables as on SQLite, and its lease."""

import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as settings_of
from hypothesis import strategies as st

from tests.collector import build, conftest, history
from tests.collector.build import T0, Registered, opened
from tests.collector.stores import Stores
from tests.collector.test_rollup import ZONE
from tests.project.sources import ROOT
from tests.until import until
from titik_collector.ingest.batch import BatchWriter
from titik_collector.rollups.worker import Rollups
from titik_collector.store import postgres_schema, settings, sqlite
from titik_collector.store.database import (
    Database,
    StoreBusy,
    StoreError,
    StoreHeld,
    Unstorable,
    insert,
)
from titik_collector.store.postgres import PostgresDatabase, PostgresPlace, translated

pytestmark = pytest.mark.system

ROUTERS = ("tirosa-1", "tirosa-2")
# What identifies a row, in place of numbers that an engine gives: those of runs and boots.
_RUN = "(SELECT router_id || '/' || token FROM run WHERE id = {0})"
_BOOT = "(SELECT router_id || '/' || token FROM boot WHERE id = {0})"
TABLES = {
    "boot": "router_id, token, online, prompt_ms",
    "run": "router_id, token, highest, floor, gone, base, base_stored, base_refused, "
    + _BOOT.format("boot_id"),
    "settled": f"{_RUN.format('run_id')}, kind, first_seq, last_seq",
    "open_run": f"{_RUN.format('run_id')}, touched_ms",
    "boot_time": f"{_BOOT.format('boot_id')}, quality, offset_ms, arrival_ms, has, first_ms,"
    " last_ms",
    "succession": f"{_RUN.format('older_run_id')}, {_BOOT.format('newer_boot_id')}",
    "sample": f"{_RUN.format('run_id')}, seq, first_seq, at_ms, quality, taken_ms, claim_ms,"
    " covers_ms, clients, client_ms, visitors",
    "dirty": "router_id, from_ms, to_ms",
    "stale": "scope, scope_id, hour_ms, from_ms, to_ms",
    "rollup_news": "scope, scope_id, length, start_ms",
    "rollup": "*",
    "v_conservation": "*",
    "v_rollup": "*",
    "v_sample": "*",
}
HOLDER = """
import os, signal, sys
from titik_collector.store import postgres, postgres_schema, settings
from titik_collector.store.database import StoreError, StoreHeld
postgres.LEASE_S = int(sys.argv[3])
db = postgres_schema.open_writer(postgres.PostgresPlace(sys.argv[1], sys.argv[2]))
print("holds", flush=True)
number = 0
while True:
    number += 1
    try:
        with db.transaction():
            settings.keep(db, "tried_ms", number)
            # As a batch does; the server must count the time from here too.
            row = (str(number), "tried_ms")
            db.executemany("UPDATE setting SET value = ? WHERE name = ?", [row])
            if number == int(sys.argv[4]):
                print("stops", flush=True)
                os.kill(os.getpid(), signal.SIGSTOP)
        if number == 10:
            print("stops", flush=True)
    except StoreHeld as error:
        sys.exit(str(error))
    except StoreError:
        pass
"""


def play(path: Path, seed: int) -> list[Any]:
    """What a store holds after two routers' lives, in an order drawn by the seed."""
    with opened(path, ROUTERS) as db:
        for _ in playing(db, seed):
            pass
        return [
            sorted(db.execute(f"SELECT {columns} FROM {table}"), key=str)
            for table, columns in TABLES.items()
        ]


def playing(db: Database, seed: int, most: int = 30) -> Iterator[None]:
    """The same, step by step, each with fewer arrivals than `most`."""
    rand = random.Random(seed)
    lives = [history.Life(name, rand, boots=3, samples=24) for name in ROUTERS]
    arrivals = [one for life in lives for one in life.arrivals]
    arrivals += rand.sample(arrivals, len(arrivals) // 4)  # once more
    arrivals.sort(key=lambda one: one.arrived_ms + rand.randrange(3_000_000))
    for site in (1, 2):
        db.execute("INSERT INTO site (name, title, registered) VALUES (?, 'S', 1)", (f"s{site}",))
        db.execute("INSERT INTO membership VALUES (?, 0, ?)", (site, site))
    store = BatchWriter(db, Registered(*ROUTERS))
    while arrivals:
        size = rand.randrange(1, most)
        history.deliver(store, arrivals[:size])
        del arrivals[:size]
        if rand.random() < 0.1:
            store = BatchWriter(db, Registered(*ROUTERS))  # another start
        if rand.random() < 0.3:
            roll(db, rand.randrange(1, 4))
        yield
    roll(db, 10**6)


def roll(db: Database, steps: int) -> None:
    """Some of what is due."""
    rollups = Rollups(db, ZONE, lambda: T0 + 3 * 86_400_000)
    for _ in range(steps):
        if not rollups.work(10, time.monotonic):
            break


@pytest.mark.thorough
@pytest.mark.parametrize("seed", range(6))
def test_one_history_gives_the_same_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stores: Stores, seed: int
) -> None:
    """Out of order, merged, twice and over restarts: row by row, by their natural keys."""
    expected = play(tmp_path / "db", seed)
    stores.forget()
    monkeypatch.setattr(build, "open_writer", stores.open_writer)
    assert expected == play(tmp_path / "db", seed)


def test_every_file_that_opens_a_store_is_on_both_engines_or_says_why() -> None:
    """None is left out in silence."""
    using = {
        file.stem
        for file in Path(__file__).parent.glob("test_*.py")
        if re.search(r"opened\(|open_writer|open_reader|[ (]city\(", file.read_text())
    }
    assert set() == using - conftest.ON_BOTH - conftest.ITS_OWN.keys()
    assert set() == conftest.ON_BOTH & conftest.ITS_OWN.keys()


def test_both_engines_have_the_same_columns(tmp_path: Path, place: PostgresPlace) -> None:
    """Of every table and view; a migration of one engine has its like for the other."""
    with contextlib.closing(sqlite.open_writer(tmp_path / "db")) as db:
        expected = db.execute(
            "SELECT o.name, c.name FROM sqlite_schema AS o JOIN pragma_table_xinfo(o.name) AS c"
            " WHERE o.type IN ('table', 'view') AND o.name NOT LIKE 'sqlite%'"
            " AND o.name NOT IN ('cold', 'waiting')"  # go when a collector starts
        )
    with contextlib.closing(postgres_schema.open_writer(place)) as other:
        found = other.execute(
            "SELECT table_name, column_name FROM information_schema.columns"
            " WHERE table_schema = current_schema()"
        )
        own = {"lease", "schema_version"}
        assert set(expected) == {tuple(map(str, one)) for one in found if one[0] not in own}


@pytest.fixture
def place(stores: Stores) -> PostgresPlace:
    """An empty store that nobody holds."""
    stores.forget()
    return stores.place(Path("lease"))


@contextlib.contextmanager
def holding(
    place: PostgresPlace, lease_s: int = 60, stops_inside: bool = False
) -> Iterator["subprocess.Popen[str]"]:
    """A process that holds the store and writes to it without a pause."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, place.url, place.schema, str(lease_s),
         "5" if stops_inside else "0"],
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'broker'}:{ROOT / 'agent'}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    try:
        assert holder.stdout is not None
        assert "holds\n" == holder.stdout.readline()
        yield holder
    finally:
        holder.kill()
        holder.communicate()


def opens(place: PostgresPlace) -> PostgresDatabase | None:
    """As soon as nobody holds it."""
    try:
        return postgres_schema.open_writer(place)
    except (StoreHeld, StoreBusy):
        return None


def taken_over(place: PostgresPlace) -> PostgresDatabase:
    """The store, when its lease has ended."""
    found: list[PostgresDatabase] = []

    def tries() -> bool:
        found.extend(filter(None, [opens(place)]))
        return bool(found)

    assert until(tries, True)
    return found[0]


def test_a_second_collector_is_refused_and_hears_who_holds_the_store(place: PostgresPlace) -> None:
    """The store has one writer."""
    with holding(place) as holder, pytest.raises(StoreHeld, match=f"process {holder.pid} on "):
        until(lambda: opens_unless_busy(place), True)


def opens_unless_busy(place: PostgresPlace) -> bool:
    """Busy is what the row is while the holder writes."""
    with contextlib.suppress(StoreBusy):
        postgres_schema.open_writer(place).close()
        return True
    return False


def test_a_killed_collector_s_store_is_free_at_once(place: PostgresPlace) -> None:
    """The server knows that its session is gone."""
    with holding(place, lease_s=3600) as holder:
        holder.kill()
        taken_over(place).close()


def test_a_store_that_was_closed_is_free(place: PostgresPlace) -> None:
    """Its lease ends with it."""
    for _ in range(2):
        postgres_schema.open_writer(place).close()
    assert False is postgres_schema.is_held(place)


@pytest.mark.thorough
@pytest.mark.parametrize("inside", [False, True])
def test_a_stopped_holder_that_wakes_up_commits_nothing(place: PostgresPlace, inside: bool) -> None:
    """Between two transactions or in one: its lease has ended, and another collector writes."""
    with holding(place, lease_s=1, stops_inside=inside) as holder:
        assert holder.stdout is not None
        assert "stops\n" == holder.stdout.readline()
        if not inside:
            holder.send_signal(signal.SIGSTOP)
        with contextlib.closing(taken_over(place)) as db:
            with db.transaction():
                settings.keep(db, "tried_ms", -1)
            holder.send_signal(signal.SIGCONT)
            until(lambda: holder.poll() is None and settings.number(db, "tried_ms") == -1, False)
            assert -1 == settings.number(db, "tried_ms")
            _, output = holder.communicate(timeout=60)
            assert "another collector has taken over this store" in output
            assert -1 == settings.number(db, "tried_ms")


def test_a_lost_connection_is_made_again_at_the_next_transaction(place: PostgresPlace) -> None:
    """What was begun is lost whole."""
    with contextlib.closing(postgres_schema.open_writer(place)) as db:
        with db.transaction():
            settings.keep(db, "tried_ms", 1)
        with pytest.raises(StoreError):
            break_off(db, place)
        with db.transaction():
            assert 1 == settings.number(db, "tried_ms")
            settings.keep(db, "tried_ms", 4)
        assert 4 == settings.number(db, "tried_ms")


def test_a_statement_whose_error_was_caught_ends_its_transaction(place: PostgresPlace) -> None:
    """The server keeps nothing of it, so it does not count as kept."""
    with contextlib.closing(postgres_schema.open_writer(place)) as db:
        with pytest.raises(Unstorable, match="nothing is kept"):
            go_on_after_an_error(db)
        assert settings.number(db, "tried_ms") is None
        with db.transaction():
            settings.keep(db, "tried_ms", 2)
        assert 2 == settings.number(db, "tried_ms")


def go_on_after_an_error(db: PostgresDatabase) -> None:
    """A transaction in which somebody catches a bug."""
    with db.transaction():
        settings.keep(db, "tried_ms", 1)
        with contextlib.suppress(Unstorable):
            db.execute("SELECT nosuch FROM router")


def break_off(db: PostgresDatabase, place: PostgresPlace) -> None:
    """A transaction whose session ends within it."""
    with db.transaction():
        settings.keep(db, "tried_ms", 2)
        with psycopg.connect(place.url) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name LIKE 'titik%'"
            )
        settings.keep(db, "tried_ms", 3)


def test_a_commit_is_on_disk_whatever_is_usual_on_the_server(place: PostgresPlace) -> None:
    """This one is set up to answer before that."""
    with psycopg.connect(place.url) as other:
        assert ("off",) == other.execute("SHOW synchronous_commit").fetchone()
    with contextlib.closing(postgres_schema.open_writer(place)) as db:
        assert [("on",)] == db.execute("SHOW synchronous_commit")


@contextlib.contextmanager
def stopped(pid: int) -> Iterator[None]:
    """A process that does nothing meanwhile."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_server_that_stops_is_given_up(
    place: PostgresPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its connections stay, so nothing else ends the wait; the writer goes on when it wakes up."""
    with contextlib.closing(postgres_schema.open_writer(place)) as db:
        ((backend,),) = db.execute("SELECT pg_backend_pid()")
        with monkeypatch.context() as patch, stopped(backend):
            patch.setattr(db._raw, "answer_s", 0.2)
            with pytest.raises(StoreError, match="has not answered for"):
                settings.number(db, "tried_ms")
        with db.transaction():
            settings.keep(db, "tried_ms", 1)
        assert 1 == settings.number(db, "tried_ms")


def test_a_row_outside_a_transaction_is_refused(place: PostgresPlace) -> None:
    """No lease was read for it."""
    with (
        contextlib.closing(postgres_schema.open_writer(place)) as db,
        pytest.raises(Unstorable, match="read-only transaction"),
    ):
        settings.keep(db, "tried_ms", 1)


def test_a_reader_sees_one_moment(place: PostgresPlace) -> None:
    """Whatever is written meanwhile."""
    with (
        contextlib.closing(postgres_schema.open_writer(place)) as db,
        contextlib.closing(postgres_schema.open_reader(place, "start")) as reader,
        reader.snapshot(),
    ):
        assert settings.number(reader, "tried_ms") is None
        with db.transaction():
            settings.keep(db, "tried_ms", 1)
        assert settings.number(reader, "tried_ms") is None


def test_a_reader_knows_whether_something_was_written(place: PostgresPlace) -> None:
    """Without reading it; what the server does by itself may look like it."""
    with (
        contextlib.closing(postgres_schema.open_writer(place)) as db,
        contextlib.closing(postgres_schema.open_reader(place, "start")) as reader,
    ):
        assert until(lambda: reader.written() == reader.written(), True)
        before = reader.written()
        with db.transaction():
            settings.keep(db, "tried_ms", 1)
        assert before != reader.written()


def test_many_short_statements_are_given_up_as_one_long_one_is(place: PostgresPlace) -> None:
    """The server's own limit is of each."""

    def ask(db: PostgresDatabase) -> None:
        with db.snapshot(0.1):
            for _ in range(10_000):
                db.execute("SELECT pg_sleep(0.01)")

    with contextlib.closing(postgres_schema.open_writer(place)) as db:
        with pytest.raises(StoreBusy, match="is over"):
            ask(db)
        assert [(1,)] == db.execute("SELECT 1")


def test_a_schema_that_is_no_store_names_the_command_that_makes_one(place: PostgresPlace) -> None:
    """As a file that is not there."""
    with pytest.raises(StoreError, match="in a new city start the collector: titik collect"):
        postgres_schema.open_reader(place._replace(schema="nobody"), "titik collect")


def test_a_server_that_does_not_answer_is_an_error_with_a_remedy() -> None:
    """Not a traceback of its driver."""
    with pytest.raises(
        StoreError, match=r"start PostgreSQL, or correct host and port of store\.url"
    ):
        PostgresDatabase(PostgresPlace("postgresql:///x?host=/nowhere", "titik"))


@pytest.fixture
def tried(place: PostgresPlace) -> Iterator[PostgresDatabase]:
    """A store with a table of every type."""
    with contextlib.closing(postgres_schema.open_writer(place)) as db:
        with db.transaction():
            db.execute(
                "CREATE TEMPORARY TABLE tried (at BIGINT PRIMARY KEY, number BIGINT,"
                " real DOUBLE PRECISION, words TEXT, raw BYTEA)"
            )
        yield db


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=9)
ROWS = st.tuples(
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-9, 9),
    st.none() | TEXTS | st.sampled_from(["NULL", "{}", '",', "a\\", "\n"]),
    st.none() | st.binary(max_size=9),
)


@pytest.mark.thorough
@settings_of(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ROWS, max_size=5))
def test_many_rows_are_written_as_they_are(tried: PostgresDatabase, drawn: list[Any]) -> None:
    """A column travels as one text, in which nothing may be taken for what it is made of."""
    rows = [(at, *row) for at, row in enumerate(drawn)]
    with tried.transaction():
        tried.execute("DELETE FROM tried")
        tried.executemany(insert("tried", ("at", "number", "real", "words", "raw")), rows)
        assert rows == tried.execute("SELECT * FROM tried ORDER BY at")
        moved = [(number, -1 - at, at) for at, number, *_ in rows]
        tried.executemany("UPDATE tried SET number = ?, at = ? WHERE at = ?", moved)
        tried.executemany(
            "DELETE FROM tried WHERE at = ? AND number = ?", [one[1::-1] for one in moved]
        )
        left = [(-1 - at, *row) for at, *row in rows if row[0] is None]
        assert left == tried.execute("SELECT * FROM tried ORDER BY at DESC")


def test_placeholders_are_psycopg_s() -> None:
    """And a percent sign is no placeholder."""
    assert "a %% %s = %(b_c)s" == translated("a % ? = :b_c")
