"""A database that counts its statements.

Rule: an executemany counts once, however many its rows are; so do BEGIN and COMMIT.
"""

from typing import Any

from titik_collector.store.database import Database


class Counted:
    """Stands before a database; whatever is no statement goes straight there."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.statements = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)

    def execute(self, sql: str, *values: Any) -> Any:
        """As the database does."""
        self.statements += 1
        return self._db.execute(sql, *values)

    def executemany(self, sql: str, *values: Any) -> Any:
        """As the database does."""
        self.statements += 1
        return self._db.executemany(sql, *values)
