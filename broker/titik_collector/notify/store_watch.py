"""The store as `titik notify` reads it: what is due, the collector's beat, and whose store it is.

Rule: a store that cannot be read is no reason to end; what was last known stays.
"""

import logging
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import NamedTuple

from titik_collector.alerts.alert import Notification
from titik_collector.config.model import Config
from titik_collector.limits import MAX_PENDING
from titik_collector.notify import choosing
from titik_collector.notify.composed import MessageKey
from titik_collector.store import beat_rows, identity, opening, outbox_rows
from titik_collector.store.database import Database, StoreError
from titik_collector.store.identity import KnownStore
from titik_wire.instant import HOUR_MS, MINUTE_MS

log = logging.getLogger(__name__)

WHOLE_MS = MINUTE_MS  # so often all that may be due is read; else what was due just now
RECENT_MS = 10 * MINUTE_MS
# The collector may change or withdraw a row until it is due, and its commit takes a moment.
SURE_MS = 2000
BACK_MS = choosing.TRIED_MS + HOUR_MS


class StoreLook(NamedTuple):
    """What was read."""

    messages: dict[MessageKey, Notification]
    beat_ms: int | None
    known: KnownStore | None  # None: no collector has opened it yet
    place: str  # where it is


@dataclass(eq=False)
class StoreWatch:
    """Opens it, and opens it again."""

    settings: Config
    last: StoreLook | None = None
    _open: ExitStack = field(default_factory=ExitStack)
    _db: Database | None = None
    _whole_ms: int | None = None
    _logged: str | None = None

    def look(self, now_ms: int) -> StoreLook | None:
        """The newest; the one before where it cannot be read."""
        try:
            self.last = self._read(self._opened(), now_ms)
        except StoreError as error:
            if str(error) != self._logged:
                log.warning("store cannot be read reason=%s", error)
            self._logged = str(error)
            self.close()
        else:
            self._logged = None
        return self.last

    def close(self) -> None:
        """Let go of it."""
        self._db = None
        self._open.close()
        self._whole_ms = None

    def _opened(self) -> Database:
        if self._db is None:
            where = self.settings.page_store
            self._db = self._open.enter_context(opening.reading(where, self.settings.file))
        return self._db

    def _read(self, db: Database, now_ms: int) -> StoreLook:
        place = db.place()
        before = self.last
        if before is not None and place != before.place:  # another file in its place
            self.close()
            db, before = self._opened(), None
            place = db.place()
        with db.snapshot():
            is_whole = self._whole_ms is None or now_ms - self._whole_ms >= WHOLE_MS
            is_whole = is_whole or before is None
            begin_ms = now_ms - (BACK_MS if is_whole else RECENT_MS)
            rows = outbox_rows.due(db, begin_ms, now_ms - SURE_MS)
            beat = beat_rows.read(db, beat_rows.COLLECTOR)
            known = identity.known(db)
        messages = {} if is_whole or before is None else dict(before.messages)
        for row in rows:
            messages[choosing.key_of("store", row.notification)] = row.notification
        if is_whole:
            self._whole_ms = now_ms
        if len(messages) > MAX_PENDING:
            if is_whole:
                log.error("too many messages, the oldest are left out messages=%d", len(messages))
            messages = dict(list(messages.items())[-MAX_PENDING:])
        return StoreLook(messages, None if beat is None else beat.at_ms, known, place)
