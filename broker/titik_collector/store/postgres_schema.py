"""Opening a store on PostgreSQL: the schema is made and migrated by number, the lease is taken.

Rule: only the holder of the lease migrates a store that is in use.
"""

import os
import platform
from contextlib import closing

from titik_collector.store.database import Migration, StoreError, migrations, other_schema
from titik_collector.store.postgres import HELD, PostgresDatabase, PostgresPlace

FOLDER = "schema/postgres"


def open_writer(place: PostgresPlace) -> PostgresDatabase:
    """Open, or make, the store for writing, brought to the newest migration; StoreHeld."""
    db = PostgresDatabase(place)
    try:
        db.make_schema()
        known = migrations(FOLDER)
        if not db.version():
            _apply(db, known[:1])
        db.take_lease(f"process {os.getpid()} on {platform.node()}")
        version = db.version()
        if version > known[-1].number:
            raise StoreError(f"{place}: {other_schema(version, known[-1].number)}")
        _apply(db, [one for one in known if one.number > version])
    except BaseException:
        db.close()
        raise
    return db


def open_reader(place: PostgresPlace, start: str) -> PostgresDatabase:
    """Open an existing store for reading only; `start`: the command that makes one."""
    db = PostgresDatabase(place)
    try:
        version, newest = db.version(), migrations(FOLDER)[-1].number
        if not version:
            raise StoreError(f"{place}: no store there yet; start the collector: {start}")
        if version != newest:
            raise StoreError(f"{place}: {other_schema(version, newest)}")
    except BaseException:
        db.close()
        raise
    return db


def exists(place: PostgresPlace) -> bool:
    """Whether the schema is a store."""
    with closing(PostgresDatabase(place)) as db:
        return bool(db.version())


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
