"""Every change on the desk: a row of the audit and a line of the log."""

import logging
from typing import NamedTuple

from titik_collector.store import desk_audit
from titik_collector.store.database import Database
from titik_collector.store.desk_audit import AuditRow
from titik_wire.instant import DAY_MS

log = logging.getLogger(__name__)


class Actor(NamedTuple):
    """Who changes something, and when."""

    name: str
    address: str | None  # None: a command on the server
    now_ms: int
    audit_days: int  # how long rows are kept


def record(db: Database, actor: Actor, action: str, subject: str) -> None:
    """Part of the transaction that makes the change; what is too old goes."""
    desk_audit.append(db, AuditRow(actor.now_ms, actor.name, actor.address, action, subject))
    desk_audit.expire(db, actor.now_ms - actor.audit_days * DAY_MS)
    where = actor.address or "command"
    log.info("%s actor=%s address=%s subject=%s", action, actor.name, where, subject)
