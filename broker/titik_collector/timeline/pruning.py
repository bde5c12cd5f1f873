"""The job that deletes old rows: when it runs; `store.retention` decides what it deletes."""

import time
from dataclasses import dataclass

from titik_collector.config import model
from titik_collector.store import retention, server_clock_row
from titik_collector.store.database import Database
from titik_collector.timeline.server_clock import ServerClock

PAUSE_S = 60.0  # when nothing is left to remove


@dataclass(eq=False)
class Pruning:
    """Removes a little at a time; `keep` may be replaced at any time."""

    _db: Database
    _clock: ServerClock
    keep: model.Store
    _next: float = 0.0

    def due(self, now: float) -> bool:
        """Whether there was more, or the pause is over."""
        return now >= self._next

    def step(self, _budget_s: float) -> bool:
        """One small part; the clock is kept with it, so that it never goes back behind it."""
        with self._db.transaction():
            server_clock_row.keep(self._db, self._clock.known)
            more = retention.prune(
                self._db,
                self._clock.forget_ms,
                self.keep.messages_days,
                self.keep.samples_days,
                self.keep.minutes_days,
                self._clock.now_ms(),
            )
        if not more:
            self._next = time.monotonic() + PAUSE_S
        return False
