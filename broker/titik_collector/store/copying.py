"""A store, copied row by row to another place, whichever engine either is on.

Rule: rows go in the order of their key, so the last row of the copy says where to go on.
Rule: a copy that is not whole has a table `copying`, and nothing opens it as a store.
Rule: a store that never heard a router is as good as none, so a copy may take its place.
Rule: what people enter is copied last, for they go on to change it, and a revocation counts.
"""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import NamedTuple

from titik_collector.store import (
    conservation,
    desk_copying,
    desk_opening,
    identity,
    notify_copying,
    notify_opening,
    opening,
)
from titik_collector.store.database import HALF, Database, Row, StoreError, TableShape, insert
from titik_collector.store.opening import Where

FIRST = ("router", "site", "boot", "run", "incident")  # other rows refer to theirs
PART = 5000  # rows of a transaction: a kill loses no more


class Copied(StoreError):
    """The copy is not whole; the text has the remedy."""


class StorePair(NamedTuple):
    """Where a city is kept."""

    store: Where
    desk: Where  # the same store, as the page opens it


def copy_city(
    source: StorePair,
    target: StorePair,
    copied: Callable[[str, int], None],
    noted: Callable[[str], None],
) -> conservation.SampleTotals:
    """Copy a store that no collector holds, or go on with it; StoreHeld, StoreError.

    `copied` is given each table's name and rows, `noted` what to know though it is no failure.
    """
    there = opening.name(target.store)
    if opening.is_same(source.store, target.store):
        raise Copied(f"{there}: is FROM and TO; name two places")
    with (
        opening.reading(source.store) as reader,
        opening.writing(source.store) as held,
        opening.writing(target.store, half=True) as into,
    ):
        origin = f"{reader.place()} {identity_of(reader)}"
        begin(reader, into, origin, there)
        _copy_desk(source.desk, target.desk)  # what stops it is better known now than in hours
        if not _copy_delivered(source.desk, target.desk):
            noted(
                f"messages of the last hour may come twice: titik-notify was on {there} before;"
                " restart it before you start the collector"
            )
        counts = copy(reader, into, origin, there, held.renew)
        if found := conservation.findings(into):
            raise Copied(
                f"{there}: {found[0]}; this copy is no store yet: does titik db"
                f" check find the same in {opening.name(source.store)}? then copy a backup of it"
            )
        for name, rows in {**counts, **_copy_desk(source.desk, target.desk)}.items():
            copied(name, rows)
        held.renew()
        finish(into)
        return conservation.totals(into)


def _copy_desk(source: Where, target: Where) -> dict[str, int]:
    """What people entered; how many rows each table has."""
    if not desk_opening.exists(source):
        return {}
    with desk_opening.opened(source) as reader, desk_opening.opened(target) as into:
        return desk_copying.copy(reader, into, desk_opening.name(target))


def _copy_delivered(source: Where, target: Where) -> bool:
    """Which messages were sent, so that none is sent again; False: who sends was there before."""
    with notify_opening.reading(target) as before:
        is_known = before is None or notify_copying.has_rows(before)  # else an empty one
    with notify_opening.reading(source) as reader:
        if reader is None:
            return True
        with notify_opening.opened(target) as into:
            return notify_copying.copy(reader, into) and is_known


def begin(source: Database, target: Database, origin: str, name: str) -> list[TableShape]:
    """Go on with a copy of this origin, else begin one; its tables. Copied if a store is there."""
    tables = _tables(source, target)
    target.be_patient()  # to empty a large table, or to count it, takes minutes
    if target.has_table("copying"):
        if target.execute("SELECT origin FROM copying") == [(origin,)]:
            return tables
    elif not identity.is_empty(target):
        raise Copied(
            f"{name}: is a store already; copy to another place, or move it away; on a server:"
            " ALTER SCHEMA titik RENAME TO titik_old"
        )
    with target.transaction():
        for table in reversed(tables):
            target.execute(f"DELETE FROM {table.name}")
        target.execute(HALF)
        target.execute("DELETE FROM copying")
        target.execute("INSERT INTO copying (origin) VALUES (?)", (origin,))
    return tables


def copy(
    source: Database, target: Database, origin: str, name: str, renew: Callable[[], None]
) -> dict[str, int]:
    """Every row of the source at one moment; how many each table has, in both.

    The copy is no store before `finish`. `origin`: a half copy of the same origin goes on.
    `renew` is called often.
    """
    with source.snapshot():
        tables = begin(source, target, origin, name)
        for table in tables:
            for part in _missing(source, target, table):
                with target.transaction():
                    target.executemany(insert(table.name, table.columns), part)
                renew()
        counts = _counts(source, tables)
    if _counts(target, tables) != counts:
        raise Copied(f"{name}: has other rows than its source; remove it, and copy again")
    return counts


def finish(target: Database) -> None:
    """The copy is a store from now on."""
    with target.transaction():
        target.raise_numbers()
        target.execute("DROP TABLE copying")


def _tables(source: Database, target: Database) -> list[TableShape]:
    """Those of both, in an order in which each row finds those that it refers to."""
    there = {table.name for table in target.tables()}
    found = []
    for table in source.tables():
        if table.name in there:
            found.append(table)
        elif source.execute(f"SELECT 1 FROM {table.name} LIMIT 1"):
            raise Copied(
                f"{table.name}: holds rows of an earlier version; run titik collect on the source"
                " until its log reports that all are unpacked"
            )
    first = {name: number for number, name in enumerate(FIRST)}
    return sorted(found, key=lambda table: first.get(table.name, len(FIRST)))


def _missing(source: Database, target: Database, table: TableShape) -> Iterator[list[Row]]:
    """Rows that the copy has not, in parts."""
    name, key = table.name, ", ".join(table.key)
    last = target.execute(
        f"SELECT {key} FROM {name} ORDER BY {key.replace(',', ' DESC,')} DESC LIMIT 1"
    ).fetchone()
    after = "" if last is None else f"WHERE ({key}) > ({', '.join('?' * len(table.key))})"
    rows = source.stream(
        f"SELECT {', '.join(table.columns)} FROM {name} {after} ORDER BY {key}", last or ()
    )
    while part := list(islice(rows, PART)):
        yield part


def _counts(db: Database, tables: list[TableShape]) -> dict[str, int]:
    return {one.name: db.execute(f"SELECT count(*) FROM {one.name}")[0][0] for one in tables}


def identity_of(db: Database) -> str:
    """Another one when a collector has opened the store since."""
    known = "SELECT name, value FROM setting WHERE name IN ('store', 'epoch') ORDER BY name"
    return str(list(db.execute(known)))
