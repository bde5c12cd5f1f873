"""A copy of the store as it is at one moment, while the collector goes on to write.

Rule: it is a file of SQLite, whichever engine the store is on.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

from titik_collector.store import copying, place
from titik_collector.store.database import StoreError
from titik_collector.store.place import Where
from titik_collector.store.sqlite import open_reader, open_writer

_HEADER = b"SQLite format 3\0"  # https://sqlite.org/fileformat.html


class Uncopied(StoreError):
    """The store could not be read, or the copy not be written."""


class Damaged(StoreError):
    """The copy holds damage, so the store does."""


def take(store: Where, copy: Path) -> None:
    """Copy the store into an empty file; StoreError if that cannot be, or if it is damaged."""
    if store.path is not None:
        _take_file(store.path, copy)
        return
    with place.reading(store) as source, closing(open_writer(copy)) as into:
        copying.copy(source, into, "", str(copy), lambda: None)
        copying.finish(into)


def _take_file(store: Path, copy: Path) -> None:
    with closing(open_reader(store)) as source, closing(sqlite3.connect(copy)) as into:
        try:
            source.raw.backup(into)
        except sqlite3.Error as error:  # of the one or of the other
            raise Uncopied(f"{store} to {copy}: {error}") from error
        found = _damage(into)
    if found is not None:
        raise Damaged(f"{store}: is damaged ({found})")


def is_database(file: Path) -> bool:
    """Whether the file begins as a store does."""
    with file.open("rb") as raw:
        return raw.read(len(_HEADER)) == _HEADER


def _damage(db: sqlite3.Connection) -> str | None:
    try:
        (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        return str(error)
    return None if found == "ok" else " ".join(found.split())
