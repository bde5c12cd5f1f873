"""Table `maintenance` of the desk: planned work, once or each week.

Rule: a row is added, and may be ended once; nothing else changes it.
"""

from typing import NamedTuple

from titik_collector.alerts.alert import AlertSubject
from titik_collector.store.database import Database, Row, insert


class Weekly(NamedTuple):
    """The same hours of some days of each week."""

    days: tuple[str, ...]  # such as `mon`
    minute: int  # of the city's day at which it begins
    length_ms: int


class MaintenanceRow(NamedTuple):
    """Planned work as it was entered, and who ended it."""

    number: int
    subject: AlertSubject
    from_ms: int
    to_ms: int | None  # None: each week, and no last day is planned
    weekly: Weekly | None  # None: one stretch
    actor: str
    at_ms: int  # when it was entered
    reason: str
    is_public: bool = False
    is_retroactive: bool = False
    ended_ms: int | None = None
    ended_by: str | None = None

    @property
    def end_ms(self) -> int | None:
        """When it is over for good; None: it is not planned to be."""
        ends = [one for one in (self.to_ms, self.ended_ms) if one is not None]
        return min(ends, default=None)


_WRITTEN = (
    *("scope", "name", "from_ms", "to_ms", "days", "minute", "length_ms"),
    *("actor", "at_ms", "reason", "is_public", "is_retroactive"),
)
_READ = ", ".join(("number", *_WRITTEN, "ended_ms", "ended_by"))


def add(db: Database, one: MaintenanceRow) -> int:
    """Its number, whichever it came with; part of the caller's transaction."""
    weekly: tuple[str | None, int | None, int | None] = (None, None, None)
    if one.weekly is not None:
        weekly = (",".join(one.weekly.days), one.weekly.minute, one.weekly.length_ms)
    values = (
        *(*one.subject, one.from_ms, one.to_ms, *weekly, one.actor, one.at_ms, one.reason),
        *(int(one.is_public), int(one.is_retroactive)),
    )
    return int(db.execute(f"{insert('maintenance', _WRITTEN)} RETURNING number", values)[0][0])


def end(db: Database, number: int, at_ms: int, actor: str) -> None:
    """Part of the caller's transaction."""
    db.execute(
        "UPDATE maintenance SET ended_ms = ?, ended_by = ? WHERE number = ?",
        (at_ms, actor, number),
    )


def find(db: Database, number: int) -> MaintenanceRow | None:
    """None: there is no such row."""
    row = db.execute(f"SELECT {_READ} FROM maintenance WHERE number = ?", (number,)).fetchone()
    return None if row is None else _row(row)


def not_over(db: Database, from_ms: int) -> list[MaintenanceRow]:
    """Those that count then or later, by their numbers."""
    sql = (
        f"SELECT {_READ} FROM maintenance WHERE (to_ms IS NULL OR to_ms > ?)"
        " AND (ended_ms IS NULL OR ended_ms > ?) ORDER BY number"
    )
    return [_row(row) for row in db.execute(sql, (from_ms, from_ms))]


def newest(db: Database, limit: int) -> list[MaintenanceRow]:
    """At most so many, over or not, the newest first."""
    rows = db.execute(f"SELECT {_READ} FROM maintenance ORDER BY number DESC LIMIT ?", (limit,))
    return [_row(row) for row in rows]


def _row(row: Row) -> MaintenanceRow:
    number, scope, name, from_ms, to_ms, days, minute, length_ms, *rest = row
    actor, at_ms, reason, is_public, is_retroactive, ended_ms, ended_by = rest
    return MaintenanceRow(
        number,
        AlertSubject(scope, name),
        from_ms,
        to_ms,
        None if days is None else Weekly(tuple(days.split(",")), minute, length_ms),
        actor,
        at_ms,
        reason,
        bool(is_public),
        bool(is_retroactive),
        ended_ms,
        ended_by,
    )
