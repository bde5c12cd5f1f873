"""A store on several servers; one takes writes."""

import contextlib
import logging
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest

from tests.collector.build import T0
from tests.collector.test_command_line import says
from tests.collector.test_server_store import city, collecting, fill
from tests.postgres import Postgres
from tests.project.sources import ROOT
from tests.until import until
from titik_collector.config import model
from titik_collector.live.server_facts import MachineSettings, ServerFacts
from titik_collector.notify.store_watch import StoreWatch
from titik_collector.own_state import collector_state
from titik_collector.store import postgres_schema, settings
from titik_collector.store.database import Database, SecondServer, StoreError, migrations
from titik_collector.store.postgres import PostgresPlace
from titik_collector.web.city_view import watching

pytestmark = pytest.mark.system
CITY = ROOT / "deploy/high-availability/city.sql"
FIND = "SELECT current_setting('unix_socket_directories')"


class Pair(NamedTuple):
    """A primary, and a standby that has whatever was committed there."""

    primary: Postgres
    standby: Postgres

    def let_it_be_alone(self) -> None:
        """The primary waits for no other any more."""
        with psycopg.connect(self.primary.url, autocommit=True) as db:
            db.execute("ALTER SYSTEM RESET synchronous_standby_names")
            db.execute("SELECT pg_reload_conf()")

    def url(self, *folders: Path, more: str = "") -> str:
        """Of these servers."""
        return f"postgresql:///postgres?host={','.join(map(str, folders))}&user=titik{more}"

    @property
    def both(self) -> str:
        """The standby is asked first."""
        return self.url(self.standby.folder, self.primary.folder)


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Its standby acknowledges what it has written."""
    with Postgres() as primary, Postgres(primary=primary) as standby:
        with psycopg.connect(primary.url, autocommit=True) as db:
            db.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            db.execute("SELECT pg_reload_conf()")
        yield Pair(primary, standby)


def test_the_server_that_takes_writes_is_found(pair: Pair) -> None:
    """Wherever it is in the url, and by libpq's words for it too."""
    folders = (pair.standby.folder, pair.primary.folder)
    for more in ("", "&target_session_attrs=read-write"):
        place = PostgresPlace(pair.url(*folders, more=more), "titik")
        with contextlib.closing(postgres_schema.open_writer(place)) as db:
            assert [(str(pair.primary.folder),)] == db.execute(FIND)
    alone = PostgresPlace(pair.url(folders[0]), "titik")
    with contextlib.closing(caught_up(alone)) as db:
        assert [(str(pair.standby.folder),)] == db.execute(FIND)  # one that was named is read


def test_where_none_takes_writes_each_server_has_its_reason(pair: Pair, tmp_path: Path) -> None:
    """With what an operator can do."""
    url = pair.url(tmp_path, pair.standby.folder)
    with pytest.raises(StoreError) as raised:
        postgres_schema.open_writer(PostgresPlace(url, "titik"))
    reasons = f"{tmp_path}: No such file or directory; {pair.standby.folder}: server is in hot"
    assert f"{url} schema titik: {reasons} standby mode; no server of store.url" in str(
        raised.value
    )


def test_it_is_known_whether_a_second_server_has_the_store(pair: Pair, tmp_path: Path) -> None:
    """It has; it should, and does not follow; it need not, as the operator took it out."""
    file = city(tmp_path / "city", f'url = "{pair.both}"')
    place = PostgresPlace(pair.both, "titik")
    alone = place._replace(url=pair.url(pair.primary.folder))
    follower = place._replace(url=pair.url(pair.standby.folder))
    with (
        contextlib.closing(postgres_schema.open_writer(place)) as db,
        contextlib.closing(postgres_schema.open_reader(alone, "")) as single,
        contextlib.closing(caught_up(follower)) as copy,
    ):
        assert until(lambda: seen_by(db, single, copy) == ("there", "there", None), True)
        assert looks_alone(db, tmp_path) is False
        assert "second server" not in says("status", "--config", str(file), status=0)
        pair.standby.kill()
        assert until(lambda: seen_by(db, single) == ("awaited", "awaited"), True)
        assert looks_alone(db, tmp_path) is True
        assert "and none follows" in says("status", "--config", str(file), status=1)
        assert "and none follows" in says("status", "--check", "--config", str(file), status=2)
        pair.let_it_be_alone()
        assert until(lambda: seen_by(db, single) == ("missing", "unwanted"), True)
        assert looks_alone(db, tmp_path) is True
        assert "no second server" in says("status", "--config", str(file), status=0)
        file.write_text(f'{file.read_text()}[[alert]]\nkind = "store-alone"\non = false\n')
        assert "no second server" not in says("status", "--config", str(file), status=0)


