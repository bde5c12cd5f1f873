"""Names of routers that send and are not registered, for an installer who looks for one.

Rule: at most MAX_UNKNOWN are kept. A new name takes the place of the longest unheard, unless that
was heard lately. So a flood of names writes nothing.
"""

from typing import NamedTuple

from titik_collector.limits import MAX_UNKNOWN
from titik_collector.store.database import Database
from titik_wire.instant import DAY_MS, HOUR_MS

LATELY_MS = HOUR_MS  # a router that was heard within this may be connected, and keeps its place
KEPT_MS = 7 * DAY_MS  # an installer may come next week


class UnknownRouter(NamedTuple):
    """A router that reports and is not registered."""

    name: str
    messages: int
    last_ms: int


def hear(db: Database, name: str, now_ms: int) -> None:
    """A message of an unregistered router arrived."""
    known = db.execute(
        "UPDATE knock SET last_ms = ?, messages = messages + 1 WHERE name = ?", (now_ms, name)
    ).rowcount
    if known:
        return
    names, oldest_ms = db.execute("SELECT count(*), min(last_ms) FROM knock").fetchone()
    if names >= MAX_UNKNOWN:
        if oldest_ms >= now_ms - LATELY_MS:
            return
        db.execute(
            "DELETE FROM knock WHERE name = (SELECT name FROM knock ORDER BY last_ms LIMIT 1)"
        )
    db.execute("INSERT INTO knock VALUES (?, ?, ?, 1)", (name, now_ms, now_ms))


def heard_since(db: Database, since_ms: int) -> frozenset[str]:
    """Names that were heard since then."""
    rows = db.execute("SELECT name FROM knock WHERE last_ms >= ?", (since_ms,))
    return frozenset(name for (name,) in rows)


def newest(db: Database, limit: int) -> list[UnknownRouter]:
    """Those that were heard last, the newest first."""
    rows = db.execute(
        "SELECT name, messages, last_ms FROM knock ORDER BY last_ms DESC LIMIT ?", (limit,)
    )
    return [UnknownRouter(*row) for row in rows]


def forget(db: Database, name: str) -> None:
    """The router is registered now."""
    db.execute("DELETE FROM knock WHERE name = ?", (name,))


def prune(db: Database, now_ms: int) -> None:
    """Forget names that were not heard for KEPT_MS."""
    db.execute("DELETE FROM knock WHERE last_ms < ?", (now_ms - KEPT_MS,))
