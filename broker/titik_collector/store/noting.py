"""What changes in a file of SQLite while it is copied: triggers note the key of each changed row.

Rule: a key is noted in the transaction that changes its row, so none is missing.
Rule: the collector has no part in it. It may end and start meanwhile.
Rule: the notes are bounded. Who copies removes those that were brought over. Notes that are full
are of no use, and the copy begins again.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress

from titik_collector.limits import MAX_NOTES
from titik_collector.store.database import Database, Row, StoreBusy, TableShape

TABLES = ("noting", "noted")  # beside those of the city
ID_BYTES = 8
PLACES = "abcd"  # of the columns of a key
STEP = 50_000  # notes that are removed at once; a collector waits some milliseconds for that


def begin(db: Database, tables: Sequence[TableShape]) -> str:
    """Note what changes in these tables from now on; a random name of these notes."""
    name = os.urandom(ID_BYTES).hex()
    with db.transaction():
        _drop(db)
        db.execute("CREATE TABLE noting (name TEXT NOT NULL, until INTEGER NOT NULL) STRICT")
        db.execute("INSERT INTO noting VALUES (?, ?)", (name, MAX_NOTES))
        # One stays when others are removed, so that numbers rise for ever.
        db.execute(
            "CREATE TABLE noted"
            f" (number INTEGER PRIMARY KEY, of_table TEXT NOT NULL, {', '.join(PLACES)})"
        )
        db.execute("INSERT INTO noted (number, of_table) VALUES (1, '')")
        for table in tables:
            for sql in _triggers(table):
                db.execute(sql)
    return name


def end(db: Database) -> None:
    """Nothing is noted any more, and nothing is left of it."""
    if db.has_table("noting"):
        with db.transaction():
            _drop(db)


def name(db: Database) -> str | None:
    """Of the notes; None: nothing is noted."""
    return str(db.execute("SELECT name FROM noting")[0][0]) if db.has_table("noting") else None


def newest(db: Database) -> int:
    """The number of the newest note."""
    return int(db.execute("SELECT max(number) FROM noted")[0][0])


def is_whole_after(db: Database, number: int) -> bool:
    """Whether all that changed after this note is noted."""
    until = _until(db)
    return newest(db) < until and number >= until - MAX_NOTES


def changed(db: Database, after: int, upto: int) -> set[str]:
    """Tables with noted rows, after one number and up to another."""
    names = db.execute(
        "SELECT DISTINCT of_table FROM noted WHERE number > ? AND number <= ?", (after, upto)
    )
    return {str(one) for (one,) in names}


def keys(db: Database, table: TableShape, after: int, upto: int, last: Row) -> Iterator[Row]:
    """Those of a table, some more than once; of a pass that is at row `last` those behind it."""
    where, values = _noted(table, after, upto, last)
    return db.stream(f"SELECT {_places(table)} FROM noted WHERE {where}", values)


def rows(db: Database, table: TableShape, after: int, upto: int, last: Row) -> Iterator[Row]:
    """The rows of these keys, as they are now."""
    where, values = _noted(table, after, upto, last)
    joined = " AND ".join(f"now.{c} = {p}" for c, p in zip(table.key, PLACES, strict=False))
    return db.stream(
        f"SELECT {', '.join(f'now.{one}' for one in table.columns)}"
        f" FROM (SELECT DISTINCT {_places(table)} FROM noted WHERE {where})"
        f" CROSS JOIN {table.name} AS now ON {joined}",
        values,
    )


def forget(db: Database, number: int) -> None:
    """Remove the notes before this one, if they are many; a later one has to do without."""
    first = _until(db) - MAX_NOTES
    with suppress(StoreBusy):  # then they go with the next ones
        while first + STEP < number:
            first += STEP
            with db.transaction():
                db.execute("DELETE FROM noted WHERE number < ?", (first,))
                db.execute("UPDATE noting SET until = ?", (first + MAX_NOTES,))


def _until(db: Database) -> int:
    return int(db.execute("SELECT until FROM noting")[0][0])


def _noted(table: TableShape, after: int, upto: int, last: Row) -> tuple[str, Row]:
    where = "of_table = ? AND number > ? AND number <= ?"
    if last:
        where += f" AND ({_places(table)}) <= ({', '.join('?' * len(last))})"
    return where, (table.name, after, upto, *last)


def _places(table: TableShape) -> str:
    return ", ".join(PLACES[: len(table.key)])


def _triggers(table: TableShape) -> Iterator[str]:
    """A changed key is two: what was there is gone."""
    key = ", ".join(table.key)
    events = (("INSERT", "NEW"), ("DELETE", "OLD"), ("UPDATE", "NEW"), (f"UPDATE OF {key}", "OLD"))
    for number, (event, row) in enumerate(events):
        yield (
            f"CREATE TRIGGER noted_{table.name}_{number} AFTER {event} ON {table.name}"
            " WHEN (SELECT max(number) FROM noted) < (SELECT until FROM noting) BEGIN"
            f" INSERT INTO noted (of_table, {_places(table)})"
            f" VALUES ('{table.name}', {', '.join(f'{row}.{one}' for one in table.key)}); END"
        )


def _drop(db: Database) -> None:
    for (trigger,) in db.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND name LIKE 'noted_%'"
    ):
        db.execute(f"DROP TRIGGER {trigger}")
    for table in TABLES:
        db.execute(f"DROP TABLE IF EXISTS {table}")
