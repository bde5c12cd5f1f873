"""Table `acknowledgement` of the desk: who handles which incident, and until when."""

from titik_collector.alerts.desk_facts import Acknowledgement
from titik_collector.store.database import Database, insert

_COLUMNS = ", ".join(Acknowledgement._fields)


def add(db: Database, ack: Acknowledgement) -> None:
    """Part of the caller's transaction."""
    db.execute(insert("acknowledgement", Acknowledgement._fields), ack)


def of_incident(db: Database, incident: int) -> list[Acknowledgement]:
    """All of them, the oldest first."""
    sql = f"SELECT {_COLUMNS} FROM acknowledgement WHERE incident = ? ORDER BY number"
    return [Acknowledgement(*row) for row in db.execute(sql, (incident,))]


def not_over(db: Database, now_ms: int) -> list[Acknowledgement]:
    """The newest of each incident, if it has not ended."""
    rows = db.execute(
        f"SELECT {_COLUMNS} FROM acknowledgement WHERE until_ms > ? ORDER BY number", (now_ms,)
    )
    newest = {ack.incident: ack for ack in (Acknowledgement(*row) for row in rows)}
    return list(newest.values())
