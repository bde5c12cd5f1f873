"""A desk, copied to another place, whichever engine either is on.

Rule: sessions stay behind; people log in again, and a backup opens nothing by itself. The report
that is posted for mails stays too: it is made again. So do questions to routers, which are of now.
Rule: a desk is small, so one transaction has all of it.
Rule: a desk takes the place of what it was before. Each change adds a row to the audit, so the
newest row of the other one is in this one's.
"""

from titik_collector.store.database import Database, Row, StoreError, insert

TABLES = (
    *("account", "token", "acknowledgement", "silence", "maintenance", "remark"),
    *("rollout", "frozen_report", "audit"),
)


def copy(source: Database, target: Database, name: str) -> dict[str, int]:
    """Bring a desk that is empty, or was copied before, to what the source is.

    How many rows each table has. StoreError if the target is another desk.
    """
    with source.snapshot():
        rows = _rows(source)
    counts = {table: len(found) for table, found in rows.items()}
    with target.transaction():
        there = _rows(target)
        if there == rows:
            return counts
        if any(there.values()) and max(there["audit"], default=None) not in rows["audit"]:
            raise StoreError(f"{name}: is a desk already; move it away, or copy to another place")
        for table in ("session", *(one for one in TABLES if one != "audit")):
            target.execute(f"DELETE FROM {table}")
        known = set(there["audit"])
        rows["audit"] = [row for row in rows["audit"] if row not in known]
        shapes = {one.name: one.columns for one in target.tables()}
        for table, found in rows.items():
            target.executemany(insert(table, shapes[table]), found)
        target.raise_numbers()
    return counts


def is_empty(db: Database) -> bool:
    """Whether nothing was entered."""
    return not any(_rows(db).values())


def _rows(db: Database) -> dict[str, list[Row]]:
    """All of each table, in the order of its key, which is in its first four columns."""
    shapes = {one.name: one.columns for one in db.tables()}
    return {
        name: sorted(
            db.execute(f"SELECT {', '.join(shapes[name])} FROM {name}"),
            key=lambda row: [str(one) for one in row[:4]],
        )
        for name in TABLES
    }
