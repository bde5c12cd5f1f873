"""The collector's connection to the broker: letters in, words out, one thread.

Rule: the session outlives the process (`clean_start=False`; paho's default would wipe it).
Rule: a letter is acknowledged by hand, and only on the connection that brought it.
Rule: what fits in one batch is read ahead, and at most one read more; mosquitto 2.0.11 overruns
Receive Maximum, so not reading is the only bound that holds.
Rule: events are handled after paho has returned. What paho cannot read ends the connection; a bug
of ours is an exception of `receive` and ends the process.
"""

import logging
import random
import select
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from titik_collector.broker_link import fast_paho
from titik_collector.broker_link.inbox import ReceivedMessage
from titik_mqtt import trust
from titik_mqtt.endpoint import Tls
from titik_wire import topics

log = logging.getLogger(__name__)

SESSION_S = 14 * 86400  # the broker keeps the queue while a collector is away
RECEIVE_MAXIMUM = 10_000  # ten batches
KEEPALIVE_S = 30  # for the broker, which waits half as long again before it publishes the will
PING_S = 10  # we ask after so much silence, and wait as long for the answer
MAX_UNSAID = 256  # messages that leave in one write, some 100 kB
CONNECT_S = 5.0  # for TCP, for TLS and for the answers to CONNECT and SUBSCRIBE, each
UNSPECIFIED, KEEPALIVE_TIMEOUT = 0x80, 0x8D  # MQTT 5's reason codes
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 30.0
STABLE_S = 60.0  # a connection this old starts the waits anew


class LinkDown(Exception):
    """The broker cannot be reached, refused us, or went away; in words an operator understands."""


@dataclass(frozen=True, slots=True)
class Login:
    """How to reach the broker."""

    host: str
    port: int
    username: str | None = None
    password: str | None = None
    ca_file: str | None = None  # set: TLS


