"""Minutes packed by the day, as versions before schema 19 did with those of two days ago."""

import json
import sqlite3
import zlib
from itertools import groupby

from titik_collector.figures.table import MEANS
from titik_collector.store.packed_minutes import PACKED
from titik_collector.store.sqlite import SqliteDatabase
from titik_wire.instant import DAY_MS

FOLLOWING = {*MEANS}


def pack(
    db: SqliteDatabase | sqlite3.Connection,
    before_ms: int = 2**60,
    edge: str = "packed_before_ms",
    columns: tuple[str, ...] = PACKED,
) -> int:
    """Pack every day that ends by then; how many. `edge` is the setting's name in that schema."""
    length = "length" if edge == "packed_before_ms" else "window"  # the column's name
    minutes = db.execute(
        f"SELECT scope, scope_id, {', '.join(columns)} FROM rollup"
        f" WHERE {length} = '1m'"
        " ORDER BY scope, scope_id, start_ms"
    ).fetchall()
    found = 0
    for (scope, scope_id, day), group in groupby(
        minutes, lambda row: (row[0], row[1], row[2] // DAY_MS)
    ):
        day_ms = day * DAY_MS
        if day_ms + DAY_MS > before_ms:
            continue
        found += 1
        cells = [list(column) for column in zip(*(row[2:] for row in group), strict=True)]
        if scope == "router":
            cells = [
                [] if name in FOLLOWING else cell for name, cell in zip(columns, cells, strict=True)
            ]
        db.execute(
            "INSERT INTO cold (scope, scope_id, day_ms, packed) VALUES (?, ?, ?, ?)",
            (scope, scope_id, day_ms, zlib.compress(json.dumps(cells).encode())),
        )
        db.execute(
            f"DELETE FROM rollup WHERE scope = ? AND scope_id = ? AND {length} = '1m'"
            " AND start_ms >= ? AND start_ms < ?",
            (scope, scope_id, day_ms, day_ms + DAY_MS),
        )
    if found:
        db.execute(
            "INSERT OR REPLACE INTO setting SELECT ?, max(day_ms) + ? FROM cold", (edge, DAY_MS)
        )
    return found
