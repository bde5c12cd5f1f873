"""`titik store copy`: the same store at another place, in either direction."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.collector import build, test_alert_rows
from tests.collector.stores import Stores
from tests.collector.test_command_line import says
from tests.collector.test_server_store import city
from tests.collector.test_two_engines import play
from tests.postgres import Postgres
from tests.project.sources import ROOT as CHECKOUT
from titik_collector.accounts import sessions, tokens, users
from titik_collector.accounts.audit import Actor
from titik_collector.accounts.users import AccountError
from titik_collector.alerts.alert import Alert
from titik_collector.config import model
from titik_collector.store import (
    alert_rows,
    delivery_rows,
    desk_accounts,
    desk_opening,
    half_copy,
    identity,
    incident_rows,
    notify_opening,
    opening,
    outbox_rows,
    sqlite,
)
from titik_collector.store.database import Database, StoreError, TableShape
from titik_collector.store.delivery_rows import DeliveryRow
from titik_collector.store.desk_accounts import Account
from titik_collector.store.postgres import PostgresDatabase

pytestmark = pytest.mark.system
BUDI = Account("budi", "hash", "operator", "id", None, 1)
ROOT = Actor("root", None, 1_795_000_000_000)
ASKED = (
    ("history", "city", "--since", "2026-11-01", "--until", "2026-11-26", "--utc"),
    ("history", "tirosa-1", "--since", "2026-11-20", "--until", "2026-11-26", "--window", "1m"),
    ("events", "--since", "2026-11-01", "--why"),
    (
        "export",
        "--since",
        "2026-11-01",
        "--until",
        "2026-11-26",
        "--window",
        "1m",
        "--format",
        "jsonl",
    ),
    ("status",),
    ("db", "check"),
)
COPIER = """
import os, signal, sys
from titik_collector.config import model
from titik_collector.store import copying
left, real = int(sys.argv[3]), copying.insert
def insert(*words):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*words)
copying.PART, copying.insert = 20, insert
source, target = (copying.StorePair(*model.stores_at(one)) for one in sys.argv[1:3])
copying.copy_city(source, target, print)
"""


@pytest.fixture
def cities(tmp_path: Path, stores: Stores, postgres: Postgres) -> dict[str, Path]:
    """Configurations of three empty stores: on a server, and two files."""
    stores.forget()
    server = stores.place(Path("copied"))
    for kept in ("desk", "notify"):
        postgres.drop(f"{server.schema}-{kept}")
    on_server = f'url = "{server.url}"\nschema = "{server.schema}"'
    return {
        "server": city(tmp_path / "server", on_server),
        "file": city(tmp_path / "file", 'path = "titik.db"'),
        "other": city(tmp_path / "other", 'path = "titik.db"'),
    }


def copied(source: Path, target: Path, status: int = 0) -> str:
    """What the command prints."""
    return says("store", "copy", str(source), str(target), status=status)


def holds(file: Path) -> dict[str, list[tuple[object, ...]]]:
    """All rows of all tables."""
    with opening.reading(model.load(file).store) as db:
        return {
            one.name: sorted(db.execute(f"SELECT {', '.join(one.columns)} FROM {one.name}"))
            for one in db.tables()
            if one.name not in ("cold", "waiting")  # only an earlier version's file has them
        }


def asked(file: Path) -> list[str]:
    """What commands print of it."""
    return [
        says(*words, "--config", str(file), status=int(words[0] == "status")).replace(str(file), "")
        for words in ASKED
    ]


@pytest.mark.thorough
@pytest.mark.parametrize("seed", range(3))
def test_a_copy_of_a_copy_is_the_store_and_prints_the_same(
    cities: dict[str, Path], seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any history, from a file to a server and from there to another file."""
    monkeypatch.setenv("COLUMNS", "1000")
    play(cities["file"].with_name("titik.db"), seed)
    alarm(cities["file"].with_name("titik.db"))
    assert "copied; name it under [store]" in copied(cities["file"], cities["server"])
    copied(cities["server"], cities["other"])
    expected = holds(cities["file"])
    assert expected["rollup"]
    assert expected["alert"]
    assert expected == holds(cities["server"])
    assert expected == holds(cities["other"])
    assert asked(cities["file"]) == asked(cities["server"])
    assert asked(cities["file"]) == asked(cities["other"])


def alarm(file: Path) -> None:
    """An incident, the alert that belongs to it, and a message about it."""
    alert = Alert(key=test_alert_rows.DOWN, phase="firing", known=True, since_ms=1, incident=1)
    with contextlib.closing(sqlite.open_writer(file)) as db, db.transaction():
        incident_rows.write(db, [test_alert_rows.INCIDENT])
        alert_rows.write(db, [alert])
        outbox_rows.put(db, [test_alert_rows.notification()])


