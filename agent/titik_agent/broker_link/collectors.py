"""What collectors publish for a router: its acks, and which collectors are online.

Rule: a message that breaks the contract changes nothing.
"""

import logging
from collections.abc import Callable

from titik_agent.broker_link.connection_life import ConnectionLife
from titik_agent.broker_link.unacked import Unacked
from titik_agent.limits import MAX_COLLECTORS
from titik_wire import WireError, topics
from titik_wire.codec import decode
from titik_wire.messages import Ack, CollectorStatus

StoreName = tuple[str | None, int | None]  # id and epoch

log = logging.getLogger(__name__)


class Collectors:
    """The collectors at the broker of the connection that is open."""

    def __init__(
        self, life: ConnectionLife, unacked: Unacked, monotonic: Callable[[], float]
    ) -> None:
        """A status shows `life` that this is the city's broker; an ack goes to `unacked`."""
        self.online: dict[str, float] = {}  # by name, and since when
        self.store: StoreName | None = None  # of the collector that was last heard of
        self.day_starts: tuple[int, ...] = ()  # of the city, for the count of visitors
        self._life = life
        self._unacked = unacked
        self._monotonic = monotonic
        self._packed: set[str] = set()  # those of them that take packed samples
        self._malformed: set[str] = set()  # topics whose last message was ignored; logged once

    def received(self, topic: str, payload: bytes) -> None:
        """An ack of ours, or a collector's status; an empty payload clears a retained one."""
        try:
            address = topics.parse(topic)
            message = decode(topic, payload) if payload else None
        except WireError as error:
            if topic not in self._malformed and len(self._malformed) < MAX_COLLECTORS:
                self._malformed.add(topic)
                log.warning("message ignored topic=%s reason=%s", topic, error)
            return
        self._malformed.discard(topic)
        if isinstance(message, Ack):
            self._unacked.settle(message, self._monotonic())
        elif isinstance(message, CollectorStatus) and message.state == "online":
            self._life.is_known = True
            self._is_online(address.name or "", message)
        elif address.kind == "collector":  # offline, or its retained status was cleared
            self._life.is_known |= message is not None
            self.online.pop(address.name or "", None)
            self._packed.discard(address.name or "")

    @property
    def take_packed(self) -> bool:
        """Whether one is online, and each that is takes packed samples."""
        return bool(self.online) and self.online.keys() <= self._packed

    def _is_online(self, name: str, message: CollectorStatus) -> None:
        self.day_starts = message.day_starts or self.day_starts
        if name in self.online or len(self.online) < MAX_COLLECTORS:
            self.online.setdefault(name, self._monotonic())
            self.store = message.store, message.epoch
            self._packed.discard(name)
            if message.packed:
                self._packed.add(name)

    def disconnected(self) -> None:
        """Nothing is known of them before the next connection."""
        self.online.clear()
        self._packed.clear()
