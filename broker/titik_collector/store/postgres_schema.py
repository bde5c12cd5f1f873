"""Opening a store on PostgreSQL: the schema is made and migrated by number, the lease is taken.

Rule: only the holder of the lease migrates a store that is in use.
"""

import os
import platform
from collections.abc import Callable
from contextlib import closing

from titik_collector.store.database import (
    Before,
    Database,
    Migration,
    StoreError,
    at_fault,
    check_whole,
    migrations,
    no_store,
    other_schema,
)
from titik_collector.store.postgres import HELD, PostgresDatabase, PostgresPlace

FOLDER = "schema/postgres"
_IN_USE = "SELECT 1 FROM setting UNION ALL SELECT 1 FROM router LIMIT 1"


def open_writer(
    place: PostgresPlace,
    newest: int | None = None,
    before: Before | None = None,
    half: bool = False,
) -> PostgresDatabase:
    """Open, or make, the store for writing, brought to the newest migration; StoreHeld.

    `newest`: that of an earlier version. `before` is called before an older store is changed.
    `half`: a copy that is not whole too; a new one is marked as such.
    """
    db = PostgresDatabase(place)
    try:
        db.make_schema(half)
        if not half:
            check_whole(db, place)
        known = migrations(FOLDER, newest)
        if not db.version():
            _apply(db, known[:1])
        db.take_lease(f"process {os.getpid()} on {platform.node()}")
        version = db.version()
        if version > known[-1].number:
            raise StoreError(f"{place}: {other_schema(version, known[-1].number)}")
        if before is not None and version < known[-1].number and db.execute(_IN_USE):
            before(db, version, known[-1].number)
        _apply(db, [one for one in known if one.number > version])
    except BaseException:
        db.close()
        raise
    return db


def open_reader(
    place: PostgresPlace, start: str, of_version: int | None = None
) -> PostgresDatabase:
    """Open an existing store for reading only; `start`: the command that makes one.

    `of_version`: in place of this program's schema.
    """
    db = PostgresDatabase(place)
    try:
        check_whole(db, place)
        version, newest = db.version(), of_version or migrations(FOLDER)[-1].number
        if not version:
            raise StoreError(at_fault(place, no_store(start)))
        if version != newest:
            raise StoreError(at_fault(place, other_schema(version, newest)))
    except BaseException:
        db.close()
        raise
    return db


def version(place: PostgresPlace) -> int:
    """The number of the newest migration that was applied; 0: there is no store."""
    with closing(PostgresDatabase(place)) as db:
        return db.version()


def put_back(
    place: PostgresPlace, of_version: int, copy: Callable[[Database, Callable[[], None]], None]
) -> str:
    """Put a store of an earlier schema in its place; the name of the schema that keeps this one.

    `copy` is given an empty store, and what to call often; what it copied before is there.
    """
    back, kept = f"{place.schema}-back", f"{place.schema}-upgraded"
    with closing(open_writer(place)) as db:
        if db.execute("SELECT 1 FROM pg_namespace WHERE nspname = ?", (kept,)):
            raise StoreError(f"{place}: there is a schema {kept} already; move it away")
        with closing(open_writer(place._replace(schema=back), of_version, half=True)) as old:
            copy(old, db.renew)
            with old.transaction():
                old.raise_numbers()
        with db.transaction():
            db.execute(f'DROP TABLE "{back}".copying')
            db.execute(f'ALTER SCHEMA "{place.schema}" RENAME TO "{kept}"')
            db.execute(f'ALTER SCHEMA "{back}" RENAME TO "{place.schema}"')
    return f"{place._replace(schema=kept)}"


def is_held(place: PostgresPlace) -> bool | None:
    """Whether a collector holds the store's lease; None if that cannot be asked."""
    try:
        db = PostgresDatabase(place)
    except StoreError:
        return None
    try:
        return bool(db.version()) and bool(db.execute(HELD)[0][0])
    except StoreError:
        return None
    finally:
        db.close()


def _apply(db: PostgresDatabase, missing: list[Migration]) -> None:
    for one in missing:
        db.apply(one.number, one.sql)
