"""Table `remembered` of `titik notify`: what it must know after a restart."""

from titik_collector.store.database import Database, upsert

SERVED = "served"  # the place of the store that was served last


def read(db: Database, name: str) -> str | None:
    """None: it was never written."""
    row = db.execute("SELECT value FROM remembered WHERE name = ?", (name,)).fetchone()
    return None if row is None else str(row[0])


def write(db: Database, name: str, value: str) -> None:
    """Part of the caller's transaction."""
    db.execute(upsert("remembered", ("name",), ("value",)), (name, value))
