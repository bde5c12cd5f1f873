"""Moves what was stamped while the server's clock was wrong, once the time is known.

Rule: the uptime went on while the clock was wrong, so all stamps since then are wrong by the same.
Rule: arrivals show where samples without a clock belong, so their boots are placed again.
"""

from titik_collector.store import boot_time, stamps
from titik_collector.store.database import Database
from titik_collector.timeline import boot_times
from titik_collector.timeline.change import Change
from titik_collector.timeline.server_clock import Jump


def move(db: Database, jump: Jump, now_ms: int) -> None:
    """Everything stamped since `jump.since_ms`; in a transaction of the caller's.

    `now_ms` is the time after the jump; no stamp is later.
    """
    stamps.move(db, jump.since_ms, jump.by_ms, now_ms)
    moved = [
        Change(*one, "restamped", None)
        for one in stamps.move_arrivals(db, jump.since_ms, jump.by_ms)
    ]
    # When their boots began is learnt again, from arrivals by the right clock.
    boot_time.forget_prompt_ms(db, sorted({one.boot_id for one in moved}))
    boot_times.place_boots(db, moved)


def mend(db: Database, now_ms: int) -> None:
    """No router was heard in the future; a store may hold that if a wrong clock ran before."""
    stamps.mend(db, now_ms)
