"""Reads a TOML table into a frozen dataclass: one declaration gives values, errors and docs.

Rule: every key is declared once: a field, its type `Annotated` with a `Setting`, its default.
Rule: an error names the file, the key path, what is wrong and what is allowed.
Rule: an unknown key is an error, because it is a typing error; the nearest known one is named.
"""

import dataclasses
import difflib
import ipaddress
import math
import re
from collections.abc import Callable, Hashable
from dataclasses import MISSING, dataclass
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast, get_type_hints
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from titik_collector.limits import MAX_SCHEMA, MAX_SHOWN
from titik_collector.wording import opening_hours
from titik_collector.wording.mendable import Mendable
from titik_wire.kinds import SLUG

T = TypeVar("T")
Number = TypeVar("Number", int, float)
# Where a name is new: to programs one that begins with - is an option. Those that a city has stay.
BEGINS = "begin a name with a letter or a digit"


class ConfigError(Mendable):
    """In the configuration: which file, which key, what is wrong, what is allowed."""

    def __init__(self, file: Path, path: str, wrong: str, allowed: str) -> None:
        where = f"{file}: {path}: " if path else f"{file}: "
        super().__init__(f"{where}{wrong}; {allowed}")
        self.file = file
        self.path = path


@dataclass(frozen=True, slots=True)
class Kind:
    """What a key may hold."""

    allowed: str  # for people: `a number from 1 to 10`
    # The value as the program holds it; paths start at the folder. ValueError: what is wrong.
    read: Callable[[object, Path], Any]


def text(max_chars: int = 200) -> Kind:
    """Text on one line."""

    def read(value: object, _base: Path) -> str:
        if not isinstance(value, str):
            raise ValueError(f"{_shown(value)} is not text")
        if not 1 <= len(value) <= max_chars or not value.isprintable():
            raise ValueError(f"{_shown(value)} does not fit")
        return value

    return Kind(f"text in quotes, one line of 1 to {max_chars} characters", read)


def whole(minimum: int, maximum: int) -> Kind:
    """A whole number."""

    def read(value: object, _base: Path) -> int:
        if type(value) is not int:  # True is an int to isinstance
            raise ValueError(f"{_shown(value)} is no whole number")
        return _within(value, minimum, maximum)

    return Kind(f"a whole number from {minimum} to {maximum}", read)


def real(minimum: float, maximum: float) -> Kind:
    """A number."""

    def read(value: object, _base: Path) -> float:
        if type(value) not in (int, float) or not math.isfinite(value):  # type: ignore[arg-type]
            raise ValueError(f"{_shown(value)} is no number")
        return _within(float(value), minimum, maximum)  # type: ignore[arg-type]

    return Kind(f"a number from {minimum:g} to {maximum:g}", read)


def names(maximum: int) -> Kind:
    """Several names."""

    def read(value: object, base: Path) -> tuple[str, ...]:
        if not isinstance(value, list) or len(value) > maximum:
            raise ValueError(f"{_shown(value)} does not fit")
        return tuple(NAME.read(one, base) for one in value)

    return Kind(f"a list of at most {maximum} names", read)


def one_of(*choices: str) -> Kind:
    """One of some words."""

    def read(value: object, _base: Path) -> str:
        if value not in choices:
            raise ValueError(f"{_shown(value)} is none of them")
        return str(value)

    return Kind(" or ".join(f'`"{one}"`' for one in choices), read)


def texts(maximum: int, max_chars: int = 100) -> Kind:
    """Several texts."""
    one_text = text(max_chars)

    def read(value: object, base: Path) -> tuple[str, ...]:
        if not isinstance(value, list) or len(value) > maximum:
            raise ValueError(f"{_shown(value)} does not fit")
        return tuple(one_text.read(one, base) for one in value)

    return Kind(f"a list of at most {maximum} texts in quotes", read)


def some_of(*choices: str) -> Kind:
    """Some of some words."""
    one_word = one_of(*choices)

    def read(value: object, base: Path) -> tuple[str, ...]:
        if not isinstance(value, list) or not value:
            raise ValueError(f"{_shown(value)} is no list of them")
        return tuple(one_word.read(one, base) for one in value)

    return Kind(f"a list of {one_word.allowed}", read)


