"""Table `remark` of the desk: what people wrote about incidents."""

from typing import NamedTuple

from titik_collector.store.database import Database, insert


class Remark(NamedTuple):
    """What somebody wrote about an incident."""

    incident: int
    actor: str
    at_ms: int
    text: str


_COLUMNS = ", ".join(Remark._fields)


def add(db: Database, remark: Remark) -> None:
    """Part of the caller's transaction; no remark is public, whatever older ones have there."""
    db.execute(insert("remark", (*Remark._fields, "is_public")), (*remark, 0))


def of_incident(db: Database, incident: int) -> list[Remark]:
    """All of them, the oldest first."""
    sql = f"SELECT {_COLUMNS} FROM remark WHERE incident = ? ORDER BY number"
    return [Remark(*row) for row in db.execute(sql, (incident,))]
