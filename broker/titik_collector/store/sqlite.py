"""SQLite: the file, opened durable and migrated by number.

Rule: what is committed survives a power cut (`synchronous=FULL`).
Rule: readers (`titik status`) never stop the writer, nor the writer them (WAL).
"""

import platform
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path

import msgspec

from titik_collector.languages.codes import marked
from titik_collector.limits import MAX_PAGES_KIB
from titik_collector.own_state import systemd
from titik_collector.store import lease
from titik_collector.store.database import (
    HALF,
    Before,
    NoStoreRoom,
    Row,
    Rows,
    SecondServer,
    StoreBusy,
    StoreError,
    TableShape,
    Unstorable,
    Value,
    Values,
    at_fault,
    check_whole,
    migrations,
    no_store,
    other_schema,
    tables_of,
)
from titik_collector.wording.sentence import Sentence

# Longer than any reader holds the file; short enough that keep-alives still go out in that time.
BUSY_MS = 1000
PATIENT_MS = 30_000  # of who may wait for a collector's longest transaction
FOLDER = "schema"  # of the store's migrations
STEPS = 100_000  # of its own machine, some milliseconds, between two looks at the time


class SqliteDatabase:
    """An open file."""

    def __init__(self, raw: sqlite3.Connection, path: Path, is_still: bool = False) -> None:
        self.raw = raw
        self._path = path
        self._is_still = is_still  # was opened as a file that nobody writes

    def execute(self, sql: str, values: Values = ()) -> Rows:
        """One statement; StoreError if it fails."""
        try:
            cursor = self.raw.execute(sql, values)
            return Rows(cursor.fetchall(), cursor.rowcount)
        except sqlite3.Error as error:
            raise worded(error, self._path) from error

    def executemany(self, sql: str, rows: Iterable[Row]) -> None:
        """One statement for each of many rows; StoreError if it fails."""
        try:
            self.raw.executemany(sql, rows)
        except sqlite3.Error as error:
            raise worded(error, self._path) from error

    def stream(self, sql: str, values: Values = ()) -> Iterator[Row]:
        """The rows of a long answer; StoreError if it fails."""
        try:
            yield from self.raw.execute(sql, values)
        except sqlite3.Error as error:
            raise worded(error, self._path) from error

    def keyed(
        self, columns: Sequence[str], rows: Sequence[Sequence[Value]]
    ) -> tuple[str, tuple[Value, ...]]:
        """The head of a statement that joins with rows; they travel as JSON."""
        return _keyed(tuple(columns)), (msgspec.json.encode(rows).decode(),)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; StoreError if it cannot be."""
        self.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.execute("COMMIT")
        except BaseException:
            if self.raw.in_transaction:
                self.execute("ROLLBACK")
            raise

    def renew(self) -> None:
        """A file's lease lasts as long as the process."""

    def be_patient(self) -> None:
        """It always is."""

    def when_silent(self, do: Callable[[str], object]) -> None:
        """A file answers."""

    @contextmanager
    def snapshot(self, most_s: float | None = None) -> Iterator[None]:
        """All that is read inside is of one moment; StoreError if it takes longer."""
        self.execute("BEGIN")
        if most_s is not None:
            end_s = time.monotonic() + most_s
            self.raw.set_progress_handler(lambda: time.monotonic() > end_s, STEPS)
        try:
            yield
        finally:
            self.raw.set_progress_handler(None, 0)
            self.execute("ROLLBACK")

    def written(self) -> str:
        """What SQLite counts up when another connection has committed."""
        return str(self.execute("PRAGMA data_version")[0][0])

    def has_table(self, name: str) -> bool:
        """Whether there is such a table."""
        return bool(self.execute("SELECT 1 FROM sqlite_schema WHERE name = ?", (name,)))

    def tables(self) -> list[TableShape]:
        """Those that hold the city."""
        return tables_of(
            self.execute(
                "SELECT made.name, one.name, one.pk FROM sqlite_schema AS made"
                " JOIN pragma_table_xinfo(made.name) AS one"
                " WHERE made.type = 'table' AND made.name NOT LIKE 'sqlite%' AND one.hidden = 0"
                " ORDER BY made.name, one.cid"
            )
        )

    def raise_numbers(self) -> None:
        """It gives the highest number and one."""

    def size(self) -> int:
        """Of the file, once what is beside it is in it."""
        ((pages, size),) = self.execute(
            "SELECT page_count, page_size FROM pragma_page_count, pragma_page_size"
        )
        return int(pages * size)

    def damage(self) -> Iterator[str]:
        """What SQLite finds broken."""
        found = self.execute("PRAGMA integrity_check")
        yield from (f"sqlite: {one}" for (one,) in found if one != "ok")
        for table, rowid, parent, _ in self.execute("PRAGMA foreign_key_check"):
            yield f"{table} row {rowid}: no such row in {parent}"

    def version(self) -> int:
        """The number of the newest migration that was applied; 0: none."""
        return int(self.execute("PRAGMA user_version")[0][0])

    def second_server(self) -> SecondServer:
        """A file has no server."""
        return "unwanted"

    def place(self) -> str:
        """The machine, the path and the file itself; a copy differs in one of them."""
        place = f"{platform.node()} {self._path.resolve()} {self._path.stat().st_ino}"
        if self._is_still and files(self._path)[1].exists():
            return f"{place}, written again"  # so that its reader opens it again
        return place

    def close(self) -> None:
        """Let go of the file."""
        self.raw.close()


