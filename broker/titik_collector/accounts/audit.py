"""Every change on the desk: a row of the audit and a line of the log."""

import logging
from typing import NamedTuple

from titik_collector.store import desk_audit
from titik_collector.store.database import Database
from titik_collector.store.desk_audit import AuditRow

log = logging.getLogger(__name__)


class Actor(NamedTuple):
    """Who changes something, and when."""

    name: str
    address: str | None  # None: a command on the server
    now_ms: int


def record(db: Database, actor: Actor, action: str, subject: str) -> None:
    """Part of the transaction that makes the change."""
    desk_audit.append(db, AuditRow(actor.now_ms, actor.name, actor.address, action, subject))
    where = actor.address or "command"
    log.info("%s actor=%s address=%s subject=%s", action, actor.name, where, subject)
