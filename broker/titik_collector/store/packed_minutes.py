"""Minutes that are two days old, packed by the day: a fifth of the size.

Rule: a minute is in `rollup` or in `cold`, never in both. What computes minutes again unpacks their
days first, in its transaction, so nothing else needs to know of this.
Rule: no minute from `edge` on is cold, so the usual work asks for one setting and nothing more.
"""

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

from titik_collector.figures.figures import with_means
from titik_collector.figures.scope import Scope
from titik_collector.figures.table import MEANS, Figures
from titik_collector.figures.windows import Span
from titik_collector.store import rollups, settings
from titik_collector.store.database import Database
from titik_collector.store.rollups import Place, RollupRow, Series
from titik_wire.instant import DAY_MS, MINUTE_MS

COLD_MS = 2 * DAY_MS  # most of what comes late has come by then
STEP = 1  # days frozen, or let go of, in one transaction: 1440 rows take 30 ms
COLUMNS = ("start_ms", "revision", *Figures._fields)

_ONE = (
    "WITH one (scope, id) AS (SELECT 'router', id FROM router"
    " UNION ALL SELECT 'site', id FROM site UNION ALL SELECT 'city', 0)"
)


def freeze(db: Database, now_ms: int) -> bool:
    """Pack some days; True if there is more to do. In a transaction of the caller's."""
    before_ms = (now_ms - COLD_MS) // DAY_MS * DAY_MS
    oldest = db.execute(
        f"{_ONE} SELECT scope, id, start_ms FROM (SELECT scope, id, (SELECT start_ms FROM rollup"
        "  WHERE rollup.scope = one.scope AND scope_id = id AND window = '1m'"
        "  ORDER BY start_ms LIMIT 1) AS start_ms FROM one) WHERE start_ms < ? LIMIT ?",
        (before_ms, STEP),
    ).fetchall()
    for scope, scope_id, start_ms in oldest:
        _freeze_day(db, scope, scope_id, start_ms // DAY_MS * DAY_MS)
    if oldest:
        settings.change(db, "cold_before_ms", max(before_ms, edge(db)))
    return len(oldest) == STEP


def unpack(db: Database, scope: Scope, ids: Iterable[int], span: Span) -> None:
    """Put the minutes of a stretch, to whole days, back where they can be changed."""
    if span.start_ms >= edge(db):
        return
    for scope_id in ids:
        for day_ms, packed in _days(db, scope, scope_id, span):
            rows = [
                (scope, scope_id, "1m", start_ms, row.end_ms, row.revision, *row.figures)
                for start_ms, row in _rows_of(scope, packed)
            ]
            db.executemany(_INSERT, rows)
            db.execute(
                "DELETE FROM cold WHERE scope = ? AND scope_id = ? AND day_ms = ?",
                (scope, scope_id, day_ms),
            )


def read(db: Database, place: Place, span: Span) -> dict[int, RollupRow]:
    """The packed minutes that begin in a stretch of time, by their start, in order."""
    return {
        start_ms: row
        for _, packed in _days(db, *place, span)
        for start_ms, row in _rows_of(place.scope, packed)
        if span.start_ms <= start_ms < span.end_ms
    }


def windows(db: Database, series: Series, span: Span) -> dict[int, RollupRow]:
    """The windows that begin in a stretch of time, packed or not, by their start."""
    packed = read(db, series.place, span) if series.window == "1m" else {}
    return packed | rollups.read(db, series, span)


def newest(db: Database, place: Place, before_ms: int) -> int | None:
    """The start of the newest packed day that begins before a time."""
    row = db.execute(
        "SELECT max(day_ms) FROM cold WHERE scope = ? AND scope_id = ? AND day_ms < ?",
        (*place, before_ms),
    ).fetchone()
    return None if row[0] is None else int(row[0])


def replace(db: Database, place: Place, day_ms: int, minutes: Mapping[int, RollupRow]) -> None:
    """Pack a day again: its minutes by their start, in order."""
    rows = [(start_ms, row.revision, *row.figures) for start_ms, row in minutes.items()]
    db.execute(
        "UPDATE cold SET packed = ? WHERE scope = ? AND scope_id = ? AND day_ms = ?",
        (_pack(place.scope, rows), *place, day_ms),
    )


def prune(db: Database, before_ms: int) -> bool:
    """Let go of days that began before; True if there is more to do."""
    db.execute(
        f"{_ONE} DELETE FROM cold WHERE id IN (SELECT cold.id FROM one CROSS JOIN cold"
        " ON cold.scope = one.scope AND scope_id = one.id AND day_ms < ? LIMIT ?)",
        (before_ms, STEP),
    )
    # Not rowcount, which Python does not set for a statement that begins with WITH.
    return bool(db.execute("SELECT changes() = ?", (STEP,)).fetchone()[0])


def edge(db: Database) -> int:
    """No minute that begins then or later is cold."""
    return settings.number(db, "cold_before_ms") or 0


def _days(db: Database, scope: Scope, scope_id: int, span: Span) -> list[tuple[int, bytes]]:
    return db.execute(
        "SELECT day_ms, packed FROM cold"
        " WHERE scope = ? AND scope_id = ? AND day_ms > ? AND day_ms < ? ORDER BY day_ms",
        (scope, scope_id, span.start_ms - DAY_MS, span.end_ms),
    ).fetchall()


def _freeze_day(db: Database, scope: Scope, scope_id: int, day_ms: int) -> None:
    minutes = (
        "FROM rollup WHERE scope = ? AND scope_id = ? AND window = '1m'"
        " AND start_ms >= ? AND start_ms < ?"
    )
    key = (scope, scope_id, day_ms, day_ms + DAY_MS)
    # A minute may have come after its day was packed.
    unpack(db, scope, (scope_id,), Span(day_ms, day_ms + DAY_MS))
    rows = db.execute(f"SELECT {', '.join(COLUMNS)} {minutes} ORDER BY start_ms", key).fetchall()
    db.execute(f"DELETE {minutes}", key)
    db.execute(
        "INSERT INTO cold (scope, scope_id, day_ms, packed) VALUES (?, ?, ?, ?)",
        (scope, scope_id, day_ms, _pack(scope, rows)),
    )


def _pack(scope: Scope, rows: Sequence[tuple[float | None, ...]]) -> bytes:
    """Column by column, because values of one are alike; `json` gives floats back exactly."""
    columns = [list(column) for column in zip(*rows, strict=True)]
    if scope == "router":  # its means and rates follow from its sums
        for name in MEANS:
            columns[COLUMNS.index(name)] = []
    return zlib.compress(json.dumps(columns, separators=(",", ":")).encode(), 9)


def _rows_of(scope: Scope, packed: bytes) -> Iterator[tuple[int, RollupRow]]:
    """Start and row of each; days that an older version packed lack the newest columns."""
    columns = json.loads(zlib.decompress(packed))
    for column in columns:
        column += [None] * (len(columns[0]) - len(column))
    for start_ms, revision, *values in zip(*columns, strict=True):
        figures = Figures(*values)
        if scope == "router":
            figures = with_means(figures)
        yield start_ms, RollupRow(start_ms + MINUTE_MS, revision, figures)


_INSERT = (
    f"INSERT INTO rollup (scope, scope_id, window, start_ms, end_ms, revision,"
    f" {', '.join(Figures._fields)}) VALUES ({', '.join('?' * (len(COLUMNS) + 4))})"
)
