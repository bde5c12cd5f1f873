"""Sites, routers and where each stood from when, as the store keeps them."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.collector.build import opened
from titik_collector.config import model
from titik_collector.config.model import Config
from titik_collector.registry.registry import Registry
from titik_collector.registry.sync import Changes, sync
from titik_collector.registry.watch import ConfigWatch
from titik_collector.store import database
from titik_collector.store.sqlite import SqliteDatabase

HEAD = """
[city]
name = "kupang"
title = "Kota Kupang"
timezone = "Asia/Makassar"
[store]
path = "titik.db"
"""


def city(sites: str, **routers: str) -> Config:
    """A configuration: `city("x y", a="x")`; a router's value may end in `since ...`."""
    text = HEAD
    for site in sites.split():
        text += f'[[site]]\nname = "{site}"\ntitle = "{site.upper()}"\n'
    for name, value in routers.items():
        site, _, since = value.partition(" since ")
        text += f'[[router]]\nname = "{name}"\nsite = "{site}"\n'
        text += f"since = {since}\n" if since else ""
    return model.parse(text.encode(), Path("titik.toml"))


@pytest.fixture
def db(tmp_path: Path) -> Iterator[SqliteDatabase]:
    """An empty store."""
    with opened(tmp_path / "titik.db", ()) as empty:
        yield empty


def memberships(db: SqliteDatabase) -> list[tuple[str, int, str | None]]:
    """Router, from when, site."""
    return db.execute(
        "SELECT router.name, from_ms, site.name FROM membership"
        " JOIN router ON router.id = router_id LEFT JOIN site ON site.id = site_id"
        " ORDER BY router.name, from_ms"
    ).fetchall()


def test_a_new_router_is_at_its_site_from_this_minute_on(db: SqliteDatabase) -> None:
    """Without `since`; the site's minute has what it reports at once."""
    assert Changes(added=("a",)) == sync(db, city("x", a="x"), 61_000)
    assert [("a", 60_000, "x")] == memberships(db)
    assert [] == db.execute("SELECT * FROM dirty").fetchall()


def test_since_dates_a_new_router_back(db: SqliteDatabase) -> None:
    """A router that was there before today says so."""
    sync(db, city("x", a="x since 2026-11-23T00:00:00Z"), 1795392009000)
    assert [("a", 1795392000000, "x")] == memberships(db)


@pytest.mark.sqlite("compares what SQLite dumps")
def test_the_second_time_changes_nothing(db: SqliteDatabase) -> None:
    """Restarts and reloads of the same file leave no trace."""
    before = city("x y", a="x", b="y since 2020-01-01")
    sync(db, before, 1000)
    was = list(db.raw.iterdump())
    assert Changes() == sync(db, before, 2000)
    assert was == list(db.raw.iterdump())


def test_a_move_adds_a_row_and_keeps_the_past(db: SqliteDatabase) -> None:
    """What the router saw at the old site stays the old site's."""
    sync(db, city("x y", a="x"), 1000)
    assert Changes(moved=("a",)) == sync(db, city("x y", a="y"), 2000)
    assert [("a", 0, "x"), ("a", 2000, "y")] == memberships(db)


def test_a_move_may_be_dated_back(db: SqliteDatabase) -> None:
    """The stretch since then is counted again, because both sites had it otherwise."""
    since = 1795392000000
    sync(db, city("x y", a="x"), since - 5000)
    sync(db, city("x y", a="y since 2026-11-23T00:00:00Z"), since + 5000)
    assert [("a", since - 60_000, "x"), ("a", since, "y")] == memberships(db)
    assert [(1, since, since + 5000)] == db.execute("SELECT * FROM dirty").fetchall()


def test_a_since_of_the_earlier_stay_is_not_the_moves(db: SqliteDatabase) -> None:
    """Who changes `site` and forgets `since` gets a move from now."""
    sync(db, city("x y", a="x since 2026-11-23T00:00:00Z"), 1795392009000)
    sync(db, city("x y", a="y since 2026-11-23T00:00:00Z"), 1795392019000)
    assert [("a", 1795392000000, "x"), ("a", 1795392019000, "y")] == memberships(db)


def test_removing_keeps_the_router_and_its_history(db: SqliteDatabase) -> None:
    """A removed router belongs to no site from then on, and is not known any more."""
    sync(db, city("x", a="x"), 1000)
    assert Changes(removed=("a",)) == sync(db, city("x"), 2000)
    assert [("a", 0, "x"), ("a", 2000, None)] == memberships(db)
    assert [(1, "a", 0)] == db.execute("SELECT id, name, registered FROM router").fetchall()
    assert Registry(db, "kupang").router_id("a") is None
    assert Changes() == sync(db, city("x"), 3000)


