"""The job that chooses which finished windows outputs get, and which is retained as the newest.

Rule: a window is published a little after it ended, so that its last samples are in it. While
rollups are being computed, all but the minutes of routers waits: sites and the city would be of
some of their routers only, and an hour of a router without its last ten minutes.
Rule: late revisions are published for hours and days only, not retained: a backfill is no flood.
Rule: after each connect the newest are published again, while nothing else comes. No one reports
what the broker still has, nor what was lost with the link: QoS 0 has no acknowledgement.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from titik_collector.figures.scope import Scope
from titik_collector.figures.windows import Window
from titik_collector.limits import MAX_PUBLISHED
from titik_collector.outputs.output import FinishedWindow, Output
from titik_collector.rollups import rollup_message
from titik_collector.store import rollups, unpublished
from titik_collector.store.database import Database, alone
from titik_collector.store.rollups import Series, WindowKey
from titik_wire.city_messages import Rollup

GRACE_MS = 10_000
LONG_GRACE_MS = 60_000  # an hour's last minute is computed 40 s after it ended
GRACES: dict[Window, int] = {"1m": GRACE_MS, "1h": LONG_GRACE_MS, "1d": LONG_GRACE_MS}

NamedScope = tuple[Scope, int, str]  # and its id and name


def report(db: Database, city: str, outputs: Output, now_ms: int, sums: bool) -> bool:
    """Report some finished windows of the store's list; True if there are more."""
    found, more = take(db, city, now_ms, sums)
    outputs.windows_finished(found)
    return more


def take(
    db: Database, city: str, now_ms: int, sums: bool = True
) -> tuple[list[FinishedWindow], bool]:
    """What is due; True if there is more of it.

    `sums`: all, and not minutes of routers only. Windows are read before the transaction: on a
    server an error in one would end it for all.
    """
    due = unpublished.due(db, now_ms - GRACE_MS, now_ms - LONG_GRACE_MS, sums, MAX_PUBLISHED)
    published = []
    for key, row, registered, has_later in due:
        name = city if key.scope == "city" else registered
        if row is None or name is None or (has_later and key.window == "1m"):
            continue
        with alone("a window name=%s window=%s start_ms=%d", name, key.window, key.start_ms):
            published.append(FinishedWindow(rollup_message.of(key, name, row), not has_later))
    with db.transaction():
        unpublished.remove(db, [one.key for one in due])
    return published, len(due) == MAX_PUBLISHED


def newest(db: Database, scope: Scope, scope_id: int, name: str, now_ms: int) -> Iterator[Rollup]:
    """The newest window of each length that is over."""
    for window, grace_ms in GRACES.items():
        start_ms = rollups.newest_over(db, Series(scope, scope_id, window), now_ms - grace_ms)
        if start_ms is not None:
            yield rollup_message.read(db, WindowKey(scope, scope_id, window, start_ms), name)


@dataclass(eq=False)
class NewestAgain:
    """The job that publishes the newest windows of all scopes again, after each connect."""

    _db: Database
    _publish: Callable[[Sequence[FinishedWindow]], object]
    _scopes: Callable[[], Sequence[NamedScope]]
    _may: Callable[[], bool]
    _now_ms: Callable[[], int]
    _left: deque[NamedScope] = field(default_factory=deque)

    def begin(self) -> None:
        """The connection is new."""
        self._left = deque(self._scopes())

    def moved(self) -> None:
        """Places are others than before."""
        if self._left:
            self.begin()

    def due(self, _now: float) -> bool:
        """Whether scopes are left and it may go on."""
        return bool(self._left) and self._may()

    def step(self, budget_s: float) -> bool:
        """Some scopes; one for which the store fails is tried again."""
        until = time.monotonic() + budget_s
        while self._left:
            place = self._left[0]
            with alone("the newest windows of a place name=%s", place[2]):
                found = newest(self._db, *place, self._now_ms())
                self._publish([FinishedWindow(one, is_newest=True) for one in found])
            self._left.popleft()
            if time.monotonic() >= until:
                break
        return bool(self._left)
