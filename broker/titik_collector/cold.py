"""Minutes that are two days old, packed by the hour: a tenth of the size.

Rule: a minute is in `rollup` or in `cold`, never in both. What computes minutes again thaws their
hours first, in its transaction, so nothing else needs to know of this.
Rule: no minute from `edge` on is cold, so the usual work asks for one setting and nothing more.
"""

import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator

from titik_collector.figures import Figures
from titik_collector.sums import Scope
from titik_collector.windows import HOUR_MS, MINUTE_MS, Span

COLD_MS = 2 * 24 * HOUR_MS  # most of what comes late has come by then
STEP = 8  # hours frozen, or let go of, in one transaction
COLUMNS = ("start_ms", "revision", *Figures._fields)

_ONE = (
    "WITH one (scope, id) AS (SELECT 'router', id FROM router"
    " UNION ALL SELECT 'site', id FROM site UNION ALL SELECT 'city', 0)"
)


def freeze(db: sqlite3.Connection, now_ms: int) -> bool:
    """Pack some hours; True if there is more to do. In a transaction of the caller's."""
    before_ms = (now_ms - COLD_MS) // HOUR_MS * HOUR_MS
    oldest = db.execute(
        f"{_ONE} SELECT scope, id, start_ms FROM (SELECT scope, id, (SELECT start_ms FROM rollup"
        "  WHERE rollup.scope = one.scope AND scope_id = id AND window = '1m'"
        "  ORDER BY start_ms LIMIT 1) AS start_ms FROM one) WHERE start_ms < ? LIMIT ?",
        (before_ms, STEP),
    ).fetchall()
    for scope, scope_id, start_ms in oldest:
        _freeze_hour(db, scope, scope_id, start_ms // HOUR_MS * HOUR_MS)
    if oldest:
        db.execute(
            "INSERT INTO setting VALUES ('cold_before_ms', ?) ON CONFLICT (name) DO UPDATE"
            " SET value = excluded.value"
            " WHERE CAST(value AS INTEGER) < CAST(excluded.value AS INTEGER)",
            (str(before_ms),),
        )
    return len(oldest) == STEP


def thaw(db: sqlite3.Connection, scope: Scope, ids: Iterable[int], span: Span) -> None:
    """Put the minutes of a stretch, to whole hours, back where they can be changed."""
    if span.start_ms >= edge(db):
        return
    for scope_id in ids:
        for hour_ms, packed in _hours(db, scope, scope_id, span):
            rows = [
                (scope, scope_id, "1m", row[0], row[0] + MINUTE_MS, *row[1:])
                for row in _unpack(packed)
            ]
            db.executemany(_INSERT, rows)
            db.execute(
                "DELETE FROM cold WHERE scope = ? AND scope_id = ? AND hour_ms = ?",
                (scope, scope_id, hour_ms),
            )


def read(
    db: sqlite3.Connection, scope: Scope, scope_id: int, span: Span
) -> Iterator[tuple[int, int, Figures]]:
    """Start, revision and figures of the cold minutes that begin in a stretch, in order."""
    for _, packed in _hours(db, scope, scope_id, span):
        for start_ms, revision, *figures in _unpack(packed):
            if span.start_ms <= start_ms < span.end_ms:
                yield start_ms, revision, Figures._make(figures)


def prune(db: sqlite3.Connection, before_ms: int) -> bool:
    """Let go of hours that began before; True if there is more to do."""
    return (
        db.execute(
            f"{_ONE} DELETE FROM cold WHERE (scope, scope_id, hour_ms) IN"
            " (SELECT cold.scope, scope_id, hour_ms FROM one CROSS JOIN cold"
            "  ON cold.scope = one.scope AND scope_id = one.id AND hour_ms < ? LIMIT ?)",
            (before_ms, STEP),
        ).rowcount
        == STEP
    )


def edge(db: sqlite3.Connection) -> int:
    """No minute that begins then or later is cold."""
    found = db.execute(
        "SELECT CAST(value AS INTEGER) FROM setting WHERE name = 'cold_before_ms'"
    ).fetchone()
    return int(found[0]) if found else 0


def _hours(
    db: sqlite3.Connection, scope: Scope, scope_id: int, span: Span
) -> list[tuple[int, bytes]]:
    return db.execute(
        "SELECT hour_ms, packed FROM cold"
        " WHERE scope = ? AND scope_id = ? AND hour_ms > ? AND hour_ms < ? ORDER BY hour_ms",
        (scope, scope_id, span.start_ms - HOUR_MS, span.end_ms),
    ).fetchall()


def _freeze_hour(db: sqlite3.Connection, scope: Scope, scope_id: int, hour_ms: int) -> None:
    minutes = (
        "FROM rollup WHERE scope = ? AND scope_id = ? AND window = '1m'"
        " AND start_ms >= ? AND start_ms < ?"
    )
    key = (scope, scope_id, hour_ms, hour_ms + HOUR_MS)
    # A minute may have come after its hour was packed.
    thaw(db, scope, (scope_id,), Span(hour_ms, hour_ms + HOUR_MS))
    rows = db.execute(f"SELECT {', '.join(COLUMNS)} {minutes} ORDER BY start_ms", key).fetchall()
    db.execute(f"DELETE {minutes}", key)
    db.execute("INSERT INTO cold VALUES (?, ?, ?, ?)", (scope, scope_id, hour_ms, _pack(rows)))


def _pack(rows: list[tuple[float | None, ...]]) -> bytes:
    """Column by column, because values of one are alike; `json` gives floats back exactly."""
    columns = [list(column) for column in zip(*rows, strict=True)]
    return zlib.compress(json.dumps(columns, separators=(",", ":")).encode(), 9)


def _unpack(packed: bytes) -> list[tuple[int, ...]]:
    return list(zip(*json.loads(zlib.decompress(packed)), strict=True))


_INSERT = (
    f"INSERT INTO rollup (scope, scope_id, window, start_ms, end_ms, revision,"
    f" {', '.join(Figures._fields)}) VALUES ({', '.join('?' * (len(COLUMNS) + 4))})"
)
