"""The collector's way to the broker: one connection is kept up, messages come in and go out.

Rule: a message is acknowledged by hand, and only on the connection that brought it.
Rule: what fits in one batch is read ahead, and at most one read more. Mosquitto 2.0.11 overruns
Receive Maximum, so not reading is the only bound that holds.
Rule: a bug of ours is an exception of `receive`, and ends the process.
"""

import logging
import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from titik_collector.broker_link import fast_paho
from titik_collector.broker_link.inbox import ReceivedMessage
from titik_collector.broker_link.session import Session
from titik_collector.limits import MAX_UNSENT
from titik_mqtt.connection import Will
from titik_mqtt.endpoint import Endpoint
from titik_mqtt.failures import LinkDown
from titik_wire import topics

log = logging.getLogger(__name__)

FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 30.0
STABLE_S = 60.0  # a connection this old starts the waits again


@dataclass(eq=False)
class Link:
    """Keeps one connection up; `receive` is where all its work is done."""

    _endpoint: Endpoint
    _collector: str  # its id
    _will: Callable[[], tuple[str, bytes]]  # topic and payload
    _on_connect: Callable[[], object]  # the broker answered SUBSCRIBE, and publishing works
    _on_lost: Callable[[str], object]  # gets the reason in words, at every attempt
    _before: Callable[[], object] = lambda: None  # before each attempt; may raise LinkDown
    # Messages may come: those that the broker kept come before its answer to SUBSCRIBE.
    _on_accept: Callable[[], object] = lambda: None
    heard_at: float | None = None  # when the broker last sent anything, in monotonic seconds
    _session: Session | None = None
    _number: int = 0  # of the session
    _received: deque[ReceivedMessage] = field(default_factory=deque)
    _unpublished: list[fast_paho.Message] = field(default_factory=list)
    _logged: str | None = None
    _wait_s: float = FIRST_WAIT_S
    _next_try: float = 0.0

    @property
    def accepted(self) -> bool:
        """Messages may come."""
        return self._session is not None and self._session.accepted

    @property
    def connected(self) -> bool:
        """Subscribed and able to publish."""
        return self._session is not None and self._session.is_subscribed

    @property
    def offers_wishes(self) -> bool | None:
        """Whether the broker's rights let us look after routers; None: not connected."""
        session = self._session
        return None if session is None or not self.connected else session.offers_wishes

    def receive(self, most: int, wait_s: float) -> Sequence[ReceivedMessage]:
        """Up to `most` messages; the link is opened, fed and kept alive in that time."""
        deadline = time.monotonic() + wait_s
        while True:
            self._turn(max(0.0, deadline - time.monotonic()), most)
            if self._received or time.monotonic() >= deadline:
                break
        return [self._received.popleft() for _ in range(min(most, len(self._received)))]

    def acknowledge(self, messages: Sequence[ReceivedMessage]) -> None:
        """These are committed; forgotten if their connection is gone."""
        if self._session is not None:
            now = self._number
            deliveries = [message.delivery for message in messages]
            packets = [packet for when, packet in deliveries if packet and when == now]
            self._session.paho.acknowledge(packets)

    def publish(self, topic: str, payload: bytes, retain: bool) -> None:
        """QoS 0: TCP delivers it, and what is retained is published again on the next connect.

        It leaves with `flush`, with the next turn, or with others when they are many.
        """
        if self.connected:
            self._unpublished.append((topic, payload, retain))
            if len(self._unpublished) >= MAX_UNSENT:
                self.flush()

    def flush(self) -> None:
        """Let what was published leave now."""
        waiting, self._unpublished = self._unpublished, []
        if waiting and self._session is not None:
            self._session.paho.publish_all(waiting)

    def hear_statuses_again(self) -> None:
        """Let the broker send every router's last word once more, as on a connect."""
        if self._session is not None and self.connected:
            with suppress(LinkDown):  # the next turn meets it again
                self._session.connection.subscribe([topics.ALL_STATUSES])

    def ask_for_wishes_again(self) -> None:
        """Perhaps the broker was given the rights meanwhile."""
        if self._session is not None and self.connected:
            with suppress(LinkDown):  # the next turn meets it again
                self._session.ask_for_wishes()

    def keep_alive(self, wait_s: float, most: int) -> None:
        """Keep the connection up for so long; no more is read than `most` messages in hand."""
        deadline = time.monotonic() + wait_s
        while (left := deadline - time.monotonic()) > 0:
            self._turn(left, most, hold=True)

    def close(self) -> None:
        """Leave, after what was published; the session stays."""
        self.flush()
        if self._session is not None:
            self._session.leave()
        self._drop()

    def _turn(self, wait_s: float, most: int, hold: bool = False) -> None:
        """Open if it is time to, else wait for the socket and read.

        `hold`: once `most` messages are in hand, the rest is left in the socket.
        """
        try:
            if self._session is None:
                self._try_open(wait_s)
                return
            if hold and len(self._received) >= most:
                self._session.wait_unread(wait_s)
                if self._session.is_readable():
                    self.heard_at = time.monotonic()
            else:
                self.flush()
                self._session.wait(wait_s)
                self._read(self._session, most)
            self._session.connection.tick()
        except LinkDown as down:
            self._lost(down.reason)

    def _read(self, session: Session, most: int) -> None:
        while len(self._received) < most and session.is_readable():
            session.connection.read()
            self.heard_at = time.monotonic()

    def _try_open(self, wait_s: float) -> None:
        now = time.monotonic()
        if now < self._next_try:
            time.sleep(min(wait_s, self._next_try - now))
        else:
            self._open()

    def _open(self) -> None:
        self._before()
        self._number += 1
        self._session = session = Session(
            self._endpoint,
            self._collector,
            Will(*self._will()),
            self._take,
            self._on_accept,
            self._connected,
        )
        session.open()

    def _take(self, packets: Sequence[fast_paho.Packet]) -> None:
        now = self._number
        self._received.extend(
            [ReceivedMessage(topic, body, (now, packet)) for topic, body, packet in packets]
        )

    def _connected(self) -> None:
        log.info("broker connected host=%s port=%d", self._endpoint.host, self._endpoint.port)
        self._logged = None
        self._on_connect()

    def _lost(self, reason: str) -> None:
        session = self._session
        stable = (
            session is not None
            and session.is_subscribed
            and time.monotonic() - session.opened_at >= STABLE_S
        )
        self._wait_s = FIRST_WAIT_S if stable else min(LONGEST_WAIT_S, self._wait_s * 2)
        self._next_try = time.monotonic() + random.uniform(0, self._wait_s)
        if reason != self._logged:  # once, not at every attempt
            log.warning("broker unreachable, will retry reason=%s", reason)
            self._logged = reason
        self._drop()
        self._on_lost(reason)

    def _drop(self) -> None:
        session, self._session = self._session, None
        self._unpublished.clear()
        self._received.clear()  # unacknowledged: they come again
        if session is not None:
            session.close()
