"""`titik store copy` of a file whose collector goes on meanwhile."""

import contextlib
import random
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.collector import build
from tests.collector.test_command_line import says
from tests.collector.test_store_copy import cities as cities
from tests.collector.test_store_copy import copied, holds, killed
from tests.collector.test_two_engines import ROUTERS, playing
from tests.project.sources import ROOT
from titik_collector.config import model
from titik_collector.store import (
    delivery_rows,
    half_copy,
    identity,
    lease,
    living_copy,
    notify_opening,
    noting,
    snapshot,
)
from titik_collector.store.database import Database
from titik_collector.store.delivery_rows import DeliveryRow
from titik_collector.store.sqlite import SqliteDatabase, open_other

pytestmark = pytest.mark.system
COPIER = """
import os, signal, sys
from titik_collector.config import model
from titik_collector.store import copying, living_copy
left, real = int(sys.argv[3]), living_copy._put
def put(*words):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*words)
living_copy.PART, living_copy._put = 6, put
source, target = (copying.StorePair(*model.stores_at(one)) for one in sys.argv[1:3])
copying.copy_city(source, target, print)
"""


@contextlib.contextmanager
def collecting(file: Path) -> Iterator[SqliteDatabase]:
    """The store as a collector holds it that goes on."""
    store = model.load(file).store
    assert store.path is not None
    with lease.held(store.path), build.opened(store.path, ROUTERS) as db:
        if identity.known(db) is None:
            identity.opened(db)
        yield db


def triggers(file: Path) -> list[str]:
    """What notes changes in the store."""
    store = model.load(file).store
    assert store.path is not None
    with contextlib.closing(open_other(store.path)) as db:
        return [
            str(one)
            for (one,) in db.execute(
                "SELECT name FROM sqlite_schema WHERE type = 'trigger' OR name LIKE 'not%d'"
            )
        ]


@contextlib.contextmanager
def after_each_part(
    monkeypatch: pytest.MonkeyPatch, do: Callable[[], object], rows: int = 7
) -> Iterator[None]:
    """A copy in parts of so many rows; the source goes on between any two of them."""
    forget = noting.forget

    def went_on(db: Database, number: int) -> None:
        forget(db, number)
        do()

    with monkeypatch.context() as patch:
        patch.setattr(living_copy, "PART", rows)
        patch.setattr(noting, "STEP", 3)
        patch.setattr(noting, "forget", went_on)
        yield


def moving(db: Database, rand: random.Random) -> Iterator[None]:
    """Rows get other keys, in front of a pass and behind it, and some go."""
    for _ in range(60):
        table, key = rand.choice(
            [("outage", "from_ms"), ("settled", "first_seq"), ("membership", "from_ms")]
        )
        with db.transaction():
            db.execute(
                "DELETE FROM body WHERE id = (SELECT min(id) FROM body WHERE id > ?)",
                (rand.randrange(100),),
            )
            db.execute(f"UPDATE {table} SET {key} = {key} + 1")
            db.execute(f"UPDATE {table} SET {key} = {key} - 1")
            db.execute("UPDATE stale SET hour_ms = hour_ms - 1000 WHERE hour_ms % 7 = 0")
        yield


