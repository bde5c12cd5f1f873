"""Who works on the store, and the last sign of life of each."""

from typing import NamedTuple

from titik_collector.store.database import Database, upsert

COLLECTOR = "collector"  # its jobs run, and the store takes what they write


class Beat(NamedTuple):
    """One sign of life."""

    at_ms: int
    detail: str | None = None  # in words


def write(db: Database, name: str, beat: Beat) -> None:
    """In a transaction of the caller's."""
    db.execute(upsert("beat", ("name",), Beat._fields), (name, *beat))


def read(db: Database, name: str) -> Beat | None:
    """The last one; None: there was none yet."""
    row = db.execute("SELECT at_ms, detail FROM beat WHERE name = ?", (name,)).fetchone()
    return None if row is None else Beat(*row)
