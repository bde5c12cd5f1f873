"""The outbox: messages to receivers, each with a number that is never given twice.

Rule: the newest row stays, for its number.
Rule: a row that may have been read stays, because a delivery refers to it. What is not to be sent
any more is withdrawn.
Rule: what this version cannot read of a row is logged, and delays no other row.
"""

import logging
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from titik_collector.alerts.alert import Message, Notification
from titik_collector.store.database import Database, Value, upsert
from titik_wire.instant import DAY_MS

log = logging.getLogger(__name__)

KEPT_MS = 90 * DAY_MS
STEP = 500  # rows of one transaction that prunes
_OTHERS = ("incident_id", "receiver", "made_ms", "due_ms", "message", "is_uncapped")
_COLUMNS = f"id, {', '.join(_OTHERS)}"
_decode = msgspec.json.Decoder(Message).decode


class OutboxRow(NamedTuple):
    """A row with its number."""

    number: int
    notification: Notification
    withdrawn_ms: int | None = None  # since when it is not to be sent


def put(db: Database, notifications: Iterable[Notification]) -> None:
    """Each as it is now, new or known; it has a number."""
    db.executemany(
        upsert("notification", ("id",), _OTHERS),
        [
            (
                one.number,
                one.incident,
                one.receiver,
                one.made_ms,
                one.due_ms,
                msgspec.json.encode(one.message).decode(),
                int(one.is_uncapped),
            )
            for one in notifications
        ],
    )


def last_number(db: Database) -> int:
    """The highest that was ever given; 0: none was."""
    (highest,) = db.execute("SELECT coalesce(max(id), 0) FROM notification").fetchone()
    return int(highest)


def withdraw(db: Database, numbers: Iterable[int], now_ms: int) -> None:
    """These are not to be sent any more."""
    db.executemany(
        "UPDATE notification SET withdrawn_ms = ? WHERE id = ? AND withdrawn_ms IS NULL",
        [(now_ms, number) for number in numbers],
    )


def due(db: Database, since_ms: int, until_ms: int) -> list[OutboxRow]:
    """What is to be sent from then on, and not after the other moment, the earliest first."""
    return _read(
        db,
        "WHERE due_ms >= ? AND due_ms <= ? AND withdrawn_ms IS NULL ORDER BY due_ms, id",
        (since_ms, until_ms),
    )


def after(db: Database, now_ms: int) -> list[OutboxRow]:
    """What is planned for later, and may still be changed."""
    return _read(db, "WHERE due_ms > ? AND withdrawn_ms IS NULL ORDER BY due_ms, id", (now_ms,))


def of_incidents(db: Database, incidents: Sequence[int]) -> list[OutboxRow]:
    """All of some incidents, withdrawn ones too, in order of their numbers."""
    head, values = db.keyed(("one",), [(number,) for number in incidents])
    return _read(db, "JOIN key ON one = incident_id ORDER BY id", values, head)


def of_open_incidents(db: Database, receiver: str, until_ms: int, limit: int) -> list[OutboxRow]:
    """What was due to a receiver by then of incidents that go on; so many of the newest."""
    found = _read(
        db,
        "WHERE receiver = ? AND due_ms <= ? AND withdrawn_ms IS NULL"
        " AND incident_id IN (SELECT id FROM incident WHERE resolved_ms IS NULL)"
        " ORDER BY due_ms DESC, id DESC LIMIT ?",
        (receiver, until_ms, limit),
    )
    return found[::-1]


def of_no_incident(db: Database, since_ms: int) -> list[OutboxRow]:
    """Digests that are to be sent, and were made then or later."""
    return _read(
        db,
        "WHERE incident_id IS NULL AND made_ms >= ? AND withdrawn_ms IS NULL ORDER BY id",
        (since_ms,),
    )


def named(db: Database, numbers: Sequence[int]) -> list[OutboxRow]:
    """By their numbers; one that was pruned is not there."""
    head, values = db.keyed(("one",), [(number,) for number in numbers])
    return _read(db, "JOIN key ON one = id ORDER BY id", values, head)


def prune(db: Database, now_ms: int) -> bool:
    """Remove some that are older than they are kept, in a transaction of the caller's.

    True if there are more.
    """
    gone = db.execute(
        "DELETE FROM notification WHERE id IN"
        " (SELECT id FROM notification WHERE due_ms < ?"
        "  AND id < (SELECT max(id) FROM notification) ORDER BY due_ms LIMIT ?)",
        (now_ms - KEPT_MS, STEP),
    )
    return gone.rowcount == STEP


def _read(db: Database, where: str, values: Sequence[Value], head: str = "") -> list[OutboxRow]:
    found = []
    sql = f"{head} SELECT {_COLUMNS}, withdrawn_ms FROM notification {where}"
    for number, incident, receiver, made_ms, due_ms, text, is_uncapped, gone_ms in db.execute(
        sql, values
    ):
        try:
            message = _decode(text)
        except msgspec.MsgspecError as error:
            log.error("message cannot be read notification=%d reason=%s", number, error)
            continue
        notification = Notification(
            number=number,
            incident=incident,
            receiver=receiver,
            made_ms=made_ms,
            due_ms=due_ms,
            message=message,
            is_uncapped=bool(is_uncapped),
        )
        found.append(OutboxRow(number, notification, gone_ms))
    return found
