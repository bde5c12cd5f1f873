"""The desk beside the store, on both engines."""

import io
import re
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.collector.desks import ENGINES, desk_place
from tests.collector.test_command_line import says
from tests.collector.test_router_command import TEXT
from tests.not_root import nobody
from tests.postgres import Postgres
from titik_collector.config import model
from titik_collector.config.store_table import Store
from titik_collector.limits import MAX_SCHEMA
from titik_collector.store import (
    desk_accounts,
    desk_audit,
    desk_copying,
    desk_opening,
    desk_sessions,
    desk_tokens,
    notify_copying,
    notify_opening,
    opening,
    sqlite,
)
from titik_collector.store.database import Database, StoreError, Unstorable, migrations
from titik_collector.store.desk_accounts import Account
from titik_collector.store.desk_audit import AuditRow
from titik_collector.store.desk_sessions import BrowserSession
from titik_collector.store.desk_tokens import Token

BUDI = Account("budi", "hash", "operator", "id", 5000, 1000)
INA = Account("ina@kupang.go.id", None, "viewer", None, None, 2000)
WALL = Token("wall", b"\0\xff'\\{", "viewer", 3000)
DAY_MS = 86_400_000
MAKER = """
import sys
from pathlib import Path
from titik_collector.config.store_table import Store
from titik_collector.store import desk_opening
place = Store(path=Path(sys.argv[1])) if "://" not in sys.argv[1] else Store(
    url=sys.argv[1], schema=sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
desk_opening.open_desk(place).close()
"""