def test_a_user_without_the_right_knows_only_that_nobody_follows(pair: Pair) -> None:
    """What follows has no state for it; the right is in the file that makes the city's user."""
    (right,) = re.findall(r"^GRANT pg_read_all_stats TO titik;", CITY.read_text(), re.M)
    with contextlib.closing(postgres_schema.open_writer(PostgresPlace(pair.both, "titik"))):
        pass
    with psycopg.connect(pair.primary.url, autocommit=True) as admin:
        admin.execute("CREATE ROLE other LOGIN; GRANT USAGE ON SCHEMA titik TO other")
        admin.execute("GRANT SELECT ON ALL TABLES IN SCHEMA titik TO other")
        place = PostgresPlace(pair.both.replace("user=titik", "user=other"), "titik")
        with contextlib.closing(postgres_schema.open_reader(place, "")) as db:
            assert until(db.second_server, None) is None
            admin.execute(right.replace("titik", "other"))
            assert until(lambda: db.second_server() == "there", True)
            admin.execute("REVOKE pg_read_all_stats FROM other")
            pair.standby.kill()
            assert until(lambda: db.second_server() == "awaited", True)


def seen_by(*readers: Database) -> tuple[SecondServer | None, ...]:
    """What each knows."""
    return tuple(one.second_server() for one in readers)


def caught_up(place: PostgresPlace) -> Database:
    """A reader of a standby, as soon as that has replayed the last migration."""
    newest = migrations(postgres_schema.FOLDER)[-1].number
    assert newest == until(lambda: postgres_schema.version(place), newest)
    return postgres_schema.open_reader(place, "")


def looks_alone(db: Database, folder: Path) -> bool | None:
    """What the collector has for the rules."""
    machine = MachineSettings(folder=folder, backups=None, outside=())
    facts = ServerFacts("main", db, lambda: True, lambda: True, lambda _: None, machine, T0)
    return facts.look(T0).is_store_alone


