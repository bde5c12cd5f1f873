"""Rollups as files for other programs: a stream of flat records, with the contract's field names.

Rule: one subject and at most `CHUNK` windows are in memory at a time, whatever is asked for.
Rule: what is absent is an empty cell in CSV and no field in JSON, never a zero.
Rule: where the past is simulated, each record of it has `simulated`; a real city lacks the column.
"""

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import IO
from zoneinfo import ZoneInfo

from titik_collector.figures.windows import Calendar, Span, Window
from titik_collector.queries import history
from titik_collector.queries.history import WINDOW_MS, Subject
from titik_collector.store import simulated
from titik_collector.store.database import Database
from titik_collector.wording import when
from titik_wire.city_messages import Rollup

CHUNK = 1500  # windows: a day of minutes
NAMES = tuple(field.name for field in fields(Rollup))
SIMULATED = "simulated"
Record = dict[str, str | int | float | None]


def chunks(window: Window, span: Span) -> list[Span]:
    """The span in parts that are read at once."""
    step = CHUNK * WINDOW_MS[window]
    return [
        Span(at_ms, min(at_ms + step, span.end_ms))
        for at_ms in range(span.start_ms, span.end_ms, step)
    ]


def records(
    db: Database,
    subject: Subject,
    window: Window,
    span: Span,
    calendar: Calendar,
    zone: ZoneInfo | None,
) -> Iterator[Record]:
    """The windows that begin in the span and have a known figure."""
    made_up = simulated.span(db)
    for point in history.read(db, subject, window, span, calendar):
        rollup = point.rollup()
        if rollup is not None and point.span.start_ms >= span.start_ms:
            record: Record = {name: getattr(rollup, name) for name in NAMES}
            record["window_start"] = when.iso(point.span.start_ms, zone)
            if simulated.touches(made_up, point.span):
                record[SIMULATED] = True
            yield record


def names(db: Database) -> Sequence[str]:
    """The columns of an export of this store."""
    return NAMES if simulated.span(db) is None else (*NAMES, SIMULATED)


class Csv:
    """With a line of names, also when there is no record."""

    def __init__(self, file: IO[str], names: Sequence[str] = NAMES) -> None:
        self._writer = csv.DictWriter(file, names, lineterminator="\n")
        self._writer.writeheader()

    def write(self, rows: Sequence[Record]) -> None:
        """Absent is empty."""
        self._writer.writerows(rows)


class Jsonl:
    """One object a line."""

    def __init__(self, file: IO[str], _names: Sequence[str] = NAMES) -> None:
        self._file = file

    def write(self, rows: Sequence[Record]) -> None:
        """Absent is left out."""
        for row in rows:
            known = {name: value for name, value in row.items() if value is not None}
            self._file.write(json.dumps(known, ensure_ascii=False, separators=(",", ":")) + "\n")
