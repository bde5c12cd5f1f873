"""Reads a TOML table into a frozen dataclass: one declaration gives values, errors and docs.

Rule: every key is declared once: a field, its type `Annotated` with a `Setting`, its default.
Rule: an error names the file, the key path, what is wrong and what is allowed.
Rule: an unknown key is an error, because it is a typing error; the nearest known one is named.
"""

import dataclasses
import difflib
import math
import re
from collections.abc import Hashable
from dataclasses import MISSING, dataclass
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast, get_type_hints
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from titik_wire.kinds import SLUG

T = TypeVar("T")
# Where a name is new: to programs one that begins with - is an option. Those that a city has stay.
BEGINS = "begin a name with a letter or a digit"


class ConfigError(Exception):
    """The operator's to mend: which file, which key, what is wrong, what is allowed."""

    def __init__(self, file: Path, path: str, wrong: str, allowed: str) -> None:
        where = f"{file}: {path}: " if path else f"{file}: "
        super().__init__(f"{where}{wrong}; {allowed}")
        self.file = file
        self.path = path


class ValueKind(Protocol):
    """What a key may hold."""

    @property
    def allowed(self) -> str:
        """For people: `a number from 1 to 10`."""
        ...

    def read(self, value: object, base: Path) -> Any:
        """The value as the program holds it; ValueError says what is wrong with it."""
        ...


@dataclass(frozen=True, slots=True)
class Text:
    """Text on one line."""

    max_chars: int = 200

    @property
    def allowed(self) -> str:
        return f"text in quotes, one line of 1 to {self.max_chars} characters"

    def read(self, value: object, base: Path) -> str:  # noqa: ARG002
        if not isinstance(value, str):
            raise ValueError(f"{_shown(value)} is not text")
        if not 1 <= len(value) <= self.max_chars or not value.isprintable():
            raise ValueError(f"{_shown(value)} does not fit")
        return value


@dataclass(frozen=True, slots=True)
class Slug:
    """A name that is part of topics and of URLs."""

    allowed = 'a name in quotes: a-z, 0-9 and -, at most 64 characters, such as "taman-tirosa"'

    def read(self, value: object, base: Path) -> str:  # noqa: ARG002
        if not isinstance(value, str) or re.fullmatch(SLUG, value) is None:
            raise ValueError(f"{_shown(value)} is no such name")
        return value


@dataclass(frozen=True, slots=True)
class Slugs:
    """Several such names."""

    maximum: int

    @property
    def allowed(self) -> str:
        return f"a list of at most {self.maximum} names"

    def read(self, value: object, base: Path) -> tuple[str, ...]:
        if not isinstance(value, list) or len(value) > self.maximum:
            raise ValueError(f"{_shown(value)} does not fit")
        return tuple(Slug().read(one, base) for one in value)


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number."""

    minimum: int
    maximum: int

    @property
    def allowed(self) -> str:
        return f"a whole number from {self.minimum} to {self.maximum}"

    def read(self, value: object, base: Path) -> int:  # noqa: ARG002
        if type(value) is not int:  # True is an int to isinstance
            raise ValueError(f"{_shown(value)} is no whole number")
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"{value} is too {'small' if value < self.minimum else 'large'}")
        return value


@dataclass(frozen=True, slots=True)
class Real:
    """A number."""

    minimum: float
    maximum: float

    @property
    def allowed(self) -> str:
        return f"a number from {self.minimum:g} to {self.maximum:g}"

    def read(self, value: object, base: Path) -> float:  # noqa: ARG002
        if type(value) not in (int, float) or not math.isfinite(value):  # type: ignore[arg-type]
            raise ValueError(f"{_shown(value)} is no number")
        number = float(value)  # type: ignore[arg-type]
        if not self.minimum <= number <= self.maximum:
            raise ValueError(f"{number:g} is too {'small' if number < self.minimum else 'large'}")
        return number


@dataclass(frozen=True, slots=True)
class File:
    """A file or directory; a relative path starts at the config file's directory."""

    allowed = "a path in quotes; a relative one starts at this file's directory"

    def read(self, value: object, base: Path) -> Path:
        if not isinstance(value, str) or not value or "\0" in value:
            raise ValueError(f"{_shown(value)} is no path")
        return base / value


@dataclass(frozen=True, slots=True)
class Zone:
    """An IANA time zone."""

    allowed = 'an IANA time zone in quotes, such as "Asia/Makassar"'

    def read(self, value: object, base: Path) -> ZoneInfo:  # noqa: ARG002
        if not isinstance(value, str):
            raise ValueError(f"{_shown(value)} is no time zone")
        try:
            return ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(_no_zone(value)) from error


@dataclass(frozen=True, slots=True)
class Moment:
    """A TOML date or time; without an offset it is the city's."""

    allowed = "a date or time without quotes, such as 2026-11-23 or 2026-11-23T08:00:00+08:00"

    def read(self, value: object, base: Path) -> date | datetime:  # noqa: ARG002
        if not isinstance(value, date):  # a datetime is a date
            raise ValueError(f"{_shown(value)} is no date or time")
        if not 1971 <= value.year <= 9998:
            raise ValueError(f"the year {value.year} is outside 1971 to 9998")
        return value


