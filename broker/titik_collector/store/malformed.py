"""What broke the contract, and the counts that outlive the process."""

import hashlib
from typing import Literal

from titik_collector.limits import MAX_MALFORMED, MAX_MALFORMED_HEAD, MAX_MALFORMED_TEXT
from titik_collector.store.database import Database

Counted = Literal["poison", "later_version", "capped", "unregistered", "restored"]
MALFORMED: Counted = "poison"  # the store's name for messages that broke the contract


def keep(db: Database, topic: str, payload: bytes, rule: str, arrived_ms: int) -> None:
    """Put the beginning of a message away, with the rule that it broke."""
    digest = hashlib.sha256(payload).hexdigest()
    db.execute(
        "INSERT INTO quarantine (arrived_ms, topic, rule, sha256, head) VALUES (?, ?, ?, ?, ?)",
        (
            arrived_ms,
            topic[:MAX_MALFORMED_TEXT],
            rule[:MAX_MALFORMED_TEXT],
            digest,
            payload[:MAX_MALFORMED_HEAD],
        ),
    )
    db.execute(
        "DELETE FROM quarantine WHERE id <= (SELECT max(id) FROM quarantine) - ?", (MAX_MALFORMED,)
    )


def count(db: Database, name: Counted, more: int) -> None:
    """Add to a count."""
    if not more:
        return
    db.execute(
        "INSERT INTO tally VALUES (?, ?)"
        " ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
        (name, more),
    )
