"""The store as `titik notify` reads it: what is due, the collector's beat, and whose store it is.

Rule: a store that cannot be read is no reason to end; what was last known stays.
Rule: time is the collector's, which goes by the routers where the server's clock is wrong.
Rule: a beat is fresh because it changed a short while ago, whatever any clock shows.
Rule: of a store of another version only the beat is read, so that a collector that does not start
after an upgrade is missed.
"""

import logging
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import NamedTuple

from titik_collector.alerts.alert import Notification
from titik_collector.config.model import Config
from titik_collector.limits import MAX_PENDING
from titik_collector.notify import choosing
from titik_collector.notify.all_lanes import alertmanagers
from titik_collector.notify.composed import MessageKey
from titik_collector.store import beat_rows, identity, opening, outbox_rows, server_clock_row
from titik_collector.store.database import Database, StoreError, at_fault, other_schema
from titik_collector.store.identity import KnownStore
from titik_collector.store.server_clock_row import Known
from titik_collector.timeline import server_clock
from titik_wire.instant import HOUR_MS, MINUTE_MS

log = logging.getLogger(__name__)

WHOLE_S = 60.0  # so often all that may be due is read; else what was due just now
RECENT_MS = 10 * MINUTE_MS
# The collector may change or withdraw a row until it is due, and its commit takes a moment.
SURE_MS = 2000
BACK_MS = choosing.TRIED_MS + HOUR_MS


class StoreLook(NamedTuple):
    """What was read."""

    messages: dict[MessageKey, Notification]
    standing: dict[MessageKey, Notification]  # to Alertmanagers, of incidents that go on
    beat_ms: int | None
    known: KnownStore | None  # None: no collector has opened it yet
    place: str  # where it is
    clock: Known | None  # what the collector knows of the server's; None: nothing yet


@dataclass(eq=False)
class StoreWatch:
    """Opens it, and opens it again."""

    settings: Config
    last: StoreLook | None = None
    _open: ExitStack = field(default_factory=ExitStack)
    _db: Database | None = None
    _whole_at: float | None = None  # monotonic, as the next
    _changed_at: float = 0.0  # when the beat was last another one
    _logged: str | None = None

    def look(self) -> StoreLook | None:
        """The newest; the one before where it cannot be read."""
        before, problem = self.last, None
        try:
            other = None if self._db is not None else self._other_version()
            self.last = self._read() if other is None else self._read_beat(other)
            problem = None if other is None else self._worded(other)
        except StoreError as error:
            problem = str(error)
            self.close()
        if problem != self._logged and problem is not None:
            log.warning("store cannot be read reason=%s", problem)
        self._logged = problem
        self._compare(before)
        return self.last

    def now_ms(self) -> int:
        """What time it is to the collector, as far as was read."""
        return server_clock.time_of(None if self.last is None else self.last.clock)

    def beat_age_ms(self) -> int | None:
        """For how long the collector's beat has been the same; None: it has none."""
        if self.last is None or self.last.beat_ms is None:
            return None
        return round((time.monotonic() - self._changed_at) * 1000)

    def close(self) -> None:
        """Let go of it."""
        self._db = None
        self._open.close()
        self._whole_at = None

    def _compare(self, before: StoreLook | None) -> None:
        """Whether the beat is another one; how old the first is, only a clock says."""
        if self.last is None or self.last.beat_ms is None:
            return
        if before is None:
            age_ms = max(0, self.now_ms() - self.last.beat_ms)
            self._changed_at = time.monotonic() - age_ms / 1000
        elif self.last.beat_ms != before.beat_ms:
            self._changed_at = time.monotonic()

    def _other_version(self) -> int | None:
        """That of a store that this program reads not whole; None: whole, or there is none."""
        have = opening.version(self.settings.page_store)
        return None if have in (0, opening.newest(self.settings.page_store)) else have

    def _worded(self, version: int) -> str:
        where = self.settings.page_store
        return at_fault(opening.name(where), other_schema(version, opening.newest(where)))

    def _opened(self) -> Database:
        if self._db is None:
            where = self.settings.page_store
            self._db = self._open.enter_context(opening.reading(where, self.settings.file))
        return self._db

    def _read_beat(self, version: int) -> StoreLook:
        """Of a store of another version, opened for this look alone."""
        before, settings = self.last, self.settings
        with opening.reading(settings.page_store, settings.file, version) as db, db.snapshot():
            place, known = db.place(), identity.known(db)
            has_beat = db.has_table("beat")  # not before alerts
            beat = beat_rows.read(db, beat_rows.COLLECTOR) if has_beat else None
        if before is None or before.place != place:
            messages, standing = dict[MessageKey, Notification](), dict[MessageKey, Notification]()
        else:
            messages, standing = before.messages, before.standing
        clock = None if before is None else before.clock
        return StoreLook(
            messages, standing, None if beat is None else beat.at_ms, known, place, clock
        )

    def _read(self) -> StoreLook:
        db = self._opened()
        place = db.place()
        before = self.last
        if before is not None and place != before.place:  # another file in its place
            self.close()
            db, before = self._opened(), None
            place = db.place()
        now = time.monotonic()
        with db.snapshot():
            is_whole = self._whole_at is None or now - self._whole_at >= WHOLE_S
            is_whole = is_whole or before is None
            clock = server_clock_row.load(db)
            now_ms = server_clock.time_of(clock)
            begin_ms = now_ms - (BACK_MS if is_whole else RECENT_MS)
            rows = outbox_rows.due(db, begin_ms, now_ms - SURE_MS)
            standing = self._standing(db, now_ms) if is_whole else None
            beat = beat_rows.read(db, beat_rows.COLLECTOR)
            known = identity.known(db)
        messages = {} if is_whole or before is None else dict(before.messages)
        for row in rows:
            messages[choosing.key_of("store", row.notification)] = row.notification
        if is_whole:
            self._whole_at = now
        if len(messages) > MAX_PENDING:
            if is_whole:
                log.error("too many messages, the oldest are left out messages=%d", len(messages))
            messages = dict(list(messages.items())[-MAX_PENDING:])
        if standing is None:
            standing = {} if before is None else before.standing
        return StoreLook(
            messages, standing, None if beat is None else beat.at_ms, known, place, clock
        )

    def _standing(self, db: Database, now_ms: int) -> dict[MessageKey, Notification]:
        """What was due to each Alertmanager of incidents that go on."""
        return {
            choosing.key_of("store", row.notification): row.notification
            for receiver in alertmanagers(self.settings)
            for row in outbox_rows.of_open_incidents(db, receiver, now_ms - SURE_MS, MAX_PENDING)
        }
