"""A list of routers as a spreadsheet saves it: name, site and tags, read and compared to the file.

Rule: pure. Every fault is reported at once, with line and column, because a list has hundreds.
Rule: a list adds: routers that the file lacks, and tags of those that it has. It removes nothing.
"""

import csv
import difflib
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

from titik_collector.config.model import Config
from titik_collector.config.schema import BEGINS, NAME
from titik_collector.config.site_tables import Router, no_such_site
from titik_collector.limits import MAX_CONFIG, MAX_NAMED, MAX_SHOWN, MAX_TAGS
from titik_collector.wording.mendable import Mendable

COLUMNS = ("name", "site", "tags")
NEEDED = ("name", "site")
ALLOWED = "a-z, 0-9 and -, at most 64 characters, such as taman-tirosa"  # a cell has no quotes
HEADER = "begin the file with the line name,site,tags"
_BETWEEN = re.compile(r"[\s,;]+")


class ListError(Mendable):
    """The list is wrong; the text says where, and what is allowed."""


@dataclass(frozen=True, slots=True)
class Row:
    """One router of the list, as it was written."""

    line: int
    name: str
    site: str
    tags: tuple[str, ...]


class ListFault(NamedTuple):
    """What is wrong in a line; the column, if it is of one."""

    line: int
    column: str
    text: str

    def __str__(self) -> str:
        where = f"line {self.line}, column {self.column}" if self.column else f"line {self.line}"
        return f"{where}: {self.text}"


class RouterList(NamedTuple):
    """The rows, and what is wrong with each by itself."""

    rows: tuple[Row, ...]
    faults: tuple[ListFault, ...]


@dataclass(frozen=True, slots=True)
class ListChanges:
    """What a list makes of the file."""

    new: tuple[Router, ...]
    tagged: tuple[Router, ...]  # as they become
    same: int  # routers of the list that are so already


def read(content: bytes, file: Path) -> RouterList:
    """The rows, whatever the order of the columns; ListError where there are none to read."""
    text = _text(content, file)
    # Where a comma is the decimal sign, as in Indonesia, spreadsheets write semicolons.
    between = ";" if ";" in text.partition("\n")[0] else ","
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=between, strict=True)
    rows, faults = list[Row](), list[ListFault]()
    columns: tuple[str, ...] = ()
    try:
        for cells in lines:
            if not any(cell.strip() for cell in cells):
                continue
            if not columns:
                columns = _header(cells, lines.line_num, file)
                continue
            row = _row(lines.line_num, columns, [cell.strip() for cell in cells])
            rows.append(row)
            faults += _spelled(row, len(columns), len(cells))
    except csv.Error as error:
        broken = f"is no CSV ({error}); save it as CSV again"
        faults.append(ListFault(lines.line_num, "", broken))
    if not columns:
        _refuse(file, [*map(str, faults), f"is empty; {HEADER}"])
    return RouterList(tuple(rows), tuple(faults))


def changes(
    city: Config, found: RouterList, file: Path, reserved: Iterable[str], since: datetime
) -> ListChanges:
    """What the rows add to the city; ListError for all that is wrong, by line.

    `reserved`: the names of other users of the broker. `since`: when new ones come to their sites.
    """
    rows = found.rows
    spelled = {(one.line, one.column) for one in found.faults}
    unfit = [
        one
        for one in _unfit(city, rows, frozenset(reserved))
        if (one.line, one.column) not in spelled
    ]
    faults = sorted([*found.faults, *unfit], key=lambda one: one.line)
    _refuse(file, [str(one) for one in faults])
    there = {one.name: one for one in city.router}
    new, tagged = [], []
    for row in rows:
        old = there.get(row.name)
        if old is None:
            new.append(Router(name=row.name, site=row.site, since=since, tags=row.tags))
        elif set(row.tags) - set(old.tags):
            tagged.append(replace(old, tags=_together(old.tags, row.tags)))
    return ListChanges(tuple(new), tuple(tagged), len(rows) - len(new) - len(tagged))


