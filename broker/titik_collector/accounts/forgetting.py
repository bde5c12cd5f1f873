"""Deletes from the desk what is too old.

Rule: it goes by the time that deletes from the store, which no step of a clock moves. So a machine
that believes for an hour to be years ahead deletes neither the audit nor everybody's session.
"""

from titik_collector.accounts.sessions import IDLE_MS, LONGEST_MS
from titik_collector.store import desk_audit, desk_sessions
from titik_collector.store.database import Database
from titik_wire.instant import DAY_MS


def forget(db: Database, forget_ms: int, audit_days: int) -> None:
    """StoreError where it cannot be written, or is too young by the database's own clock."""
    try:
        with db.transaction():
            desk_sessions.end_older(db, forget_ms - IDLE_MS, forget_ms - LONGEST_MS)
    finally:  # apart: a row that the database keeps does not bring back sessions that are over
        with db.transaction():
            desk_audit.expire(db, forget_ms - audit_days * DAY_MS)