@pytest.fixture(params=ENGINES)
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A city without a desk."""
    yield from desk_place(request, tmp_path)


@pytest.fixture
def desk(where: Store) -> Iterator[Database]:
    """An empty one."""
    with desk_opening.opened(where) as db:
        yield db


def filled(db: Database) -> None:
    """Two users, a token, a session and a row of the audit, which is old."""
    with db.transaction():
        desk_accounts.add(db, BUDI)
        desk_accounts.add(db, INA)
        desk_tokens.add(db, WALL)
        desk_sessions.begin(db, BrowserSession(b"s", "budi", 1, 2))
        desk_audit.append(db, AuditRow(1, "root", None, "user added", "budi"))


def test_there_is_none_until_something_is_entered(where: Store) -> None:
    """To look makes nothing."""
    assert not desk_opening.exists(where)
    assert not desk_opening.exists(where)
    desk_opening.open_desk(where).close()
    assert desk_opening.exists(where)


def test_there_is_none_beside_a_store_whose_name_is_too_long(where: Store) -> None:
    """Such a city is backed up as before."""
    long = replace(where, schema="s" * MAX_SCHEMA)
    assert not desk_opening.exists(long)
    if where.path is None:
        with pytest.raises(StoreError, match="use a shorter one"):
            desk_opening.open_desk(long)


def test_what_is_entered_is_there_for_the_next_who_opens_it(where: Store) -> None:
    """Users, tokens, sessions and the audit."""
    with desk_opening.opened(where) as db:
        filled(db)
    with desk_opening.opened(where) as db:
        assert [BUDI, INA] == desk_accounts.all_of(db)
        assert INA == desk_accounts.find(db, INA.name)
        assert WALL == desk_tokens.find(db, WALL.secret_hash)
        assert BrowserSession(b"s", "budi", 1, 2) == desk_sessions.find(db, b"s")
        assert [AuditRow(1, "root", None, "user added", "budi")] == desk_audit.newest(db, 9)


def test_what_is_not_whole_is_not_there(desk: Database) -> None:
    """A transaction that fails leaves nothing."""

    def twice() -> None:
        with desk.transaction():
            desk_accounts.add(desk, BUDI)
            desk_accounts.add(desk, BUDI)

    with pytest.raises(Unstorable):
        twice()
    assert not desk_accounts.are_any(desk)


def test_two_write_by_turns(where: Store, desk: Database) -> None:
    """The page and a command; neither holds the desk."""
    with desk_opening.opened(where) as other:
        for number, one in enumerate((desk, other, desk, other)):
            with one.transaction():
                desk_accounts.add(one, BUDI._replace(name=f"budi{number}"))
        assert 4 == len(desk_accounts.all_of(desk)) == len(desk_accounts.all_of(other))


def test_a_row_of_the_audit_is_never_changed(desk: Database) -> None:
    """By no statement; it is deleted only after 30 days."""
    now_ms = round(time.time() * 1000)
    with desk.transaction():
        desk_audit.append(desk, AuditRow(now_ms - 29 * DAY_MS, "root", None, "user added", "ina"))
        desk_audit.append(desk, AuditRow(now_ms - 31 * DAY_MS, "root", None, "user added", "budi"))
    before = desk_audit.newest(desk, 9)
    number = desk.execute("SELECT min(number) FROM audit")[0][0]
    again = "INSERT INTO audit (number, at_ms, actor, action, subject)"
    for statement in (
        "UPDATE audit SET subject = 'nobody'",
        "DELETE FROM audit",
        f"{again} VALUES ({number}, 0, '', '', '')",
    ):
        with pytest.raises(Unstorable), desk.transaction():
            desk.execute(statement)
    assert before == desk_audit.newest(desk, 9)
    with desk.transaction():
        desk_audit.expire(desk, now_ms - 30 * DAY_MS)
    assert before[:1] == desk_audit.newest(desk, 9)


def test_sqlite_replaces_no_row_of_the_audit(tmp_path: Path) -> None:
    """REPLACE fires no trigger of DELETE."""
    with closing(desk_opening.open_file(tmp_path / "desk.db")) as db:
        filled(db)
        with pytest.raises(Unstorable), db.transaction():
            db.execute("REPLACE INTO audit VALUES (1, 0, '', '', '', '')")


@pytest.mark.system
def test_postgresql_truncates_no_audit(where: Store, desk: Database) -> None:
    """Nor with all others."""
    if where.path is None:
        with pytest.raises(Unstorable), desk.transaction():
            desk.execute("TRUNCATE audit")


def test_a_session_ends_alone_or_with_its_user(desk: Database) -> None:
    """Logout, removal, age, and too many of one."""
    sessions = [BrowserSession(bytes([n]), "budi", n, n + 1) for n in range(8)]
    with desk.transaction():
        for one in (*sessions, BrowserSession(b"other", "ina", 0, 99)):
            desk_sessions.begin(desk, one)
        desk_sessions.end(desk, bytes([7]))
        desk_sessions.end_older(desk, seen_ms=3, begun_ms=0)
        desk_sessions.end_all_but(desk, "budi", 3)
        left = [n for n in range(8) if desk_sessions.find(desk, bytes([n]))]
        assert 3 == desk_sessions.end_all_of(desk, "budi")
    assert [4, 5, 6] == left
    assert desk_sessions.find(desk, b"other")


@pytest.mark.thorough
def test_of_many_that_find_no_desk_one_makes_it(where: Store) -> None:
    """All of them open the same, whole."""
    words = [str(where.path)] if where.path else [where.url or "", where.schema]
    makers = [
        subprocess.Popen(
            [sys.executable, "-c", MAKER, *words],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for _ in range(4)
    ]  # fmt: skip
    for one in makers:
        assert one.stdout is not None
        assert "ready\n" == one.stdout.readline()
    for one in makers:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    assert [0] * 4 == [one.wait(60) for one in makers], [one.communicate() for one in makers]
    for one in makers:
        one.communicate()


def test_a_newer_desk_is_not_touched(where: Store) -> None:
    """Of a program that was upgraded on another machine, or went back."""
    with desk_opening.opened(where) as db, db.transaction():
        db.execute(
            "PRAGMA user_version = 99" if where.path else "INSERT INTO schema_version VALUES (99)"
        )
    with pytest.raises(StoreError, match="99"):
        desk_opening.open_desk(where)


def test_a_copy_has_all_but_the_sessions(desk: Database, tmp_path: Path) -> None:
    """Whoever brings a backup back opens nobody's session."""
    filled(desk)
    with closing(desk_opening.open_file(tmp_path / "copy" / "desk.db")) as copy:
        counts = desk_copying.copy(desk, copy, "copy")
        assert {"account": 2, "token": 1, "audit": 1} == {k: n for k, n in counts.items() if n}
        assert counts == desk_copying.copy(desk, copy, "copy")  # again changes nothing
        assert [BUDI, INA] == desk_accounts.all_of(copy)
        assert desk_sessions.find(copy, b"s") is None
        with desk.transaction():  # and back, onto a desk that is empty
            desk.execute("DELETE FROM account")
            desk.execute("DELETE FROM token")
            desk_audit.expire(desk, 2)
        desk_copying.copy(copy, desk, "desk")
        with desk.transaction():  # its next row has a number of its own
            desk_audit.append(desk, AuditRow(5, "root", None, "user added", "ani"))
        assert [1, 5] == [one.at_ms for one in desk_audit.newest(desk, 9)]


def test_a_later_copy_takes_the_place_of_an_earlier_one(desk: Database, tmp_path: Path) -> None:
    """Who was removed since is removed there, and logged out; the audit goes on."""
    filled(desk)
    with closing(desk_opening.open_file(tmp_path / "copy" / "desk.db")) as copy:
        desk_copying.copy(desk, copy, "copy")
        with copy.transaction():
            desk_sessions.begin(copy, BrowserSession(b"s", "budi", 1, 2))
        with desk.transaction():
            desk_accounts.remove(desk, "budi")
            desk_audit.append(desk, AuditRow(2, "root", None, "user removed", "budi"))
        desk_copying.copy(desk, copy, "copy")
        assert [INA] == desk_accounts.all_of(copy)
        assert desk_sessions.find(copy, b"s") is None
        assert [1, 2] == [one.at_ms for one in desk_audit.newest(copy, 9)]