def test_a_router_that_returns_is_the_same_router(db: SqliteDatabase) -> None:
    """Its id, and with it its past, is what it was."""
    sync(db, city("x", b="x", a="x"), 1000)
    known = Registry(db, "kupang").router_id("a")
    sync(db, city("x", b="x"), 2000)
    assert Changes(added=("a",)) == sync(db, city("x", b="x", a="x"), 3000)
    assert known == Registry(db, "kupang").router_id("a")
    assert [0, 2000, 3000] == [at for name, at, _ in memberships(db) if name == "a"]


def test_a_clock_that_was_set_back_does_not_rewrite(db: SqliteDatabase) -> None:
    """A row is never dated before the one it follows."""
    sync(db, city("x y", a="x"), 65_000)
    sync(db, city("x y", a="y"), 1000)
    assert [("a", 60_000, "x"), ("a", 60_001, "y")] == memberships(db)


def test_a_site_changes_and_goes(db: SqliteDatabase) -> None:
    """Titles follow the file; a site that is gone stays for its history."""
    sync(db, city("x y", a="x"), 1000)
    assert Changes(moved=("a",), removed_sites=("x",)) == sync(db, city("y", a="y"), 2000)
    rows = db.execute("SELECT id, name, title, registered FROM site ORDER BY id").fetchall()
    assert [(1, "x", "X", 0), (2, "y", "Y", 1)] == rows


def test_the_registry_is_what_is_registered_now(db: SqliteDatabase) -> None:
    """Ids, names and sites, by name; a reload takes what a sync changed."""
    sync(db, city("x y", b="y", a="x"), 1000)
    known = Registry(db, "kupang")
    assert [(2, "a", "x"), (1, "b", "y")] == list(known.routers())
    assert [(1, "x"), (2, "y")] == list(known.sites())
    assert ("kupang", 2, "a") == (known.city, known.router_id("a"), known.name(2))
    assert (None, None) == (known.router_id("c"), known.name(9))
    sync(db, city("x y", a="y"), 2000)
    known.reload()
    assert [(2, "a", "y")] == list(known.routers())


@pytest.mark.sqlite("fails by a trigger, in SQLite's words")
def test_a_sync_that_fails_leaves_nothing(db: SqliteDatabase) -> None:
    """All or nothing: half a registry would refuse routers."""
    db.execute("CREATE TRIGGER no BEFORE INSERT ON membership BEGIN SELECT raise(ABORT, 'no'); END")
    with pytest.raises(database.StoreError):
        sync(db, city("x", a="x"), 1000)
    assert [] == db.execute("SELECT * FROM router").fetchall()
    assert [] == db.execute("SELECT * FROM site").fetchall()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A configuration file with one site."""
    path = tmp_path / "titik.toml"
    path.write_text(HEAD + '[[site]]\nname = "x"\ntitle = "X"\n')
    return path


def edit(file: Path, text: str) -> None:
    """Append, and make sure that the time of change differs."""
    was = file.stat().st_mtime_ns
    file.write_text(file.read_text() + text)
    os.utime(file, ns=(was + 1_000_000, was + 1_000_000))


def test_an_edit_is_noticed_once(file: Path) -> None:
    """The second poll that sees the same edited file takes it."""
    watch = ConfigWatch(file)
    assert [None, None] == [watch.poll(), watch.poll()]
    edit(file, '[[router]]\nname = "a"\nsite = "x"\n')
    assert watch.poll() is None
    taken = watch.poll()
    assert taken is not None
    assert ["a"] == [one.name for one in taken.router]
    assert [None, None] == [watch.poll(), watch.poll()]


def test_half_an_edit_is_not_taken(file: Path) -> None:
    """A file that still changes between two polls is left alone."""
    watch = ConfigWatch(file)
    for number in range(4):
        edit(file, f'[[router]]\nname = "a{number}"\nsite = "x"\n')
        assert watch.poll() is None
    assert watch.poll() is not None


def test_a_broken_edit_is_logged_once_and_then_mended(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The configuration before stays; the next right edit is taken."""
    caplog.set_level(logging.ERROR)
    watch = ConfigWatch(file)
    right = file.read_text()
    edit(file, "[[router]\n")
    assert [None] * 5 == [watch.poll() for _ in range(5)]
    assert 1 == len(caplog.records)
    assert "configuration not taken, the one before stays" in caplog.text
    file.write_text(right + "# mended\n")
    assert watch.poll() is None
    assert watch.poll() is not None


def test_a_file_that_is_gone_for_a_moment_is_no_edit(file: Path) -> None:
    """Editors replace files; between the two names there may be none."""
    watch = ConfigWatch(file)
    away = file.with_name("away")
    file.rename(away)
    assert watch.poll() is None
    away.rename(file)
    assert [None, None] == [watch.poll(), watch.poll()]
