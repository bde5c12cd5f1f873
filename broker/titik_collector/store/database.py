"""The seam of the store: what a database is to the rooms above, whichever engine it is on.

Rule: statements are written once, for both engines. What engines do differently is a method here.
Rule: every failure is a StoreError, in words that say what an operator can do.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from importlib import resources
from itertools import groupby
from typing import Any, Literal, NamedTuple, Protocol

from titik_collector.languages.codes import marked
from titik_collector.wording.mendable import Mendable
from titik_collector.wording.sentence import Sentence

log = logging.getLogger(__name__)

Value = Any  # whole number, real number, text, bytes, bool or None
Row = tuple[Value, ...]
Values = Sequence[Value] | Mapping[str, Value]  # for `?`, or for `:name`
Columns = tuple[str, ...]
# Whether a second server has all that is committed: it need not; it has; it has not, though the
# store has several servers; it has not, and no COMMIT ends before it has.
SecondServer = Literal["unwanted", "there", "missing", "awaited"]


class StoreError(Mendable):
    """The store cannot be used now (locked, full, damaged); nothing of the batch was kept."""


class NoStoreRoom(StoreError):
    """Its disk has no room, which says nothing of what is stored."""


class Unstorable(StoreError):
    """What was to be written breaks a rule of the store itself: a bug of ours, on a sound disk."""


def is_of_the_store(error: Exception) -> bool:
    """The store fails for everything: disk full, locked, damaged."""
    return isinstance(error, StoreError) and not isinstance(error, Unstorable)


@contextmanager
def alone(what: str, *values: object) -> Iterator[None]:
    """A bug that it meets is logged with these words, and stops nothing beside it."""
    try:
        yield
    except Exception as error:
        if is_of_the_store(error):
            raise
        log.exception(f"a bug stops {what}", *values)


class StoreBusy(StoreError):
    """Somebody else writes, for longer than we wait."""


class StoreHeld(StoreError):
    """Another collector holds the store."""


@cache
def upsert(table: str, key: Columns, others: Columns) -> str:
    """The statement that writes a whole row, instead of the one of its key."""
    return f"{insert(table, (*key, *others))} ON CONFLICT ({', '.join(key)}) DO UPDATE SET " + (
        ", ".join(f"{name} = excluded.{name}" for name in others)
    )


@cache
def insert(table: str, columns: Columns) -> str:
    """The statement that writes a new row."""
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"


class TableShape(NamedTuple):
    """A table as its database has it."""

    name: str
    key: Columns
    columns: Columns  # those that are written


def tables_of(rows: Iterable[Row]) -> list[TableShape]:
    """Tables, from rows of (table, column, its place in the key or 0), each table's together."""
    found = []
    for name, group in groupby(rows, lambda row: str(row[0])):
        columns = [(str(column), int(place)) for _, column, place in group]
        in_key = sorted((place, column) for column, place in columns if place)
        found.append(TableShape(name, tuple(c for _, c in in_key), tuple(c for c, _ in columns)))
    return found


# Is given the store of an earlier schema, and the numbers of that and of the schema to come.
Before = Callable[["Database", int, int], None]


class Migration(NamedTuple):
    """One step of the schema."""

    number: int
    sql: str


def migrations(folder: str, newest: int | None = None) -> list[Migration]:
    """Those of an engine, in order, up to a number; file names are `0001_what.sql`."""
    entries = (resources.files("titik_collector.store") / folder).iterdir()
    files = sorted((one for one in entries if one.name.endswith(".sql")), key=lambda f: f.name)
    found = [Migration(int(one.name[:4]), one.read_text(encoding="utf-8")) for one in files]
    return [one for one in found if newest is None or one.number <= newest]


def other_schema(version: int, newest: int) -> str:
    """What to do about a store of another schema than this program reads."""
    newer = marked("schema {version}, this program reads {newest}; upgrade this program")
    older = marked(
        "schema {version}, this program reads {newest}; `titik upgrade` brings it up to date"
    )
    return Sentence(newer if version > newest else older, version=version, newest=newest)


