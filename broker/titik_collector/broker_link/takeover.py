"""Before the first connect: who was at work at this broker, and how much it knows.

Rule: what cannot be read holds up nobody. It is logged when the connection stands all the same.
"""

import logging
from collections.abc import Callable, Mapping, Sequence

from titik_collector.broker_link import retained
from titik_collector.store import identity
from titik_collector.store.database import FAILURES, Database
from titik_collector.store.identity import Identity
from titik_mqtt.endpoint import Endpoint
from titik_mqtt.failures import LinkDown
from titik_wire.messages import Ack

log = logging.getLogger(__name__)

MAX_NAMED = 20  # routers in the log; `titik db check` has the sum


class Takeover:
    """Looks once, and brings the store above what the broker has of it."""

    def __init__(
        self,
        db: Database,
        door: Endpoint | None,
        collector: str,
        own: Identity,
        believe: Callable[[Sequence[Ack]], Mapping[str, int]],
    ) -> None:
        """`door`: where a second client may read; None: nobody looks.

        `believe` stores acks and returns how many samples they cover that the store lacks.
        """
        self.identity = own
        self._db = db
        self._door = door
        self._collector = collector
        self._believe = believe
        self._unread: str | None = None  # why the broker could not be read

    def look(self) -> None:
        """TwinRunning if another collector is at work there; LinkDown if the store fails."""
        own = self.identity
        if self._door is None:
            return
        try:
            found = retained.look(self._door, self._collector, own)
            if found.status is not None and found.status.store == own.store:
                own = identity.raise_above(self._db, own, found.status.epoch or 0)
            _log_lost(self._believe(found.acks))
        except LinkDown as error:
            self._unread = str(error)
            return  # the connection fails too, or there is no such door
        except FAILURES as error:
            raise LinkDown(f"the store fails: {error}") from error
        self.identity, self._door, self._unread = own, None, None

    def connected(self) -> None:
        """From here on the status at the broker is our own."""
        if self._unread is not None:
            log.warning("connected without a look at the broker reason=%s", self._unread)
        self._door = self._unread = None


def _log_lost(lost: Mapping[str, int]) -> None:
    if lost:
        log.warning(
            "samples lost with a newer state of this store: the broker's acks cover them and"
            " they are not here samples=%d routers=%d",
            sum(lost.values()),
            len(lost),
        )
    for router, samples in sorted(lost.items())[:MAX_NAMED]:
        log.warning("lost with a newer state of this store router=%s samples=%d", router, samples)
