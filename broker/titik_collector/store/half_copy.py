"""A place that is not yet a copy of a store: its tables are filled, and nothing opens it.

Rule: a table `copying` marks it, with the origin of the rows. It goes last, and then it is a store.
Rule: a store that never heard a router is as good as none, so a copy may take its place.
"""

from titik_collector.store import identity, noting
from titik_collector.store.database import HALF, Database, StoreError, TableShape

FIRST = ("router", "site", "boot", "run", "incident")  # other rows refer to theirs


class Copied(StoreError):
    """The copy is not whole; the text has the remedy."""


def tables_of(source: Database, target: Database) -> list[TableShape]:
    """Those of both, in an order in which each row finds those that it refers to."""
    there = {table.name for table in target.tables()}
    found = []
    for table in source.tables():
        if table.name in noting.TABLES:
            continue
        if table.name in there:
            found.append(table)
        elif table.name not in noting.TABLES and source.execute(
            f"SELECT 1 FROM {table.name} LIMIT 1"
        ):
            raise Copied(
                f"{table.name}: holds rows of an earlier version; run titik collect on the source"
                " until its log reports that all are unpacked"
            )
    first = {name: number for number, name in enumerate(FIRST)}
    return sorted(found, key=lambda table: first.get(table.name, len(FIRST)))


def is_of(target: Database, origin: str) -> bool:
    """Whether it is half a copy of this origin, so that it may go on."""
    if not target.has_table("copying"):
        return False
    return target.execute("SELECT origin FROM copying") == [(origin,)]


def refuse_store(target: Database, name: str) -> None:
    """Copied if a store is there, which a copy would take the place of."""
    if not target.has_table("copying") and not identity.is_empty(target):
        raise Copied(
            f"{name}: is a store already; copy to another place, or move it away; on a server:"
            " ALTER SCHEMA titik RENAME TO titik_old"
        )


def begin(target: Database, tables: list[TableShape], origin: str) -> None:
    """Make it one of this origin, without rows."""
    with target.transaction():
        for table in reversed(tables):
            target.execute(f"DELETE FROM {table.name}")
        target.execute("DROP TABLE IF EXISTS copying")
        target.execute(HALF)
        target.execute("INSERT INTO copying (origin) VALUES (?)", (origin,))


def counts(db: Database, tables: list[TableShape]) -> dict[str, int]:
    """How many rows each table has."""
    return {one.name: db.execute(f"SELECT count(*) FROM {one.name}")[0][0] for one in tables}


def finish(target: Database) -> None:
    """The copy is a store from now on."""
    with target.transaction():
        target.raise_numbers()
        target.execute("DROP TABLE copying")