def _text(content: bytes, file: Path) -> str:
    if len(content) > MAX_CONFIG:
        raise ListError(f"{file}: is larger than {MAX_CONFIG >> 20} MiB; divide it")
    try:
        return content.decode("utf-8-sig")  # Excel begins a file with a mark
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ListError(f"{file}: line {line}: is not UTF-8; save it as CSV UTF-8") from error


def _header(cells: Sequence[str], line: int, file: Path) -> tuple[str, ...]:
    found = tuple(cell.strip().lower() for cell in cells)
    wrong = []
    for number, name in enumerate(found, 1):
        if name not in COLUMNS:
            near = difflib.get_close_matches(name, COLUMNS, 1)
            remedy = f"did you mean {near[0]}?" if near else f"allowed: {', '.join(COLUMNS)}"
            wrong.append(f"line {line}, column {number}: there is no column {name!r:.80}; {remedy}")
        elif name in found[: number - 1]:
            wrong.append(f"line {line}, column {number}: {name} is there twice; {HEADER}")
    if not wrong:
        lacks = [one for one in NEEDED if one not in found]
        wrong += [f"line {line}: there is no column {one}; {HEADER}" for one in lacks]
    _refuse(file, wrong)
    return found


def _row(line: int, columns: Sequence[str], cells: Sequence[str]) -> Row:
    given = dict(zip(columns, cells, strict=False))
    tags = [one for one in _BETWEEN.split(given.get("tags", "")) if one]
    return Row(line, given.get("name", ""), given.get("site", ""), _together((), tags))


def _spelled(row: Row, columns: int, cells: int) -> Iterator[ListFault]:
    """What is wrong with the row by itself."""
    if cells > columns:
        wrong = f"has {cells} columns, the header {columns}; put tags into one"
        yield ListFault(row.line, "", wrong)
    for column, names in (("name", [row.name]), ("site", [row.site]), ("tags", row.tags)):
        for one in names:
            try:
                NAME.read(one, Path())
            except ValueError:
                wrong = f'"{one[:MAX_SHOWN]}" is no name' if one else "is empty"
                yield ListFault(row.line, column, f"{wrong}; allowed: {ALLOWED}")
            else:
                if column == "name" and not one[0].isalnum():
                    yield ListFault(row.line, column, f'"{one}" begins with -; {BEGINS}')


def _unfit(city: Config, rows: Sequence[Row], reserved: frozenset[str]) -> Iterator[ListFault]:
    """What is wrong with rows beside the others and the file."""
    there = {one.name: one for one in city.router}
    sites = [one.name for one in city.site]
    known, first = frozenset(sites), dict[str, int]()
    for row in rows:
        name, site = (partial(ListFault, row.line, one) for one in NEEDED)
        old = there.get(row.name)
        if row.name in first:
            yield name(f"{row.name} is in line {first[row.name]} already; list it once")
        first.setdefault(row.name, row.line)
        if row.name in reserved:
            yield name(f"{row.name} is another user of the broker; name the router otherwise")
        if row.site not in known:
            yield site(f'no site "{row.site}"; {no_such_site(row.site, sites)}')
        elif old is not None and old.site != row.site:
            yield site(
                f"{row.name} stands at {old.site}; to move it, change its site in"
                f" {city.file}, with since"
            )
        if len(_together(old.tags if old else (), row.tags)) > MAX_TAGS:
            wrong = f"makes more than {MAX_TAGS} tags; leave some out"
            yield ListFault(row.line, "tags", wrong)


def _together(tags: Sequence[str], more: Sequence[str]) -> tuple[str, ...]:
    """Each once, in order."""
    return tuple(dict.fromkeys([*tags, *more]))


def _refuse(file: Path, wrong: Sequence[str]) -> None:
    """Each on a line; the first ones where there are many."""
    if wrong:
        shown = "\n".join(f"{file}: {one}" for one in wrong[:MAX_NAMED])
        left = len(wrong) - MAX_NAMED
        raise ListError(shown + (f"\nand {left} more" if left > 0 else ""))
