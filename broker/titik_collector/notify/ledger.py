"""What was tried and what `titik notify` has to say itself: in memory, and beside the store.

Rule: a disk that is full stops no message and makes no double: memory counts, and is written when
it can be.
"""

import logging
from collections.abc import Iterable
from contextlib import closing

from titik_collector.alerts.alert import Message, Notification
from titik_collector.desk import deliveries
from titik_collector.notify import choosing
from titik_collector.notify.composed import MessageKey
from titik_collector.store import (
    delivery_rows,
    notify_opening,
    own_messages,
    remembered_rows,
)
from titik_collector.store.database import Database, StoreError
from titik_collector.store.delivery_rows import DeliveryRow
from titik_collector.store.opening import Where
from titik_wire.instant import DAY_MS, HOUR_MS

log = logging.getLogger(__name__)

REMEMBERED_MS = choosing.TRIED_MS + 2 * HOUR_MS  # in memory
KEPT_MS = 90 * DAY_MS  # beside the store


class Ledger:
    """From its opening to `close`; StoreError if it is needed, and there is none to begin with."""

    def __init__(self, where: Where, now_ms: int, is_needed: bool = True) -> None:
        self._where = where
        self._db: Database | None = None
        self._unsaved: list[DeliveryRow] = []
        self._unsaved_own: list[Notification] = []
        self._unsaved_words: dict[str, str] = {}
        self._logged: str | None = None
        self._pruned_ms = now_ms
        self.deliveries: list[DeliveryRow] = []
        self.own: list[Notification] = []
        self.served: str | None = None
        try:
            self._begin(now_ms)
        except StoreError as error:
            if is_needed:
                raise
            self._failed(error)

    def _begin(self, now_ms: int) -> None:
        self._db = notify_opening.open_notify(self._where)
        deliveries.post(self._db, self._where, now_ms)
        self.deliveries = delivery_rows.since(self._db, now_ms - REMEMBERED_MS)
        self.own = own_messages.all_of(self._db)
        self.served = remembered_rows.read(self._db, remembered_rows.SERVED)

    def add(self, rows: Iterable[DeliveryRow]) -> None:
        """What became of tries."""
        new = list(rows)
        self.deliveries += new
        self._unsaved += new

    def say(self, message: Message, receivers: Iterable[str], now_ms: int) -> None:
        """A message of our own, to each of these at once."""
        last = self.own[-1].number or 0 if self.own else 0
        number = max(last + 1, now_ms)
        for place, receiver in enumerate(receivers):
            one = Notification(
                number=number + place,
                incident=None,
                receiver=receiver,
                made_ms=now_ms,
                due_ms=now_ms,
                message=message,
                is_uncapped=True,
            )
            self.own.append(one)
            self._unsaved_own.append(one)

    def serve(self, place: str) -> None:
        """From now on this is the store that is served."""
        self.served = self._unsaved_words[remembered_rows.SERVED] = place

    def messages(self, now_ms: int) -> list[tuple[MessageKey, Notification]]:
        """Our own that may have to be sent."""
        begin_ms = now_ms - REMEMBERED_MS
        return [(choosing.key_of("own", one), one) for one in self.own if one.due_ms >= begin_ms]

    def save(self, now_ms: int) -> None:
        """Write what is not written; what fails is logged once, and tried again."""
        if not (self._unsaved or self._unsaved_own or self._unsaved_words):
            self._prune(now_ms)
            return
        try:
            if self._db is None:
                self._db = notify_opening.open_notify(self._where)
            with self._db.transaction():
                own_messages.add(self._db, self._unsaved_own)
                delivery_rows.add(self._db, self._unsaved)
                for name, value in self._unsaved_words.items():
                    remembered_rows.write(self._db, name, value)
        except StoreError as error:
            self._failed(error)
            return
        if any(one.outcome == "delivered" and one.incident is not None for one in self._unsaved):
            deliveries.post(self._db, self._where, now_ms)
        self._unsaved, self._unsaved_own, self._unsaved_words = [], [], {}
        if self._logged is not None:
            log.info("deliveries are written again")
        self._logged = None

    def close(self, now_ms: int) -> None:
        """Write what can be written."""
        self.save(now_ms)
        self._let_go()

    def _failed(self, error: StoreError) -> None:
        if str(error) != self._logged:
            log.error("deliveries cannot be written, memory has them reason=%s", error)
        self._logged = str(error)
        self._let_go()

    def _let_go(self) -> None:
        if self._db is not None:
            with closing(self._db):
                self._db = None

    def _prune(self, now_ms: int) -> None:
        """Once an hour forget what is old."""
        if now_ms - self._pruned_ms < HOUR_MS or self._db is None:
            return
        self._pruned_ms = now_ms
        begin_ms = now_ms - REMEMBERED_MS
        self.deliveries = [one for one in self.deliveries if one.at_ms >= begin_ms]
        try:
            with self._db.transaction():
                delivery_rows.prune(self._db, now_ms - KEPT_MS)
                own_messages.prune(self._db, now_ms - KEPT_MS)
            self.own = own_messages.all_of(self._db)
        except StoreError as error:
            self._failed(error)