@dataclass(frozen=True, slots=True)
class Table:
    """A table of its own."""

    of: type[Any]
    allowed = "a table"


@dataclass(frozen=True, slots=True)
class Tables:
    """Any number of tables, `[[name]]`."""

    of: type[Any]
    maximum: int

    @property
    def allowed(self) -> str:
        return f"at most {self.maximum} tables"


@dataclass(frozen=True, slots=True)
class Setting:
    """What a key holds and what it is for, in the `Annotated` type of its field."""

    kind: ValueKind | Table | Tables
    doc: str
    shown: str = ""  # the default as the documentation shows it, where it differs


def read(
    cls: type[T], table: object, file: Path, path: str = "", given: dict[str, Any] | None = None
) -> T:
    """A dataclass from a TOML table; ConfigError at the first thing that is wrong.

    `given` are fields that are no keys.
    """
    if not isinstance(table, dict):
        raise ConfigError(file, path, f"{_shown(table)} is no table", f"write [{path}]")
    declared = dict(_declared(cls))
    for name in table:
        if name not in declared:
            raise ConfigError(
                file, _join(path, name), "there is no such key", _known(name, declared)
            )
    values = dict(given or {})
    for name, (one, default) in declared.items():
        if name in table:
            values[name] = _value(one, table[name], file, _join(path, name))
        elif isinstance(one.kind, Table):
            values[name] = read(one.kind.of, {}, file, name)  # its own keys say what is missing
        elif default is MISSING:
            raise ConfigError(file, _join(path, name), "is missing", f"give {one.kind.allowed}")
    return cls(**values)


def document(cls: type[Any]) -> str:
    """Every key of a file as Markdown: one heading and one table for each TOML table."""
    return "\n".join(
        _section(f"[[{name}]]" if isinstance(one.kind, Tables) else f"[{name}]", one)
        for name, (one, _) in _declared(cls)
    )


def _section(heading: str, table: Setting) -> str:
    assert isinstance(table.kind, Table | Tables)
    rows = [
        f"| `{name}` | {one.doc} | {one.kind.allowed} | {_default(one, default)} |"
        for name, (one, default) in _declared(table.kind.of)
    ]
    head = ["| key | what | allowed | default |", "|---|---|---|---|"]
    return "\n".join([f"### `{heading}`", "", f"{table.doc}.", "", *head, *rows, ""])


def _default(one: Setting, default: object) -> str:
    if one.shown:
        return one.shown
    if default is MISSING:
        return "must be given"
    return "none" if default is None else f"`{_shown(default)}`"


def _declared(cls: type[Any]) -> tuple[tuple[str, tuple[Setting, object]], ...]:
    return _keys(cast(Hashable, cls))


@cache  # a city has thousands of tables of a few kinds
def _keys(cls: Any) -> tuple[tuple[str, tuple[Setting, object]], ...]:
    hints = get_type_hints(cls, include_extras=True)
    return tuple(
        [
            (field.name, (one, field.default))
            for field in dataclasses.fields(cls)
            for one in getattr(hints[field.name], "__metadata__", ())
            if isinstance(one, Setting)
        ]
    )


def _value(one: Setting, value: object, file: Path, path: str) -> Any:
    if isinstance(one.kind, Table):
        return read(one.kind.of, value, file, path)
    if isinstance(one.kind, Tables):
        if not isinstance(value, list) or len(value) > one.kind.maximum:
            raise ConfigError(file, path, "does not fit", f"{one.kind.allowed}, [[{path}]] each")
        return tuple(
            read(one.kind.of, row, file, f"{path}[{number}]{_named(row)}")
            for number, row in enumerate(value)
        )
    try:
        return one.kind.read(value, file.parent)
    except ValueError as error:
        raise ConfigError(file, path, str(error), f"allowed: {one.kind.allowed}") from error


def _named(row: object) -> str:
    """The name beside the number, for people who do not count tables from 0."""
    name = row.get("name") if isinstance(row, dict) else None
    return f" ({name})" if isinstance(name, str) and re.fullmatch(SLUG, name) else ""


def _known(name: str, declared: dict[str, Any]) -> str:
    near = difflib.get_close_matches(name, declared, 1)
    return f"did you mean {near[0]}?" if near else f"allowed: {', '.join(declared)}"


def _no_zone(name: str) -> str:
    zones = available_timezones()
    if not zones:
        return "this machine knows no time zones (apt-get install tzdata)"
    near = difflib.get_close_matches(name, zones, 1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    return f"{_shown(name)} is no time zone{hint}"


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _shown(value: object) -> str:
    """A value as TOML writes it, short enough for one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        quoted = '"' + value.encode("unicode_escape").decode("ascii") + '"'
        return quoted if len(quoted) <= 80 else quoted[:77] + '..."'
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    return str(value)[:80]
