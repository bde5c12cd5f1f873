"""A new store is a copy: its migrations take longer than most tests that need one."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgres import Postgres
from titik_collector.store import sqlite
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

        def copy_or_migrate(db: SqliteDatabase) -> None:
            db.execute("PRAGMA synchronous = OFF")  # no test here cuts the power
            if not db.execute("PRAGMA schema_version").fetchone()[0]:
                blank.raw.backup(db.raw)
            migrate(db)

        patch.setattr(sqlite, "_migrate", copy_or_migrate)
        yield


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A server for all tests that ask for it; each takes a schema of its own."""
    with Postgres() as server:
        yield server
