"""The table in which a collector of an earlier version kept what it had not placed.

This module can be deleted when no such store is left.
"""

from typing import NamedTuple

from titik_collector.store.database import Database


class PackedRow(NamedTuple):
    """Samples as the table has them."""

    id: int
    packed: bytes


def is_there(db: Database) -> bool:
    """The store has the table."""
    return db.has_table("waiting")


def samples(db: Database) -> int:
    """How many samples it holds."""
    (found,) = db.execute("SELECT coalesce(sum(samples), 0) FROM waiting").fetchone()
    return int(found)


def oldest(db: Database) -> PackedRow | None:
    """The row to place first; None: the table is empty."""
    row = db.execute("SELECT id, packed FROM waiting ORDER BY id LIMIT 1").fetchone()
    return None if row is None else PackedRow(*row)


def remove(db: Database, row_id: int) -> None:
    """The row is placed."""
    db.execute("DELETE FROM waiting WHERE id = ?", (row_id,))


def drop_table(db: Database) -> None:
    """Nothing waits now."""
    db.execute("DROP TABLE waiting")
