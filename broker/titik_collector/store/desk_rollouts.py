"""Table `rollout` of the desk: upgrades of routers in waves, as people ordered them.

Rule: a row is added; only its state changes, and how often somebody let it go on.
"""

from titik_collector.alerts.desk_facts import OrderState, RolloutOrder
from titik_collector.store.database import Database, insert

_WRITTEN = ("version", "scope", "name", "canaries", "percent", "actor", "at_ms", "state", "resumes")
_READ = ", ".join(("number", *_WRITTEN))


def add(db: Database, one: RolloutOrder) -> int:
    """Its number, whichever it came with; part of the caller's transaction."""
    sql = f"{insert('rollout', _WRITTEN)} RETURNING number"
    return int(db.execute(sql, one[1:])[0][0])


def newest(db: Database) -> RolloutOrder | None:
    """The one that counts; None: there never was one."""
    sql = f"SELECT {_READ} FROM rollout ORDER BY number DESC LIMIT 1"
    row = db.execute(sql).fetchone()
    return None if row is None else RolloutOrder(*row)


def set_state(db: Database, number: int, state: OrderState, resumes: int) -> None:
    """Part of the caller's transaction."""
    db.execute(
        "UPDATE rollout SET state = ?, resumes = ? WHERE number = ?", (state, resumes, number)
    )
