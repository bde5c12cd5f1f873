"""Table `silence` of the desk: which alerts send no message, and until when.

Rule: a row is added, and may be ended once; nothing else changes it.
"""

from typing import NamedTuple

from titik_collector.alerts.alert import AlertSubject
from titik_collector.alerts.desk_facts import Silence
from titik_collector.store.database import Database, Row, insert


class SilenceRow(NamedTuple):
    """A silence, and who ended it before its time."""

    silence: Silence
    ended_ms: int | None = None
    ended_by: str | None = None

    @property
    def end_ms(self) -> int:
        """When it is over."""
        return min(self.silence.until_ms, self.ended_ms or self.silence.until_ms)


_WRITTEN = ("scope", "name", "kind", "from_ms", "until_ms", "actor", "reason")
_READ = ", ".join(("number", *_WRITTEN, "ended_ms", "ended_by"))


def add(db: Database, one: Silence) -> int:
    """Its number, whichever it came with; part of the caller's transaction."""
    values = (*one.subject, one.kind, one.from_ms, one.until_ms, one.actor, one.reason)
    return int(db.execute(f"{insert('silence', _WRITTEN)} RETURNING number", values)[0][0])


def end(db: Database, number: int, at_ms: int, actor: str) -> None:
    """Part of the caller's transaction."""
    db.execute(
        "UPDATE silence SET ended_ms = ?, ended_by = ? WHERE number = ?", (at_ms, actor, number)
    )


def find(db: Database, number: int) -> SilenceRow | None:
    """None: there is no such silence."""
    row = db.execute(f"SELECT {_READ} FROM silence WHERE number = ?", (number,)).fetchone()
    return None if row is None else _row(row)


def not_over(db: Database, now_ms: int) -> list[SilenceRow]:
    """Those that count now or later, by their numbers."""
    sql = (
        f"SELECT {_READ} FROM silence WHERE until_ms > ? AND (ended_ms IS NULL OR ended_ms > ?)"
        " ORDER BY number"
    )
    return [_row(row) for row in db.execute(sql, (now_ms, now_ms))]


def newest(db: Database, limit: int) -> list[SilenceRow]:
    """At most so many, over or not, the newest first."""
    rows = db.execute(f"SELECT {_READ} FROM silence ORDER BY number DESC LIMIT ?", (limit,))
    return [_row(row) for row in rows]


def _row(row: Row) -> SilenceRow:
    number, scope, name, *silence, ended_ms, ended_by = row
    return SilenceRow(Silence(number, _subject(scope, name), *silence), ended_ms, ended_by)


def _subject(scope: str, name: str) -> AlertSubject:
    return AlertSubject(scope, name)  # type: ignore[arg-type]  # the table has a CHECK
