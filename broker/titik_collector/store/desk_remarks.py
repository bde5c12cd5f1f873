"""Table `remark` of the desk: what people wrote about incidents."""

from typing import NamedTuple

from titik_collector.store.database import Database, insert


class Remark(NamedTuple):
    """What somebody wrote about an incident."""

    incident: int
    actor: str
    at_ms: int
    text: str
    is_public: bool = False


_COLUMNS = ", ".join(Remark._fields)


def add(db: Database, remark: Remark) -> None:
    """Part of the caller's transaction."""
    db.execute(insert("remark", Remark._fields), (*remark[:-1], int(remark.is_public)))


def of_incident(db: Database, incident: int) -> list[Remark]:
    """All of them, the oldest first."""
    sql = f"SELECT {_COLUMNS} FROM remark WHERE incident = ? ORDER BY number"
    return [_row(*row) for row in db.execute(sql, (incident,))]


def _row(incident: int, actor: str, at_ms: int, text: str, is_public: int) -> Remark:
    return Remark(incident, actor, at_ms, text, bool(is_public))
