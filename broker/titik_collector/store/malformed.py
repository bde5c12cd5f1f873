"""What broke the contract, and the counts that outlive the process."""

import hashlib
from collections.abc import Sequence
from typing import Literal, NamedTuple

from titik_collector.limits import MAX_MALFORMED, MAX_MALFORMED_HEAD, MAX_MALFORMED_TEXT
from titik_collector.store.database import Database

CountName = Literal["poison", "later_version", "capped", "unregistered", "restored"]
MALFORMED: CountName = "poison"  # the store's name for messages that broke the contract


class Refused(NamedTuple):
    """A message that broke the contract, and the rule that it broke."""

    topic: str
    payload: bytes
    rule: str
    arrived_ms: int


def keep(db: Database, refused: Sequence[Refused]) -> None:
    """Put the beginning of messages away."""
    if not refused:
        return
    db.executemany(
        "INSERT INTO quarantine (arrived_ms, topic, rule, sha256, head) VALUES (?, ?, ?, ?, ?)",
        [
            (
                one.arrived_ms,
                _storable(one.topic),
                _storable(one.rule),
                hashlib.sha256(one.payload).hexdigest(),
                one.payload[:MAX_MALFORMED_HEAD],
            )
            for one in refused[-MAX_MALFORMED:]
        ],
    )
    db.execute(
        "DELETE FROM quarantine WHERE id <= (SELECT max(id) FROM quarantine) - ?", (MAX_MALFORMED,)
    )


def _storable(text: str) -> str:
    """Not every engine stores a NUL, and this text was not checked."""
    return text[:MAX_MALFORMED_TEXT].replace("\0", "\N{REPLACEMENT CHARACTER}")


def count(db: Database, name: CountName, more: int) -> None:
    """Add to a count."""
    if not more:
        return
    db.execute(
        "INSERT INTO tally (name, value) VALUES (?, ?)"
        " ON CONFLICT (name) DO UPDATE SET value = tally.value + excluded.value",
        (name, more),
    )