def networks(maximum: int) -> Kind:
    """Addresses and networks."""

    def read(value: object, _base: Path) -> tuple[str, ...]:
        if not isinstance(value, list) or len(value) > maximum:
            raise ValueError(f"{_shown(value)} does not fit")
        return tuple(_read_network(one) for one in value)

    return Kind(f'a list of at most {maximum} addresses, such as `["10.0.0.5"]`', read)


def _read_network(value: object) -> str:
    try:
        return str(ipaddress.ip_network(value if isinstance(value, str) else ""))
    except ValueError as error:
        raise ValueError(f"{_shown(value)} is no address or network") from error


def _read_header(value: object, _base: Path) -> str:
    if not isinstance(value, str) or re.fullmatch(r"[A-Za-z0-9-]{1,64}", value) is None:
        raise ValueError(f"{_shown(value)} is no name of a header")
    return value


def _within(number: Number, minimum: float, maximum: float) -> Number:
    if not minimum <= number <= maximum:
        shown = f"{number:g}" if isinstance(number, float) else number
        raise ValueError(f"{shown} is too {'small' if number < minimum else 'large'}")
    return number


def _read_flag(value: object, _base: Path) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{_shown(value)} is neither true nor false")
    return value


def _read_address(value: object, _base: Path) -> str:
    url = urlsplit(value) if isinstance(value, str) else None
    if url is None or url.scheme not in ("http", "https") or not url.hostname:
        raise ValueError(f"{_shown(value)} is no address of a page")
    if url.path.strip("/") or url.query or url.fragment or url.username:
        raise ValueError(f"{_shown(value)} has more than a host and a port")
    # As a browser sends it: in lower case, and without the port that the scheme has anyway.
    default = ":443" if url.scheme == "https" else ":80"
    return f"{url.scheme}://{url.netloc.lower().removesuffix(default)}"


def _read_name(value: object, _base: Path) -> str:
    if not isinstance(value, str) or re.fullmatch(SLUG, value) is None:
        raise ValueError(f"{_shown(value)} is no such name")
    return value


def _read_schema(value: object, base: Path) -> str:
    name = _read_name(value, base)
    if len(name) > MAX_SCHEMA:
        raise ValueError(f"{name} has more than {MAX_SCHEMA} characters")
    return name


def _read_path(value: object, base: Path) -> Path:
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError(f"{_shown(value)} is no path")
    return base / value


def _read_hours(value: object, base: Path) -> str:
    """The text itself, which `wording.opening_hours` can read."""
    found: str = text().read(value, base)
    opening_hours.parse(found)
    return found


def _read_zone(value: object, _base: Path) -> ZoneInfo:
    if not isinstance(value, str):
        raise ValueError(f"{_shown(value)} is no time zone")
    try:
        return ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(_no_zone(value)) from error


def _read_moment(value: object, _base: Path) -> date | datetime:
    if not isinstance(value, date):  # a datetime is a date
        raise ValueError(f"{_shown(value)} is no date or time")
    if not 1971 <= value.year <= 9998:
        raise ValueError(f"the year {value.year} is outside 1971 to 9998")
    return value


HEADER = Kind('the name of a header in quotes, such as "X-Forwarded-User"', _read_header)
FLAG = Kind("`true` or `false`", _read_flag)
ADDRESS = Kind('an address in quotes, such as "https://titik.example.org"', _read_address)
# A name is part of topics and of URLs. A moment without an offset is the city's.
NAME = Kind(
    'a name in quotes: a-z, 0-9 and -, at most 64 characters, such as "taman-tirosa"', _read_name
)
SCHEMA = Kind(f"a name in quotes: a-z, 0-9 and -, at most {MAX_SCHEMA} characters", _read_schema)
FILE = Kind("a path in quotes; a relative one starts at this file's directory", _read_path)
ZONE = Kind('an IANA time zone in quotes, such as "Asia/Makassar"', _read_zone)
HOURS = Kind(
    f'hours such as "{opening_hours.EXAMPLE}", "16:00-02:00", "Su off" or "{opening_hours.ALWAYS}"',
    _read_hours,
)
MOMENT = Kind(
    "a date or time without quotes, such as 2026-11-23 or 2026-11-23T08:00:00+08:00", _read_moment
)


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

    kind: Kind | Table | Tables
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
        return quoted if len(quoted) <= MAX_SHOWN else quoted[: MAX_SHOWN - 3] + '..."'
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    return str(value)[:MAX_SHOWN]
