"""Table `frozen_report` of the desk: reports that nothing changes any more.

Rule: a row is added and never changed; what is read is the newest revision.
Rule: a period is frozen whole once the row of its city is there. What lies beyond is half a freeze.
"""

from typing import NamedTuple

from titik_collector.store.database import Database, insert


class FrozenReport(NamedTuple):
    """One report of one period."""

    period: str
    kind: str
    name: str  # in lower case; of the city empty
    revision: int
    frozen_ms: int
    body: bytes


def add(db: Database, one: FrozenReport) -> None:
    """Part of the caller's transaction; nothing if that revision is there."""
    db.execute(f"{insert('frozen_report', FrozenReport._fields)} ON CONFLICT DO NOTHING", one)


def drop_halves(db: Database, period: str) -> None:
    """Rows of a freeze that was stopped before its city; part of the caller's transaction."""
    db.execute(
        "DELETE FROM frozen_report WHERE period = ? AND revision > ?",
        (period, revision(db, period)),
    )


def newest(db: Database, period: str, kind: str, name: str) -> FrozenReport | None:
    """None: it is not frozen."""
    row = db.execute(
        "SELECT period, kind, name, revision, frozen_ms, body FROM frozen_report"
        " WHERE period = ? AND kind = ? AND name = ? ORDER BY revision DESC LIMIT 1",
        (period, kind, name),
    ).fetchone()
    return None if row is None else FrozenReport._make((*row[:5], bytes(row[5])))


def revision(db: Database, period: str) -> int:
    """The newest with which a period was frozen whole; 0: none."""
    (found,) = db.execute(
        "SELECT max(revision) FROM frozen_report WHERE period = ? AND kind = 'city'", (period,)
    ).fetchone()
    return int(found or 0)


def frozen(db: Database) -> frozenset[str]:
    """The periods that are frozen whole."""
    rows = db.execute("SELECT DISTINCT period FROM frozen_report WHERE kind = 'city'")
    return frozenset(period for (period,) in rows)
