"""What `titik notify` keeps, in a place of its own beside the store.

Beside a file it is `notify.db` in the folder `NAME.notify`; on a server it is the schema
`NAME-notify`. It is no part of the desk: who delivers needs no hash of a password, and the page no
secret of a channel. Whoever reads the store may read it.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from titik_collector.limits import MAX_SCHEMA
from titik_collector.store import desk_opening, opening, sqlite
from titik_collector.store.database import Database, StoreError
from titik_collector.store.opening import Where

FOLDER, SERVER_FOLDER = "schema/notify", "schema/postgres/notify"  # of the migrations
FILE = "notify.db"
SHARED = 0o640  # for the group of the folder, which is the store's


def folder_of(store: Path) -> Path:
    """Where it is beside a store in a file."""
    return store.with_name(f"{store.name}.notify")


def open_notify(where: Where) -> Database:
    """Open, or make it, brought to the newest migration; StoreError."""
    if where.path is not None:
        return desk_opening.open_file(folder_of(where.path) / FILE, FOLDER, SHARED)
    return desk_opening.open_schema(where, schema_of(where), SERVER_FOLDER)


@contextmanager
def opened(where: Where) -> Iterator[Database]:
    """The same until the end of the block."""
    with closing(open_notify(where)) as db:
        yield db


@contextmanager
def reading(where: Where) -> Iterator[Database | None]:
    """For who only reads; None: nothing was delivered yet."""
    if where.path is None:
        place = opening.postgres(where)._replace(schema=schema_of(where))
        from titik_collector.store.postgres import PostgresDatabase

        with closing(PostgresDatabase(place)) as db:
            yield db if db.has_table("delivery") else None
        return
    file = folder_of(where.path) / FILE
    if not file.exists():
        yield None
        return
    with closing(sqlite.open_other(file)) as there:
        yield there if there.version() else None


def open_for_collector(where: Where) -> Database:
    """On a server, for reading what the collector may; StoreError if it is away."""
    place = opening.postgres(where)._replace(schema=schema_of(where))
    from titik_collector.store.postgres import PostgresDatabase

    return PostgresDatabase(place)


def open_for_turn(where: Where) -> Database:
    """On a server, for who asks again and again; one that answers nothing is given up."""
    place = opening.postgres(where)._replace(schema=schema_of(where))
    from titik_collector.store.postgres import PostgresDatabase

    db = PostgresDatabase(place)
    db.be_impatient()
    return db


def schema_of(where: Where) -> str:
    """On a server; StoreError if PostgreSQL would cut its end off."""
    found = f"{where.schema}-notify"
    if len(found) > MAX_SCHEMA:
        raise StoreError(f"store.schema: {where.schema} is too long for {found}; use a shorter one")
    return found
