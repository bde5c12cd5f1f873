"""Table `question` of the desk: what each router was asked last, and who asked.

Rule: the newest question of a router takes the place of the one before.
"""

from titik_collector.alerts.desk_facts import AskedQuestion
from titik_collector.store.database import Database, upsert

_KEY, _VALUES = ("router",), ("id", "actor", "at_ms")
_COLUMNS = ", ".join((*_KEY, *_VALUES))


def put(db: Database, one: AskedQuestion) -> None:
    """Part of the caller's transaction."""
    db.execute(upsert("question", _KEY, _VALUES), one)


def of_router(db: Database, router: str) -> AskedQuestion | None:
    """None: nobody ever asked it."""
    sql = f"SELECT {_COLUMNS} FROM question WHERE router = ?"
    row = db.execute(sql, (router,)).fetchone()
    return None if row is None else AskedQuestion(*row)


def since(db: Database, from_ms: int) -> list[AskedQuestion]:
    """Those that were asked then or later, the oldest first."""
    sql = f"SELECT {_COLUMNS} FROM question WHERE at_ms >= ? ORDER BY at_ms, router"
    return [AskedQuestion(*row) for row in db.execute(sql, (from_ms,))]


def forget(db: Database, before_ms: int) -> None:
    """Delete older ones; part of the caller's transaction."""
    db.execute("DELETE FROM question WHERE at_ms < ?", (before_ms,))
