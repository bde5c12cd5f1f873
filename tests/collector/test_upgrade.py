"""A store of an earlier version is upgraded with a snapshot beside it, and goes back to it."""

import os
import pwd
import re
import shlex
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner

from tests.collector.test_command_line import says
from tests.collector.test_migrations import at_version
from tests.collector.test_server_store import city, collecting, fails_at
from tests.postgres import USER, Postgres
from tests.project.sources import ROOT
from tests.until import until
from titik_collector.cli import titik
from titik_collector.config import model
from titik_collector.store import (
    copying,
    database,
    half_copy,
    identity,
    opening,
    postgres_schema,
    sqlite,
    upgrading,
)
from titik_collector.store.database import Migration, StoreError

OLD, NEWEST = 17, database.migrations("schema")[-1].number
ROWS = """
INSERT INTO router (name, registered, registered_ms) VALUES ('tirosa-1', 1, 0);
INSERT INTO run (router_id, token, highest) VALUES (1, '1', 20);
INSERT INTO settled VALUES (1, 'stored', 1, 9);
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A city whose store is of an earlier schema."""
    return old_city(tmp_path, OLD)


def old_city(folder: Path, version: int) -> Path:
    """A city whose store is of a schema."""
    made = city(folder / "file", 'path = "titik.db"')
    with closing(at_version(store_of(made), version)) as old:
        old.executescript(ROWS)
    return made


def store_of(file: Path) -> Path:
    """Beside the configuration."""
    return file.with_name("titik.db")


def snapshot_of(file: Path) -> Path:
    """Beside the store."""
    return upgrading.snapshot_file(model.load(file).beside)


def dump(store: Path) -> list[str]:
    """All of a file; its rows and its tables."""
    with closing(sqlite3.connect(store)) as db:
        return list(db.iterdump())


def upgraded(file: Path, *words: str, status: int = 0) -> str:
    """What the command prints."""
    return says("upgrade", *words, "--config", str(file), status=status)


def goes_back(file: Path, answer: str) -> str:
    """What the command prints to who answers so."""
    words = ["upgrade", "--back", "--config", str(file)]
    return CliRunner().invoke(titik, words, input=answer).output


def store_more(file: Path, last: int) -> None:
    """As a collector of this version does."""
    with opening.writing(model.load(file).store) as db, db.transaction():
        db.execute("UPDATE settled SET last_seq = ?", (last,))


@pytest.mark.parametrize("version", [5, OLD])
def test_an_upgraded_store_goes_back(tmp_path: Path, version: int) -> None:
    """To what it was, row by row; what came meanwhile is named, and a no changes nothing."""
    file = old_city(tmp_path, version)
    before = dump(store_of(file))
    output = upgraded(file)
    assert f"schema {version} becomes {NEWEST}; a snapshot of 0 MB comes first, about 1 s" in output
    assert before == dump(snapshot_of(file))
    store_more(file, 14)
    newer = dump(store_of(file))
    assert "lost on the way back: 5 samples that were stored since 20" in goes_back(file, "n\n")
    assert newer == dump(store_of(file))
    output = goes_back(file, "y\n")
    assert f"is of schema {version} again; install the version before" in output
    assert before == dump(store_of(file))
    assert newer == dump(file.with_name("titik.db.upgraded"))
    assert "there is no snapshot, so no way back" in goes_back(file, "y\n")


def test_the_way_back_of_a_store_that_is_held_is_not_asked_for(file: Path) -> None:
    """Who would say yes is refused before."""
    upgraded(file)
    with opening.writing(model.load(file).store):
        output = goes_back(file, "y\n")
    assert "a collector holds this store; stop it first" in output
    assert "go back" not in output


def test_a_snapshot_is_one_file(file: Path) -> None:
    """Whoever reads it leaves nothing beside it."""
    upgraded(file)
    goes_back(file, "n\n")
    assert [snapshot_of(file)] == [one for one in sqlite.files(snapshot_of(file)) if one.exists()]


