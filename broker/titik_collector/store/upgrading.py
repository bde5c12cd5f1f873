"""Before a store of an earlier version is changed: is there room, how long, and a way back.

Rule: a snapshot of the store as it was lies beside it, and is a file of SQLite on either engine.
Rule: one that is made while the collector works serves its next start, which then waits for none.
"""

import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from titik_collector.files.replace import sync
from titik_collector.store import conservation, copying, opening, snapshot, sqlite
from titik_collector.store.database import Before, Database, StoreBusy, StoreError
from titik_collector.store.opening import Where
from titik_wire.instant import DAY_MS

# Of a snapshot, measured on a slow core. No migration reads the rows of a large table.
FILE_BYTES_S, SERVER_BYTES_S = 100_000_000, 10_000_000
# Of the store's size: the snapshot, and what a migration writes. Of one on a server the file is a
# third, and the migration writes there.
FILE_ROOM, SERVER_ROOM = 1.25, 0.5
FRESH_S = DAY_MS / 1000

Say = Callable[[str], None]


class GivenUp(NamedTuple):
    """What a way back gives up."""

    samples: int | None  # stored since the snapshot; None: the store cannot be read
    taken_s: float  # when it was, in seconds since 1970
    version: int  # of the schema


def snapshot_file(beside: Path) -> Path:
    """Where the store lies as it was before the last upgrade."""
    return beside.with_name(f"{beside.name}.before-upgrade")


def keeping(where: Where, beside: Path, say: Say) -> Before:
    """What is done before a store is changed: StoreError if there is no room for it."""

    def before(db: Database, have: int, newest: int) -> None:
        if _is_fresh(snapshot_file(beside), db):
            say(f"{opening.name(where)}: becomes schema {newest}; {snapshot_file(beside)} is kept")
        else:
            _keep(db, where, beside, (have, newest), say, db.renew)

    return before


def keep_now(where: Where, beside: Path, say: Say) -> None:
    """Make the snapshot while the collector of the earlier version works."""
    have, newest = opening.version(where), opening.newest(where)
    with opening.reading(where, of_version=have) as db:
        _keep(db, where, beside, (have, newest), say, lambda: None)


def loss(where: Where, beside: Path) -> GivenUp:
    """What `back` would lose; StoreError if there is no way back."""
    file = snapshot_file(beside)
    version = sqlite.version(file)
    if not version:
        raise StoreError(f"{file}: there is no snapshot, so no way back; restore a backup")
    taken_s = file.stat().st_mtime
    try:
        now = opening.version(where)
    except StoreError:
        if where.path is None:  # the server is away
            raise
        return GivenUp(None, taken_s, version)
    if now <= version:
        raise StoreError(f"{opening.name(where)}: is of schema {now} already")
    return GivenUp(_stored_since(file, version, where, now), taken_s, version)


def _stored_since(file: Path, version: int, where: Where, now: int) -> int | None:
    try:
        with (
            closing(sqlite.open_reader(file, of_version=version)) as old,
            opening.reading(where, of_version=now) as db,
        ):
            return conservation.totals(db).stored - conservation.totals(old).stored
    except StoreError:  # which is a reason to go back
        return None


def back(where: Where, beside: Path, version: int) -> str:
    """Put the snapshot in the store's place; where the newer store is from now on."""
    file, path = snapshot_file(beside), where.path
    if path is None:
        return _back_on_server(where, file, version)
    kept = path.with_name(f"{path.name}.upgraded")
    with opening.held(where):
        _empty_wal(path)
        kept.unlink(missing_ok=True)
        os.link(path, kept)
        for one in sqlite.files(path)[1:]:  # the snapshot has none
            one.unlink(missing_ok=True)
        file.replace(path)
    return str(kept)


def _empty_wal(path: Path) -> None:
    """Move its rows into the file, which is kept without it; what is damaged stays as it is."""
    try:
        with closing(sqlite3.connect(path)) as raw:
            ((busy, _, _),) = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.DatabaseError as error:
        busy = isinstance(sqlite.worded(error, path), StoreBusy)
    if busy:
        raise StoreError(
            f"{path}: something reads the store, and nothing is changed; wait until titik export"
            " and the like have ended, then type it again"
        )


def _back_on_server(where: Where, file: Path, version: int) -> str:
    from titik_collector.store import postgres_schema

    with closing(sqlite.open_reader(file, of_version=version)) as source:

        def copy(target: Database, renew: Callable[[], None]) -> None:
            origin = f"{source.place()} {file.stat().st_mtime_ns}"
            copying.copy(source, target, origin, opening.name(where), renew)

        kept = postgres_schema.put_back(opening.postgres(where), version, copy)
    file.unlink()
    return kept


def _keep(
    db: Database,
    where: Where,
    beside: Path,
    versions: tuple[int, int],
    say: Say,
    renew: Callable[[], None],
) -> None:
    file, size = snapshot_file(beside), db.size()
    is_file = where.path is not None
    _check_room(file.parent, size * (FILE_ROOM if is_file else SERVER_ROOM))
    seconds = size / (FILE_BYTES_S if is_file else SERVER_BYTES_S)
    say(
        f"{opening.name(where)}: schema {versions[0]} becomes {versions[1]}; a snapshot of"
        f" {size / 1e6:.0f} MB comes first, about {max(1, round(seconds))} s: {file}"
    )
    unfinished = file.with_name(f".{file.name}")
    _remove(unfinished)
    try:
        os.close(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        snapshot.copy_to(unfinished, where, versions[0], renew)
        sync(unfinished)
        if os.geteuid() == 0:  # for the collector's user
            owner = (where.path or where.password_file or file.parent).stat()
            os.chown(unfinished, owner.st_uid, owner.st_gid)
        unfinished.replace(file)
    except OSError as error:
        raise StoreError(f"{file}: {error.strerror}; {_AS_ROOT}") from error
    finally:
        _remove(unfinished)


_AS_ROOT = "stop the collector, and as root: titik upgrade"
_WITHOUT = "titik upgrade --no-snapshot"


def _check_room(folder: Path, needed: float) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise StoreError(
            f"{folder}: an upgrade needs {needed / 1e6:.0f} MB, and {free / 1e6:.0f} MB are"
            f" free; free the rest, or have a backup elsewhere and no way back: {_WITHOUT}"
        )


def _is_fresh(file: Path, db: Database) -> bool:
    """Of this store, since the collector started that worked last."""
    if not file.exists() or time.time() - file.stat().st_mtime > FRESH_S:
        return False
    try:
        version = sqlite.version(file)
        with closing(sqlite.open_reader(file, of_version=version)) as old:
            return copying.identity_of(old) == copying.identity_of(db)
    except StoreError:  # another user's
        return False


def _remove(store: Path) -> None:
    for one in sqlite.files(store):
        one.unlink(missing_ok=True)
