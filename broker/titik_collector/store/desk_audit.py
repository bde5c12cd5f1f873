"""Table `audit` of the desk: who changed what. A row is added, never changed, deleted when old."""

from typing import NamedTuple

from titik_collector.store.database import Database, insert


class AuditRow(NamedTuple):
    """One change."""

    at_ms: int
    actor: str
    address: str | None  # None: a command on the server
    action: str
    subject: str


_COLUMNS = ", ".join(AuditRow._fields)


def append(db: Database, row: AuditRow) -> None:
    """Part of the transaction that makes the change."""
    db.execute(insert("audit", AuditRow._fields), row)


def expire(db: Database, before_ms: int) -> None:
    """Delete what is older; part of the caller's transaction."""
    db.execute("DELETE FROM audit WHERE at_ms < ?", (before_ms,))


def newest(db: Database, limit: int) -> list[AuditRow]:
    """At most so many, the oldest of them first."""
    rows = db.execute(f"SELECT {_COLUMNS} FROM audit ORDER BY number DESC LIMIT ?", (limit,))
    return [AuditRow(*row) for row in reversed(rows)]
