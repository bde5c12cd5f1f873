"""Rollups in InfluxDB's line protocol: a line for each window, with the contract's names.

Rule: what is absent is no field. What a window is of are tags, all else are fields.
Rule: a count has the suffix `i` and a share a decimal point, always: the first line of a field
fixes its type in the database.
Rule: a window's time is its first instant, in milliseconds since 1970, whatever zone it is of.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import IO, get_args, get_type_hints

from titik_collector.queries.export import NAMES, Record
from titik_wire.city_messages import Rollup

MEASUREMENT = "titik_rollup"
TAGS = ("scope", "name", "window")
START = "window_start"
_REAL = {name for name, kind in get_type_hints(Rollup).items() if float in (kind, *get_args(kind))}
_ESCAPED = re.compile(r"[,= ]")  # in a tag; names of the contract have none of them


class Influx:
    """Milliseconds, so it is written with `precision=ms`."""

    def __init__(self, file: IO[str], names: Sequence[str] = NAMES) -> None:
        self._file = file
        self._fields = [one for one in names if one not in (*TAGS, START)]

    def write(self, rows: Sequence[Record]) -> None:
        """Each in a line of its own."""
        self._file.writelines(self._line(row) for row in rows)

    def _line(self, row: Record) -> str:
        tags = "".join(f",{name}={escaped(str(row[name]))}" for name in TAGS)
        known = [(name, value) for name in self._fields if (value := row.get(name)) is not None]
        fields = ",".join(f"{name}={_value(name, value)}" for name, value in known)
        at_ms = round(datetime.fromisoformat(str(row[START])).timestamp() * 1000)
        return f"{MEASUREMENT}{tags} {fields} {at_ms}\n"


def escaped(tag: str) -> str:
    """A tag's value, with a backslash before what would end it."""
    return _ESCAPED.sub(lambda found: "\\" + found[0], tag)


def _value(name: str, value: str | float) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(float(value)) if name in _REAL else f"{value}i"
