"""A new store is a copy: its migrations take longer than most tests that need one."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.collector import build
from tests.collector.stores import Stores
from tests.postgres import Postgres
from titik_collector.store import sqlite
from titik_collector.store.database import Before
from titik_collector.store.sqlite import SqliteDatabase


@pytest.fixture(scope="session", autouse=True)
def _new_stores_are_copies() -> Iterator[None]:
    """One empty store is migrated, and copied page by page; one of an earlier schema migrates."""
    migrate = sqlite._migrate
    with (
        contextlib.closing(
            SqliteDatabase(sqlite3.connect(":memory:", isolation_level=None), Path(":memory:"))
        ) as blank,
        pytest.MonkeyPatch.context() as patch,
    ):
        migrate(blank)

        def copy_or_migrate(
            db: SqliteDatabase,
            newest: int | None = None,
            before: Before | None = None,
            folder: str = sqlite.FOLDER,
        ) -> None:
            db.execute("PRAGMA synchronous = OFF")  # no test here cuts the power
            is_new = not db.execute("PRAGMA schema_version").fetchone()[0]
            if newest is None and is_new and folder == sqlite.FOLDER:
                blank.raw.backup(db.raw)
            migrate(db, newest, before, folder)

        patch.setattr(sqlite, "_migrate", copy_or_migrate)
        yield


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A server for all tests that ask for it; each takes a schema of its own."""
    with Postgres() as server:
        yield server


@pytest.fixture(scope="session")
def stores(postgres: Postgres) -> Iterator[Stores]:
    """Its stores."""
    with contextlib.closing(Stores(postgres)) as opened:
        yield opened


# What these tests say of the store is so on both engines.
ON_BOTH = {
    *(
        "test_alert_rows",
        "test_alerting",
        "test_backup_warnings",
        "test_caps",
        "test_columnar",
        "test_day_strip",
        "test_discovery",
        "test_event_reporting",
        "test_hearing",
    ),
    *(
        "test_heat_map",
        "test_identity",
        "test_ingest",
        "test_lacking",
        "test_last_hour",
        "test_live_facts",
    ),
    *(
        "test_longer_windows",
        "test_namesakes",
        "test_newest",
        "test_now",
        "test_place_availability",
        "test_place_use",
        "test_placing",
        "test_plausible",
    ),
    *("test_presence", "test_registry", "test_restamp", "test_retention", "test_rollup"),
    *("test_rollup_topics", "test_runs", "test_server_cause", "test_settings", "test_site_facts"),
    "test_status",
    *("test_store", "test_stretches", "test_timeline", "test_together", "test_two_devices"),
    *("test_asking", "test_rollout", "test_unheard_routers", "test_wishes"),
}
# Long on a server, and what they say of it is in test_two_engines and test_rollup too.
RARELY = {"test_newest", "test_together"}
# Examples of a property on a server, where each takes hundreds of statements; SQLite has them all.
FEWER = 30
SETTINGS = "_hypothesis_internal_use_settings"  # of a function that searches
# These run on SQLite alone, or choose the engine themselves.
ITS_OWN = {
    "test_certificates": "looks at a city's folder, with a store beside it",
    "test_alerts_command": "runs commands on a file",
    "test_city_look": "asks from a command beside a file; test_asking is on both",
    "test_settings_tables": "runs commands on a file; test_wishes is on both",
    "test_fleet_command": "runs commands on a file; test_rollout is on both",
    "test_router_many": "opens archives, and no store",
    "test_living_copy": "copies from a file to each engine",
    "test_line_protocol": "writes what a command exports of a file",
    "test_city_reports": "puts together what others read, on both",
    "test_server_facts": "looks at the machine, with a store beside it",
    "test_desk": "is of both, and of the desk alone",
    "test_desk_reports": "is of both, and of the desk alone",
    "test_failing_receivers": "is of both, and of the notifier's file",
    "test_collect": "runs the program on a file, test_server_store on a server",
    "test_migrations": "is of SQLite's migrations",
    "test_packed_minutes": "unpacks what earlier versions left, which was never on a server",
    "test_past": "runs commands on a file; in test_server_store they print the same of a server",
    "test_plans": "is of SQLite's plans",
    "test_report_command": "runs a command on a file",
    "test_restate": "restates what an early migration of SQLite left",
    "test_server_errors": "is of a server",
    "test_server_store": "is of a server",
    "test_several_servers": "is of servers",
    "test_statements": "counts statements, which are the same on both",
    "test_status_check": "runs a command on a file",
    "test_status_screens": "runs a command on a file",
    "test_store_copy": "copies from each engine to each",
    "test_table": "reads what SQLite says of columns, which test_two_engines compares",
    "test_two_engines": "is of both",
    "test_upgrade": "is of a file that an earlier version left",
    "test_waiting": "places what an earlier version left in a file",
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test of these files runs on each engine, but for one that is marked `sqlite`."""
    file = metafunc.module.__name__.rpartition(".")[2]
    if file in ON_BOTH and metafunc.definition.get_closest_marker("sqlite") is None:
        marks = [pytest.mark.system, *([pytest.mark.long] if file in RARELY else [])]
        engines = ("sqlite", pytest.param("postgres", marks=marks))
        metafunc.parametrize("_engine", engines, indirect=True)


@pytest.fixture(autouse=True)
def _engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """`build.opened` opens a store of this engine."""
    if getattr(request, "param", "sqlite") == "postgres":
        stores: Stores = request.getfixturevalue("stores")
        stores.forget()
        monkeypatch.setattr(build, "open_writer", stores.open_writer)
        kept = getattr(request.function, SETTINGS, None)
        if kept is not None:
            fewer = settings(kept, max_examples=min(FEWER, kept.max_examples))
            monkeypatch.setattr(request.function, SETTINGS, fewer)
