"""Minutes that earlier versions packed, a day in one blob: read, and put back as rows.

Nothing packs now. The collector unpacks what its store has, the newest first, while it works.
This file can be deleted in the version after, with a migration that drops the table `cold`.

Rule: a minute is in `rollup` or in `cold`. A reader asks `cold` first, so it misses none that is
unpacked at the same time.
Rule: nothing that needs a packed minute is computed. What changed waits until `open_from_ms` has
passed it, so a row that is unpacked never meets a newer one.
"""

import json
import logging
import shutil
import time
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from titik_collector.figures.figures import with_means
from titik_collector.figures.table import RATES, Figures
from titik_collector.figures.windows import Span
from titik_collector.store import rollups, settings
from titik_collector.store.database import Database, Row
from titik_collector.store.rollups import RollupRow, Series, WindowKey
from titik_wire.instant import DAY_MS, HOUR_MS, MINUTE_MS

log = logging.getLogger(__name__)

# As they were packed; the last ones lack where the day is older than they are. Rows of routers have
# no means and rates, which follow from their sums.
PACKED = (
    *("start_ms", "revision", "routers", "covered_ms", "up_ms", "observed_ms", "client_ms"),
    *("clients_mean", "clients_min", "clients_max", "active_ms", "active_observed_ms"),
    *("active_mean", "weak_ms", "weak_observed_ms", "wifi_down_bytes", "wifi_up_bytes"),
    *("wifi_known_ms", "uplink_down_bytes", "uplink_up_bytes", "uplink_known_ms"),
    *("wifi_down_peak_bps", "uplink_down_peak_bps", "visitors_min", "visitors_max"),
    *("airtime_busy_ms", "airtime_active_ms", *RATES, "reach_answered", "reach_rounds"),
)
LONGEST_DAY_MS = 25 * HOUR_MS  # of any time zone: a day is computed from its minutes
STEP = 8  # days removed in one transaction
FREE_RATIO = 0.1  # of the disk that unpacking leaves: a day becomes five times as large
PAUSE_S = 3600.0  # before it looks again whether there is room


def edge_ms(db: Database) -> int | None:
    """No minute from then on is packed; None: none is at all, and the table may be gone."""
    return settings.number(db, "packed_before_ms")


def open_from_ms(db: Database) -> int:
    """What is computed from then on needs no packed minute."""
    edge = edge_ms(db)
    return 0 if edge is None else edge + LONGEST_DAY_MS


def windows(db: Database, series: Series, span: Span) -> dict[int, RollupRow]:
    """The windows that begin in a stretch of time, packed or not, by their start."""
    edge = edge_ms(db) if series.window == "1m" else None
    packed: dict[int, RollupRow] = {}
    if edge is not None and span.start_ms < edge:
        for (blob,) in db.execute(
            "SELECT packed FROM cold WHERE scope = ? AND scope_id = ? AND day_ms > ?"
            " AND day_ms < ? ORDER BY day_ms",
            (series.scope, series.scope_id, span.start_ms - DAY_MS, span.end_ms),
        ):
            packed |= {
                start_ms: row
                for start_ms, row in _rows_of(series.scope, blob)
                if span.start_ms <= start_ms < span.end_ms
            }
    return packed | rollups.read(db, series, span)


def columns(db: Database, series: Series, span: Span, names: Sequence[str]) -> list[Row]:
    """As `rollups.columns`, packed or not."""
    if series.window != "1m" or edge_ms(db) is None:
        return rollups.columns(db, series, span, names)
    return [
        (start_ms, row.end_ms, row.revision, *[getattr(row.figures, name) for name in names])
        for start_ms, row in sorted(windows(db, series, span).items())
    ]


def prune(db: Database, before_ms: int) -> bool:
    """Remove days that ended before; True if there is more to do."""
    if edge_ms(db) is None:
        return False
    gone = db.execute(
        "DELETE FROM cold WHERE id IN (SELECT id FROM cold WHERE day_ms <= ? LIMIT ?)",
        (before_ms - DAY_MS, STEP),
    )
    return gone.rowcount == STEP


class Unpacking:
    """The job; it leaves the last of the disk to others."""

    def __init__(self, db: Database, folder: Path) -> None:
        """`folder` is on the disk of the store."""
        self._db = db
        self._folder = folder
        self._next = 0.0
        self.is_over = edge_ms(db) is None
        if self.is_over and db.has_table("cold"):
            with db.transaction():
                db.execute("DROP TABLE cold")
        elif not self.is_over:
            log.info("unpacking minutes of an earlier version, the newest first")

    def due(self, now: float) -> bool:
        """Whether anything is packed, and there was room or the pause is over."""
        return not self.is_over and now >= self._next

    def step(self, budget_s: float) -> bool:
        """At least one day of one router, site or the city; True if there is more to do."""
        began = time.monotonic()
        disk = shutil.disk_usage(self._folder)
        if disk.free < disk.total * FREE_RATIO:
            self._next = began + PAUSE_S
            log.warning("disk is nearly full, minutes of an earlier version stay packed")
            return False
        while not self.is_over:
            self._unpack_newest()
            if time.monotonic() - began >= budget_s:
                break
        return not self.is_over

    def _unpack_newest(self) -> None:
        with self._db.transaction():
            row = self._db.execute(
                "SELECT id, scope, scope_id, day_ms, packed FROM cold"
                # The inner one reads no blob.
                " WHERE id = (SELECT id FROM cold ORDER BY day_ms DESC LIMIT 1)"
            ).fetchone()
            if row is None:
                self._db.execute("DELETE FROM setting WHERE name = 'packed_before_ms'")
            else:
                number, scope, scope_id, day_ms, packed = row
                minutes = [
                    (WindowKey(scope, scope_id, "1m", start_ms), minute)
                    for start_ms, minute in _rows_of(scope, packed)
                ]
                rollups.put(self._db, minutes)
                self._db.execute("DELETE FROM cold WHERE id = ?", (number,))
                settings.change(self._db, "packed_before_ms", day_ms + DAY_MS)
        if row is None:
            self.is_over = True
            log.info("all minutes of an earlier version are unpacked")


def _rows_of(scope: str, packed: bytes) -> Iterator[tuple[int, RollupRow]]:
    try:
        columns = json.loads(zlib.decompress(packed))
    except (zlib.error, ValueError) as error:  # to stop at it would hold up all others
        log.error("packed minutes are damaged, skipped reason=%s", error)
        return
    for column in columns:
        column += [None] * (len(columns[0]) - len(column))
    for start_ms, revision, *values in zip(*columns, strict=True):
        figures = Figures(**dict(zip(PACKED[2:], values, strict=False)))
        if scope == "router":
            figures = with_means(figures)
        yield start_ms, RollupRow(start_ms + MINUTE_MS, revision, figures)