def killed(source: Path, target: Path, parts: int, copier: str = COPIER) -> bool:
    """Whether a copy was killed in its transaction of that number; else it is whole."""
    done = subprocess.run(
        [sys.executable, "-c", copier, str(source), str(target), str(parts)],
        env={**os.environ, "PYTHONPATH": f"{CHECKOUT / 'broker'}:{CHECKOUT / 'agent'}"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode != 0


@pytest.mark.thorough
@pytest.mark.parametrize(("source", "target"), [("file", "server"), ("server", "other")])
def test_a_copy_that_is_killed_again_and_again_goes_on(
    cities: dict[str, Path], source: str, target: str
) -> None:
    """No row is missing or twice, and nothing opens the half copy meanwhile."""
    play(cities["file"].with_name("titik.db"), 7)
    if source == "server":
        copied(cities["file"], cities["server"])
    kills = 0
    while killed(cities[source], cities[target], 6):
        kills += 1
        assert kills < 30  # one that began again would never end
        output = says("db", "check", "--config", str(cities[target]), status=1)
        assert "is half a copy of a store" in output
        with pytest.raises(StoreError, match="is half a copy"), opened(cities[target]):
            pass
    assert kills > 3
    assert holds(cities[source]) == holds(cities[target])


def test_what_people_entered_goes_along(cities: dict[str, Path]) -> None:
    """In either direction; typed again it is there already, and no other desk is overwritten."""
    with build.opened(cities["file"].with_name("titik.db")):
        pass
    with desk_opening.opened(model.load(cities["file"]).store) as desk, desk.transaction():
        desk_accounts.add(desk, BUDI)
    assert "account: 1" in copied(cities["file"], cities["server"])
    copied(cities["server"], cities["other"])
    with desk_opening.opened(model.load(cities["other"]).store) as desk:
        assert [BUDI] == desk_accounts.all_of(desk)
        with desk.transaction():
            desk_accounts.remove(desk, "budi")
            desk_accounts.add(desk, BUDI._replace(name="ina"))
    cities["other"].with_name("titik.db").unlink()
    output = copied(cities["server"], cities["other"], status=1)
    assert "is a desk already; move it away" in output


def test_which_messages_were_sent_goes_along(cities: dict[str, Path]) -> None:
    """So that none is sent again from where the store is then."""
    row = DeliveryRow("store", 1, 5, None, "it", 5, "delivered")
    with build.opened(cities["file"].with_name("titik.db")):
        pass
    with notify_opening.opened(model.load(cities["file"]).store) as db, db.transaction():
        delivery_rows.add(db, [row])
    assert "twice" not in copied(cities["file"], cities["server"])
    assert "twice" not in copied(cities["server"], cities["other"])
    with notify_opening.opened(model.load(cities["other"]).store) as db:
        assert [row] == delivery_rows.since(db, 0)


@pytest.mark.parametrize("sent", [[("file", 1), ("server", 2)], [("file", 1), ("server", None)]])
def test_a_notifier_that_was_there_before_is_named(
    cities: dict[str, Path], sent: list[tuple[str, int | None]]
) -> None:
    """It does not know which messages were sent, also where it sent none itself."""
    row = DeliveryRow("store", 1, 5, None, "it", 5, "delivered")
    with build.opened(cities["file"].with_name("titik.db")):
        pass
    for name, message in sent:
        with notify_opening.opened(model.load(cities[name]).store) as db, db.transaction():
            delivery_rows.add(db, [] if message is None else [row._replace(message=message)])
    assert "may come twice: titik-notify was on" in copied(cities["file"], cities["server"])


def with_a_token(cities: dict[str, Path], source: str) -> str:
    """The secret of one who may look at the city whose store is copied."""
    with build.opened(cities["file"].with_name("titik.db"), ["tirosa-1", "tirosa-2"]) as db:
        identity.opened(db)
    with entered(cities["file"]) as desk:
        users.add(desk, BUDI, ROOT)
        secret = tokens.add(desk, "wall", "viewer", ROOT)
    if source == "server":
        copied(cities["file"], cities["server"])
    return secret


@contextlib.contextmanager
def entered(file: Path) -> Iterator[Database]:
    """The desk as the page has it."""
    with desk_opening.opened(model.load(file).page_store) as desk:
        yield desk


@pytest.mark.parametrize(("source", "target"), [("file", "server"), ("server", "other")])
def test_what_is_revoked_during_a_copy_is_revoked_in_it(
    cities: dict[str, Path], source: str, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page goes on while a store is copied for hours."""
    secret = with_a_token(cities, source)
    counted = half_copy.counts  # of the source, then of the target

    def meanwhile(db: Database, tables: list[TableShape]) -> dict[str, int]:
        with entered(cities[source]) as desk, contextlib.suppress(AccountError):
            tokens.revoke(desk, "wall", ROOT)
        return counted(db, tables)

    monkeypatch.setattr(half_copy, "counts", meanwhile)
    assert "account: 1" in copied(cities[source], cities[target])
    with entered(cities[target]) as desk:
        assert tokens.find(desk, secret) is None
        assert [BUDI] == desk_accounts.all_of(desk)


@pytest.mark.parametrize(("source", "target"), [("file", "server"), ("server", "other")])
def test_a_copy_goes_on_after_a_login(cities: dict[str, Path], source: str, target: str) -> None:
    """Each login changes the desk."""
    secret = with_a_token(cities, source)
    assert killed(cities[source], cities[target], 2)
    with entered(cities[source]) as desk:
        sessions.begin(desk, BUDI, None, ROOT)
    copied(cities[source], cities[target])
    with entered(cities[target]) as desk:
        assert tokens.find(desk, secret) is not None


def test_a_copy_that_is_refused_gives_its_users_to_nobody(cities: dict[str, Path]) -> None:
    """They are another city's."""
    with_a_token(cities, "file")
    with build.opened(cities["other"].with_name("titik.db")) as db:
        db.execute("INSERT INTO run (router_id, token, highest) VALUES (1, '1', 3)")
    assert "is a store already" in copied(cities["file"], cities["other"], status=1)
    assert not desk_opening.exists(model.load(cities["other"]).store)


@pytest.fixture
def roles(cities: dict[str, Path], postgres: Postgres) -> Iterator[None]:
    """The city on the server has a role for its collector, and one for its page."""
    file = cities["server"]
    url = model.load(file).store.url
    assert url is not None
    text = re.sub('schema = ".*"', 'schema = "of-roles"', file.read_text())
    page = f'[web]\nstore_url = "{url.replace("user=titik", "user=page")}"\n'
    file.write_text(text.replace(url, url.replace("user=titik", "user=coll")) + page)
    with psycopg.connect(postgres.url, autocommit=True) as admin:
        admin.execute("CREATE ROLE coll LOGIN; CREATE ROLE page LOGIN")
        admin.execute("GRANT CREATE ON DATABASE postgres TO coll, page")
        yield
        admin.execute("DROP OWNED BY coll, page CASCADE; DROP ROLE coll; DROP ROLE page")


@pytest.mark.usefixtures("roles")
def test_the_desk_is_copied_as_the_page_opens_it(cities: dict[str, Path]) -> None:
    """On a server it is open to its own role alone."""
    with_a_token(cities, "file")
    copied(cities["file"], cities["server"])
    with entered(cities["server"]) as desk:
        assert [BUDI] == desk_accounts.all_of(desk)
    copied(cities["server"], cities["other"])
    with entered(cities["other"]) as desk:
        assert [BUDI] == desk_accounts.all_of(desk)


@contextlib.contextmanager
def opened(file: Path) -> Iterator[Database]:
    """The store as a collector has it."""
    with opening.writing(model.load(file).store) as db:
        yield db


def test_a_copy_waits_for_the_count_of_a_large_table(
    cities: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A collector gives its server up meanwhile, and opens the store again."""
    with build.opened(cities["file"].with_name("titik.db")):
        pass
    counted, slow = half_copy.counts, []

    def slowly(db: Database, tables: list[TableShape]) -> dict[str, int]:
        if isinstance(db, PostgresDatabase):
            monkeypatch.setattr(db._raw, "answer_s", 0.1)
            slow.append(db.execute("SELECT pg_sleep(1)"))
        return counted(db, tables)

    monkeypatch.setattr(half_copy, "counts", slowly)
    assert "router: 1" in copied(cities["file"], cities["server"])
    assert slow


def test_a_source_that_was_written_meanwhile_is_copied_from_its_beginning(
    cities: dict[str, Path],
) -> None:
    """A row that was copied already may be another one now."""
    with build.opened(cities["file"].with_name("titik.db"), ["tirosa-1", "tirosa-2"]) as db:
        identity.opened(db)
    assert killed(cities["file"], cities["server"], 2)
    with opened(cities["file"]) as again:
        identity.opened(again)
        with again.transaction():
            again.execute("UPDATE router SET registered = 0")
    copied(cities["file"], cities["server"])
    assert holds(cities["file"]) == holds(cities["server"])


@pytest.mark.parametrize(
    ("source", "target", "held"),
    [("file", "server", "server"), ("server", "file", "server"), ("server", "file", "file")],
)
def test_a_store_that_a_collector_holds_is_not_copied(
    cities: dict[str, Path], source: str, target: str, held: str
) -> None:
    """Nothing is copied onto it, nor from it if it is on a server."""
    with build.opened(cities["file"].with_name("titik.db")):
        pass
    if source == "server":
        copied(cities["file"], cities["server"])
    with opened(cities[held]):
        output = copied(cities[source], cities[target], status=1)
        assert "holds this store" in output


def test_nothing_is_copied_over_a_store(cities: dict[str, Path]) -> None:
    """The other one stays as it is."""
    for name in ("file", "other"):
        with build.opened(cities[name].with_name("titik.db"), [name]) as db:
            db.execute("INSERT INTO run (router_id, token, highest) VALUES (1, '1', 3)")
    before = holds(cities["other"])
    assert "is a store already" in copied(cities["file"], cities["other"], status=1)
    assert before == holds(cities["other"])


def test_numbers_go_on_where_they_ended(cities: dict[str, Path]) -> None:
    """A router that is added to the copy is a new one."""
    with build.opened(cities["file"].with_name("titik.db"), ["a", "b"]):
        pass
    copied(cities["file"], cities["server"])
    with opened(cities["server"]) as db, db.transaction():
        db.execute("INSERT INTO router (name, registered, registered_ms) VALUES ('c', 1, 0)")
        assert [(3,)] == db.execute("SELECT id FROM router WHERE name = 'c'")


def test_minutes_that_are_packed_are_not_left_behind(cities: dict[str, Path]) -> None:
    """A server has no table for them."""
    with opened(cities["file"]) as db, db.transaction():
        db.execute("INSERT INTO cold (scope, scope_id, day_ms, packed) VALUES ('city', 0, 0, x'')")
    output = copied(cities["file"], cities["server"], status=1)
    assert "cold: holds rows of an earlier version; run titik collect" in output


def test_a_store_that_breaks_the_law_is_not_moved(cities: dict[str, Path]) -> None:
    """What is wrong is printed, and the copy is opened by nothing."""
    with build.opened(cities["file"].with_name("titik.db")) as db:
        db.execute("INSERT INTO run (router_id, token, highest) VALUES (1, '1', 3)")
        db.execute("INSERT INTO settled VALUES (1, 'stored', 2, 9)")
    output = copied(cities["file"], cities["server"], status=1)
    assert "taken 3 is not stored 8" in output
    assert "half a copy" in says("db", "check", "--config", str(cities["server"]), status=1)


@pytest.mark.parametrize(
    ("place", "output"),
    [
        ("mysql://x/y", "is of no engine that is known"),
        ("postgresql://a:secret@x/y", "has a password in it"),
        ("none.toml", "No such file"),
        ("none.db", "no store there yet"),
        ("nowhere/none.db", "there is no folder nowhere"),
        (".", "is a folder"),
    ],
)
def test_a_place_that_is_none_is_named(cities: dict[str, Path], place: str, output: str) -> None:
    """Nothing is copied, and no password is printed."""
    printed = says("store", "copy", place, str(cities["other"]), status=1)
    assert output in printed
    assert "secret" not in printed
    assert not cities["other"].with_name("titik.db").exists()


def test_a_store_is_not_copied_to_itself(cities: dict[str, Path]) -> None:
    """Whichever way it is named."""
    store = cities["file"].with_name("titik.db")
    with build.opened(store):
        pass
    output = says("store", "copy", str(cities["file"]), str(store), status=1)
    assert "is FROM and TO; name two places" in output


@pytest.mark.parametrize("target", ["server", "other"])
def test_a_copy_that_ended_among_its_tables_is_no_store(
    cities: dict[str, Path], target: str
) -> None:
    """A disk was full: nothing opens it, nothing upgrades it, and the command goes on."""
    with build.opened(cities["file"].with_name("titik.db")):
        pass
    if target == "server":
        new = cities[target].read_text().replace('schema = "', 'schema = "half-')
        cities[target].write_text(new)
        opening.open_writer(model.load(cities[target]).store, half=True).close()
    else:
        sqlite.open_writer(cities[target].with_name("titik.db"), 8, half=True).close()
    for words in (("db", "check"), ("collect",)):
        output = says(*words, "--config", str(cities[target]), status=1)
        assert "is half a copy of a store" in output
    says("upgrade", "--config", str(cities[target]), status=int(target == "other"))
    assert "router: 1" in copied(cities["file"], cities[target])


def test_a_copy_takes_the_place_of_a_store_that_heard_nobody(cities: dict[str, Path]) -> None:
    """A collector made it, and ended before it heard a router."""
    with build.opened(cities["file"].with_name("titik.db"), ["a", "b"]):
        pass
    with build.opened(cities["other"].with_name("titik.db"), ["c"]) as db:
        identity.opened(db)
    copied(cities["file"], cities["other"])
    assert holds(cities["file"]) == holds(cities["other"])
