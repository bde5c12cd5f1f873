"""When rows were written, by the server's clock: moved where that was wrong.

Rule: what two rows of a key would share stays as it is: better a wrong stamp than a lost row.
"""

from typing import NamedTuple

from titik_collector.limits import MAX_RESTAMPED
from titik_collector.store.database import Database

# Tables and the columns that hold when something happened.
STAMPS = (
    ("presence", ("since_ms", "heard_ms")),
    ("outage", ("from_ms", "to_ms")),
    ("server_outage", ("from_ms", "to_ms")),
    ("namesake", ("from_ms", "last_ms")),
    ("membership", ("from_ms",)),
    ("site_fact", ("from_ms",)),
    ("router", ("registered_ms",)),
    ("open_run", ("touched_ms",)),
    ("knock", ("first_ms", "last_ms")),
    ("quarantine", ("arrived_ms",)),
)
# What `from_ms` is unique within, where that is no router.
OWNERS = {"server_outage": "0", "site_fact": "name || site_id"}


class MovedArrival(NamedTuple):
    """A sample that arrived at another time than was written."""

    router_id: int
    boot_id: int
    run_id: int
    seq: int
    uptime_ms: int


def move(db: Database, since_ms: int, by_ms: int, now_ms: int) -> None:
    """Move all stamps since then, but those of samples; none is later than `now_ms` after it."""
    for table, columns in STAMPS:
        for column in columns:
            if column == "from_ms":
                _move_keys(db, table, since_ms, by_ms, now_ms)
                continue
            db.execute(
                f"UPDATE {table} SET {column} = CASE WHEN {column} + :by < :now"
                f" THEN {column} + :by ELSE :now END WHERE {column} >= :since",
                {"by": by_ms, "now": now_ms, "since": since_ms},
            )


def _move_keys(db: Database, table: str, since_ms: int, by_ms: int, now_ms: int) -> None:
    """Row by row, the first one first into a place that is free."""
    owner = OWNERS.get(table, "router_id")
    rows = db.execute(
        f"SELECT {owner}, from_ms FROM {table} WHERE from_ms >= ?"
        f" ORDER BY from_ms {'DESC' if by_ms > 0 else 'ASC'}",
        (since_ms,),
    )
    for of, from_ms in rows:
        db.execute(
            f"UPDATE {table} SET from_ms = :to WHERE {owner} = :owner AND from_ms = :at"
            f" AND NOT EXISTS (SELECT 1 FROM {table} AS other WHERE other.from_ms = :to"
            f" AND {owner} = :owner)",
            {"owner": of, "at": from_ms, "to": min(from_ms + by_ms, now_ms)},
        )


def move_arrivals(db: Database, since_ms: int, by_ms: int) -> list[MovedArrival]:
    """Move the arrivals of samples since then; the newest messages are of that time."""
    keys = []
    for number, run_id, seq, arrived_ms in db.execute(
        "SELECT id, run_id, seq, arrived_ms FROM body ORDER BY id DESC LIMIT ?", (MAX_RESTAMPED,)
    ):
        if arrived_ms < since_ms:
            break
        keys.append((number, run_id, seq))
    db.executemany(
        "UPDATE body SET arrived_ms = arrived_ms + ? WHERE id = ?",
        [(by_ms, number) for number, _, _ in keys],
    )
    return [one for _, run_id, seq in keys for one in _move_arrival(db, run_id, seq, by_ms)]


def mend(db: Database, now_ms: int) -> None:
    """No router was heard in the future; a store may hold that if a wrong clock ran before."""
    db.execute("UPDATE presence SET heard_ms = ? WHERE heard_ms > ?", (now_ms, now_ms))
    db.execute("UPDATE presence SET since_ms = ? WHERE since_ms > ?", (now_ms, now_ms))


def _move_arrival(db: Database, run_id: int, seq: int, by_ms: int) -> list[MovedArrival]:
    """The sample of a message; none if the sample is gone."""
    rows = db.execute(
        "UPDATE sample SET arrived_ms = arrived_ms + ? WHERE run_id = ? AND seq = ?"
        " RETURNING router_id, boot_id, run_id, seq, uptime_ms",
        (by_ms, run_id, seq),
    ).fetchall()
    return [MovedArrival(*row) for row in rows]
