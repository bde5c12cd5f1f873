"""A copy of a file of SQLite whose collector goes on meanwhile.

A pass takes the rows in short reads, in the order of their keys. What changes behind it is noted in
the file (`noting.py`), and brought over with the next part.

Rule: rows and notes are read at one moment, and written in one transaction with how far it is. So
the copy is what the source was at that moment, as far as the pass has come, after a kill too.
Rule: all of it is checked while the collector goes on. At the end, when it is stopped, that is the
law of conservation, and what was brought last.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import msgspec

from titik_collector.store import conservation, half_copy, noting
from titik_collector.store.database import (
    Database,
    Row,
    TableShape,
    insert,
    migrations,
    upsert,
)
from titik_collector.store.half_copy import FIRST, Copied
from titik_collector.store.sqlite import FOLDER

PART = 5000  # rows of the pass in one read, which takes a fraction of a second
REPORTED = 100  # parts of a long table, between two lines to who waits


@dataclass(frozen=True, slots=True)
class CopyPosition:
    """How far a copy is, as its table `copying` keeps it."""

    noted: int  # the number of the newest note that was brought
    table: str | None  # where the pass is; None: at its end
    last: Row  # the key of the last row that it took of this table; empty: none yet
    is_checked: bool


def is_begun(source: Database, target: Database) -> bool:
    """Whether the target is half a copy that can go on by the notes of this source."""
    name = noting.name(source)
    return name is not None and half_copy.is_of(target, _origin(source, name))


def _origin(source: Database, name: str) -> str:
    """Another one for a file that was restored, or upgraded."""
    return f"{source.place()} noted as {name} schema {migrations(FOLDER)[-1].number}"


class LivingCopy:
    """One run of the command; the next one goes on."""

    def __init__(
        self,
        source: Database,
        beside: Database,
        target: Database,
        name: str,
        report: Callable[[str], None],
    ) -> None:
        """`beside`: the source for writing notes; `name`: the target's."""
        self._source, self._beside, self._target = source, beside, target
        self._name, self._report = name, report
        target.be_patient()
        self._tables = half_copy.tables_of(source, target)
        self._at = self._begun() or self._begin()

    @property
    def is_checked(self) -> bool:
        """Whether all of it was found to be the source, once the pass was over."""
        return self._at.is_checked

    def take_rows(self) -> None:
        """The pass, to its end."""
        while self._at.table is not None:
            self._take_table({one.name: one for one in self._tables}[self._at.table])

    def check(self) -> dict[str, int]:
        """Compare all of it with the source; how many rows each table has. Copied: it differs."""
        with self._source.snapshot():
            self._bring(replace(self._at, noted=noting.newest(self._source)))
            counts = half_copy.counts(self._source, self._tables)
        if half_copy.counts(self._target, self._tables) != counts:
            raise Copied(f"{self._name}: has other rows than its source; remove it, and copy again")
        if found := conservation.findings(self._target):
            raise Copied(f"{self._name}: {found[0]}")
        self._at = replace(self._at, is_checked=True)
        with self._target.transaction():
            self._keep(self._at)
        return counts

    def catch_up(self) -> None:
        """Bring what was noted until now; Copied: it is not there afterwards."""
        with self._source.snapshot():
            before, newest = self._at.noted, noting.newest(self._source)
            self._bring(replace(self._at, noted=newest))
            self._read_back(before, newest)
            totals = conservation.totals(self._source)
        if found := conservation.law(self._target):
            raise Copied(f"{self._name}: {found[0]}")
        if conservation.totals(self._target) != totals:
            raise Copied(f"{self._name}: counts other samples than its source")
        noting.forget(self._beside, newest)

    def _begun(self) -> CopyPosition | None:
        """Where an earlier run has come to; None: there was none, or the notes do not reach."""
        if not is_begun(self._source, self._target):
            return None
        ((noted, passed, checked),) = self._target.execute(
            "SELECT noted, passed, checked FROM copying"
        )
        if not noting.is_whole_after(self._source, noted):
            self._report("more has changed since than is noted: the copy begins again")
            return None
        table, *last = msgspec.json.decode(passed)
        return CopyPosition(noted, table, tuple(last), bool(checked))

    def _begin(self) -> CopyPosition:
        half_copy.refuse_store(self._target, self._name)
        name = noting.begin(self._beside, self._tables)
        half_copy.begin(self._target, self._tables, _origin(self._source, name))
        at = CopyPosition(0, self._tables[0].name, (), False)
        with self._target.transaction():
            self._keep(at)
        return at

    def _take_table(self, table: TableShape) -> None:
        taken, parts, key = 0, 0, [table.columns.index(one) for one in table.key]
        while self._at.table == table.name:
            with self._source.snapshot():
                at = replace(self._at, noted=noting.newest(self._source))
                part = list(self._source.stream(*_behind(table, at.last)))
                if len(part) < PART:
                    at = replace(at, table=self._next(table), last=())
                else:
                    at = replace(at, last=tuple(part[-1][one] for one in key))
                self._bring(at, table, part)
            noting.forget(self._beside, at.noted)
            taken, parts = taken + len(part), parts + 1
            if not parts % REPORTED:
                self._report(f"{table.name}: {taken} so far")

    def _next(self, table: TableShape) -> str | None:
        names = [one.name for one in self._tables]
        return next(iter(names[names.index(table.name) + 1 :]), None)

    def _bring(
        self, at: CopyPosition, table: TableShape | None = None, part: Sequence[Row] = ()
    ) -> None:
        """Inside a snapshot: what was noted behind the pass, and its next rows."""
        span = (self._at.noted, at.noted)
        reached = list(self._reached(noting.changed(self._source, *span)))
        with self._target.transaction():
            # Rows may have taken each other's places, so all of them go before any comes.
            for one, last in reversed(reached):
                if one.name not in FIRST:
                    delete = f"DELETE FROM {one.name} WHERE {' = ? AND '.join(one.key)} = ?"
                    for keys in _parts(noting.keys(self._source, one, *span, last)):
                        self._target.executemany(delete, keys)
            for one, last in reached:
                put = _put(one)
                for rows in _parts(noting.rows(self._source, one, *span, last)):
                    self._target.executemany(put, rows)
            if table is not None:
                self._target.executemany(_put(table), part)
            self._keep(at)
        self._at = at

    def _reached(self, names: set[str]) -> Iterator[tuple[TableShape, Row]]:
        """Tables of these names that the pass has come to, in its order, each with how far."""
        for one in self._tables:
            if one.name == self._at.table:
                if self._at.last and one.name in names:
                    yield one, self._at.last
                return
            if one.name in names:
                yield one, ()

    def _keep(self, at: CopyPosition) -> None:
        passed = msgspec.json.encode((at.table, *at.last)).decode()
        self._target.execute(
            "UPDATE copying SET noted = ?, passed = ?, checked = ?",
            (at.noted, passed, int(at.is_checked)),
        )

    def _read_back(self, after: int, upto: int) -> None:
        """Copied: rows of these notes differ in the copy."""
        for table, last in self._reached(noting.changed(self._source, after, upto)):
            key = [table.columns.index(one) for one in table.key]
            for rows in _parts(noting.rows(self._source, table, after, upto, last)):
                head, values = self._target.keyed(table.key, [[r[n] for n in key] for r in rows])
                columns = ", ".join(f"{table.name}.{one}" for one in table.columns)
                joined = f"JOIN {table.name} USING ({', '.join(table.key)})"
                there = self._target.execute(f"{head} SELECT {columns} FROM key {joined}", values)
                if set(there) != set(rows):
                    raise Copied(f"{self._name}: {table.name} has other rows than its source")


def _put(table: TableShape) -> str:
    """The statement for a row. Those that others refer to are never deleted, and stay in place."""
    if table.name not in FIRST:
        return insert(table.name, table.columns)
    others = tuple(one for one in table.columns if one not in table.key)
    return upsert(table.name, table.key, others)


def _behind(table: TableShape, last: Row) -> tuple[str, Row]:
    """The next rows of a pass that is at this one."""
    key = ", ".join(table.key)
    after = f"WHERE ({key}) > ({', '.join('?' * len(last))}) " if last else ""
    return (
        f"SELECT {', '.join(table.columns)} FROM {table.name} {after}ORDER BY {key} LIMIT {PART}",
        last,
    )


def _parts(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while part := list(islice(rows, PART)):
        yield part