class Link:
    """Keeps one connection up; `receive` is where all its work is done."""

    def __init__(
        self,
        login: Login,
        collector: str,
        will: Callable[[], tuple[str, bytes]],
        on_connect: Callable[[], object],
        on_lost: Callable[[str], object],
        before: Callable[[], None] = lambda: None,
        on_accept: Callable[[], object] = lambda: None,
    ) -> None:
        """`will`: topic and payload. `before` is called before each attempt, may raise LinkDown.

        `on_accept` is called when letters may come: those that the broker kept come before its
        answer to SUBSCRIBE. `on_connect` is called when that has come, and publishing works;
        `on_lost` gets the reason in words, at every attempt.
        """
        self._login = login
        self._collector = collector
        self._will = will
        self._before = before
        self._on_accept = on_accept
        self._on_connect = on_connect
        self._on_lost = on_lost
        self._client: fast_paho.StockClient | None = None
        self._generation = 0
        self._letters: deque[ReceivedMessage] = deque()
        self._unsaid: list[fast_paho.Message] = []
        self._events: deque[Callable[[], None]] = deque()  # of paho, not handled yet
        self._accepted = self._subscribed = False
        self._failure: str | None = None
        self._said: str | None = None
        self._heard_at: float | None = None
        self._wait_s = FIRST_WAIT_S
        self._next_try = 0.0
        self._opened_at = 0.0

    @property
    def accepted(self) -> bool:
        """Letters may come."""
        return self._client is not None and self._accepted

    @property
    def connected(self) -> bool:
        """Subscribed and able to publish."""
        return self._client is not None and self._subscribed

    @property
    def heard_at(self) -> float | None:
        """When the broker last sent anything, in monotonic seconds; None: never."""
        return self._heard_at

    def receive(self, most: int, wait_s: float) -> Sequence[ReceivedMessage]:
        """Up to `most` letters; the link is opened, fed and kept alive meanwhile."""
        deadline = time.monotonic() + wait_s
        while True:
            self._turn(most, max(0.0, deadline - time.monotonic()))
            if self._letters or time.monotonic() >= deadline:
                break
        return [self._letters.popleft() for _ in range(min(most, len(self._letters)))]

    def acknowledge(self, letters: Sequence[ReceivedMessage]) -> None:
        """Tell the broker that these are committed; forgotten if their connection is gone."""
        if self._client is not None:
            now = self._generation
            tokens = [letter.token for letter in letters]
            self._client.acknowledge([packet for when, packet in tokens if packet and when == now])

    def publish(self, topic: str, payload: bytes, retain: bool) -> None:
        """QoS 0: TCP delivers it, and what is retained is said again on the next connect.

        It leaves with `flush`, with the next turn, or with others when they are many.
        """
        if self._client is not None and self._subscribed:
            self._unsaid.append((topic, payload, retain))
            if len(self._unsaid) >= MAX_UNSAID:
                self.flush()

    def flush(self) -> None:
        """Let what was published leave now."""
        unsaid, self._unsaid = self._unsaid, []
        if unsaid and self._client is not None:
            self._client.say(unsaid)

    def hear_statuses_again(self) -> None:
        """Let the broker send every router's last word once more, as on a connect."""
        if self._client is not None and self._subscribed:
            _subscribe(self._client, topics.ALL_STATUSES)

    def keep_alive(self, wait_s: float, most: int) -> None:
        """Keep the connection up for so long; no more is read than `most` letters in hand."""
        deadline = time.monotonic() + wait_s
        while (left := deadline - time.monotonic()) > 0:
            try:
                if self._client is None:
                    self._try_open(left)
                elif len(self._letters) < most:
                    self._work(self._client, most, left)
                else:
                    self._wait_unread(self._client, left)
            except LinkDown as error:
                self._lost(str(error))

    def close(self) -> None:
        """Leave, after what was published; the session stays."""
        client = self._client
        if client is None:
            return
        self.flush()
        client.disconnect()
        deadline = time.monotonic() + 2.0
        while client.want_write() and time.monotonic() < deadline:
            client.loop_write()
        self._drop()

    def _turn(self, most: int, wait_s: float) -> None:
        """Open if it is time to, else wait for the socket and let paho work."""
        try:
            if self._client is None:
                self._try_open(wait_s)
            else:
                self._work(self._client, most, wait_s)
        except LinkDown as error:
            self._lost(str(error))

    def _try_open(self, wait_s: float) -> None:
        now = time.monotonic()
        if now < self._next_try:
            time.sleep(min(wait_s, self._next_try - now))
            return
        self._open()

    def _work(self, client: fast_paho.StockClient, most: int, wait_s: float) -> None:
        self.flush()
        sock = client.socket()
        if sock is None:
            raise LinkDown(self._failure or "the broker closed the connection")
        if not _pending(sock):
            writers = [sock] if client.want_write() else []
            readable, writable, _ = select.select([sock], writers, [], min(wait_s, 1.0))
            if writable:
                self._paho(client.loop_write)
            if not readable:
                self._check_answered()
                self._paho(client.loop_misc)
                return
        while len(self._letters) < most and _readable(sock):
            self._paho(client.loop_read)
            self._heard_at = time.monotonic()
            if client.socket() is None:
                raise LinkDown(self._failure or "the broker closed the connection")
        self._paho(client.loop_misc)

    def _wait_unread(self, client: fast_paho.StockClient, wait_s: float) -> None:
        """Leave what waits in the socket to the broker; what is unread is its sign of life."""
        sock = client.socket()
        if sock is None:
            raise LinkDown(self._failure or "the broker closed the connection")
        poll = select.poll()
        poll.register(sock, select.POLLRDHUP | (select.POLLOUT if client.want_write() else 0))
        for _, event in poll.poll(min(wait_s, 1.0) * 1000):
            if event & ~select.POLLOUT:
                raise LinkDown("the broker closed the connection")
            self._paho(client.loop_write)
        if _readable(sock):
            self._heard_at = time.monotonic()
            client.hear()
        self._paho(client.loop_misc)

    def _check_answered(self) -> None:
        """A port that accepts and says nothing is no broker."""
        if not self._subscribed and time.monotonic() - self._opened_at > CONNECT_S:
            where = f"{self._login.host}:{self._login.port}"
            raise LinkDown(f"{where}: accepts connections and does not answer: is it the broker?")

    def _paho(self, step: Callable[[], Any]) -> None:
        """Let paho work, then handle what it saw.

        Paho raises whatever it trips over in a packet (ValueError, IndexError, struct.error),
        which ends the connection and not the process.
        """
        try:
            rc = step()
        except Exception as error:
            raise LinkDown(f"unreadable packet: {error!r}") from error
        while self._events:
            self._events.popleft()()
        if rc not in (paho.MQTT_ERR_SUCCESS, paho.MQTT_ERR_AGAIN):
            raise LinkDown(self._failure or paho.error_string(rc))
        if self._failure is not None:
            raise LinkDown(self._failure)

    def _open(self) -> None:
        self._before()
        login = self._login
        self._generation += 1
        self._failure, self._accepted, self._subscribed = None, False, False
        self._events.clear()
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = SESSION_S
        properties.ReceiveMaximum = RECEIVE_MAXIMUM
        try:
            client = self._client = self._make_client()
            client.connect(
                login.host, login.port, KEEPALIVE_S, clean_start=False, properties=properties
            )
        except (OSError, ValueError) as error:
            raise LinkDown(_unreachable(login, error)) from error
        self._opened_at = time.monotonic()

    def _make_client(self) -> fast_paho.StockClient:
        client = fast_paho.make(
            self._take, client_id=topics.CLIENT_ID + self._collector, reconnect_on_failure=False
        )
        client.connect_timeout = CONNECT_S
        if self._login.username is not None:
            client.username_pw_set(self._login.username, self._login.password)
        if self._login.ca_file is not None:
            client.tls_set_context(_trusting(self._login.ca_file))
        client.will_set(*self._will(), qos=1, retain=True)
        client.on_socket_open = _send_at_once
        client.on_connect = self._on_connack
        client.on_subscribe = self._on_suback
        client.on_disconnect = self._on_disconnect
        return client

    def _connected(self, reason: ReasonCode) -> None:
        if reason.is_failure:
            raise LinkDown(
                f"the broker refused the collector: {reason};"
                " see broker.username and broker.password_file"
            )
        client = self._client
        assert client is not None
        client.ping_every(PING_S)
        _subscribe(client, topics.ALL_SAMPLES, topics.ALL_BACKLOGS, topics.ALL_STATUSES)
        self._accepted = True
        self._on_accept()

    def _granted(self, reasons: Sequence[ReasonCode]) -> None:
        refused = [str(reason) for reason in reasons if reason.is_failure]
        if refused:
            raise LinkDown(f"the broker refused the subscriptions: {', '.join(refused)}")
        if self._subscribed:  # the statuses alone, again
            return
        self._subscribed = True
        log.info("broker connected host=%s port=%d", self._login.host, self._login.port)
        self._said = None
        self._on_connect()

    # What follows is called by paho, and only writes down what it heard.

    def _on_connack(
        self, _client: paho.Client, _data: Any, _flags: Any, reason: ReasonCode, _props: Any
    ) -> None:
        self._events.append(lambda: self._connected(reason))

    def _on_suback(
        self, _client: paho.Client, _data: Any, _mid: int, reasons: list[ReasonCode], _props: Any
    ) -> None:
        self._events.append(lambda: self._granted(reasons))

    def _on_disconnect(
        self, _client: paho.Client, _data: Any, _flags: Any, reason: ReasonCode, _props: Any
    ) -> None:
        if self._failure is None:
            self._failure = _ending(reason)

    def _take(self, packets: Sequence[fast_paho.Packet]) -> None:
        now = self._generation
        self._letters.extend(
            [ReceivedMessage(topic, body, (now, packet)) for topic, body, packet in packets]
        )

    def _lost(self, reason: str) -> None:
        stable = self._subscribed and time.monotonic() - self._opened_at >= STABLE_S
        self._wait_s = FIRST_WAIT_S if stable else min(LONGEST_WAIT_S, self._wait_s * 2)
        self._next_try = time.monotonic() + random.uniform(0, self._wait_s)
        if reason != self._said:  # once, not at every attempt
            log.warning("broker unreachable, will retry reason=%s", reason)
            self._said = reason
        self._drop()
        self._on_lost(reason)

    def _drop(self) -> None:
        client, self._client = self._client, None
        self._accepted = self._subscribed = False
        self._unsaid.clear()
        self._letters.clear()  # unacknowledged: they come again
        self._events.clear()
        if client is not None:
            sock = client.socket()
            if sock is not None:
                sock.close()


