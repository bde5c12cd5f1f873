"""The job that has the city's wishes at the broker, retained, and takes off what was withdrawn.

Rule: after each connect all of them are published, for no one reports what the broker still has.
Rule: each leaves as it is in the store at that moment, so the newest revision comes last.
Rule: a broker that does not let us hear what routers make of wishes offers none: none is sent.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from titik_collector.broker_link.inbox import Outbox
from titik_collector.store import settings, wishes
from titik_collector.store.database import Database
from titik_wire import codec

log = logging.getLogger(__name__)

AT_ONCE = 20  # routers: 200 a second, with up to 3 messages of 8 kB each


REMEDY = "titik broker init FOLDER --config FILE, once more"


@dataclass(eq=False)
class WishPublishing:
    """Knows whose wishes have to be published yet."""

    _db: Database
    _outbox: Outbox
    _offers: Callable[[], bool | None]  # whether the broker offers wishes; None: not connected
    _is_new: bool = False  # what this connection's broker has is not known
    _noted: bool | None = None  # what the store has of whether they are offered
    _is_warned: bool = False  # once, as long as they are not
    _waiting: dict[int, None] = field(default_factory=dict)  # routers, in order

    def begin(self) -> None:
        """What the broker has is not known."""
        self._is_new = True

    def changed(self, router_ids: Iterable[int]) -> None:
        """Wishes of these routers are others than before."""
        self._waiting |= dict.fromkeys(router_ids)
        self._warn()

    def due(self, _now: float) -> bool:
        """Whether anything has to be published, and may be."""
        offers = self._offers()
        if offers is None:
            return False
        return self._is_new or offers != self._noted or (offers and bool(self._waiting))

    def step(self, _budget_s: float) -> bool:
        """Some of it; what the store could not be asked for waits."""
        offers = bool(self._offers())
        if self._is_new:
            self._waiting, self._is_new = dict.fromkeys(wishes.routers(self._db)), False
        if offers != self._noted:
            self._note(offers)
        if not offers:
            return False
        some = list(self._waiting)[:AT_ONCE]
        for one in wishes.of_routers(self._db, some):
            message = one.message
            payload = b"" if message is None else codec.encode(message)
            self._outbox.publish(one.topic, payload, retain=True)
        self._outbox.flush()
        for router_id in some:
            del self._waiting[router_id]
        return False

    def _note(self, offers: bool) -> None:
        with self._db.transaction():
            settings.change(self._db, "wishes_offered", int(offers))
        self._noted = offers
        self._is_warned = self._is_warned and not offers
        self._warn()

    def _warn(self) -> None:
        if self._waiting and self._noted is False and not self._is_warned:
            self._is_warned = True
            log.warning("the broker does not offer wishes, so routers hear none remedy=%s", REMEDY)