@pytest.mark.thorough
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("target", ["server", "other"])
def test_a_city_that_goes_on_is_copied_whole(
    cities: dict[str, Path], target: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever changes between two reads: rows that come, change, move and go."""
    with collecting(cities["file"]) as db:
        steps = playing(db, seed, most=6)
        for _ in range(15):
            next(steps)
        moves = moving(db, random.Random(seed))

        def goes_on() -> None:
            next(steps, None)
            next(moves, None)

        with after_each_part(monkeypatch, goes_on):
            output = copied(cities["file"], cities[target])
        assert "This is no store yet" in output
        assert triggers(cities["file"])
        for _ in steps:
            pass
    output = copied(cities["file"], cities[target])
    assert "copied; name it under [store]" in output
    expected = holds(cities["file"])
    assert expected["rollup"]
    assert expected == holds(cities[target])
    assert [] == triggers(cities["file"])


@pytest.mark.thorough
def test_a_living_copy_that_is_killed_again_and_again_goes_on(cities: dict[str, Path]) -> None:
    """The city goes on, too, and its collector starts again."""
    kills = 0
    with collecting(cities["file"]) as db:
        steps = playing(db, 3, most=6)
        for _ in range(20):
            next(steps)
        while killed(cities["file"], cities["server"], 25, COPIER):
            kills += 1
            assert kills < 40  # one that began again would never end
            next(steps, None)
            identity.opened(db)
            output = says("db", "check", "--config", str(cities["server"]), status=1)
            assert "is half a copy of a store" in output
        for _ in steps:
            pass
        db.execute("UPDATE router SET registered_ms = 77")
    assert kills > 2
    assert killed(cities["file"], cities["server"], 1, COPIER)  # of what is left once it is stopped
    copied(cities["file"], cities["server"])
    assert holds(cities["file"]) == holds(cities["server"])


def test_the_lines_of_the_page_move_a_city(
    cities: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first while the collector runs, the second once it is stopped."""
    folder = cities["file"].parent
    (folder / "new.toml").write_text(cities["server"].read_text())
    page = (ROOT / "docs/operating.md").read_text()
    first, second = re.findall("^titik (store copy .*)$", page, re.M)
    command, then = second.split(" && ")
    monkeypatch.chdir(folder)
    with collecting(cities["file"]):
        assert "This is no store yet" in says(*shlex.split(first), status=0)
    assert "copied; name it" in says(*shlex.split(command), status=0)
    before = cities["file"].read_text()
    subprocess.run(shlex.split(then), check=True)
    moved = holds(cities["file"])
    assert model.load(cities["file"]).store.url is not None
    cities["file"].write_text(before)
    assert moved == holds(cities["file"])


def test_a_copy_that_missed_a_change_is_no_store(
    cities: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the reason is: it is compared with its source before the collector is stopped."""
    with collecting(cities["file"]) as db:
        steps = playing(db, 1, most=6)
        for _ in range(15):
            next(steps)

        def unnoted() -> None:
            db.execute("DROP TRIGGER IF EXISTS noted_body_0")
            next(steps, None)

        with after_each_part(monkeypatch, unnoted, rows=20):
            output = copied(cities["file"], cities["server"], status=1)
    assert "has other rows than its source" in output
    assert "half a copy" in says("db", "check", "--config", str(cities["server"]), status=1)


def test_what_is_brought_last_is_read_again(
    cities: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The collector is stopped by then, and there is no time to count all rows."""
    with collecting(cities["file"]) as db:
        copied(cities["file"], cities["server"])
        db.execute("UPDATE router SET registered_ms = 77")
    put = living_copy._put
    with monkeypatch.context() as patch:
        broken = "UPDATE router SET registered_ms = 5 WHERE id = ? AND name = ? AND 1 IN (?, ?)"
        patch.setattr(living_copy, "_put", lambda one: broken if one.name == "router" else put(one))
        output = copied(cities["file"], cities["server"], status=1)
    assert "router has other rows than its source" in output


def test_the_collector_may_be_stopped_at_any_time(
    cities: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of the copy, the same command finishes it."""
    with contextlib.ExitStack() as stack:
        db = stack.enter_context(collecting(cities["file"]))
        for _ in zip(playing(db, 2, most=6), range(10), strict=False):
            pass
        with after_each_part(monkeypatch, stack.close, rows=20):
            assert "copied; name it" in copied(cities["file"], cities["other"])
    assert holds(cities["file"]) == holds(cities["other"])


def test_notes_that_are_full_begin_the_copy_again(
    cities: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They take a bounded part of the disk, however long nobody goes on."""
    monkeypatch.setattr(noting, "MAX_NOTES", 300)
    with collecting(cities["file"]) as db:
        steps = playing(db, 1, most=6)
        next(steps)
        copied(cities["file"], cities["other"])
        for _ in steps:
            pass
        assert 300 == noting.newest(db)
        output = copied(cities["file"], cities["other"])
        assert "more has changed since than is noted" in output
    copied(cities["file"], cities["other"])
    assert holds(cities["file"]) == holds(cities["other"])


def test_a_copy_that_is_not_wanted_is_given_up(cities: dict[str, Path]) -> None:
    """Nothing is left in the store, while its collector goes on."""
    with collecting(cities["file"]) as db:
        copied(cities["file"], cities["other"])
        says("store", "give-up", str(cities["file"]), status=0)
        db.execute("UPDATE router SET registered_ms = 77")
        assert [] == triggers(cities["file"])
    copied(cities["file"], cities["other"])
    assert holds(cities["file"]) == holds(cities["other"])


def test_a_copy_that_was_killed_at_its_end_leaves_no_notes(
    cities: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a store already; typed again, the command says so and cleans up."""
    with collecting(cities["file"]) as db:
        db.execute("INSERT INTO run (router_id, token, highest) VALUES (1, '1', 0)")
        copied(cities["file"], cities["other"])
    with monkeypatch.context() as patch:
        patch.setattr(noting, "end", lambda _: sys.exit(9))
        copied(cities["file"], cities["other"], status=9)
    assert triggers(cities["file"])
    assert "is a store already" in copied(cities["file"], cities["other"], status=1)
    assert [] == triggers(cities["file"])


def test_a_backup_has_no_notes(cities: dict[str, Path], tmp_path: Path) -> None:
    """A store that is restored is no source of the copy."""
    with collecting(cities["file"]):
        copied(cities["file"], cities["other"])
        snapshot.take(model.load(cities["file"]).store, tmp_path / "backup.db")
    with contextlib.closing(open_other(tmp_path / "backup.db")) as db:
        assert not db.execute("SELECT 1 FROM sqlite_schema WHERE name LIKE 'not_%ed%'")
        assert noting.name(db) is None


def test_messages_that_are_sent_between_two_ends_go_along(
    cities: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command was killed when it had brought some, and the collector started again."""
    row = DeliveryRow("store", 1, 5, None, "it", 5, "delivered")
    sent(cities["file"], row)
    with collecting(cities["file"]):
        copied(cities["file"], cities["server"])
    with monkeypatch.context() as patch:
        patch.setattr(half_copy, "finish", lambda _: sys.exit(9))
        copied(cities["file"], cities["server"], status=9)
    sent(cities["file"], row._replace(message=2))
    assert "twice" not in copied(cities["file"], cities["server"])
    with notify_opening.opened(model.load(cities["server"]).store) as db:
        assert [1, 2] == [one.message for one in delivery_rows.since(db, 0)]


def sent(file: Path, row: DeliveryRow) -> None:
    """What became of a message."""
    with notify_opening.opened(model.load(file).store) as db, db.transaction():
        delivery_rows.add(db, [row])