def _subscribe(client: paho.Client, *wanted: str) -> None:
    """Each time the broker sends what it has retained: that is MQTT's default."""
    options = SubscribeOptions(qos=1)
    client.subscribe([(topic, options) for topic in wanted])


def _unreachable(login: Login, error: Exception) -> str:
    where = f"{login.host}:{login.port}"
    if isinstance(error, ConnectionRefusedError):
        return f"nothing listens at {where}: does the broker run? if elsewhere, check broker.port"
    if isinstance(error, socket.gaierror | UnicodeError):
        return f"no address for {login.host}: check broker.host ({error})"
    return f"{where}: {error}"


def _trusting(ca_file: str) -> ssl.SSLContext:
    try:
        return trust.context(Tls(ca_file))
    except OSError as error:  # gone, unreadable, or no certificate
        raise LinkDown(f"{ca_file}: {error}") from error


def _ending(reason: ReasonCode) -> str:
    """Why a connection is over; without a DISCONNECT paho reports "Unspecified error"."""
    if reason.value == KEEPALIVE_TIMEOUT:
        return f"the broker has said nothing for {2 * PING_S} s"
    if reason.value == UNSPECIFIED:
        return "the broker closed the connection"
    return f"connection lost: {reason}"


def _send_at_once(_client: paho.Client, _data: Any, sock: Any) -> None:
    """Otherwise acks wait for TCP to acknowledge the PUBACKs before them, up to 40 ms."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _pending(sock: Any) -> bool:
    return isinstance(sock, ssl.SSLSocket) and sock.pending() > 0


def _readable(sock: Any) -> bool:
    return _pending(sock) or bool(select.select([sock], [], [], 0)[0])
