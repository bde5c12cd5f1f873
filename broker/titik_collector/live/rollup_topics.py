"""Chooses which finished windows are published, and which is retained as the newest.

Rule: a window is published a little after it ended, so that its last samples are in it. While
rollups are being computed sites and the city wait: they would be of some of their routers only.
Rule: late revisions are published for hours and days only, not retained: a backfill is no flood.
Rule: after each connect the newest are published again, while nothing else comes. Nobody reports
what the broker still has, nor what was lost with the link: QoS 0 has no acknowledgement.
"""

from collections.abc import Iterator

from titik_collector.figures.scope import Scope
from titik_collector.figures.windows import Window
from titik_collector.rollups import rollup_message
from titik_collector.store import places, rollups, unpublished
from titik_collector.store.database import Database
from titik_collector.store.rollups import Series, WindowKey
from titik_wire.messages import Rollup

GRACE_MS = 10_000
LONG_GRACE_MS = 60_000  # an hour's last minute is computed 40 s after it ended
GRACES: dict[Window, int] = {"1m": GRACE_MS, "1h": LONG_GRACE_MS, "1d": LONG_GRACE_MS}
MAX_AT_ONCE = 200


def take(
    db: Database, city: str, now_ms: int, sums: bool = True
) -> tuple[list[tuple[Rollup, bool]], bool]:
    """What is due, each with whether it is the newest; True if there is more of it.

    `sums`: of sites and the city too. In a transaction of the caller's.
    """
    minutes_ms, longer_ms = now_ms - GRACE_MS, now_ms - LONG_GRACE_MS
    due = unpublished.due(db, minutes_ms, longer_ms, sums, MAX_AT_ONCE)
    published = []
    for key, has_rollup in due:
        unpublished.remove(db, key)
        if not has_rollup:
            continue
        is_newest = not rollups.has_later(db, key, minutes_ms)
        name = city if key.scope == "city" else places.registered_name(db, key.scope, key.scope_id)
        if name is None or (not is_newest and key.window == "1m"):
            continue
        one = rollup_message.read(db, key, name)
        published.append((one, is_newest))
    return published, len(due) == MAX_AT_ONCE


def newest(db: Database, scope: Scope, scope_id: int, name: str, now_ms: int) -> Iterator[Rollup]:
    """The newest window of each length that is over."""
    for window, grace_ms in GRACES.items():
        start_ms = rollups.newest_over(db, Series(scope, scope_id, window), now_ms - grace_ms)
        if start_ms is not None:
            yield rollup_message.read(db, WindowKey(scope, scope_id, window, start_ms), name)
