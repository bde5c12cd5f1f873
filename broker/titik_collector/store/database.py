"""The SQLite file: opened durable, migrated by number, held by one collector at a time.

Rule: what is committed survives a power cut (`synchronous=FULL`).
Rule: readers (`titik status`) never stop the writer, nor the writer them (WAL).
"""

import fcntl
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from importlib import resources
from pathlib import Path
from typing import IO, TypeAlias

from titik_collector.own_state import systemd
from titik_collector.store.counters import Packer

# Longer than any reader holds the file; short enough that keep-alives still go out meanwhile.
BUSY_MS = 1000
CACHE_KIB = 65536  # of pages; what a collector holds of a large store at most
LEASE_TRIES, LEASE_RETRY_S = 3, 0.02  # somebody may just look whether it is held

# What other rooms hold of the store; the statements that it executes stand in this room.
Database: TypeAlias = sqlite3.Connection


class StoreError(Exception):
    """The store cannot be used now (locked, full, damaged); nothing of the batch was kept."""


# All that a store that fails may raise: outside a transaction SQLite's own errors are not worded.
FAILURES = (StoreError, sqlite3.Error)


class Unstorable(StoreError):
    """What was to be written breaks a rule of the store itself: a bug of ours, on a sound disk."""


class StoreBusy(StoreError):
    """Somebody else writes, for longer than we wait."""


class StoreHeld(StoreError):
    """Another collector holds the store."""


def migrations() -> list[tuple[int, str]]:
    """Number and SQL of every migration, in order; file names are `0001_what.sql`."""
    folder = resources.files("titik_collector.store") / "schema"
    files = sorted(
        (entry for entry in folder.iterdir() if entry.name.endswith(".sql")), key=lambda f: f.name
    )
    return [(int(file.name[:4]), file.read_text(encoding="utf-8")) for file in files]


def files(path: Path) -> list[Path]:
    """The store's, whether they are there or not; what SQLite left beside it belongs to it."""
    return [path.with_name(path.name + end) for end in ("", "-wal", "-shm")]


def open_writer(path: Path) -> sqlite3.Connection:
    """Open, or make, the store for writing, brought to the newest migration."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(path, isolation_level=None, timeout=BUSY_MS / 1000)
    except OSError as error:
        raise StoreError(f"{path}: {error}") from error
    except sqlite3.Error as error:
        raise _worded(error, f"{path}: ") from error
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        _migrate(db)
    except sqlite3.Error as error:
        db.close()
        raise _worded(error, f"{path}: ") from error
    except BaseException:
        db.close()
        raise
    return db


def open_reader(path: Path, file: Path | None = None) -> sqlite3.Connection:
    """Open an existing store for reading only; StoreError says if there is none.

    `file`: the configuration that makes one.
    """
    if not path.exists():
        raise StoreError(
            f"{path}: no store there yet; start the collector, which makes it:"
            f" {systemd.start(path, file)}"
        )
    try:
        db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)
    except sqlite3.Error as error:
        raise _worded(error, f"{path}: ") from error
    try:
        version = int(db.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.Error as error:
        db.close()
        raise _worded(error, f"{path}: ") from error
    newest = migrations()[-1][0]
    if version != newest:
        db.close()
        raise StoreError(f"{path}: {_other_schema(version, newest)}")
    return db


@contextmanager
def reading(path: Path, file: Path | None = None) -> Iterator[sqlite3.Connection]:
    """The store for reading, until the end of the block; StoreError if a page of it is damaged."""
    with closing(open_reader(path, file)) as db, worded(path):
        yield db


@contextmanager
def worded(path: Path) -> Iterator[None]:
    """What SQLite says of this store, outside a transaction too, becomes a StoreError."""
    try:
        yield
    except sqlite3.Error as error:
        raise _worded(error, f"{path}: ") from error


def _other_schema(version: int, newest: int) -> str:
    versions = f"schema {version}, this program reads {newest}"
    if version == 0:
        return (
            f"{versions}; its -wal is missing, or it is no store: put the -wal back beside it, or"
            " move it away and bring back a backup: titik restore --only-store FILE"
        )
    if version > newest:
        return f"{versions}; upgrade this program"
    return f"{versions}; `titik collect` brings it up to date"


def _migrate(db: sqlite3.Connection) -> None:
    """Apply what is missing, each migration whole or not at all."""
    have = int(db.execute("PRAGMA user_version").fetchone()[0])
    known = migrations()
    if have > known[-1][0]:
        raise StoreError(f"schema {have} is newer than this program, which knows {known[-1][0]}")
    # typeshed knows only aggregates that give an integer.
    db.create_aggregate("pack_counters", 3, Packer)  # type: ignore[arg-type]
    for number, sql in known:
        if number > have:
            db.executescript(f"BEGIN IMMEDIATE;\n{sql}\nPRAGMA user_version = {number};\nCOMMIT;")


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All or nothing; every SQLite failure becomes a StoreError after the rollback."""
    try:
        db.execute("BEGIN IMMEDIATE")
        yield
        db.execute("COMMIT")
    except sqlite3.Error as error:
        _roll_back(db)
        raise _worded(error) from error
    except BaseException:
        _roll_back(db)
        raise


def _worded(error: sqlite3.Error, where: str = "") -> StoreError:
    # sqlite3 raises some errors itself, without a code.
    code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF  # without the extension
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN):
        return StoreError(f"{where}{error}; may this user write it, and its folder?")
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return StoreError(
            f"{where}{error}; stop the collector, move the store and its -wal and -shm away,"
            " and bring back a backup: titik restore --only-store FILE"
        )
    if code in _BUGS:
        return Unstorable(f"{where}{error}")
    return (StoreBusy if code == sqlite3.SQLITE_BUSY else StoreError)(f"{where}{error}")


_BUGS = (
    *(sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG),
    *(sqlite3.SQLITE_RANGE, sqlite3.SQLITE_MISUSE),
)


def _roll_back(db: sqlite3.Connection) -> None:
    if db.in_transaction:
        db.execute("ROLLBACK")


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold the store's lease: only one collector writes acks, rollups and `now` over one store."""

    def busy(holder: str) -> StoreHeld:
        return StoreHeld(
            f"{path}: another collector (process {holder}) holds this store; stop it, or give each"
            " a store.path of its own"
        )

    with ExitStack() as stack:
        try:
            stack.enter_context(lease(path.with_name(path.name + ".lease"), busy))
        except OSError as error:
            raise StoreError(
                f"store.path: {error.filename or path}: {error.strerror}; run as its owner, or"
                " choose a folder that can be written"
            ) from error
        yield


@contextmanager
def lease(path: Path, busy: Callable[[str], Exception]) -> Iterator[None]:
    """Hold a lock file until the end of the block or of the process; else raise `busy(holder)`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+", encoding="ascii", opener=_unlinked) as file:
        if not any(_locks(file) for _ in range(LEASE_TRIES)):
            file.seek(0)
            raise busy(file.read().strip() or "unknown")
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def _unlinked(path: str, flags: int) -> int:
    """No link is followed: root may collect in a folder that is the collector's user's."""
    return os.open(path, flags | os.O_NOFOLLOW, 0o644)


def is_held(path: Path) -> bool | None:
    """Whether a collector holds the store's lease; None if that is not ours to see."""
    try:
        with open(path.with_name(path.name + ".lease"), encoding="ascii") as file:
            # Shared, and for a moment: others who look do not see us, and a collector waits.
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    except OSError:
        return None
    return False


def _locks(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        time.sleep(LEASE_RETRY_S)
        return False
    return True
