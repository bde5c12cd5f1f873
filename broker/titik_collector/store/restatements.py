"""Series of sites and the city whose windows an earlier version computed without rates."""

from typing import NamedTuple

from titik_collector.store.database import Database
from titik_collector.store.rollups import Series

_OF_SERIES = "scope = ? AND scope_id = ? AND length = ?"


class Restatement(NamedTuple):
    """A series, and before when its windows are still to be done, the newest first."""

    series: Series
    before_ms: int


def first(db: Database) -> Restatement | None:
    """Of a site; of the city when no site is left."""
    row = db.execute(
        "SELECT scope, scope_id, length, before_ms FROM restate ORDER BY scope DESC LIMIT 1"
    ).fetchone()
    return None if row is None else Restatement(Series(*row[:3]), row[3])


def advance(db: Database, series: Series, before_ms: int) -> None:
    """Only windows before are left."""
    db.execute(f"UPDATE restate SET before_ms = ? WHERE {_OF_SERIES}", (before_ms, *series))


def remove(db: Database, series: Series) -> None:
    """None is left."""
    db.execute(f"DELETE FROM restate WHERE {_OF_SERIES}", series)
