"""What `titik notify` keeps, copied to another place, whichever engine either is on.

Rule: what is there already was brought before, or is newer, and stays.
Rule: a delivery is a row or two, so one transaction has all of them.
Rule: which store was served stays behind: a fresh server gives the next one the same place.
"""

from titik_collector.store.database import Database, insert

TABLES = ("delivery", "own_message", "report_mail")


def copy(source: Database, target: Database) -> bool:
    """Bring what is missing; False: the target has others, so a message may come twice."""
    with source.snapshot():
        rows = {
            name: list(source.execute(f"SELECT {_columns(source, name)} FROM {name}"))
            for name in TABLES
            if source.has_table(name)  # one of an earlier version has fewer
        }
    with target.transaction():
        there = {
            name: set(target.execute(f"SELECT {_columns(source, name)} FROM {name}"))
            for name in rows
        }
        if all(there[name] >= set(found) for name, found in rows.items()):
            return True
        if not all(there[name] <= set(found) for name, found in rows.items()):
            return False
        for name, found in rows.items():
            columns = tuple(_columns(source, name).split(", "))
            missing = [row for row in found if row not in there[name]]
            target.executemany(insert(name, columns), missing)
        target.raise_numbers()
    return True


def has_rows(db: Database) -> bool:
    """Whether something was sent from there, or brought there."""
    return any(db.execute(f"SELECT 1 FROM {name} LIMIT 1") for name in TABLES if db.has_table(name))


def _columns(db: Database, name: str) -> str:
    (columns,) = [one.columns for one in db.tables() if one.name == name]
    return ", ".join(columns)
