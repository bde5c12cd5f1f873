"""Table `own_message`: what `titik notify` has to say itself, where no collector can."""

from collections.abc import Iterable

import msgspec

from titik_collector.alerts.alert import Message, Notification
from titik_collector.store.database import Database, insert

_COLUMNS = ("number", "kind", "name", "what", "from_ms", "receiver", "made_ms", "message")
_decode = msgspec.json.Decoder(Message).decode


def add(db: Database, notifications: Iterable[Notification]) -> None:
    """Part of the caller's transaction; each has its number."""
    db.executemany(
        insert("own_message", _COLUMNS),
        [
            (
                one.number,
                one.message.kind,
                one.message.subject.name,
                one.message.what,
                one.message.from_ms,
                one.receiver,
                one.made_ms,
                msgspec.json.encode(one.message).decode(),
            )
            for one in notifications
        ],
    )


def all_of(db: Database) -> list[Notification]:
    """Those that are kept, the oldest first."""
    rows = db.execute("SELECT number, receiver, made_ms, message FROM own_message ORDER BY number")
    return [
        Notification(
            number=number,
            incident=None,
            receiver=receiver,
            made_ms=made_ms,
            due_ms=made_ms,
            message=_decode(text),
            is_uncapped=True,
        )
        for number, receiver, made_ms, text in rows
    ]


def prune(db: Database, before_ms: int) -> None:
    """Those that are over; part of the caller's transaction."""
    db.execute(
        "DELETE FROM own_message WHERE made_ms < ? AND EXISTS (SELECT 1 FROM own_message AS other"
        " WHERE other.kind = own_message.kind AND other.name = own_message.name"
        " AND other.number > own_message.number AND other.what = 'resolved')",
        (before_ms,),
    )
