"""`titik` over a store on a PostgreSQL server."""

import contextlib
import json
import os
import platform
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.collector.build import received, sample
from tests.collector.stores import Stores
from tests.collector.test_command_line import says
from tests.collector.test_router_command import TEXT
from tests.ports import free_ports
from tests.project.sources import ROOT
from tests.until import until
from titik_collector.accounts import tokens
from titik_collector.accounts.audit import Actor
from titik_collector.config import model
from titik_collector.ingest.batch import BatchWriter
from titik_collector.ingest.items import to_item
from titik_collector.own_state import collector_state
from titik_collector.registry.registry import Registry
from titik_collector.registry.sync import sync
from titik_collector.rollups.worker import Rollups
from titik_collector.store import copying, desk_opening, opening
from titik_collector.store.collecting import read as collecting_of
from titik_collector.store.database import Columns, Database, upsert
from titik_collector.store.database import insert as insert_into
from titik_collector.store.postgres import PostgresPlace

pytestmark = pytest.mark.system
START_MS = 1_795_400_000_000
ASKED = (  # until a time: what is asked until now has the second in it
    ("history", "taman-tirosa", "--since", "2026-11-23", "--until", "2026-11-25", "--utc"),
    ("history", "tirosa-1", "--since", "2026-11-23", "--until", "2026-11-24", "--window", "1d"),
    ("events", "--since", "2026-11-01", "--utc"),
    ("export", "--since", "2026-11-23", "--until", "2026-11-25", "--window", "1m"),
    ("status",),
    ("db", "check"),
)


@pytest.fixture
def server(stores: Stores) -> PostgresPlace:
    """An empty store on a server."""
    stores.forget()
    return stores.place(Path("server"))


@pytest.fixture
def file(tmp_path: Path, server: PostgresPlace) -> Path:
    """A city whose store is there."""
    return city(tmp_path / "server", f'url = "{server.url}"\nschema = "{server.schema}"')


def city(folder: Path, store: str) -> Path:
    """A configuration with this store; its broker does not answer."""
    folder.mkdir()
    made = folder / "titik.toml"
    (port,) = free_ports(1)
    made.write_text(
        TEXT.replace('path = "titik.db"', store)
        + f'\n[broker]\nport = {port}\n[collector]\nstate = "state.json"\n'
    )
    return made


def fill(file: Path) -> None:
    """Half an hour of one router, with a gap."""
    config = model.load(file)
    with contextlib.closing(opening.open_writer(config.store)) as db:
        sync(db, config, START_MS)
        store = BatchWriter(db, Registry(db, config.city.name))
        numbers = [*range(1, 30), *range(40, 61)]
        store.save([to_item(received(sample(n)), START_MS + n * 30_000) for n in numbers])
        rollups = Rollups(db, config.city.timezone, lambda: START_MS + 3 * 86_400_000)
        while rollups.work(10, lambda: 0.0):
            pass