def no_store(start: str) -> str:
    """What to do where no store is; `start` is the command that makes one."""
    text = marked(
        "no store there yet; if the city has one elsewhere, stop its collector and copy it:"
        " titik store copy OLD titik.toml; in a new city start the collector: {command}"
    )
    return Sentence(text, command=start)


def at_fault(name: object, reason: str) -> Sentence:
    """What is wrong with a store, after its name."""
    return Sentence("{name}: {reason}", name=str(name), reason=reason)


# Stands in a copy until it is whole, and is made before any other table.
HALF = """
CREATE TABLE IF NOT EXISTS copying (
  origin TEXT NOT NULL,
  noted BIGINT NOT NULL DEFAULT 0,  -- of a living copy: the newest note that was brought
  passed TEXT NOT NULL DEFAULT '',  -- JSON: the table and the key that it has come to
  checked BIGINT NOT NULL DEFAULT 0  -- 1: all of it was found to be the source
)
"""


def check_whole(db: "Database", name: object) -> None:
    """StoreError if it is a copy that was begun and not finished."""
    if db.has_table("copying"):
        half = marked(
            "is half a copy of a store; type the command again that copied it, or remove it"
        )
        raise StoreError(at_fault(name, half))


class Rows(list[Row]):
    """What a statement gave, whole; `rowcount` says how many rows it changed."""

    __slots__ = ("rowcount",)

    def __init__(self, rows: Iterable[Row], rowcount: int) -> None:
        super().__init__(rows)
        self.rowcount = rowcount

    def fetchone(self) -> Any:
        """The first; None if there is none."""
        return self[0] if self else None

    def fetchall(self) -> list[Row]:
        """All of them."""
        return self


class Database(Protocol):
    """An open store."""

    def execute(self, sql: str, values: Values = ()) -> Rows:
        """One statement."""
        ...

    def executemany(self, sql: str, rows: Iterable[Row]) -> None:
        """An INSERT of VALUES, an UPDATE or a DELETE for each of many rows, in no order.

        So no two rows write to the same row of the store, but for an INSERT that does nothing then.
        """
        ...

    def stream(self, sql: str, values: Values = ()) -> Iterator[Row]:
        """The rows of a long answer, a few in memory at a time."""
        ...

    def keyed(
        self, columns: Sequence[str], rows: Sequence[Sequence[Value]]
    ) -> tuple[str, tuple[Value, ...]]:
        """The head of a statement that joins with these rows as the table `key`, and its values.

        However many rows there are, the text is the same, so the engine reads it once. With no
        row, and so no value to see its type by, a column is one of whole numbers.
        """
        ...

    def transaction(self) -> AbstractContextManager[None]:
        """All or nothing; the only place to write in."""
        ...

    def renew(self) -> None:
        """Hold the store on, while nothing is written; StoreHeld: another collector has it."""
        ...

    def be_patient(self) -> None:
        """From now on an answer may take an hour; nobody waits for an ack."""
        ...

    def when_silent(self, do: Callable[[str], object]) -> None:
        """Call it with the reason, again and again, while a statement waits for a server."""
        ...

    def snapshot(self, most_s: float | None = None) -> AbstractContextManager[None]:
        """All that is read inside is of one moment, while others write.

        `most_s`: a statement that runs on after so long is a StoreError; None: it runs to its end.
        """
        ...

    def written(self) -> str:
        """Another text once somebody else has written; a reader asks this before it reads again."""
        ...

    def has_table(self, name: str) -> bool:
        """Whether there is such a table."""
        ...

    def tables(self) -> list[TableShape]:
        """Those that hold the city, and none of the engine's own."""
        ...

    def raise_numbers(self) -> None:
        """Inside a transaction: numbers given from now on are above those that are there."""
        ...

    def size(self) -> int:
        """Bytes, about."""
        ...

    def damage(self) -> Iterator[str]:
        """What the engine itself finds broken, in words."""
        ...

    def place(self) -> str:
        """Where the store is; another text for a copy of it."""
        ...

    def second_server(self) -> SecondServer | None:
        """Whether what is committed survives its server; None: this user may not know."""
        ...

    def close(self) -> None:
        """Let go of it; what was not committed is gone."""
        ...