def test_a_copy_takes_the_place_of_no_other_desk(desk: Database, tmp_path: Path) -> None:
    """One on which somebody changed something since is another."""
    filled(desk)
    with closing(desk_opening.open_file(tmp_path / "copy" / "desk.db")) as copy:
        desk_copying.copy(desk, copy, "copy")
        for db, at_ms in ((copy, 2), (desk, 3)):
            with db.transaction():
                desk_audit.append(db, AuditRow(at_ms, "root", None, "user removed", "budi"))
        with pytest.raises(StoreError, match="is a desk already"):
            desk_copying.copy(desk, copy, "copy")
        assert [1, 2] == [one.at_ms for one in desk_audit.newest(copy, 9)]


def test_a_new_desk_is_its_owners_alone(tmp_path: Path) -> None:
    """Hashes of passwords are in it."""
    with closing(desk_opening.open_desk(Store(path=tmp_path / "titik.db"))) as db:
        filled(db)
        modes = {
            one.name: one.stat().st_mode & 0o777 for one in (tmp_path / "titik.db.desk").iterdir()
        }
    assert {"desk.db", "desk.db-wal", "desk.db-shm"} == set(modes)
    assert {0o600} == set(modes.values())
    assert 0o700 == (tmp_path / "titik.db.desk").stat().st_mode & 0o777


def configured(folder: Path, where: Store) -> Path:
    """A city with its store there, made and empty."""
    store = f'url = "{where.url}"\nschema = "{where.schema}"'
    file = folder / "titik.toml"
    file.write_text(TEXT if where.path else TEXT.replace('path = "titik.db"', store))
    opening.open_writer(where).close()
    return file


def lose_store(where: Store, postgres: Postgres | None) -> None:
    """Somebody removed the store, and not the desk."""
    if where.path is not None:
        for one in sqlite.files(where.path):
            one.unlink(missing_ok=True)
    if postgres is not None:
        postgres.drop(where.schema)


@pytest.mark.sqlite
def test_a_desk_that_may_not_be_seen_is_refused_in_words(tmp_path: Path) -> None:
    """Root made its folder, and the page is another user."""
    store = Store(path=tmp_path / "titik.db")
    assert store.path is not None
    desk_opening.folder_of(store.path).mkdir(mode=0)
    with nobody(), pytest.raises(StoreError, match="Permission denied; run as the owner of"):
        desk_opening.exists(store)


