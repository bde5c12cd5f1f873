"""The job that asks `server_clock` for the time, and moves stamps of a wrong time.

Rule: a jump that could not be written is written before anything else is stored. What comes next
has the right stamp already.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from titik_collector.limits import MAX_BEHIND_MS
from titik_collector.store import server_clock_row
from titik_collector.store.database import Database
from titik_collector.store.server_clock_row import Known
from titik_collector.timeline import restamp
from titik_collector.timeline.server_clock import Jump, ServerClock

log = logging.getLogger(__name__)


@dataclass(eq=False)
class Timekeeping:
    """Goes by what routers report of the time."""

    _db: Database
    _clock: ServerClock
    _jumped: Callable[[int], object]  # gets by how many ms
    _restamped: Callable[[], object]  # called when the store has the new stamps
    _jumps: list[Jump] = field(default_factory=list)  # after which stamps were not moved yet
    _tried: tuple[Known | None, int] = (None, 0)  # what was kept with how many, if it was
    _wrong: set[int] = field(default_factory=set)  # routers whose NTP clock is not our time

    def hear(self, router_id: int, router: str, ahead_ms: int) -> None:
        """A router with NTP reported just now that it is so much later than we think.

        It is logged once, and once more after it agreed.
        """
        self._clock.hear(router_id, ahead_ms)
        if abs(ahead_ms) <= MAX_BEHIND_MS:
            self._wrong.discard(router_id)
        elif router_id not in self._wrong:
            self._wrong.add(router_id)
            off_s = ahead_ms // 1000
            log.warning("router's NTP clock differs from ours router=%s off_s=%+d", router, off_s)

    def catch_up(self) -> None:
        """Move stamps that could not be moved; StoreError: nothing may be stored yet."""
        if self._jumps:
            self._move_stamps()

    def due(self, _now: float) -> bool:
        """Always: it looks at each witness."""
        return True

    def step(self, _budget_s: float) -> bool:
        """Decide what time it is, and keep it."""
        before = self._clock.known
        jump = self._clock.decide()
        if jump is not None:
            self._jumps.append(jump)
            self._jumped(jump.by_ms)
        known = self._clock.known
        if self._jumps or (known.sure and not before.sure):
            self._move_stamps()
        elif known.since_ms != before.since_ms:  # `titik status` goes by it
            with self._db.transaction():
                server_clock_row.keep(self._db, known)
        return False

    def _move_stamps(self) -> None:
        now_ms, known = self._clock.now_ms(), self._clock.known
        with self._db.transaction():
            kept, many = self._tried
            if server_clock_row.load(self._db) == kept:  # a COMMIT without an answer was one
                del self._jumps[:many]
            self._tried = known, len(self._jumps)
            for jump in self._jumps:
                restamp.move(self._db, jump, now_ms)
            restamp.mend(self._db, now_ms)
            server_clock_row.keep(self._db, known)
        self._jumps.clear()
        self._tried = None, 0
        self._restamped()
