"""A server that cannot be used: each cause has a remedy of its own, which mends it."""

import os
import re
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from tests.collector.build import T0
from tests.collector.test_command_line import says
from tests.collector.test_server_store import city
from tests.ports import free_ports
from tests.postgres import Postgres
from tests.project.sources import ROOT
from titik_collector.config import model
from titik_collector.live.hearing import LEAST_MS, Hearing
from titik_collector.live.presence import Presence
from titik_collector.store import opening, postgres_schema, server_outages
from titik_collector.store.database import StoreError
from titik_collector.store.postgres import SILENT_S, PostgresDatabase, PostgresPlace

pytestmark = pytest.mark.system
# Who is let in: the tests' administrator, two users by a password, one as a user of the system.
LETS_IN = """
local all titik trust
local all city_user,ghost scram-sha-256
local all nobody peer
local all nosuch trust
"""
MADE = """
CREATE ROLE city_user LOGIN PASSWORD 'right';
CREATE ROLE nobody LOGIN;
CREATE DATABASE others;
CREATE DATABASE closed;
REVOKE CONNECT ON DATABASE closed FROM PUBLIC;
"""


@pytest.fixture(scope="module")
def strict() -> Iterator[Postgres]:
    """A server that asks for passwords."""
    with Postgres() as server, psycopg.connect(server.url, autocommit=True) as db:
        for statement in MADE.strip().splitlines():
            db.execute(statement.encode())
        (server.folder / "data" / "pg_hba.conf").write_text(LETS_IN)
        db.execute("SELECT pg_reload_conf()")
        yield server


def refused(server: Postgres, user: str, database: str, password: str | None = None) -> str:
    """The remedy of the error."""
    url = f"postgresql:///{database}?host={server.folder}&user={user}"
    with pytest.raises(StoreError) as raised:
        postgres_schema.open_writer(PostgresPlace(url, "titik", password))
    return str(raised.value).rpartition("; ")[2]


@pytest.mark.parametrize(
    ("user", "database", "password", "remedy"),
    [
        ("city_user", "others", None, "set store.password_file, and name titik.toml"),
        ("city_user", "others", "wrong", "correct store.password_file, or make the user"),
        ("ghost", "others", "x", "correct store.password_file, or make the user"),
        ("nosuch", "others", None, "correct the user in store.url, or make the user"),
        ("nobody", "others", None, 'name a host in store.url, or run as the user "nobody"'),
        ("unlisted", "others", None, "with a line of the server's pg_hba.conf"),
        ("city_user", "none", "right", 'in psql, as postgres: CREATE DATABASE "none"'),
        ("city_user", "closed", "right", 'GRANT CONNECT ON DATABASE "closed" TO "city_user"'),
        ("city_user", "others", "right", 'GRANT CREATE ON DATABASE "others" TO "city_user"'),
    ],
)
def test_a_refusal_has_its_remedy(
    strict: Postgres, user: str, database: str, password: str | None, remedy: str
) -> None:
    """By what the server says; the names in it are those of store.url."""
    assert remedy in refused(strict, user, database, password)


def test_a_schema_of_another_user_has_its_remedy(strict: Postgres) -> None:
    """A command of SQL that can be typed."""
    with psycopg.connect(strict.url, autocommit=True) as db:
        db.execute("CREATE DATABASE taken")
    taken = strict.url.replace("/postgres?", "/taken?")
    with psycopg.connect(taken, autocommit=True) as db:
        db.execute("CREATE SCHEMA titik")
        remedy = refused(strict, "city_user", "taken", "right")
        assert 'in psql, as postgres: ALTER SCHEMA "titik" OWNER TO "city_user"' == remedy
        db.execute(remedy.partition(": ")[2].encode())
    place = PostgresPlace(taken.replace("user=titik", "user=city_user"), "titik", "right")
    postgres_schema.open_writer(place).close()


@pytest.mark.parametrize(
    ("place", "remedy"),
    [
        ("127.0.0.1:{closed}/x", "start PostgreSQL, or correct host and port of store.url"),
        ("127.0.0.1:abc/x", "correct the port of store.url"),
        ("127.0.0.1:99999/x", "correct the port of store.url"),
        ("nowhere.invalid/x", "correct the host of store.url, or the network"),
    ],
)
def test_a_server_that_is_not_reached_has_its_remedy(place: str, remedy: str) -> None:
    """And not the words of its library beside it."""
    url = f"postgresql://a@{place.format(closed=free_ports(1)[0])}"
    with pytest.raises(StoreError, match=re.escape(remedy)) as raised:
        PostgresDatabase(PostgresPlace(url, "titik"))
    assert "Is the server running" not in str(raised.value)


def test_the_lines_of_the_page_make_user_database_and_right(strict: Postgres) -> None:
    """After them the collector makes its schema."""
    page = (ROOT / "docs/operating.md").read_text()
    (lines,) = re.findall(r"^```sql\n(CREATE ROLE .+?)^```", page, re.M | re.S)
    # The tests' administrator has the name of the page's user.
    lines = lines.replace("ROLE titik", "ROLE city_user2").replace("TO titik", "TO city_user2")
    with psycopg.connect(strict.url, autocommit=True) as db:
        for line in lines.strip().splitlines():
            db.execute(line.encode())
    (strict.folder / "data" / "pg_hba.conf").write_text(LETS_IN.replace("ghost", "city_user2"))
    with psycopg.connect(strict.url, autocommit=True) as db:
        db.execute("SELECT pg_reload_conf()")
    url = f"postgresql:///city?host={strict.folder}&user=city_user2"
    postgres_schema.open_writer(PostgresPlace(url, "titik", "a long one")).close()


@pytest.fixture
def stopped(tmp_path: Path) -> Iterator[Path]:
    """A city whose server takes connections and answers nothing."""
    with Postgres() as server:
        made = city(tmp_path / "city", f'url = "{server.url}"')
        opening.open_writer(model.load(made).store).close()
        pid = int((server.folder / "data" / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGSTOP)
        try:
            yield made
        finally:
            os.kill(pid, signal.SIGCONT)


def test_a_server_that_does_not_answer_is_named_as_the_cause(stopped: Path) -> None:
    """Each command waits for one connection, and no longer."""
    output = says("status", "--check", "--config", str(stopped), status=3)
    assert "TITIK UNKNOWN" in output
    assert "connection timeout expired; is the server on, and does a firewall" in output
    output = says("history", "city", "--config", str(stopped), status=1)
    assert 1 == output.count("is the server on")


def test_time_without_an_answer_is_an_outage_of_the_store(
    strict: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker ends the connection meanwhile, and is not the cause."""
    monkeypatch.setattr("titik_collector.store.postgres.SILENT_S", 0.1)
    place = PostgresPlace(strict.url, "silent")
    with closing(postgres_schema.open_writer(place)) as db:
        now_ms = T0
        hearing = Hearing(db, Presence(db), lambda: now_ms)
        hearing.resume()
        hearing.heard(now_ms)
        db.when_silent(lambda reason: hearing.stop("store", reason))
        db.execute("SELECT pg_sleep(1)")
        hearing.stop("broker", "connection lost")
        now_ms += 60_000
        hearing.resume()
        (found,) = server_outages.since(db, 0, 10)
    assert ("store", "the server has not answered for 0.1 s") == (found.what, found.reason)


def test_a_silence_that_is_reported_is_an_outage() -> None:
    """A statement that takes some seconds makes no router unknown."""
    assert LEAST_MS == SILENT_S * 1000
