"""A store, copied row by row to another place, whichever engine either is on.

Rule: rows go in the order of their key, so the last row of the copy says where to go on.
Rule: a file is copied while its collector goes on (`living_copy.py`), which is stopped for the end.
Rule: what people enter is copied last, for they go on to change it, and a revocation counts.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from itertools import islice
from typing import NamedTuple

from titik_collector.store import (
    conservation,
    desk_copying,
    desk_opening,
    half_copy,
    identity,
    living_copy,
    notify_copying,
    notify_opening,
    noting,
    opening,
    sqlite,
)
from titik_collector.store.database import Database, Row, StoreHeld, TableShape, insert
from titik_collector.store.half_copy import Copied
from titik_collector.store.living_copy import LivingCopy
from titik_collector.store.opening import Where

PART = 5000  # rows of a transaction: a kill loses no more


class StorePair(NamedTuple):
    """Where a city is kept."""

    store: Where
    desk: Where  # the same store, as the page opens it


class CityCopy(NamedTuple):
    """What became of a copy."""

    totals: conservation.SampleTotals | None  # None: FROM is held, and goes on to change
    rows: dict[str, int]  # of each table that was counted in this run


def copy_city(source: StorePair, target: StorePair, noted: Callable[[str], None]) -> CityCopy:
    """Copy a store, or go on with it; StoreHeld, StoreError.

    `noted` is given what to know meanwhile, though it is no failure.
    """
    there = opening.name(target.store)
    if opening.is_same(source.store, target.store):
        raise Copied(f"{there}: is FROM and TO; name two places")
    with ExitStack() as stack:
        reader = stack.enter_context(opening.reading(source.store))
        held = _held(stack, source.store)
        into = stack.enter_context(opening.writing(target.store, half=True))
        if held is not None and not living_copy.is_begun(reader, into):
            if is_moved(reader, into):  # and the command was killed at its very end
                noting.end(held)
            counts = _copy_still(source, target, reader, held, into, noted)
        else:
            writer = held or _beside(stack, source.store)
            living = LivingCopy(reader, writer, into, there, noted)
            _copy_desk(source.desk, target.desk)  # what stops it is better known now than in hours
            living.take_rows()
            counts = {} if living.is_checked else living.check()
            held = held or _held(stack, source.store)
            living.catch_up()
            if held is None:
                return CityCopy(None, counts)
            _bring_delivered(source, target, noted)
        counts |= _copy_desk(source.desk, target.desk)
        held.renew()
        half_copy.finish(into)
        noting.end(held)
        return CityCopy(conservation.totals(into), counts)


def _held(stack: ExitStack, where: Where) -> Database | None:
    """The store, until the end of the stack; None: a collector holds it, and it is a file."""
    try:
        return stack.enter_context(opening.writing(where))
    except StoreHeld:
        if where.path is None:
            raise
        return None


def _beside(stack: ExitStack, where: Where) -> Database:
    """A file for writing notes into it, while a collector holds it."""
    assert where.path is not None
    return stack.enter_context(closing(sqlite.open_beside(where.path)))


def is_moved(source: Database, target: Database) -> bool:
    """Whether the target is a whole store, and of the same city."""
    there = None if target.has_table("copying") else identity.known(target)
    here = identity.known(source)
    return here is not None and there is not None and here.store == there.store


def _copy_still(
    source: StorePair,
    target: StorePair,
    reader: Database,
    held: Database,
    into: Database,
    noted: Callable[[str], None],
) -> dict[str, int]:
    """Of a store that nobody writes: how many rows each table has."""
    there = opening.name(target.store)
    origin = f"{reader.place()} {identity_of(reader)}"
    begin(reader, into, origin, there)
    _copy_desk(source.desk, target.desk)  # what stops it is better known now than in hours
    _bring_delivered(source, target, noted)
    counts = copy(reader, into, origin, there, held.renew)
    if found := conservation.findings(into):
        raise Copied(
            f"{there}: {found[0]}; this copy is no store yet: does titik db"
            f" check find the same in {opening.name(source.store)}? then copy a backup of it"
        )
    return counts


def _bring_delivered(source: StorePair, target: StorePair, noted: Callable[[str], None]) -> None:
    if not _copy_delivered(source.desk, target.desk):
        noted(
            f"messages of the last hour may come twice: titik-notify was on"
            f" {opening.name(target.store)} before; restart it before you start the collector"
        )


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
    tables = half_copy.tables_of(source, target)
    target.be_patient()  # to empty a large table, or to count it, takes minutes
    if not half_copy.is_of(target, origin):
        half_copy.refuse_store(target, name)
        half_copy.begin(target, tables, origin)
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
        counts = half_copy.counts(source, tables)
    if half_copy.counts(target, tables) != counts:
        raise Copied(f"{name}: has other rows than its source; remove it, and copy again")
    return counts


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


def identity_of(db: Database) -> str:
    """Another one when a collector has opened the store since."""
    known = "SELECT name, value FROM setting WHERE name IN ('store', 'epoch') ORDER BY name"
    return str(list(db.execute(known)))
