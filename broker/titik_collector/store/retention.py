"""Deletes what is older than it is kept, in small steps; settled seqs stay for ever.

Rule: rollups are sealed before their samples are pruned. So a window is never computed again from
half of its samples or minutes. What arrives for a sealed window is accounted, not drawn.
Rule: `now_ms` may go back, and the seal with it, but not behind what was pruned.
Rule: the tables are asked router by router (CROSS JOIN keeps that order), never read whole.
"""

from typing import NamedTuple

from titik_collector.store import outbox_rows, packed_minutes, settings, unknown_routers
from titik_collector.store.database import Database
from titik_wire.instant import DAY_MS, HOUR_MS

STEP = 500  # rows per transaction: a few milliseconds


class Days(NamedTuple):
    """How long what is kept."""

    messages: int  # as received
    samples: int  # their figures
    minutes: int


def prune(db: Database, now_ms: int, keep: Days) -> bool:
    """One step, in a transaction of the caller's; True if there is more to do."""
    sealed_ms = (now_ms - keep.samples * DAY_MS) // DAY_MS * DAY_MS
    sealed_ms = max(sealed_ms, settings.number(db, "pruned_before_ms") or 0)
    settings.change(db, "sealed_before_ms", sealed_ms)
    # What is not sealed may be computed again, from all of its minutes. By the hour, because rows
    # that lie together cost a seventh of what single ones do.
    minutes_ms = min(sealed_ms, (now_ms - keep.minutes * DAY_MS) // HOUR_MS * HOUR_MS)
    unknown_routers.prune(db, now_ms)
    # A day more, because a bucket just behind the seal needs the samples before it.
    more = _prune_samples(db, sealed_ms - DAY_MS)
    more = _prune_bodies(db, now_ms - keep.messages * DAY_MS) or more
    more = _prune_minutes(db, minutes_ms) or more
    more = outbox_rows.prune(db, now_ms) or more
    return packed_minutes.prune(db, minutes_ms) or more


def _prune_minutes(db: Database, before_ms: int) -> bool:
    gone = db.execute(
        # Not WITH, behind which Python does not set rowcount.
        "DELETE FROM rollup WHERE (scope, scope_id, length, start_ms) IN"
        " (SELECT rollup.scope, scope_id, length, start_ms"
        "  FROM (SELECT 'router' AS scope, id FROM router"
        "   UNION ALL SELECT 'site', id FROM site UNION ALL SELECT 'city', 0) AS one"
        "  CROSS JOIN rollup WHERE rollup.scope = one.scope AND scope_id = one.id"
        "  AND length = '1m' AND start_ms < ? LIMIT ?)",
        (before_ms, STEP),
    )
    return gone.rowcount == STEP


def _prune_samples(db: Database, before_ms: int) -> bool:
    rows = db.execute(
        "SELECT sample.run_id, sample.seq, sample.at_ms FROM router"
        " CROSS JOIN sample WHERE sample.router_id = router.id AND sample.at_ms < ? LIMIT ?",
        (before_ms, STEP),
    ).fetchall()
    keys = [(run_id, seq) for run_id, seq, _ in rows]
    db.executemany("DELETE FROM body WHERE run_id = ? AND seq = ?", keys)
    db.executemany("DELETE FROM sample WHERE run_id = ? AND seq = ?", keys)
    if rows:
        newest_ms = max(at_ms for _, _, at_ms in rows)
        # The seal that this was pruned behind.
        behind_ms = (newest_ms // DAY_MS + 2) * DAY_MS
        settings.change(
            db, "pruned_before_ms", max(behind_ms, settings.number(db, "pruned_before_ms") or 0)
        )
    return len(rows) == STEP


def _prune_bodies(db: Database, before_ms: int) -> bool:
    """The messages that arrived before; they are in order of arrival."""
    rows = db.execute(
        "SELECT id, arrived_ms FROM body WHERE id < (SELECT min(id) FROM body) + ?", (STEP,)
    ).fetchall()
    old = [(number,) for number, arrived_ms in rows if arrived_ms < before_ms]
    db.executemany("DELETE FROM body WHERE id = ?", old)
    return bool(old) and len(old) == len(rows)