def test_all_go_on_with_the_server_that_was_promoted(
    pair: Pair, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What was committed is there. Each says once that the store is gone, and the page shows it."""
    file = city(tmp_path / "city", f'url = "{pair.both}"')
    fill(file)
    config = model.load(file)
    day = ("--since", "2026-11-23", "--until", "2026-11-24")
    asked = ("history", "taman-tirosa", *day, "--config", str(file))
    seen = says(*asked, status=0)
    caplog.set_level(logging.WARNING)
    with (
        collecting(file) as collector,
        watching(config) as view,
        contextlib.closing(StoreWatch(config)) as watch,
    ):
        assert until(lambda: stores(config) is True, True)
        assert until(lambda: view.is_seen and view.snapshot.problem is None, True)
        shown = view.snapshot.status
        assert (known := watch.look()) is not None
        pair.primary.kill()
        assert until(lambda: stores(config) is False, True)
        assert until(lambda: view.snapshot.problem is not None, True)
        meanwhile = watch.look()
        assert (shown.sites, known) == (view.snapshot.status.sites, meanwhile)
        output = says("status", "--config", str(file), status=1)
        assert "no server of store.url takes writes" in output
        pair.standby.promote()
        assert until(lambda: stores(config) is True, True)
        assert until(lambda: view.snapshot.problem is None, True)
        assert until(lambda: watch.look() is not known, True)
        collector.send_signal(signal.SIGTERM)
        _, output = collector.communicate(timeout=60)
    assert 0 == collector.returncode
    assert 1 == output.count("collect store fails") == output.count("store works again")
    assert seen == says(*asked, status=0)
    logged = [one.message for one in caplog.records]  # again where the reason is another one
    assert sorted(set(logged)) == sorted(logged)
    words = {re.sub(" reason=.*", "", one) for one in logged}
    assert {"the store cannot be read", "store cannot be read"} <= words


def stores(config: model.Config) -> bool | None:
    """What the collector says of itself."""
    state = collector_state.read(config.state_files)
    return None if state is None else state.storing


def test_a_holder_goes_on_where_it_was(pair: Pair) -> None:
    """Its lease came with the rest."""
    with contextlib.closing(postgres_schema.open_writer(PostgresPlace(pair.both, "titik"))) as db:
        with db.transaction():
            settings.keep(db, "tried_ms", 1)
        pair.primary.kill()
        pair.standby.promote()
        assert until(lambda: reads(db) == 1, True)
        with db.transaction():
            settings.keep(db, "tried_ms", 2)
    place = PostgresPlace(pair.standby.url, "titik")
    with contextlib.closing(postgres_schema.open_reader(place, "")) as db:
        assert 2 == settings.number(db, "tried_ms")


CANCEL = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"


def test_a_commit_that_no_longer_waits_for_the_standby_counts_as_none(pair: Pair) -> None:
    """The server makes it and warns; as it is tried again, nothing of it is lost."""
    place = PostgresPlace(pair.primary.url, "titik")
    with (
        contextlib.closing(postgres_schema.open_writer(place)) as db,
        psycopg.connect(pair.primary.url, autocommit=True) as other,
    ):
        keep(db, 1)
        follow(other, "nobody")
        with ThreadPoolExecutor(1) as thread:
            try:
                kept = thread.submit(keep, db, 2)
                assert until(lambda: other.execute(CANCEL).fetchall(), [(True,)])
                error = kept.exception(60)
            finally:
                follow(other, "*")
        assert isinstance(error, StoreError)
        assert "a commit did not wait for the other server" in str(error)
        keep(db, 3)
        assert 3 == settings.number(db, "tried_ms")


def keep(db: Database, value: int) -> None:
    """In a transaction of its own."""
    with db.transaction():
        settings.keep(db, "tried_ms", value)


def follow(db: "psycopg.Connection[Any]", names: str) -> None:
    """Which servers a COMMIT waits for; returns when new ones do."""
    db.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'".encode())
    db.execute("SELECT pg_reload_conf()")
    shown = [(names,)]
    assert until(lambda: db.execute("SHOW synchronous_standby_names").fetchall(), shown) == shown


def reads(db: Database) -> int | None:
    """Once it has found the new one."""
    with contextlib.suppress(StoreError):
        return settings.number(db, "tried_ms")
    return None


# Servers that answer nothing: a switch with no cable.
SILENT = """
ip link set lo up
ip link add silent type bridge
ip address add 203.0.113.1/24 dev silent
ip link set silent up
exec "$0" -c "$1"
"""
ATTEMPTS = """
import gc, psutil
from contextlib import suppress
from titik_collector.limits import CIRCLES
from titik_collector.store.database import StoreError
from titik_collector.store.postgres import PostgresDatabase, PostgresPlace
gc.set_threshold(*CIRCLES)
place = PostgresPlace("postgresql://t@203.0.113.11,203.0.113.12/c?connect_timeout=2", "t", "x")
for _ in range(3):
    with suppress(StoreError):
        PostgresDatabase(place)
    print(psutil.Process().num_fds())
"""


def test_an_attempt_that_failed_leaves_no_socket() -> None:
    """Or an outage of an hour would take all descriptors of a collector."""
    words = ("unshare", "--net", "sh", "-c", SILENT, sys.executable, ATTEMPTS)
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert 1 == len(set(done.stdout.split())), done.stdout
