"""A copy of the store as it is at one moment, while the collector goes on to write.

Rule: it is a file of SQLite, whichever engine the store is on.
"""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from titik_collector.store import copying, half_copy, noting, opening
from titik_collector.store.database import StoreError
from titik_collector.store.opening import Where
from titik_collector.store.sqlite import SqliteDatabase, open_reader, open_writer

# Else who reads it leaves files beside it, and has to be allowed to write its folder.
_ALONE = "PRAGMA journal_mode = DELETE"
_HEADER = b"SQLite format 3\0"  # https://sqlite.org/fileformat.html


class Uncopied(StoreError):
    """The store could not be read, or the copy not be written."""


class Damaged(StoreError):
    """The copy holds damage, so the store does."""


def take(store: Where, copy: Path) -> None:
    """Copy the store into an empty file; StoreError if that cannot be, or if it is damaged."""
    copy_to(copy, store)
    if (found := damage(copy)) is not None:
        raise Damaged(f"{opening.name(store)}: is damaged ({found})")


def copy_to(
    copy: Path,
    store: Where,
    of_version: int | None = None,
    renew: Callable[[], None] = lambda: None,
) -> None:
    """As `take`, as it is. `renew` is called often while a server is read."""
    if store.path is not None:
        _copy_file(store.path, copy, of_version)
        return
    with (
        opening.reading(store, of_version=of_version) as source,
        closing(open_writer(copy, of_version)) as into,
    ):
        copying.copy(source, into, "", str(copy), renew)
        half_copy.finish(into)
        into.execute(_ALONE)


def _copy_file(store: Path, copy: Path, of_version: int | None) -> None:
    with (
        closing(open_reader(store, of_version=of_version)) as source,
        closing(sqlite3.connect(copy, isolation_level=None)) as into,
    ):
        try:
            source.raw.backup(into)
            into.execute(_ALONE)
            noting.end(SqliteDatabase(into, copy))  # it is no source of a copy that goes on
        except sqlite3.Error as error:  # of the one or of the other
            raise Uncopied(f"{store} to {copy}: {error}") from error


def is_database(file: Path) -> bool:
    """Whether the file begins as a store does."""
    with file.open("rb") as raw:
        return raw.read(len(_HEADER)) == _HEADER


def damage(file: Path) -> str | None:
    """What SQLite finds broken in a file; None: it is whole."""
    try:
        with closing(sqlite3.connect(file)) as db:
            (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        return str(error)
    return None if found == "ok" else " ".join(found.split())
