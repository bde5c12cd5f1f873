"""What the page's own user may do: read the store and write the desk, and nothing else."""

import os
import pickle
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner

from tests.collector import past_rows
from tests.postgres import Postgres
from tests.web import cities
from titik_collector.cli import titik
from titik_collector.config.store_table import Store
from titik_collector.store import (
    desk_accounts,
    desk_opening,
    lease,
    opening,
    postgres_schema,
    sqlite,
)
from titik_collector.store.database import Database, StoreError, migrations
from titik_collector.store.desk_accounts import Account
from titik_collector.store.postgres import PostgresPlace

pytestmark = pytest.mark.system
COLLECTOR, PAGE, GROUP = 64001, 64002, 64001  # of nobody else on this machine
ADD = "INSERT INTO router (name, registered, registered_ms) VALUES (?, 1, 0)"
KNOWN = {one: migrations(one) for one in (sqlite.FOLDER, desk_opening.FOLDER)}
BUDI = Account("budi", "hash", "viewer", None, None, 1)


def as_user(uid: int, groups: list[int], do: Callable[[], Any]) -> Any:
    """What it gives in a process of that user; an OSError or a StoreError is raised here."""
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.umask(0o027)  # as the collector's unit has it
            os.setgroups(groups)
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            try:
                answer = do()
            except (OSError, StoreError) as error:
                answer = error
            os.write(theirs, pickle.dumps(answer))
        finally:
            os._exit(0)
    os.close(theirs)
    with os.fdopen(ours, "rb") as raw:
        answer = pickle.loads(raw.read())
    os.waitpid(child, 0)
    if isinstance(answer, Exception):
        raise answer
    return answer


def page(do: Callable[[], Any]) -> Any:
    """As the unit runs the page: in the collector's group."""
    return as_user(PAGE, [GROUP], do)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A store that the collector's user has made, with a desk's folder of the page's user."""
    # Its files are read before another user asks, who may not enter the checkout.
    monkeypatch.setattr(sqlite, "migrations", lambda folder, _=None: KNOWN[folder])
    folder = Path(tempfile.mkdtemp(prefix="titik-page-", dir="/tmp"))  # pytest's is root's alone
    os.chown(folder, COLLECTOR, GROUP)
    folder.chmod(0o750)
    path = folder / "titik.db"
    desk = desk_opening.folder_of(path)
    desk.mkdir(mode=0o700)
    os.chown(desk, PAGE, PAGE)
    as_user(COLLECTOR, [], lambda: sqlite.open_writer(path).close())
    yield path
    shutil.rmtree(folder)


def routers(path: Path) -> int:
    """As the page reads it."""
    with sqlite.reading(path) as db:
        return int(db.execute("SELECT count(*) FROM router")[0][0])


def test_the_page_reads_the_store_while_the_collector_writes_it(store: Path) -> None:
    """Its -wal and -shm are the group's to read too."""
    writing = sqlite.open_writer(store)  # root's, whose -wal is the owner's of the store
    with closing(writing), writing.transaction():
        writing.execute(ADD, ("tirosa-1",))
    with closing(sqlite.open_writer(store)) as writing:
        with writing.transaction():
            writing.execute(ADD, ("tirosa-2",))
        assert 2 == page(lambda: routers(store))


def test_the_page_reads_the_store_of_a_collector_that_has_stopped(store: Path) -> None:
    """Nothing lies beside it then, and the page could not make it."""
    assert not sqlite.files(store)[1].exists()
    assert 0 == page(lambda: routers(store))


def test_a_page_that_read_a_still_store_sees_that_it_is_written_again(store: Path) -> None:
    """By another place, so it opens the store again."""
    with closing(sqlite.open_closed(store)) as db:
        before = db.place()
        with closing(sqlite.open_writer(store)):
            assert before != db.place()


def test_a_store_that_is_held_is_not_read_as_a_still_one(store: Path) -> None:
    """What its collector writes would be missed."""
    with lease.held(store), pytest.raises(StoreError, match="may this user write it"):
        page(lambda: routers(store))


def test_the_page_writes_neither_the_store_nor_its_folder(store: Path) -> None:
    """It can change no row, and put no other file in the store's place."""

    def write() -> None:
        with closing(sqlite.open_writer(store)) as db, db.transaction():
            db.execute(ADD, ("tirosa-1",))

    with pytest.raises(StoreError):
        page(write)
    for change in (
        lambda: store.unlink(),
        lambda: store.rename(store.with_name("other")),
        lambda: (store.parent / "new").touch(),
        lambda: store.open("r+b"),
    ):
        with pytest.raises(PermissionError):
            page(change)


def test_the_page_writes_the_desk_and_the_collector_s_user_does_not_read_it(store: Path) -> None:
    """Hashes of passwords are the page's alone."""
    where = Store(path=store)

    def add() -> None:
        with desk_opening.opened(where) as db, db.transaction():
            desk_accounts.add(db, BUDI)

    page(add)
    with pytest.raises(PermissionError):
        as_user(COLLECTOR, [], lambda: desk_opening.file_of(store).read_bytes())


