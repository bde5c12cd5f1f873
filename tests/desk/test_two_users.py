"""The page's user writes the desk, and the collector's user reads what it needs and no password."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from zoneinfo import ZoneInfo

import psycopg
import pytest

from tests.postgres import Postgres
from tests.web.test_page_user import COLLECTOR, GROUP, PAGE, as_user, page, store
from titik_collector.accounts.audit import Actor
from titik_collector.alerts.desk_facts import DeskFacts
from titik_collector.config.store_table import Store
from titik_collector.desk import acks, posting
from titik_collector.desk.desk_reading import DeskReading
from titik_collector.store import desk_accounts, desk_opening, postgres_schema
from titik_collector.store.desk_accounts import Account
from titik_collector.store.postgres import PostgresPlace

pytestmark = pytest.mark.system
T0 = 1_795_000_000_000
ZONE = ZoneInfo("Asia/Makassar")
BUDI = Actor("budi", None, T0)
__all__ = ["store"]  # the fixture


def collector(do: Callable[[], object]) -> object:
    """As its unit runs it: in no group but its own."""
    return as_user(COLLECTOR, [GROUP], do)


def acknowledged(where: Store, incident: int) -> None:
    """What whoever writes the desk does."""
    with desk_opening.opened(where) as db:
        acks.acknowledge(db, incident, "", BUDI)
        posting.post(db, where, T0)


def seen(where: Store) -> list[int]:
    """Acknowledged incidents, as this user reads them."""
    with closing(DeskReading(where, ZONE)) as reading:
        return [one.incident for one in reading.facts(T0).acks]


def test_the_collector_reads_what_is_posted_and_not_the_desk(store: Path) -> None:
    """Whoever wrote it: the page, or root at a prompt."""
    where = Store(path=store)
    page(lambda: acknowledged(where, 7))
    assert [7] == collector(lambda: seen(where))
    acknowledged(where, 8)
    assert [7, 8] == collector(lambda: seen(where))
    page(lambda: acknowledged(where, 9))
    assert [7, 8, 9] == collector(lambda: seen(where))
    folder = desk_opening.folder_of(store)
    for look in (
        lambda: desk_opening.file_of(store).read_bytes(),
        lambda: list(folder.iterdir()),
        lambda: (folder / "new").touch(),
        lambda: posting.file_of(store).write_text("{}"),
    ):
        with pytest.raises(PermissionError):
            collector(look)
    assert (PAGE, GROUP) == (folder.stat().st_uid, folder.stat().st_gid)


def test_nobody_else_reads_what_is_posted(store: Path) -> None:
    """Names of people are in it."""
    where = Store(path=store)
    page(lambda: acknowledged(where, 7))
    store.parent.chmod(0o755)
    with pytest.raises(PermissionError):
        as_user(64003, [], lambda: posting.file_of(store).read_bytes())


def test_a_page_outside_of_the_group_posts_nothing_that_others_read(
    store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Such a collector says so, and goes on."""
    where = Store(path=store)
    store.parent.chmod(0o755)
    as_user(PAGE, [], lambda: acknowledged(where, 7))
    assert [] == collector(lambda: seen(where))
    assert not caplog.messages


def test_the_collector_s_role_on_a_server_reads_no_account(postgres: Postgres) -> None:
    """The page's role gives it the right by itself, to the tables of alerts."""
    with postgres.schema() as schema, psycopg.connect(postgres.url, autocommit=True) as admin:

        def typed(sql: str) -> None:
            admin.execute(sql.replace("CITY", schema).encode())

        postgres_schema.open_writer(PostgresPlace(postgres.url, schema)).close()
        typed("CREATE ROLE titik_collects LOGIN; CREATE ROLE titik_web LOGIN")
        typed('ALTER SCHEMA "CITY" OWNER TO titik_collects')
        typed('CREATE SCHEMA "CITY-desk" AUTHORIZATION titik_web')
        as_page, as_collector = (
            Store(url=postgres.url.replace("user=titik", f"user={role}"), schema=schema)
            for role in ("titik_web", "titik_collects")
        )
        try:
            with closing(DeskReading(as_collector, ZONE)) as reading:
                assert DeskFacts() == reading.facts(T0)
                acknowledged(as_page, 7)
                assert [7] == [one.incident for one in reading.facts(T0).acks]
                acknowledged(as_page, 8)
                assert [7, 8] == [one.incident for one in reading.facts(T0).acks]
            with desk_opening.opened(as_page) as db, db.transaction():
                desk_accounts.add(db, Account("budi", "hash", "viewer", None, None, 1))
            with closing(desk_opening.open_for_collector(as_collector)) as db:
                for sql in ("SELECT * FROM account", "DELETE FROM silence"):
                    with pytest.raises(Exception, match=r"permission denied|read-only"):
                        db.execute(sql)
        finally:
            typed('DROP SCHEMA "CITY-desk" CASCADE')
            typed('ALTER SCHEMA "CITY" OWNER TO titik')
            typed("DROP OWNED BY titik_web, titik_collects; DROP ROLE titik_web, titik_collects")
