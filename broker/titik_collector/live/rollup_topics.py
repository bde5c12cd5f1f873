"""Finished windows told to engineers, the newest of each retained.

Rule: a window is told a little after it ended, so that its last samples are in it. While rollups
are being computed sites and the city wait: they would be of some of their routers only.
Rule: late revisions are told for hours and days only, not retained, so that a backfill is no flood.
Rule: after each connect the newest are told again, while nothing else comes. Nobody says what the
broker still has, nor what was lost with the link: QoS 0 has no acknowledgement to keep news for.
"""

from collections.abc import Iterator

from titik_collector.figures.scope import Scope
from titik_collector.figures.windows import Window
from titik_collector.rollups import worker
from titik_collector.store.database import Database
from titik_wire import topics
from titik_wire.messages import Rollup

GRACE_MS = 10_000
LONG_GRACE_MS = 60_000  # an hour's last minute is computed 40 s after it ended
GRACES: dict[Window, int] = {"1m": GRACE_MS, "1h": LONG_GRACE_MS, "1d": LONG_GRACE_MS}
MAX_AT_ONCE = 200


def take(
    db: Database, city: str, now_ms: int, sums: bool = True
) -> tuple[list[tuple[str, Rollup, bool]], bool]:
    """Topic, message and whether to retain it, of what is due; True if there is more of it.

    `sums`: of sites and the city too. In a transaction of the caller's.
    """
    due = db.execute(
        "SELECT n.scope, n.scope_id, n.window, n.start_ms, r.end_ms FROM rollup_news AS n"
        # Without a rollup: it was packed or pruned while the collector was down.
        " LEFT JOIN rollup AS r USING (scope, scope_id, window, start_ms)"
        # Each router has an hour and a day that go on; most are told apart without their rollups.
        " WHERE n.start_ms + CASE n.window WHEN '1m' THEN 60000 WHEN '1h' THEN 3600000"
        "  ELSE 82800000 END <= ?"
        " AND (r.end_ms IS NULL OR r.end_ms <= CASE n.window WHEN '1m' THEN ? ELSE ? END)"
        " AND (n.scope = 'router' OR ?)"
        " ORDER BY n.start_ms LIMIT ?",
        (now_ms - GRACE_MS, now_ms - GRACE_MS, now_ms - LONG_GRACE_MS, sums, MAX_AT_ONCE),
    ).fetchall()
    told = []
    for row in due:
        key = row[:4]
        db.execute(
            "DELETE FROM rollup_news"
            " WHERE scope = ? AND scope_id = ? AND window = ? AND start_ms = ?",
            key,
        )
        if row[4] is None:
            continue
        newest = _is_newest(db, key, now_ms)
        name = _name(db, key[0], key[1], city)
        if name is None or (not newest and key[2] == "1m"):
            continue
        message = worker.to_message(db, key, name)
        told.append((topics.rollup(message.window, message.scope, message.name), message, newest))
    return told, len(due) == MAX_AT_ONCE


def newest(
    db: Database, scope: Scope, scope_id: int, name: str, now_ms: int
) -> Iterator[tuple[str, Rollup]]:
    """Topic and message, to be retained, of the newest window of each length that is over."""
    for window, grace_ms in GRACES.items():
        row = db.execute(
            "SELECT start_ms FROM rollup WHERE scope = ? AND scope_id = ? AND window = ?"
            " AND end_ms <= ? ORDER BY start_ms DESC LIMIT 1",
            (scope, scope_id, window, now_ms - grace_ms),
        ).fetchone()
        if row is not None:
            message = worker.to_message(db, (scope, scope_id, window, row[0]), name)
            yield topics.rollup(message.window, message.scope, message.name), message


def _is_newest(db: Database, key: tuple[str, int, str, int], now_ms: int) -> bool:
    later = db.execute(
        "SELECT 1 FROM rollup WHERE scope = ? AND scope_id = ? AND window = ? AND start_ms > ?"
        " AND end_ms <= ? LIMIT 1",
        (*key, now_ms - GRACE_MS),
    ).fetchone()
    return later is None


def _name(db: Database, scope: str, scope_id: int, city: str) -> str | None:
    """The name, None for what is not registered any more."""
    if scope == "city":
        return city
    table = "router" if scope == "router" else "site"
    row = db.execute(
        f"SELECT name FROM {table} WHERE id = ? AND registered = 1", (scope_id,)
    ).fetchone()
    return str(row[0]) if row else None