def test_a_desk_that_root_makes_is_the_page_s(store: Path) -> None:
    """`titik web user add` is root's command, and comes before the page's first write."""
    where = Store(path=store)
    with desk_opening.opened(where) as db, db.transaction():
        desk_accounts.add(db, BUDI)

    def change() -> list[Account]:
        with desk_opening.opened(where) as db:
            with db.transaction():
                desk_accounts.add(db, BUDI._replace(name="ina"))
            return desk_accounts.all_of(db)

    assert 2 == len(page(change))


PAGE_OF_THE_MANUAL = (Path(__file__).parents[2] / "docs" / "web.md").read_text()


def manual(schema: str) -> str:
    """The lines that an operator copies, for another schema and this server's own user."""
    (lines,) = re.findall(r"```sql\n(.*?)```", PAGE_OF_THE_MANUAL, re.S)
    return str(lines).replace('"titik', f'"{schema}')


@contextmanager
def served(postgres: Postgres) -> Iterator[tuple[Store, Callable[[str], object]]]:
    """A store on a server as the page's role opens it, and what the administrator types there."""
    with postgres.schema() as schema, psycopg.connect(postgres.url, autocommit=True) as admin:
        postgres_schema.open_writer(PostgresPlace(postgres.url, schema)).close()
        url = postgres.url.replace("user=titik", "user=titik_web")
        try:
            yield Store(url=url, schema=schema), lambda sql: admin.execute(sql.encode())
        finally:
            admin.execute(f'DROP SCHEMA IF EXISTS "{schema}-desk" CASCADE'.encode())
            admin.execute(b"DROP OWNED BY titik_web")
            admin.execute(b"DROP ROLE titik_web")


def test_the_page_s_role_on_a_server_reads_the_store_and_writes_the_desk(
    postgres: Postgres,
) -> None:
    """With the lines of the manual, and no more; tables that come later are read too."""
    with served(postgres) as (where, typed):
        typed(manual(where.schema))
        check_role(where)
        typed(f'CREATE TABLE "{where.schema}".later (n BIGINT)')
        with opening.reading(where) as db:
            assert [] == db.execute("SELECT n FROM later")


@pytest.mark.parametrize("given", ["", 'GRANT USAGE ON SCHEMA "{}" TO titik_web'])
def test_a_right_that_the_page_lacks_has_its_remedy(postgres: Postgres, given: str) -> None:
    """It takes the store from nobody."""
    with served(postgres) as (where, typed):
        typed(f"CREATE ROLE titik_web LOGIN; {given.format(where.schema)}")
        with pytest.raises(StoreError, match="permission denied") as raised, opening.reading(where):
            pass
        remedy = str(raised.value).partition("in psql, as postgres: ")[2]
        assert "OWNER" not in remedy
        typed(remedy)
        with opening.reading(where) as db:
            assert [(0,)] == db.execute("SELECT count(*) FROM router")


def test_the_page_s_role_freezes_a_report_and_reads_it(postgres: Postgres, tmp_path: Path) -> None:
    """The store's own password is the collector's alone."""
    with served(postgres) as (where, typed):
        typed(manual(where.schema))
        place = PostgresPlace(postgres.url, where.schema)
        with closing(postgres_schema.open_writer(place)) as db:
            march_ms = past_rows.ms("2026-02-28T16:00")
            past_rows.put(db, past_rows.SUBJECTS[-1], "1d", march_ms, covered_ms=1)
        file = tmp_path / "titik.toml"
        of_collector = (
            f'url = "{postgres.url}"\nschema = "{where.schema}"\npassword_file = "/not/ours"'
        )
        store = f'{of_collector}\n[web]\nstore_url = "{where.url}"'
        file.write_text(re.sub(r'(?m)^path = ".*"$', store, cities.KUPANG.read_text()))
        printed = []
        for words in ("--freeze", "--language=en"):
            command = ["report", "2026-03", words, "--config", str(file)]
            found = CliRunner().invoke(titik, command)
            assert 0 == found.exit_code, found.output
            printed.append(found.output.splitlines()[0])
    assert ["2026-03: 1 reports are final", "Kota Kupang: March 2026 (Final)"] == printed


def test_a_desk_that_may_not_be_entered_is_not_taken_for_none(postgres: Postgres) -> None:
    """Else it would be left behind by a copy and by a backup."""
    with served(postgres) as (where, typed):
        typed("CREATE ROLE titik_web LOGIN")
        desk_opening.open_desk(Store(url=postgres.url, schema=where.schema)).close()
        with pytest.raises(StoreError, match="permission denied for schema"):
            desk_opening.exists(where)


def check_role(where: Store) -> None:
    """It reads, cannot write the store in any way, and fills the desk."""
    with opening.reading(where) as db:
        assert [(0,)] == db.execute("SELECT count(*) FROM router")
        for change in ("DELETE FROM router", "DROP TABLE setting", "CREATE TABLE other (n BIGINT)"):
            assert is_refused(db, change)
    with pytest.raises(StoreError, match="permission denied"):
        opening.open_writer(where)
    with desk_opening.opened(where) as db:
        with db.transaction():
            desk_accounts.add(db, BUDI)
        assert [BUDI] == desk_accounts.all_of(db)


def is_refused(db: Database, sql: str) -> bool:
    """Whether the server refuses it, though the session may write."""
    with suppress(StoreError):
        db.execute("BEGIN READ WRITE")
        try:
            db.execute(sql)
        finally:
            db.execute("ROLLBACK")
        return False
    return True
