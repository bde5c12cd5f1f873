"""The desk: what people enter, in a place of its own beside the store.

Beside a file it is `desk.db` in the folder `NAME.desk`: who may write in a folder may replace every
file in it, and the page must not replace the store. On a server it is the schema `NAME-desk`.

Rule: it is made when it is first written to, and whoever opens it brings it up to date.
Rule: many write it, each in short transactions; nobody holds it.
"""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from titik_collector.files.locks import locked
from titik_collector.limits import MAX_SCHEMA
from titik_collector.store import opening, sqlite
from titik_collector.store.database import Database, StoreError, migrations, other_schema
from titik_collector.store.opening import Where

FOLDER, SERVER_FOLDER = "schema/desk", "schema/postgres/desk"  # of the migrations
FILE = "desk.db"


def folder_of(store: Path) -> Path:
    """Where the desk of a store in a file is, and what SQLite leaves beside it."""
    return store.with_name(f"{store.name}.desk")


def file_of(store: Path) -> Path:
    """The desk of a store in a file."""
    return folder_of(store) / FILE


def name(where: Where) -> str:
    """For messages."""
    if where.path is not None:
        return str(file_of(where.path))
    return f"{where.url} schema {_schema(where)}"


def exists(where: Where) -> bool:
    """Whether anything was entered yet; StoreError if that cannot be seen."""
    if where.path is not None:
        return _is_there(file_of(where.path))
    if len(_named(where)) > MAX_SCHEMA:
        return False
    place = opening.postgres(where)._replace(schema=_schema(where))
    from titik_collector.store import postgres_schema

    return bool(postgres_schema.version(place))


def open_desk(where: Where) -> Database:
    """Open, or make, the desk of a store, brought to the newest migration."""
    if where.path is not None:
        return open_file(file_of(where.path))
    return open_schema(where, _schema(where), SERVER_FOLDER)


def open_for_collector(where: Where) -> Database:
    """The desk on a server, for reading what the collector may; StoreError if it is away."""
    place = opening.postgres(where)._replace(schema=_schema(where))
    from titik_collector.store.postgres import PostgresDatabase

    return PostgresDatabase(place)


def _is_there(file: Path) -> bool:
    try:
        return file.exists()
    except OSError as error:  # a folder that root made, and the page may not enter
        raise _refused(file, error) from error


def _refused(file: Path, error: OSError) -> StoreError:
    owner = f"{error.filename or file}: {error.strerror}; run as the owner of {file.parent}"
    return StoreError(f"{owner}, or as root")


@contextmanager
def opened(where: Where) -> Iterator[Database]:
    """The desk, until the end of the block."""
    with closing(open_desk(where)) as db:
        yield db


def open_file(file: Path, folder: str = FOLDER, mode: int = 0o600) -> Database:
    """A desk in a file, its owner's alone from its first byte; StoreError if it cannot be."""
    try:
        file.parent.mkdir(mode=0o750 if mode & 0o040 else 0o700, parents=True, exist_ok=True)
        with locked(file.parent):  # of two that find no desk, one makes it
            _make_private(file, mode)
            return sqlite.open_writer(file, folder=folder)
    except OSError as error:
        raise _refused(file, error) from error


def _make_private(file: Path, mode: int) -> None:
    """An empty file, unless there is one; root makes it for the owner of its folder."""
    if file.exists():
        return
    os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, mode))
    if os.geteuid() == 0:
        owner = file.parent.stat()
        os.chown(file, owner.st_uid, owner.st_gid)


def open_schema(where: Where, schema: str, folder: str) -> Database:
    """The same in a schema of the store's server."""
    place = opening.postgres(where)._replace(schema=schema)
    from titik_collector.store.postgres import PostgresDatabase

    db = PostgresDatabase(place, is_shared=True)
    try:
        db.make_schema()
        known = migrations(folder)
        if (version := db.version()) > known[-1].number:
            raise StoreError(f"{place}: {other_schema(version, known[-1].number)}")
        for one in known[version:]:
            db.apply(one.number, one.sql)
    except BaseException:
        db.close()
        raise
    return db


def _named(where: Where) -> str:
    return f"{where.schema}-desk"


def _schema(where: Where) -> str:
    found = _named(where)
    if len(found) > MAX_SCHEMA:  # PostgreSQL would cut its end off
        raise StoreError(f"store.schema: {where.schema} is too long for {found}; use a shorter one")
    return found
