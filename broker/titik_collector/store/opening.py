"""Opens the store that the configuration names: a file of SQLite, or a schema of PostgreSQL.

Rule: the driver of PostgreSQL is loaded where the configuration names a server, and nowhere else.
"""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from titik_collector.languages.codes import marked
from titik_collector.limits import MAX_PASSWORD_FILE
from titik_collector.own_state import systemd
from titik_collector.store import lease, sqlite
from titik_collector.store.database import Before, Database, StoreError, at_fault, migrations
from titik_collector.wording.sentence import Sentence

if TYPE_CHECKING:
    from titik_collector.store.postgres import PostgresPlace

log = logging.getLogger(__name__)

DRIVER = f'{sys.executable} -m pip install "psycopg[binary]>=3.2"'


class Where(Protocol):
    """What a configuration says of its store: a path or an url."""

    @property
    def path(self) -> Path | None:
        """The file."""

    @property
    def url(self) -> str | None:
        """The server and its database."""

    @property
    def schema(self) -> str:
        """What of the database is the store."""

    @property
    def password_file(self) -> Path | None:
        """With the password of the url's user."""


def name(where: Where) -> str:
    """For messages."""
    return f"{where.url} schema {where.schema}" if where.path is None else str(where.path)


def is_same(one: Where, other: Where) -> bool:
    """Whether both name one store."""
    if one.path is not None and other.path is not None:
        return one.path.resolve() == other.path.resolve()
    return name(one) == name(other)


@contextmanager
def held(where: Where) -> Iterator[None]:
    """Hold the lease of a file; opening a schema takes its own. StoreHeld: another has it."""
    if where.path is None:
        yield
        return
    with lease.held(where.path):
        yield


def is_held(where: Where, db: Database | None = None) -> bool | None:
    """Whether a collector holds the store; None if that is not ours to see.

    `db`: the store if it is open, so that no other connection asks its server.
    """
    if where.path is not None:
        return lease.is_held(where.path)
    if db is not None:
        from titik_collector.store.postgres import HELD

        return bool(db.execute(HELD).fetchone()[0])
    place = postgres(where)
    from titik_collector.store import postgres_schema

    return postgres_schema.is_held(place)


def stand_by(where: Where, each: Callable[[], None]) -> None:
    """Until nobody holds a store on a server; `each` is called every second."""
    place = postgres(where)
    from titik_collector.store import postgres_standby

    postgres_standby.wait(place, each)


def exists(where: Where) -> bool:
    """Whether there is a store, whole or damaged."""
    return bool(version(where)) if where.path is None else where.path.exists()


def version(where: Where) -> int:
    """The number of its schema; 0: no store has been made there."""
    if where.path is not None:
        return sqlite.version(where.path)
    place = postgres(where)
    from titik_collector.store import postgres_schema

    return postgres_schema.version(place)


def newest(where: Where) -> int:
    """The schema of this version."""
    return migrations("schema" if where.path is not None else "schema/postgres")[-1].number


def open_writer(where: Where, half: bool = False, before: Before | None = None) -> Database:
    """Open, or make, the store for writing, brought to the newest migration.

    `half`: a copy that is not whole too. `before` is called before an older store is changed.
    """
    if where.path is not None:
        return sqlite.open_writer(where.path, before=before, half=half)
    place = postgres(where)
    from titik_collector.store import postgres_schema

    return postgres_schema.open_writer(place, before=before, half=half)


@contextmanager
def writing(where: Where, half: bool = False, before: Before | None = None) -> Iterator[Database]:
    """Hold the store and write it, until the end of the block; StoreHeld: a collector has it."""
    with held(where), closing(open_writer(where, half, before)) as db:
        yield db


@contextmanager
def reading(
    where: Where, file: Path | None = None, of_version: int | None = None
) -> Iterator[Database]:
    """The store for reading, until the end of the block; `file`: the configuration."""
    if where.path is not None:
        with closing(sqlite.open_reader(where.path, file, of_version)) as db:
            yield db
        return
    place = postgres(where)
    from titik_collector.store import postgres_schema

    start = "titik collect" if file is None else systemd.start(file, file)
    with closing(postgres_schema.open_reader(place, start, of_version)) as opened:
        yield opened


def postgres(where: Where) -> "PostgresPlace":
    """Of a store on a server; StoreError without its driver, or if the password cannot be read."""
    try:
        from titik_collector.store.postgres import PostgresPlace
    except ImportError as error:
        missing = Sentence(marked("psycopg is not installed: {command}"), command=DRIVER)
        raise StoreError(at_fault("store.url", missing)) from error
    assert where.url is not None
    return PostgresPlace(where.url, where.schema, _password(where.password_file))


def _password(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        if file.stat().st_mode & 0o007:
            log.warning("store.password_file: everybody can read it; type: chmod 600 %s", file)
        return file.read_text(encoding="utf-8")[:MAX_PASSWORD_FILE].strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = str(error.strerror if isinstance(error, OSError) else error)
        text = marked(
            "{reason}; put the password of the user of store.url there, in a file of mode 0600"
        )
        wrong = Sentence(text, reason=reason)
        raise StoreError(at_fault(f"store.password_file: {file}", wrong)) from error
