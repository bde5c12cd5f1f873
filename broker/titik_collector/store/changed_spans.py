"""Which stretches of a router's time its rollups must be computed again for."""

from collections.abc import Iterable
from typing import NamedTuple

from titik_collector.store.database import Database


class ChangedSpan(NamedTuple):
    """A stretch of time, both ends included."""

    from_ms: int
    to_ms: int


def add(db: Database, router_id: int, spans: Iterable[ChangedSpan]) -> None:
    """Write the spans down, until their rollups are computed."""
    db.executemany(
        "INSERT OR IGNORE INTO dirty (router_id, from_ms, to_ms) VALUES (?, ?, ?)",
        [(router_id, *span) for span in spans],
    )
