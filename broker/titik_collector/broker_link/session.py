"""One connection of the collector: every router's messages, many at a time, acknowledged by hand.

Rule: the broker keeps the session, so what comes while no collector runs is not lost.
"""

import select
import time
from collections.abc import Callable
from contextlib import suppress

from titik_collector.broker_link import fast_paho
from titik_collector.broker_link.readable import until_readable
from titik_collector.broker_link.remedies import CollectorRemedies
from titik_collector.limits import MAX_RECEIVED
from titik_mqtt import failures
from titik_mqtt.connection import Connection, Terms, Will
from titik_mqtt.endpoint import Endpoint
from titik_mqtt.failures import LinkDown
from titik_wire import topics

SESSION_S = 14 * 86400  # the broker keeps the queue while a collector is away
KEEPALIVE_S = 30  # for the broker, which waits half as long again before it publishes the will
PING_S = 10  # we ask after so much silence, and wait as long for the answer
CONNECT_S = 5.0  # for TCP, for TLS and for the answers to CONNECT and SUBSCRIBE, each
GOODBYE_S = 2.0  # for what was published to leave
OF_WISHES = (topics.ALL_RUNNING, topics.ALL_ANSWERS)  # not offered by a broker of earlier rights
LONGEST_S = 1.0  # between two looks at keep-alive and deadlines


class Session:
    """From `open` to `close`; LinkDown out of any method is its end."""

    def __init__(
        self,
        endpoint: Endpoint,
        collector: str,
        will: Will,
        take: fast_paho.Take,
        on_accept: Callable[[], object],
        on_connect: Callable[[], object],
    ) -> None:
        """`take` is called by paho, so it only notes what came."""
        self.accepted = False  # messages may come
        self.is_subscribed = False  # and publishing works
        self.opened_at = time.monotonic()
        client_id = topics.CLIENT_ID + collector
        self.paho = fast_paho.make(take, client_id=client_id, reconnect_on_failure=False)
        self._endpoint = endpoint
        self._on_accept = on_accept
        self._on_connect = on_connect
        terms = Terms(
            client_id,
            KEEPALIVE_S,
            CONNECT_S,
            clean_start=False,
            session_s=SESSION_S,
            receive_maximum=MAX_RECEIVED,
        )
        self.connection = Connection(
            endpoint, terms, will, self, CollectorRemedies, make=lambda _: self.paho
        )

    def open(self) -> None:
        """Connect, blocking; the broker's answers come with `wait` and `read`."""
        self.connection.open()
        self.opened_at = time.monotonic()

    def wait(self, wait_s: float) -> None:
        """Until there is something to read; what waits to be sent leaves in that time."""
        if until_readable(self.connection, min(wait_s, LONGEST_S)):
            return
        late = time.monotonic() - self.opened_at > CONNECT_S
        if self.accepted and not self.is_subscribed and late:
            raise failures.unanswered("SUBSCRIBE", self._endpoint.where)

    def wait_unread(self, wait_s: float) -> None:
        """Leave what waits in the socket to the broker; its end is still noticed."""
        connection = self.connection
        connection.check_open()
        poll = select.poll()
        writable = select.POLLOUT if connection.want_write() else 0
        poll.register(connection, select.POLLRDHUP | writable)
        for _, event in poll.poll(min(wait_s, LONGEST_S) * 1000):
            if event & ~select.POLLOUT:
                raise failures.closed()
            connection.on_writable()
        if self.is_readable():  # which is the broker's sign of life
            self.paho.hear()

    def is_readable(self) -> bool:
        """Whether `read` finds something."""
        connection = self.connection
        return connection.has_pending() or bool(select.select([connection], [], [], 0)[0])

    @property
    def offers_wishes(self) -> bool:
        """Whether the broker refused nothing of what wishes need."""
        return not self.connection.declined

    def ask_for_wishes(self) -> None:
        """Once more, of a broker that did not offer them."""
        self.connection.subscribe((), OF_WISHES)

    def leave(self) -> None:
        """Say goodbye after what was published; the broker keeps the session."""
        connection = self.connection
        deadline = time.monotonic() + GOODBYE_S
        with suppress(LinkDown):
            while connection.want_write() and (left := deadline - time.monotonic()) > 0:
                select.select([], [connection], [], left)  # what comes in that time comes again
                connection.on_writable()
        connection.close(disconnect=True)

    def close(self) -> None:
        """End it, and all that it holds: the two of us are a circle, freed some time later."""
        self.connection.close()
        del self.paho

    # Events of the connection.

    def connected(self) -> None:
        """The broker accepted us."""
        self.paho.ping_every(PING_S)
        # Each time the broker sends what it has retained: that is MQTT's default.
        wanted = (topics.ALL_SAMPLES, topics.ALL_BACKLOGS, topics.ALL_STATUSES)
        self.connection.subscribe(wanted, OF_WISHES)
        self.accepted = True
        self._on_accept()

    def subscribed(self, refused: str | None) -> None:
        """The broker answered SUBSCRIBE."""
        if refused is not None:
            raise LinkDown(f"the broker refused the subscriptions: {refused}", "login")
        if not self.is_subscribed:  # else the statuses alone, again
            self.is_subscribed = True
            self._on_connect()

    def published(self, mid: int, refused: str | None) -> None:
        """Nothing waits for it: all is published at QoS 0."""

    def received(self, topic: str, payload: bytes) -> None:
        """Never called: paho hands messages to `take`."""
