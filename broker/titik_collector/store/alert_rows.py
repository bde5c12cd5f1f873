"""Alerts as they stand, and every change of one.

Rule: an alert without a row is inactive. Its changes stay, so they name it and refer to no row.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from titik_collector.alerts.alert import Alert, AlertEvent, AlertKey, AlertSubject
from titik_collector.figures.scope import FOR_EVER_MS
from titik_collector.store.database import Database, insert, upsert

_KEY = ("kind", "scope", "subject")
_OTHERS = (
    *("phase", "known", "since_ms", "from_ms", "seen_ms", "held_ms", "incident_id", "value"),
)
_EVENT = ("at_ms", *_KEY, "was", "became", "why", "incident_id")


class KeptEvent(NamedTuple):
    """A change, and the incident that the alert was part of then."""

    event: AlertEvent
    incident: int | None


def read(db: Database) -> list[Alert]:
    """All that are not inactive."""
    rows = db.execute(f"SELECT {', '.join((*_KEY, *_OTHERS))} FROM alert ORDER BY kind, subject")
    return [
        Alert(
            key=AlertKey(kind, AlertSubject(scope, name)),
            phase=phase,
            known=bool(known),
            since_ms=since_ms,
            from_ms=from_ms,
            seen_ms=seen_ms,
            held_ms=held_ms,
            incident=incident,
            value=value,
        )
        for (kind, scope, name, phase, known, *rest) in rows
        for since_ms, from_ms, seen_ms, held_ms, incident, value in [rest]
    ]


def write(db: Database, alerts: Iterable[Alert]) -> None:
    """Each as it stands now; its incident has a row."""
    db.executemany(
        upsert("alert", _KEY, _OTHERS),
        [
            (
                *_key(one.key),
                one.phase,
                int(one.known),
                one.since_ms,
                one.from_ms,
                one.seen_ms,
                one.held_ms,
                one.incident,
                one.value,
            )
            for one in alerts
        ],
    )


def remove(db: Database, keys: Iterable[AlertKey]) -> None:
    """These are inactive."""
    db.executemany(
        "DELETE FROM alert WHERE kind = ? AND scope = ? AND subject = ?", map(_key, keys)
    )


def parts_now(db: Database) -> dict[int, int]:
    """How many alerts of an incident fire now or are about to be over, by its number."""
    sql = (
        "SELECT incident_id, count(*) FROM alert WHERE incident_id IS NOT NULL"
        " AND phase IN ('firing', 'recovering') GROUP BY incident_id ORDER BY incident_id"
    )
    return {int(incident): int(parts) for incident, parts in db.execute(sql)}


def add_events(db: Database, events: Iterable[KeptEvent]) -> None:
    """They happened."""
    db.executemany(
        insert("alert_event", _EVENT),
        [
            (one.at_ms, *_key(one.key), one.was, one.became, one.why, incident)
            for one, incident in events
        ],
    )


def events(
    db: Database, since_ms: int, limit: int, before_ms: int = FOR_EVER_MS
) -> list[KeptEvent]:
    """The newest that happened in a stretch of time, the oldest first."""
    where = "WHERE at_ms >= ? AND at_ms < ? ORDER BY at_ms DESC, id DESC LIMIT ?"
    return _events(db, where, (since_ms, before_ms, limit))[::-1]


def newest_events(db: Database, limit: int) -> list[KeptEvent]:
    """Those that were written last, whatever the clock was, the oldest first."""
    return _events(db, "ORDER BY id DESC LIMIT ?", (limit,))[::-1]


def events_of(db: Database, incident: int, limit: int) -> list[KeptEvent]:
    """The first of an incident, the oldest first."""
    return _events(db, "WHERE incident_id = ? ORDER BY id LIMIT ?", (incident, limit))


def _events(db: Database, where: str, values: Sequence[int]) -> list[KeptEvent]:
    rows = db.execute(f"SELECT {', '.join(_EVENT)} FROM alert_event {where}", values)
    return [
        KeptEvent(
            AlertEvent(AlertKey(kind, AlertSubject(scope, name)), at_ms, was, became, why), incident
        )
        for at_ms, kind, scope, name, was, became, why, incident in rows
    ]


def _key(key: AlertKey) -> tuple[str, str, str]:
    return (key.kind, *key.subject)
