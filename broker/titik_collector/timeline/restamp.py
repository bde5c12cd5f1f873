"""Moves what was stamped while the server's clock was wrong, once the time is known.

Rule: the uptime went on while the clock was wrong, so all stamps since then are wrong by the same.
Rule: arrivals say where samples without a clock belong, so their boots are placed anew.
"""

from titik_collector.store.database import Database
from titik_collector.timeline import boot_times
from titik_collector.timeline.boot_times import Change
from titik_collector.timeline.server_clock import Jump

# Tables and the columns that hold when something happened. What two rows of a key would share
# stays as it is: better a wrong stamp than a lost row.
STAMPS = (
    ("presence", ("since_ms", "heard_ms")),
    ("outage", ("from_ms", "to_ms")),
    ("server_outage", ("from_ms", "to_ms")),
    ("namesake", ("from_ms", "last_ms")),
    ("membership", ("from_ms",)),
    ("router", ("registered_ms",)),
    ("open_run", ("touched_ms",)),
    ("knock", ("first_ms", "last_ms")),
    ("quarantine", ("arrived_ms",)),
)
MAX_SAMPLES = 100_000  # newest; more come only where no router has a clock for days


def move(db: Database, jump: Jump, now_ms: int) -> None:
    """Everything stamped since `jump.since_ms`; in a transaction of the caller's.

    `now_ms` is the time after the jump; no stamp is later.
    """
    for table, columns in STAMPS:
        for column in columns:
            db.execute(
                f"UPDATE OR IGNORE {table} SET {column} = min({column} + ?, ?) WHERE {column} >= ?",
                (jump.by_ms, now_ms, jump.since_ms),
            )
    moved = _move_samples(db, jump)
    # When their boots began is learnt again, from arrivals by the right clock.
    boots = sorted({one.boot_id for one in moved})
    db.executemany("UPDATE boot SET prompt_ms = NULL WHERE id = ?", [(one,) for one in boots])
    boot_times.settle_times(db, moved)


def mend(db: Database, now_ms: int) -> None:
    """No router was heard in the future; a store may say so that met a wrong clock before."""
    db.execute("UPDATE presence SET heard_ms = ? WHERE heard_ms > ?", (now_ms, now_ms))
    db.execute("UPDATE presence SET since_ms = ? WHERE since_ms > ?", (now_ms, now_ms))


def _move_samples(db: Database, jump: Jump) -> list[Change]:
    """The newest messages are of that time."""
    keys = []
    for number, run_id, seq, arrived_ms in db.execute(
        "SELECT id, run_id, seq, arrived_ms FROM body ORDER BY id DESC LIMIT ?", (MAX_SAMPLES,)
    ):
        if arrived_ms < jump.since_ms:
            break
        keys.append((number, run_id, seq))
    db.executemany(
        "UPDATE body SET arrived_ms = arrived_ms + ? WHERE id = ?",
        [(jump.by_ms, number) for number, _, _ in keys],
    )
    moved = []
    for _, run_id, seq in keys:
        for router_id, boot_id, uptime_ms in db.execute(
            "UPDATE sample SET arrived_ms = arrived_ms + ? WHERE run_id = ? AND seq = ?"
            " RETURNING router_id, boot_id, uptime_ms",
            (jump.by_ms, run_id, seq),
        ).fetchall():
            moved.append(Change(router_id, boot_id, run_id, seq, uptime_ms, "restamped", None))
    return moved
