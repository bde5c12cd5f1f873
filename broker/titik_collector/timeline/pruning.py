"""The job that deletes old rows: when it runs; `store.retention` decides what it deletes.

Rule: a store that an earlier version made keeps its rows as long as that version did, until the
configuration names other days.
"""

import logging
import time

from titik_collector.config import store_table
from titik_collector.store import retention, server_clock_row, settings
from titik_collector.store.database import Database
from titik_collector.store.retention import Days
from titik_collector.timeline.server_clock import ServerClock

log = logging.getLogger(__name__)

PAUSE_S = 60.0  # when nothing is left to remove


def days(db: Database, store: store_table.Store) -> Days:
    """How long what is kept: as the configuration says, else as the store was made."""
    samples = store.samples_days or settings.number(db, "samples_days") or store_table.SAMPLES_DAYS
    minutes = store.minutes_days or settings.number(db, "minutes_days") or store_table.MINUTES_DAYS
    return Days(store.messages_days, samples, max(samples, minutes))


def of_before(db: Database, store: store_table.Store) -> str | None:
    """In words, that days are kept as an earlier version did; None if the configuration decides."""
    chosen = store.samples_days is not None and store.minutes_days is not None
    if chosen or settings.number(db, "samples_days") is None:
        return None
    _, samples, minutes = days(db, store)
    return (
        f"the figures of samples are kept {samples} days and minutes {minutes} days, as an earlier"
        " version did; store.samples_days and store.minutes_days change it"
    )


class Pruning:
    """Removes a little at a time."""

    def __init__(self, db: Database, clock: ServerClock, store: store_table.Store) -> None:
        self._db = db
        self._clock = clock
        self._next = 0.0
        self.keep(store)

    def keep(self, store: store_table.Store) -> None:
        """From now on as this says."""
        self._keep = days(self._db, store)
        words = of_before(self._db, store)
        if words is not None:
            log.info(words)

    def due(self, now: float) -> bool:
        """Whether there was more, or the pause is over."""
        return now >= self._next

    def step(self, _budget_s: float) -> bool:
        """One small part; the clock is kept with it, so that it never goes back behind it."""
        with self._db.transaction():
            server_clock_row.keep(self._db, self._clock.known)
            more = retention.prune(self._db, self._clock.forget_ms, self._keep)
        if not more:
            self._next = time.monotonic() + PAUSE_S
        return False
