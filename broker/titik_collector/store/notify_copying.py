"""What `titik notify` keeps, copied to another place, whichever engine either is on.

Rule: what is there already is newer, and stays.
Rule: a delivery is a row or two, so one transaction has all of them.
Rule: which store was served stays behind: a fresh server gives the next one the same place.
"""

from titik_collector.store.database import Database, insert

TABLES = ("delivery", "own_message", "report_mail")


def copy(source: Database, target: Database) -> bool:
    """Bring it to one that is empty; False: that one has others, so a message may come twice."""
    with source.snapshot():
        rows = {
            name: list(source.execute(f"SELECT {_columns(source, name)} FROM {name}"))
            for name in TABLES
            if source.has_table(name)  # one of an earlier version has fewer
        }
    with target.transaction():
        if has_rows(target):
            return all(
                set(found) <= set(target.execute(f"SELECT {_columns(source, name)} FROM {name}"))
                for name, found in rows.items()
            )
        for name, found in rows.items():
            columns = tuple(_columns(source, name).split(", "))
            target.executemany(insert(name, columns), found)
        target.raise_numbers()
    return True


def has_rows(db: Database) -> bool:
    """Whether something was sent from there, or brought there."""
    return any(db.execute(f"SELECT 1 FROM {name} LIMIT 1") for name in TABLES if db.has_table(name))


def _columns(db: Database, name: str) -> str:
    (columns,) = [one.columns for one in db.tables() if one.name == name]
    return ", ".join(columns)