def test_every_command_prints_what_it_prints_of_a_file(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows of all kinds, read on both engines."""
    monkeypatch.setenv("COLUMNS", "1000")  # no path is wrapped
    other = city(tmp_path / "file", 'path = "titik.db"')
    fill(file)
    fill(other)
    for arguments in ASKED:
        status = int(arguments == ("status",))  # no collector is running
        one, another = (
            says(*arguments, "--config", str(here), status=status).replace(str(here), "")
            for here in (other, file)
        )
        assert one == another


def fails_at(table: str) -> Callable[[str, Columns], str]:
    """The statement of every table but this one."""

    def insert(name: str, columns: Columns) -> str:
        if name == table:
            sys.exit(1)
        return insert_into(name, columns)

    return insert


@contextlib.contextmanager
def collecting(
    file: Path, command: str = "collect", **variables: str
) -> Iterator["subprocess.Popen[str]"]:
    """`titik collect` with these variables, until the end of the block; or another command."""
    running = subprocess.Popen(
        [sys.executable, "-m", "titik_collector", command, "--config", str(file)],
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'broker'}:{ROOT / 'agent'}", **variables},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield running
    finally:
        running.kill()
        running.communicate()


def test_a_second_collector_stands_by_and_takes_over(tmp_path: Path, file: Path) -> None:
    """It serves its service manager meanwhile, and `status` has both."""
    store, address = model.load(file).store, tmp_path / "notify"
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
        collecting(file) as first,
    ):
        manager.bind(str(address))
        manager.settimeout(60)
        assert until(lambda: opening.is_held(store) is True, True)
        with collecting(file, NOTIFY_SOCKET=str(address)) as second:
            assert b"READY=1\nWATCHDOG=1" == manager.recv(100)
            assert until(lambda: processes(file) == (first.pid, [second.pid]), True)
            assert until(lambda: runs(file), True)
            shown = says("status", "--config", str(file), status=1)  # there is no broker
            assert f"collector: process {first.pid} on {platform.node()} since " in shown
            assert f"; standby: process {second.pid} on {platform.node()}, ready since " in shown
            first.kill()
            assert until(lambda: processes(file) == (second.pid, []), True)
            second.send_signal(signal.SIGTERM)
            _, output = second.communicate(timeout=60)
            assert 0 == second.returncode
    assert False is opening.is_held(store)
    assert 1 == output.count("stands by until the store is free")
    assert 1 == output.count("takes over")
    assert f"another collector (process {first.pid} on " in output


def processes(file: Path) -> tuple[int | None, list[int]]:
    """Who collects, and who stands by."""
    with opening.reading(model.load(file).store) as db:
        found = collecting_of(db)
    return found.holder and found.holder.process, [one.process for one in found.standbys]


def test_one_notifier_delivers(file: Path) -> None:
    """A second one waits, and begins when the first is gone: nobody gets a message twice."""
    fill(file)
    with collecting(file, "notify") as first:
        assert "notifier started" in lines_until(first, "notifier started")
        with collecting(file, "notify") as second:
            assert "notifier started" not in lines_until(second, "stands by, another notifier")
            first.kill()
            lines_until(second, "notifier started")
            second.send_signal(signal.SIGTERM)
            second.communicate(timeout=60)
            assert 0 == second.returncode


def lines_until(process: "subprocess.Popen[str]", wanted: str) -> str:
    """What it writes up to this; it has to come."""
    assert process.stderr is not None
    file, found = process.stderr.fileno(), b""
    os.set_blocking(file, False)

    def came() -> bool:
        nonlocal found
        with contextlib.suppress(BlockingIOError):
            found += os.read(file, 10_000)
        return wanted.encode() in found

    assert until(came, True), found
    return found.decode()


def stand_by(file: Path) -> int:
    """How many."""
    return len(processes(file)[1])


def runs(file: Path) -> bool:
    """Whether a collector has begun."""
    return collector_state.read(model.load(file).state_files) is not None


def test_a_standby_stops_without_a_word_to_the_broker(file: Path) -> None:
    """It has not connected; the one that collects goes on."""
    store = model.load(file).store
    with opening.writing(store), collecting(file) as standby:
        assert until(lambda: stand_by(file), 1)
        standby.send_signal(signal.SIGTERM)
        _, output = standby.communicate(timeout=60)
        assert 0 == standby.returncode
        assert 0 == until(lambda: stand_by(file), 0)
        assert "broker" not in output


def test_a_standby_of_an_older_version_is_none(file: Path, server: PostgresPlace) -> None:
    """It could not read the store, and ends with what to do."""
    with opening.writing(model.load(file).store), psycopg.connect(server.url) as db:
        db.execute(f"INSERT INTO {server.schema}.schema_version (number) VALUES (99)")
        db.commit()
        try:
            with collecting(file) as standby:
                _, output = standby.communicate(timeout=60)
                assert 1 == standby.returncode
        finally:
            db.execute(f"DELETE FROM {server.schema}.schema_version WHERE number = 99")
    assert "schema 99, this program reads" in output


def test_a_takeover_that_cannot_be_is_reported(file: Path, server: PostgresPlace) -> None:
    """In the state file, for its unit is active; it takes over when it can."""
    with (
        psycopg.connect(server.url, autocommit=True) as db,
        contextlib.ExitStack() as other,
        contextlib.ExitStack() as running,
    ):
        other.enter_context(opening.writing(model.load(file).store))
        standby = running.enter_context(collecting(file))
        assert until(lambda: stand_by(file), 1)
        db.execute(f"CREATE TABLE {server.schema}.copying (origin TEXT)")  # as of a copy
        other.close()
        assert until(lambda: "is half a copy of a store" in store_problem(file), True)
        db.execute(f"DROP TABLE {server.schema}.copying")
        assert until(lambda: processes(file) == (standby.pid, []), True)


def store_problem(file: Path) -> str:
    """What the collector says of its store."""
    state = collector_state.read(model.load(file).state_files)
    return "" if state is None else state.store_problem or ""


def test_a_standby_that_is_wanted_and_missing_is_a_warning(file: Path) -> None:
    """Of `status`, and of what `--json` has for programs."""
    with opening.writing(model.load(file).store):
        assert "no standby is ready" not in says("status", "--config", str(file), status=0)
        file.write_text(file.read_text().replace("[collector]", "[collector]\nstandby = true"))
        document = json.loads(says("status", "--json", "--config", str(file), status=0))
        assert "no standby is ready" in document["server"]["warnings"][-1]["text"]
        assert os.getpid() == document["server"]["collector"]["process"]
        with collecting(file):
            assert until(lambda: stand_by(file), 1)
            assert "no standby is ready" not in says("status", "--config", str(file), status=0)


def test_a_collector_whose_store_another_took_over_ends(file: Path, server: PostgresPlace) -> None:
    """It does not go on and report that the store fails."""
    with collecting(file) as running:
        assert until(lambda: runs(file), True)
        take_over(server)
        _, output = running.communicate(timeout=60)
    assert "another collector has taken over this store" in output


def take_over(server: PostgresPlace) -> None:
    """As after the end of a lease."""
    with psycopg.connect(server.url) as db:
        db.execute(f"UPDATE {server.schema}.lease SET epoch = epoch + 1")


def test_without_the_driver_the_error_has_the_command_that_installs_it(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """psycopg is in an extra of its own."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.delitem(sys.modules, "titik_collector.store.postgres", raising=False)
    expected = f'psycopg is not installed: {sys.executable} -m pip install "psycopg[binary]>=3.2"'
    assert expected in says("db", "check", "--config", str(file), status=1)


def test_a_backup_is_restored_on_either_engine(tmp_path: Path, file: Path, stores: Stores) -> None:
    """Onto a file, from there onto another schema; both print what the server prints."""
    fill(file)
    backup = str(tmp_path / "city.tar.gz")
    assert "it holds configuration and store" in says(
        "backup", backup, "--config", str(file), status=0
    )
    on_file = city(tmp_path / "file", 'path = "titik.db"')
    output = says("restore", "--only-store", backup, "--config", str(on_file), status=0)
    assert f"restored {on_file.with_name('titik.db')}; start it" in output
    says("backup", backup, "--config", str(on_file), status=0)
    other = stores.place(Path("other"))
    on_server = city(tmp_path / "other", f'url = "{other.url}"\nschema = "{other.schema}"')
    says("restore", "--only-store", backup, "--config", str(on_server), status=0)
    for words in (ASKED[0], ("db", "check")):
        expected = says(*words, "--config", str(file), status=0)
        assert expected == says(*words, "--config", str(on_file), status=0)
        assert expected == says(*words, "--config", str(on_server), status=0)
    assert [] == list(tmp_path.glob("**/.*"))


def test_a_restore_onto_a_store_leaves_it(tmp_path: Path, file: Path) -> None:
    """The machine was lost and the server was not: its store is the newer one."""
    fill(file)
    says("backup", str(tmp_path / "city.tar.gz"), "--config", str(file), status=0)
    there = str(tmp_path / "there" / "titik.toml")
    output = says("restore", str(tmp_path / "city.tar.gz"), "--config", there, status=1)
    assert "no store, because" in output
    assert "is a store already" in output
    assert f"titik restore --only-store {tmp_path}/city.tar.gz --config {there}" in output
    assert "the store is whole" in says("db", "check", "--config", there, status=0)


def test_a_restore_onto_another_store_gives_its_users_to_nobody(tmp_path: Path, file: Path) -> None:
    """They would look at what that store holds."""
    there = city(tmp_path / "there", 'path = "titik.db"')
    fill(there)
    with desk_opening.opened(model.load(there).store) as db:
        tokens.add(db, "wall", "viewer", Actor("root", None, START_MS))
    backup = str(tmp_path / "city.tar.gz")
    says("backup", backup, "--config", str(there), status=0)
    fill(file)
    output = says("restore", "--only-store", backup, "--config", str(file), status=1)
    assert "is a store already" in output
    assert not desk_opening.exists(model.load(file).store)


def test_a_city_comes_back_with_its_server(
    tmp_path: Path, file: Path, server: PostgresPlace
) -> None:
    """The schema is made again; what was interrupted goes on."""
    fill(file)
    expected = says(*ASKED[0], "--config", str(file), status=0)
    says("backup", str(tmp_path / "city.tar.gz"), "--config", str(file), status=0)
    with psycopg.connect(server.url, autocommit=True) as db:
        db.execute(f"DROP SCHEMA {server.schema} CASCADE")
    there = str(tmp_path / "there" / "titik.toml")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(copying, "insert", fails_at("sample"))
        says("restore", str(tmp_path / "city.tar.gz"), "--config", there, status=1)
    words = ("restore", "--only-store", str(tmp_path / "city.tar.gz"), "--config", there)
    assert f"restored {server}" in says(*words, status=0)
    assert expected == says(*ASKED[0], "--config", there, status=0)


def test_a_backup_has_the_password_of_its_server(tmp_path: Path, file: Path) -> None:
    """It comes back as its owner's alone, and not over one that is there."""
    secret = file.with_name("db.password")
    secret.write_text("of the server\n")
    secret.chmod(0o600)
    file.write_text(file.read_text().replace("schema =", 'password_file = "db.password"\nschema ='))
    fill(file)
    backup = str(tmp_path / "city.tar.gz")
    says("backup", backup, "--config", str(file), status=0)
    for password in ("of the server\n", "a newer one\n"):
        there = tmp_path / password[:4].strip() / "db.password"
        if password != secret.read_text():
            there.parent.mkdir()
            there.write_text(password)
            there.chmod(0o600)
        # Its store is on the server still.
        output = says("restore", backup, "--config", str(there.with_name("titik.toml")), status=1)
        assert (password != secret.read_text()) == (f"backup's: {there}" in output)
        assert (password, 0o600) == (there.read_text(), there.stat().st_mode & 0o777)


def test_a_password_that_everybody_can_read_is_reported(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With the command that mends it."""
    secret = file.with_name("secret")
    secret.write_text("x")
    secret.chmod(0o644)
    file.write_text(file.read_text().replace("schema =", 'password_file = "secret"\nschema ='))
    fill(file)
    assert f"type: chmod 600 {secret}" in caplog.text


def test_a_backup_is_of_one_moment(tmp_path: Path, file: Path) -> None:
    """While a collector writes: what it wrote together is in the backup together."""
    backup, number = str(tmp_path / "city.tar.gz"), 0
    on_file = city(tmp_path / "file", 'path = "titik.db"')

    def insert(*words: Any) -> str:
        nonlocal number
        number += 1
        write_both(collector, number)
        return insert_into(*words)

    fill(file)
    with (
        opening.writing(model.load(file).store) as collector,
        pytest.MonkeyPatch.context() as patch,
    ):
        write_both(collector, 0)
        patch.setattr(copying, "insert", insert)
        says("backup", backup, "--config", str(file), status=0)
    assert number > 5
    says("restore", "--only-store", backup, "--config", str(on_file), status=0)
    with opening.reading(model.load(on_file).store) as db:
        assert [(0, 0)] == db.execute(BOTH)


BOTH = """
SELECT tally.value, CAST(setting.value AS BIGINT) FROM tally, setting
WHERE tally.name = 'both' AND setting.name = 'both'
"""


def write_both(db: Database, number: int) -> None:
    """In one transaction, into the tables that are copied last and nearly last."""
    with db.transaction():
        db.execute(upsert("setting", ("name",), ("value",)), ("both", str(number)))
        db.execute(upsert("tally", ("name",), ("value",)), ("both", number))


def test_the_password_is_read_from_its_file(file: Path) -> None:
    """It may be named beside the url alone."""
    file.write_text(file.read_text().replace("schema =", 'password_file = "secret"\nschema ='))
    output = says("db", "check", "--config", str(file), status=1)
    secret = file.with_name("secret")
    assert f"store.password_file: {secret}: No such file or directory; put the pass" in output
    secret.write_text("x\n")
    secret.chmod(0o600)
    assert "the store is whole" in says("db", "check", "--config", str(file), status=0)
