"""Alerts that are one event: each has a number that is never given twice."""

from collections.abc import Iterable, Sequence

from titik_collector.alerts.alert import AlertSubject, Incident
from titik_collector.store.database import Database, Value, upsert

_OTHERS = (
    *("scope", "subject", "kind", "severity", "from_ms", "opened_ms", "resolved_ms"),
    "message_ms",
)


def last_number(db: Database) -> int:
    """The highest that was ever given; 0: none was."""
    (highest,) = db.execute("SELECT coalesce(max(id), 0) FROM incident").fetchone()
    return int(highest)


def write(db: Database, incidents: Iterable[Incident]) -> None:
    """Each as it is now, new or known."""
    db.executemany(
        upsert("incident", ("id",), _OTHERS),
        [
            (
                one.number,
                *one.subject,
                one.kind,
                one.severity,
                one.from_ms,
                one.opened_ms,
                one.resolved_ms,
                one.message_ms,
            )
            for one in incidents
        ],
    )


def since(db: Database, since_ms: int) -> list[Incident]:
    """Those that go on, or ended then or later, the oldest first."""
    return _read(
        db, "WHERE resolved_ms IS NULL OR resolved_ms >= ? ORDER BY from_ms, id", (since_ms,)
    )


def count_open(db: Database) -> int:
    """How many go on."""
    (found,) = db.execute("SELECT count(*) FROM incident WHERE resolved_ms IS NULL").fetchone()
    return int(found)


def newest(db: Database, limit: int, below: int | None = None) -> list[Incident]:
    """By number, the newest first; `below`: only those of lower numbers."""
    if below is None:
        return _read(db, "ORDER BY id DESC LIMIT ?", (limit,))
    return _read(db, "WHERE id < ? ORDER BY id DESC LIMIT ?", (below, limit))


def one(db: Database, number: int) -> Incident | None:
    """By its number; None if there is none."""
    found = _read(db, "WHERE id = ?", (number,))
    return found[0] if found else None


def _read(db: Database, where: str, values: Sequence[Value]) -> list[Incident]:
    return [
        Incident(
            number=number,
            subject=AlertSubject(scope, name),
            kind=kind,
            severity=severity,
            from_ms=from_ms,
            opened_ms=opened_ms,
            resolved_ms=resolved_ms,
            message_ms=message_ms,
        )
        for number, scope, name, kind, severity, from_ms, opened_ms, resolved_ms, message_ms in (
            db.execute(f"SELECT id, {', '.join(_OTHERS)} FROM incident {where}", values)
        )
    ]
