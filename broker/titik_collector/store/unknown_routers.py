"""Names of routers that send and are not registered, for an installer who looks for one.

Rule: at most MAX_UNKNOWN are kept. A new name takes the place of the longest unheard, unless that
was heard lately. So a flood of names writes nothing.
"""

from collections.abc import Sequence
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


def hear(db: Database, heard: Sequence[tuple[str, int]]) -> None:
    """Messages of unregistered routers arrived, in order; each by name and time."""
    if not heard:
        return
    stored = db.execute("SELECT name, first_ms, last_ms, messages FROM knock")
    known = {name: (first_ms, last_ms, many) for name, first_ms, last_ms, many in stored}
    changed = set()
    for name, now_ms in heard:
        if name not in known and not _make_room(known, now_ms):
            continue
        first_ms, _, many = known.pop(name, (now_ms, now_ms, 0))
        known[name] = first_ms, now_ms, many + 1
        changed.add(name)
    gone = [(name,) for name, *_ in stored if name not in known]
    db.executemany("DELETE FROM knock WHERE name = ?", gone)
    db.executemany(
        "INSERT INTO knock (name, first_ms, last_ms, messages) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (name) DO UPDATE SET first_ms = excluded.first_ms,"
        " last_ms = excluded.last_ms, messages = excluded.messages",
        [(name, *known[name]) for name in changed & known.keys()],
    )


def _make_room(known: dict[str, tuple[int, int, int]], now_ms: int) -> bool:
    """Forget the longest unheard for a new name; False if there is no room."""
    if len(known) < MAX_UNKNOWN:
        return True
    oldest = min(known, key=lambda name: known[name][1])
    if known[oldest][1] >= now_ms - LATELY_MS:
        return False
    del known[oldest]
    return True


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