@cache
def _keyed(columns: tuple[str, ...]) -> str:
    parts = ", ".join(f"json_extract(value, '$[{n}]')" for n in range(len(columns)))
    # Else SQLite reads the JSON again wherever a column is named.
    return f"WITH key ({', '.join(columns)}) AS MATERIALIZED (SELECT {parts} FROM json_each(?))"


def files(path: Path) -> list[Path]:
    """The store's, whether they are there or not; what SQLite left beside it belongs to it."""
    return [path.with_name(path.name + end) for end in ("", "-wal", "-shm")]


def open_writer(
    path: Path,
    newest: int | None = None,
    before: Before | None = None,
    folder: str = FOLDER,
    half: bool = False,
) -> SqliteDatabase:
    """Open, or make, the store for writing, brought to the newest migration of the folder.

    `newest`: that of an earlier version. `before` is called before an older store is changed.
    `half`: a copy that is not whole too; a new one is marked as such.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        raw = sqlite3.connect(path, isolation_level=None, timeout=BUSY_MS / 1000)
    except OSError as error:
        raise StoreError(f"{path}: {error}") from error
    except sqlite3.Error as error:
        raise worded(error, path) from error
    db = SqliteDatabase(raw, path)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute(f"PRAGMA cache_size = -{MAX_PAGES_KIB}")
        if not half:
            check_whole(db, path)
        elif not db.version():
            db.execute(HALF)
        _migrate(db, newest, before, folder)
    except BaseException:
        db.close()
        raise
    return db


def open_beside(path: Path) -> SqliteDatabase:
    """An existing store for short transactions, while a collector writes it."""
    try:
        raw = sqlite3.connect(path, isolation_level=None, timeout=PATIENT_MS / 1000)
    except sqlite3.Error as error:
        raise worded(error, path) from error
    db = SqliteDatabase(raw, path)
    try:
        db.execute("PRAGMA synchronous = FULL")
    except BaseException:
        db.close()
        raise
    return db


def open_reader(
    path: Path, file: Path | None = None, of_version: int | None = None
) -> SqliteDatabase:
    """Open an existing store for reading only; StoreError says if there is none.

    `file`: the configuration that makes one. `of_version`: in place of this program's schema.
    """
    if not path.exists():
        raise StoreError(at_fault(path, no_store(systemd.start(path, file))))
    db = _readable(path)
    try:
        check_whole(db, path)
        version, newest = db.version(), of_version or migrations(FOLDER)[-1].number
        if version != newest:
            raise StoreError(at_fault(path, _other_schema(version, newest)))
    except BaseException:
        db.close()
        raise
    return db


@contextmanager
def reading(path: Path, file: Path | None = None) -> Iterator[SqliteDatabase]:
    """The store for reading, until the end of the block."""
    with closing(open_reader(path, file)) as db:
        yield db


def worded(error: sqlite3.Error, path: Path) -> StoreError:
    """What SQLite says of a store, with the remedy."""
    # sqlite3 raises some errors itself, without a code.
    code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF  # without the extension
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN):
        text = marked("{error}; may this user write it, and its folder?")
        return StoreError(at_fault(path, Sentence(text, error=str(error))))
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        text = marked(
            "{error}; stop the collector, move the store and its -wal and -shm away, and bring back"
            " a backup: titik restore --only-store FILE"
        )
        return StoreError(at_fault(path, Sentence(text, error=str(error))))
    if code == sqlite3.SQLITE_FULL:
        return NoStoreRoom(f"{path}: {error}")
    if code in _BUGS:
        return Unstorable(f"{path}: {error}")
    return (StoreBusy if code == sqlite3.SQLITE_BUSY else StoreError)(f"{path}: {error}")


_BUGS = (
    *(sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG),
    *(sqlite3.SQLITE_RANGE, sqlite3.SQLITE_MISUSE),
)


def _other_schema(version: int, newest: int) -> str:
    if version == 0:
        text = marked(
            "schema 0, this program reads {newest}; its -wal is missing, or it is no store: put the"
            " -wal back beside it, or move it away and bring back a backup: titik restore"
            " --only-store FILE"
        )
        return Sentence(text, newest=newest)
    return other_schema(version, newest)


def version(path: Path) -> int:
    """The number of the newest migration that was applied; 0: there is no store."""
    if not path.exists():
        return 0
    with closing(_readable(path)) as db:
        return db.version()


def open_closed(path: Path) -> SqliteDatabase:
    """A file that nobody has open, for reading; nothing is left beside it."""
    return _read_only(path, "immutable=1")


def open_other(path: Path) -> SqliteDatabase:
    """What another process keeps beside the store, for reading only; StoreError."""
    return _readable(path)


def _readable(path: Path) -> SqliteDatabase:
    """For a reader who may not write the folder too.

    SQLite then needs the -shm, which is there while the store is open for writing. Without it, and
    where no collector holds the store, nothing changes the file, and it is read as it is.
    """
    db = _read_only(path)
    try:
        db.version()
    except StoreError:
        db.close()
        if files(path)[1].exists() or lease.is_held(path) is not False:
            raise
        return open_closed(path)
    except BaseException:
        db.close()
        raise
    return db


def _read_only(path: Path, how: str = "mode=ro") -> SqliteDatabase:
    try:
        raw = sqlite3.connect(f"file:{path}?{how}", uri=True, timeout=5)
        return SqliteDatabase(raw, path, is_still=how != "mode=ro")
    except sqlite3.Error as error:
        raise worded(error, path) from error


def _migrate(
    db: SqliteDatabase,
    newest: int | None = None,
    before: Before | None = None,
    folder: str = FOLDER,
) -> None:
    """Apply what is missing, each migration whole or not at all."""
    have = db.version()
    known = migrations(folder, newest)
    if have > known[-1][0]:
        raise StoreError(f"schema {have} is newer than this program, which knows {known[-1][0]}")
    if 0 < have < known[0][0]:
        raise StoreError(f"schema {have} is older than {known[0][0]}, the first that is converted")
    if before is not None and 0 < have < known[-1][0]:
        before(db, have, known[-1][0])
    for number, sql in known:
        if number > have:
            script = f"BEGIN IMMEDIATE;\n{sql}\nPRAGMA user_version = {number};\nCOMMIT;"
            try:
                db.raw.executescript(script)
            except sqlite3.Error as error:
                raise worded(error, db._path) from error