def test_a_backup_brings_the_users_back(
    where: Store, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Where there are none; those that there are stay as they are."""
    postgres = None if where.path else request.getfixturevalue("postgres")
    config, backup = str(configured(tmp_path, where)), str(tmp_path / "city.tar.gz")
    assert "users of the page" not in says("backup", backup, "--config", config, status=0)
    with desk_opening.opened(where) as db:
        filled(db)
    assert "the users of the page" in says("backup", backup, "--config", config, status=0)
    with desk_opening.opened(where) as db, db.transaction():
        desk_accounts.remove(db, INA.name)
    lose_store(where, postgres)
    says("restore", "--only-store", backup, "--config", config, status=0)
    with desk_opening.opened(where) as db:
        assert [BUDI] == desk_accounts.all_of(db)
    lose_store(where, postgres)
    if where.path is not None:
        shutil.rmtree(desk_opening.folder_of(where.path))
    if postgres is not None:
        postgres.drop(f"{where.schema}-desk")
    says("restore", "--only-store", backup, "--config", config, status=0)
    with desk_opening.opened(where) as db:
        assert [BUDI, INA] == desk_accounts.all_of(db)
    assert ["city.tar.gz"] == [one.name for one in tmp_path.iterdir() if "city" in one.name]


def test_a_desk_that_cannot_be_read_is_named_and_the_rest_is_backed_up(
    tmp_path: Path, where: Store
) -> None:
    """Root's backup of the night ends with an error, and still has the store."""
    config, backup = str(configured(tmp_path, where)), str(tmp_path / "city.tar.gz")
    with desk_opening.opened(where) as db, db.transaction():
        db.execute(
            "PRAGMA user_version = 99" if where.path else "INSERT INTO schema_version VALUES (99)"
        )
    output = says("backup", backup, "--config", config, status=1)
    assert "it holds configuration and store" in output
    assert "warning: left out: the users of the page: " in output
    with tarfile.open(backup) as tar:
        assert ["titik.toml", "titik.db"] == tar.getnames()


def with_desk(backup: Path, content: bytes) -> None:
    """The backup with another content of its desk."""
    old = backup.rename(backup.with_suffix(".old"))
    with tarfile.open(old) as source, tarfile.open(backup, "w:gz") as into:
        for member in source:
            found = source.extractfile(member)
            assert found is not None
            text = content if member.name == "desk.db" else found.read()
            member.size = len(text)
            into.addfile(member, io.BytesIO(text))


@pytest.mark.parametrize("length", [0, 40])
def test_a_damaged_desk_stops_no_restore(
    where: Store, tmp_path: Path, request: pytest.FixtureRequest, length: int
) -> None:
    """The city comes back, and the users are added again."""
    postgres = None if where.path else request.getfixturevalue("postgres")
    config, backup = str(configured(tmp_path, where)), tmp_path / "city.tar.gz"
    with desk_opening.opened(where) as db:
        filled(db)
    says("backup", str(backup), "--config", config, status=0)
    with tarfile.open(backup) as tar:
        desk = tar.extractfile("desk.db")
        assert desk is not None
        head = desk.read()[:length]
    with_desk(backup, head + b"damage" * 1000)
    lose_store(where, postgres)
    there = tmp_path / "there" / "titik.toml"
    output = says("restore", str(backup), "--config", str(there), status=0)
    assert "no user of the page: desk.db of" in output
    assert "add them again: titik web user add NAME" in output
    assert opening.exists(model.load(there).store)
    assert [] == list(there.parent.glob("**/*.restored*"))


def test_the_store_waits_for_the_users_that_come_with_it(
    where: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """So the command typed again brings both."""
    postgres = None if where.path else request.getfixturevalue("postgres")
    config, backup = str(configured(tmp_path, where)), str(tmp_path / "city.tar.gz")
    with desk_opening.opened(where) as db:
        filled(db)
    says("backup", backup, "--config", config, status=0)
    lose_store(where, postgres)
    words = ("restore", "--only-store", backup, "--config", config)
    with monkeypatch.context() as patch:
        patch.setattr(desk_copying, "is_empty", refuse)
        assert "the server is away" in says(*words, status=1)
    left = "half a copy" if where.path is None else "no store there yet"
    with pytest.raises(StoreError, match=left), opening.reading(where):
        pass
    with desk_opening.opened(where) as db, db.transaction():
        for table in ("account", "token"):
            db.execute(f"DELETE FROM {table}")
        desk_audit.expire(db, 2)
    says(*words, status=0)
    with desk_opening.opened(where) as db:
        assert [BUDI, INA] == desk_accounts.all_of(db)


def refuse(_: Database) -> bool:
    """What a server may answer."""
    raise StoreError("the server is away")


def test_a_whole_city_comes_back_with_its_users(tmp_path: Path) -> None:
    """On an empty machine."""
    where, backup = Store(path=tmp_path / "titik.db"), str(tmp_path / "city.tar.gz")
    with desk_opening.opened(where) as db:
        filled(db)
    says("backup", backup, "--config", str(configured(tmp_path, where)), status=0)
    there = tmp_path / "there"
    says("restore", backup, "--config", str(there / "titik.toml"), status=0)
    with desk_opening.opened(Store(path=there / "titik.db")) as db:
        assert [BUDI, INA] == desk_accounts.all_of(db)
    assert {"titik.db", "titik.db.desk", "titik.toml"} == {one.name for one in there.iterdir()}


def test_a_city_comes_back_without_its_users_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its store is there then, and nothing brings the users but their names."""
    where, backup = Store(path=tmp_path / "titik.db"), str(tmp_path / "city.tar.gz")
    with desk_opening.opened(where) as db:
        filled(db)
    says("backup", backup, "--config", str(configured(tmp_path, where)), status=0)
    monkeypatch.setattr(desk_copying, "is_empty", refuse)
    output = says("restore", backup, "--config", str(tmp_path / "there/titik.toml"), status=0)
    assert "no user of the page: the server is away; add them again: titik web user" in output


def test_both_engines_have_the_same_columns() -> None:
    """A column that is added on one is added on the other."""

    def columns(folder: str) -> dict[str, list[str]]:
        sql = "\n".join(one.sql for one in migrations(folder))
        return {
            table: re.findall(r"^  ([a-z_]+) (?:TEXT|INTEGER|BIGINT|BLOB|BYTEA)", body, re.M)
            for table, body in re.findall(r"CREATE TABLE (\w+) \(\n(.*?)^\)", sql, re.M | re.S)
        }

    assert columns(desk_opening.FOLDER) == columns(desk_opening.SERVER_FOLDER)
    left = {"session", "posted_report", "question"}
    assert {*left, *desk_copying.TABLES} == set(columns(desk_opening.FOLDER))
    assert columns(notify_opening.FOLDER) == columns(notify_opening.SERVER_FOLDER)
    assert {"remembered", *notify_copying.TABLES} == set(columns(notify_opening.FOLDER))
