"""The job that deletes what is older than `[store]` keeps: when it runs, not what it deletes."""

import time

from titik_collector.config import model
from titik_collector.store import retention, server_clock_row
from titik_collector.store.database import Database
from titik_collector.timeline.server_clock import ServerClock

PAUSE_S = 60.0  # when nothing is left to remove


class Pruning:
    """Removes a little at a time; `keep` may be replaced at any time."""

    def __init__(self, db: Database, clock: ServerClock, keep: model.Store) -> None:
        self.keep = keep
        self._db = db
        self._clock = clock
        self._next = 0.0

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