def test_the_commands_of_the_page_can_be_typed_in_their_order(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the city lies: there and back."""
    page = (ROOT / "docs/operating.md").read_text()
    monkeypatch.chdir(file.parent)
    output = [
        CliRunner().invoke(titik, shlex.split(line, comments=True), input="y\n").output
        for line in re.findall("^titik (upgrade .*)$", page, re.M)
    ]
    assert 3 == len(output)
    assert f"is of schema {NEWEST}" in output[0]
    assert "nothing to upgrade" in output[1]
    assert f"is of schema {OLD} again" in output[2]


def test_what_is_in_the_wal_does_not_come_back(file: Path) -> None:
    """A collector that was killed leaves its last rows there, and SQLite would play them back."""
    before = dump(store_of(file))
    upgraded(file)
    with closing(sqlite3.connect(store_of(file))) as killed:
        killed.execute("UPDATE settled SET last_seq = 15")
        killed.commit()
        copies = [shutil.copy(one, f"{one}.kept") for one in sqlite.files(store_of(file))[1:]]
    for one in copies:
        os.rename(one, one.removesuffix(".kept"))
    assert "6 samples" in goes_back(file, "y\n")
    assert before == dump(store_of(file))


def test_the_way_back_waits_for_readers(file: Path) -> None:
    """The newest rows stay in the -wal until the last reader has ended."""
    upgraded(file)
    with closing(sqlite3.connect(store_of(file), isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT 1 FROM router").fetchall()
        store_more(file, 14)
        newer = dump(store_of(file))
        assert "something reads the store, and nothing is changed" in goes_back(file, "y\n")
        assert newer == dump(store_of(file))
    assert f"is of schema {OLD} again" in goes_back(file, "y\n")
    assert newer == dump(file.with_name("titik.db.upgraded"))


@pytest.mark.parametrize("command", ["upgrade", "collect"])
def test_without_room_nothing_is_changed(
    file: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """What lacks is named, and what to do."""
    before = dump(store_of(file))
    usage = shutil.disk_usage(file)._replace(free=100_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    output = says(command, "--config", str(file), status=1)
    assert f"{file.parent}: an upgrade needs 0 MB, and 0 MB are free; free the rest" in output
    assert "titik upgrade --no-snapshot" in output
    assert before == dump(store_of(file))
    assert f"is of schema {NEWEST}" in upgraded(file, "--no-snapshot")
    assert not snapshot_of(file).exists()


def test_a_snapshot_made_beside_the_collector_serves_its_next_start(file: Path) -> None:
    """Acks then wait for no snapshot. One that is older than the collector's life is made again."""
    with opening.held(model.load(file).store):
        output = upgraded(file)
        assert "restart the collector, which upgrades the store" in output
    assert OLD == sqlite.version(store_of(file))
    first = snapshot_of(file).stat().st_ino
    with closing(sqlite3.connect(store_of(file))) as collector:
        collector.execute("UPDATE settled SET last_seq = 10")
        collector.commit()
    assert "is kept" in upgraded(file)
    assert first == snapshot_of(file).stat().st_ino
    assert "nothing to upgrade" in upgraded(file)


def test_a_damaged_store_goes_back(file: Path) -> None:
    """Its version cannot be read, and it is kept as it is."""
    before = dump(store_of(file))
    upgraded(file)
    damaged = b"x" * 100 + store_of(file).read_bytes()[100:]
    store_of(file).write_bytes(damaged)
    output = goes_back(file, "y\n")
    assert "lost on the way back: all samples that were stored since 20" in output
    assert f"is of schema {OLD} again" in output
    assert before == dump(store_of(file))
    assert damaged == file.with_name("titik.db.upgraded").read_bytes()


def half_upgraded(file: Path) -> None:
    """The first migration is applied, the next one is not."""
    found = database.migrations("schema", OLD + 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite, "migrations", lambda *_: [*found, Migration(NEWEST, "no SQL;")])
        upgraded(file, status=1)
    assert OLD + 1 == sqlite.version(store_of(file))


def test_a_store_that_is_half_upgraded_goes_back(file: Path) -> None:
    """A migration may fail."""
    before = dump(store_of(file))
    half_upgraded(file)
    assert f"is of schema {OLD} again" in goes_back(file, "y\n")
    assert before == dump(store_of(file))


def test_the_rest_of_an_upgrade_makes_no_other_snapshot(file: Path) -> None:
    """Of a store that is half upgraded there is no program."""
    before = dump(store_of(file))
    half_upgraded(file)
    assert "is kept" in upgraded(file)
    assert before == dump(snapshot_of(file))


def test_a_snapshot_of_another_life_of_the_store_is_made_again(file: Path) -> None:
    """A collector opened the store since then."""
    with opening.held(model.load(file).store):
        upgraded(file)
    with closing(sqlite3.connect(store_of(file), isolation_level=None)) as raw:
        identity.opened(sqlite.SqliteDatabase(raw, store_of(file)))
    before = dump(store_of(file))
    assert "comes first" in upgraded(file)
    assert before == dump(snapshot_of(file))


@pytest.mark.system
@pytest.mark.thorough
def test_a_collector_keeps_a_snapshot_when_it_starts(file: Path) -> None:
    """Nobody has to type a command."""
    before = dump(store_of(file))
    with collecting(file):
        assert until(lambda: sqlite.version(store_of(file)), NEWEST)
        assert "a collector holds this store" in goes_back(file, "y\n")
    assert before == dump(snapshot_of(file))


@pytest.fixture
def on_server(
    tmp_path: Path, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """A city on a server whose store is one migration behind the program."""
    with postgres.schema() as name:
        made = city(tmp_path / "server", f'url = "{postgres.url}"\nschema = "{name}"')
        with opening.writing(model.load(made).store) as db, db.transaction():
            for statement in filter(str.strip, ROWS.split(";")):
                db.execute(statement)
        for module in (sqlite, postgres_schema, opening):
            monkeypatch.setattr(module, "migrations", one_more)
        yield made
        with psycopg.connect(postgres.url) as raw:
            raw.execute(f'DROP SCHEMA IF EXISTS "{name}-upgraded" CASCADE')


def one_more(folder: str, newest: int | None = None) -> list[Migration]:
    """The migrations of a program to come."""
    found = database.migrations(folder)
    found.append(Migration(found[-1].number + 1, "ALTER TABLE run ADD COLUMN more BIGINT;"))
    return [one for one in found if newest is None or one.number <= newest]


def rows_of(file: Path) -> dict[str, list[tuple[object, ...]]]:
    """All that a store holds, whichever its version."""
    where = model.load(file).store
    with opening.reading(where, of_version=opening.version(where)) as db:
        tables = db.tables()
        return {one.name: sorted(db.execute(f"SELECT * FROM {one.name}")) for one in tables}


@pytest.mark.system
@pytest.mark.thorough
def test_a_store_on_a_server_goes_back(on_server: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its snapshot is a file. What was interrupted goes on, and the newer schema is kept."""
    before = rows_of(on_server)
    assert f"schema {NEWEST} becomes {NEWEST + 1}" in upgraded(on_server)
    store_more(on_server, 14)
    newer = rows_of(on_server)
    assert before != newer
    with monkeypatch.context() as patch:
        patch.setattr(half_copy, "FIRST", ("router", "run"))
        patch.setattr(copying, "insert", fails_at("settled"))
        assert "lost on the way back: 5 samples" in goes_back(on_server, "y\n")
    assert newer == rows_of(on_server)
    assert f"is of schema {NEWEST} again" in goes_back(on_server, "y\n")
    assert before == rows_of(on_server)
    store = model.load(on_server).store
    on_server.write_text(on_server.read_text().replace(store.schema, f"{store.schema}-upgraded"))
    assert newer == rows_of(on_server)


@pytest.fixture
def by_root(on_server: Path) -> Iterator[Path]:
    """The same city in a folder that only root may write, with a password of the collector's."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        made, password = Path(folder, "titik.toml"), Path(folder, "password")
        made.write_text(
            on_server.read_text().replace("schema =", 'password_file = "password"\nschema =')
        )
        password.write_text("secret")
        password.chmod(0o600)
        shutil.chown(password, USER, USER)
        where = model.load(made)
        upgrading.keep_now(where.store, where.beside, print)
        yield made


def started(file: Path) -> list[str]:
    """What is logged before a start of the collector's user changes the store."""
    where, printed = model.load(file), list[str]()
    before = upgrading.keeping(where.store, where.beside, printed.append)
    user = pwd.getpwnam(USER)
    with opening.reading(where.store, of_version=NEWEST) as db:
        os.setegid(user.pw_gid)
        os.seteuid(user.pw_uid)
        try:
            before(db, NEWEST, NEWEST + 1)
        finally:
            os.seteuid(0)
            os.setegid(0)
    return printed


@pytest.mark.system
def test_a_snapshot_that_root_made_serves_the_collectors_user(by_root: Path) -> None:
    """`make install` makes it, and then restarts the collector."""
    assert [True] == ["is kept" in one for one in started(by_root)]


@pytest.mark.system
def test_a_start_that_cannot_read_the_snapshot_names_the_remedy(by_root: Path) -> None:
    """The collector's user cannot make another."""
    shutil.chown(snapshot_of(by_root), "root", "root")
    with pytest.raises(StoreError, match="as root: titik upgrade"):
        started(by_root)
