"""Which alerts fire now that people get messages about, and how much each matters.

Rule: an incident is one of them, however many places it has. So who pages by them pages as Titik.
Rule: what is in maintenance, silenced or closed is none of them until a message is wanted.
"""

from typing import NamedTuple

from titik_collector.alerts.alert import Kind, Scope, Severity
from titik_collector.figures.scope import FOR_EVER_MS
from titik_collector.store import incident_rows
from titik_collector.store.database import Database


class FiringAlert(NamedTuple):
    """One that goes on, or that is not yet believed to be over."""

    kind: Kind
    scope: Scope
    subject: str  # its name
    severity: Severity


def look(db: Database) -> list[FiringAlert]:
    """What each incident that goes on is named after; each name once."""
    wanted = (one for one in incident_rows.since(db, FOR_EVER_MS) if one.message_ms is not None)
    return list(dict.fromkeys(FiringAlert(one.kind, *one.subject, one.severity) for one in wanted))
