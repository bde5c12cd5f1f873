"""Finished windows told to engineers, the newest of each retained.

Rule: a window is told a little after it ended, so that its last samples are in it.
Rule: late revisions are told for hours and days only, not retained, so that a backfill is no flood.
Rule: on each connect the newest are news again. Nobody says what the broker still has, nor what was
lost with the link: QoS 0 has no acknowledgement for which news could be kept.
"""

import sqlite3

from titik_collector import rollup
from titik_wire import topics
from titik_wire.messages import Rollup

GRACE_MS = 10_000
LONG_GRACE_MS = 60_000  # an hour's last minute is computed 40 s after it ended
MAX_AT_ONCE = 200


def take(
    db: sqlite3.Connection, city: str, now_ms: int
) -> tuple[list[tuple[str, Rollup, bool]], bool]:
    """Topic, message and whether to retain it, of what is due; True if there is more of it.

    In a transaction of the caller's.
    """
    due = db.execute(
        "SELECT n.scope, n.scope_id, n.window, n.start_ms, r.end_ms FROM rollup_news AS n"
        # Without a rollup: it was packed or pruned while the collector was down.
        " LEFT JOIN rollup AS r USING (scope, scope_id, window, start_ms)"
        " WHERE r.end_ms IS NULL OR r.end_ms <= CASE n.window WHEN '1m' THEN ? ELSE ? END"
        " ORDER BY n.start_ms LIMIT ?",
        (now_ms - GRACE_MS, now_ms - LONG_GRACE_MS, MAX_AT_ONCE),
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
        message = rollup.to_message(db, key, name)
        told.append((topics.rollup(message.window, message.scope, message.name), message, newest))
    return told, len(due) == MAX_AT_ONCE


def again(db: sqlite3.Connection, now_ms: int) -> None:
    """Make news of the newest windows that are over; in a transaction of the caller's."""
    db.execute(
        "WITH one (scope, id) AS (SELECT 'router', id FROM router WHERE registered = 1"
        " UNION ALL SELECT 'site', id FROM site WHERE registered = 1 UNION ALL SELECT 'city', 0),"
        " length (window) AS (VALUES ('1m'), ('1h'), ('1d')),"
        " newest AS (SELECT one.scope, id, length.window, (SELECT start_ms FROM rollup AS r"
        "  WHERE r.scope = one.scope AND scope_id = id AND r.window = length.window"
        "  AND end_ms <= ? ORDER BY start_ms DESC LIMIT 1) AS start_ms FROM one, length)"
        " INSERT OR IGNORE INTO rollup_news SELECT * FROM newest WHERE start_ms IS NOT NULL",
        (now_ms - GRACE_MS,),
    )


def _is_newest(db: sqlite3.Connection, key: tuple[str, int, str, int], now_ms: int) -> bool:
    later = db.execute(
        "SELECT 1 FROM rollup WHERE scope = ? AND scope_id = ? AND window = ? AND start_ms > ?"
        " AND end_ms <= ? LIMIT 1",
        (*key, now_ms - GRACE_MS),
    ).fetchone()
    return later is None


def _name(db: sqlite3.Connection, scope: str, scope_id: int, city: str) -> str | None:
    """The name, None for what is not registered any more."""
    if scope == "city":
        return city
    table = "router" if scope == "router" else "site"
    row = db.execute(
        f"SELECT name FROM {table} WHERE id = ? AND registered = 1", (scope_id,)
    ).fetchone()
    return str(row[0]) if row else None
