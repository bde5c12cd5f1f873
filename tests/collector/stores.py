"""Stores on PostgreSQL for tests that ask for a file: for each file a schema, empty at first.

Rule: a schema is migrated once and emptied for each test, which is a hundred times as fast.
Rule: a process has MOST of them; a test that opens more has the earliest ones no longer.
Rule: rows of a test may be written outside a transaction, as on SQLite.
"""

from pathlib import Path

import psycopg

from tests.postgres import Postgres
from titik_collector.store import postgres_schema
from titik_collector.store.postgres import PostgresDatabase, PostgresPlace

MOST = 8
_EMPTYING = """
SELECT format('DELETE FROM %I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = %s
  AND tablename NOT IN ('lease', 'schema_version')
UNION ALL SELECT format('SELECT setval(''%I.%I'', 1, false)', schemaname, sequencename)
  FROM pg_sequences WHERE schemaname = %s
"""
_UNCHECKED = "SET session_replication_role = replica"  # a superuser's: of references
_NAMES = [f"store{number}" for number in range(MOST)]


class Stores:
    """Those of one process."""

    def __init__(self, server: Postgres) -> None:
        self._server = server
        self._taken: dict[Path, str] = {}
        self._emptying = dict.fromkeys(_NAMES, "")  # the statements that empty a schema
        self._admin = psycopg.connect(server.url, autocommit=True)
        # A superuser's: references are not looked at.
        self._admin.execute("SET session_replication_role = replica")

    def close(self) -> None:
        """No test of the process uses them any more."""
        self._admin.close()

    def forget(self) -> None:
        """Another test begins."""
        self._taken.clear()

    def place(self, path: Path) -> PostgresPlace:
        """Where the store is that a test keeps in this file."""
        name = self._taken.get(path)
        if name is None:
            free = [name for name in _NAMES if name not in self._taken.values()]
            name = free[0] if free else self._taken.pop(next(iter(self._taken)))
            self._empty(name)
            self._taken[path] = name
        return PostgresPlace(self._server.url, name)

    def open_writer(self, path: Path) -> PostgresDatabase:
        """As that of SQLite."""
        db = postgres_schema.open_writer(self.place(path))
        db.execute("SET default_transaction_read_only = off")
        return db

    def _empty(self, name: str) -> None:
        # A test may leave half a copy there.
        self._admin.execute(f"DROP TABLE IF EXISTS {name}.copying".encode())
        if not self._emptying[name]:
            rows = self._admin.execute(_EMPTYING.replace("%I", "%%I"), (name, name))
            self._emptying[name] = "; ".join(statement for (statement,) in rows)
        if self._emptying[name]:  # else there is no such schema yet
            self._admin.execute(self._emptying[name].encode())
