"""One MQTT 5 connection to the broker, for both halves.

Rule: an object is one connection, with a paho client of its own; nothing is carried over.
Rule: whatever goes wrong, in paho or on the wire, is LinkDown, and the socket is closed.
Rule: events are delivered after paho has returned, never from inside it, so a receiver may publish.
What a receiver raises is a bug of ours, and reaches the caller as it is.

paho is handed a connected socket and driven from outside (`on_readable`, `on_writable`, `tick`):
its own reconnect has no jitter. Its thread dies of any exception while the client looks connected.
Above 340 clients in a process that thread never starts.
"""

import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Protocol

from titik_mqtt import failures, paho_client
from titik_mqtt.dial import dial, verdict
from titik_mqtt.endpoint import WINDOW, Endpoint
from titik_mqtt.failures import LinkDown, Remedies

# How often `tick` looks while something is overdue: the answer to CONNECT, or to a ping.
DEADLINE_TICK_S = 1.0
LONGEST_TICK_S = 5.0


class Events(Protocol):
    """What a connection reports; each may call `publish`, and may raise LinkDown."""

    def connected(self) -> None:
        """The broker accepted us."""

    def subscribed(self, refused: str | None) -> None:
        """The answer to `subscribe`; `refused` is why not, in words."""

    def published(self, mid: int, refused: str | None) -> None:
        """The broker answered for one message; `refused` is why it did not take it."""

    def received(self, topic: str, payload: bytes) -> None:
        """A message of a subscription."""


class Will(NamedTuple):
    """What the broker publishes, retained, when it loses us."""

    topic: str
    payload: bytes


class Terms(NamedTuple):
    """What CONNECT asks for, and how long we wait."""

    client_id: str
    keepalive_s: int
    timeout_s: float  # each: TCP, TLS handshake, and the broker's answer to CONNECT
    clean_start: bool = True  # the broker forgets the session before this one, and fires its will
    session_s: int = 0  # the broker keeps subscriptions and queue for so long
    will_delay_s: int = 0
    receive_maximum: int | None = None  # messages that the broker may send without PUBACK
    max_packet: int | None = None  # bytes that the broker may send at once
    window: int = WINDOW  # messages that may be without the broker's PUBACK; paho queues no more


class Connection:
    """From `open` to `close`."""

    def __init__(
        self,
        endpoint: Endpoint,
        terms: Terms,
        will: Will | None,
        events: Events,
        remedies: type[Remedies],
        *,
        make: Callable[[str], Any] = paho_client.make,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`make`: a paho client, by its client id."""
        self.room = terms.window  # what may be without PUBACK; a broker may allow less
        self._endpoint = endpoint
        self._terms = terms
        self._will = will
        self._to = events
        self._remedies = remedies
        self._make = make
        self._monotonic = monotonic
        self._client: Any = None
        self._sock: socket.socket | None = None
        self._connack_by: float | None = 0.0  # None: it came
        self._tick_s = DEADLINE_TICK_S
        self._waiting: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self._delivering = False
        self.declined: tuple[str, ...] = ()  # optional topics that the broker does not offer
        # Of a SUBSCRIBE, by its id: how many topics are needed, and the optional ones behind them.
        self._asked: dict[int, tuple[int, Sequence[str]]] = {}
        self._down: LinkDown | None = None

    def open(self) -> None:
        """Connect and send CONNECT, blocking; the broker's answer is the event `connected`."""
        terms = self._terms
        self._client = client = self._make(terms.client_id)
        client.dial = self._dial
        if self._endpoint.username is not None:
            client.username_pw_set(self._endpoint.username, self._endpoint.password)
        client.max_inflight_messages_set(terms.window)
        client.max_queued_messages_set(terms.window)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_message = client.on_message or self._on_message
        client.on_socket_close = self._on_socket_close
        if self._will is not None:
            properties = paho_client.of_will(terms.will_delay_s)
            client.will_set(*self._will, qos=1, retain=True, properties=properties)
        self._drive(
            client.connect,
            self._endpoint.host,
            self._endpoint.port,
            keepalive=terms.keepalive_s,
            # paho's default wipes the session on a process's first connect.
            clean_start=terms.clean_start,
            properties=paho_client.of_connect(
                terms.session_s, terms.receive_maximum, terms.max_packet
            ),
        )
        self._connack_by = self._monotonic() + terms.timeout_s

    def subscribe(self, topics: Sequence[str], optional: Sequence[str] = (), qos: int = 1) -> None:
        """Ask for messages, at least once each; the broker's answer is the event `subscribed`.

        `optional`: what a broker may not offer; that it refuses these is no refusal.
        """
        self._check_connected()
        wanted = paho_client.wanted((*topics, *optional), qos)
        _, mid = self._drive(self._client.subscribe, wanted)
        self._asked[mid] = len(topics), optional

    def unsubscribe(self, topic: str, then: Callable[[], None]) -> None:
        """Ask for no more; `then` is called, as an event, when the broker has answered."""
        self._check_connected()
        self._client.on_unsubscribe = lambda *_: self._waiting.append((then, ()))
        self._drive(self._client.unsubscribe, topic)

    def publish(
        self, topic: str, payload: bytes, retain: bool, content_type: str | None = None
    ) -> int:
        """Send at least once; the id comes back with `published`."""
        self._check_connected()
        properties = paho_client.of_publish(content_type)
        info = self._drive(self._client.publish, topic, payload, 1, retain, properties)
        words = paho_client.error_words(info.rc)
        if words is not None:
            raise self._fail(LinkDown(f"could not publish: {words}"))
        self._spoke()
        return int(info.mid)

    def fileno(self) -> int:
        """The socket to wait on, -1 when closed."""
        return -1 if self._sock is None else self._sock.fileno()

    def want_write(self) -> bool:
        """Whether there is something to send that the socket did not take yet."""
        return self._client is not None and bool(self._client.want_write())

    def has_pending(self) -> bool:
        """Whether TLS holds decrypted packets, which no poll sees."""
        return bool(getattr(self._sock, "pending", int)())

    def read(self) -> None:
        """Read once of what has come, and deliver it."""
        self.check_open()
        self._drive(self._client.loop_read)

    def on_readable(self) -> None:
        """Read what has come, and deliver it."""
        if self._client is None:
            return
        self.read()
        while self._client is not None and self.has_pending():
            self.read()

    def on_writable(self) -> None:
        """Send what is waiting."""
        if self._client is not None:
            self._drive(self._client.loop_write)

    def tick(self) -> float:
        """Keep-alive and deadlines; the seconds until it has something to do again.

        They grow with everything that is sent and comes, so ask again whenever awake.
        """
        if self._client is None:
            return DEADLINE_TICK_S
        if self._connack_by is None:
            self._drive(self._client.loop_misc)
            return max(self._tick_s, float(self._client.rest_s()))
        if self._monotonic() >= self._connack_by:
            raise self._fail(failures.unanswered("CONNECT", self._endpoint.where))
        return self._tick_s

    def close(self, disconnect: bool = False) -> None:
        """End it; `disconnect` says goodbye, so that the will is not published."""
        client, self._client = self._client, None
        if client is not None and disconnect:
            try:
                client.disconnect()
            except Exception as error:  # paho again, see `_drive`; it is over in any case
                self._down = LinkDown(str(error))
        # We dialled the socket, so we close it; paho's own goodbye may have done it already.
        sock, self._sock = self._sock, None
        if sock is not None:
            sock.close()
        self._waiting.clear()

    def check_open(self) -> None:
        """LinkDown, with the reason, if it has ended."""
        if self._client is None:
            raise self._down or LinkDown("not connected")
        if self._client.disconnect_code is not None:
            self._down = self._down or self._refused("lost", self._client.disconnect_code)
        if self._down is not None or self._client.socket() is None:
            raise self._fail(self._down or failures.closed())

    def _check_connected(self) -> None:
        self.check_open()
        if self._connack_by is not None:
            # paho would queue it in memory, and flood the broker with it later.
            raise self._down or LinkDown("not connected")

    def _drive(self, call: Callable[..., Any], *args: Any, **named: Any) -> Any:
        """Let paho work, then deliver what it saw; LinkDown if that was the end."""
        try:
            result = call(*args, **named)
        except LinkDown as down:
            raise self._fail(down) from down.__cause__
        except Exception as error:
            # paho raises ValueError, KeyError, AssertionError, struct.error and more on packets
            # it does not like, and 1.6.1 any OSError but ConnectionError: all mean the same here.
            raise self._fail(self._failure(error)) from error
        self._deliver()
        self.check_open()
        return result

    def _deliver(self) -> None:
        if self._delivering:
            return  # a receiver called us; the outer round goes on when it returns
        self._delivering = True
        try:
            while self._waiting:
                event, args = self._waiting.popleft()
                event(*args)
        finally:
            self._delivering = False

    def _spoke(self) -> None:
        """What was just sent is as good as a ping, and the answers to it need one ACK together."""
        if not self.want_write():
            self._client.has_sent()
        if self._sock is not None:
            # Else the kernel, after an idle time, confirms the PUBACK and the ack one by one. It
            # falls back to that by itself when a delayed ACK was of no use.
            with suppress(OSError):
                self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)

    def _fail(self, down: LinkDown) -> LinkDown:
        self._on_socket_close(None, None, self._sock)
        self._down = self._down or down
        early = self._down.step == "lost" and self._connack_by is not None
        if early and not self._endpoint.tls:
            # As a port for TLS does, which takes our CONNECT for a broken handshake.
            what = f"{self._endpoint.where}: {self._down.reason} before it answered"
            self._down = LinkDown(failures.advise(what, self._remedies.tls), "login")
        self.close()
        return self._down

    def _dial(self) -> socket.socket:
        terms = self._terms
        self._sock = dial(self._endpoint, self._remedies, terms.timeout_s, terms.keepalive_s)
        return self._sock

    def _failure(self, error: Exception) -> LinkDown:
        """An exception out of paho, or out of the socket under it."""
        if type(error).__module__ == "ssl" and isinstance(error, OSError):
            # TLS 1.3: the broker's verdict on our certificate comes after the handshake.
            return failures.tls_failure(error, "the broker", self._remedies)
        if isinstance(error, OSError):
            return LinkDown(f"connection lost: {error.strerror or error}")
        return LinkDown(f"not understood: {type(error).__name__}: {error}")

    def _refused(self, step: failures.Step, code: int) -> LinkDown:
        return failures.refused(step, code, self._remedies, self._endpoint.where)

    def _refusal(self, codes: Sequence[int]) -> str | None:
        """The first failure among these reason codes, in words."""
        failed = [code for code in codes if code >= failures.FAILURE]
        return failures.reason(failed[0], self._remedies) if failed else None

    # What follows is called by paho, in the shapes of both 1.6.1 and 2.x.

    def _on_connect(self, client: Any, _: object, __: object, reason: Any, properties: Any) -> None:
        code = paho_client.code_of(reason)
        if code != 0:
            self._down = self._refused("login", code)
            return
        self._connack_by = None
        window = self._terms.window
        self.room = min(window, getattr(properties, "ReceiveMaximum", window))
        wished = getattr(properties, "ServerKeepAlive", None)
        client.follow_keep_alive(wished)
        keepalive_s = wished or self._terms.keepalive_s
        self._tick_s = min(LONGEST_TICK_S, max(DEADLINE_TICK_S, keepalive_s / 9))
        self._waiting.append((self._to.connected, ()))

    def _on_disconnect(self, client: Any, _: object, *rest: Any) -> None:
        if self._down is not None:
            return
        if paho_client.is_from_broker(rest):
            self._down = self._refused("lost", paho_client.code_of(rest[-2]))
        elif client.trouble is not None:
            self._down = self._failure(client.trouble)
        elif paho_client.is_silence(rest[-2]):
            self._down = failures.silent(client.silence_s(), self._remedies)
        elif paho_client.is_not_mqtt(rest[-2]):
            self._down = failures.not_mqtt()
        else:
            self._down = failures.closed()

    def _on_socket_close(self, _: object, __: object, sock: Any) -> None:
        early = self._down is None and self._connack_by is not None
        if early and self._endpoint.tls is not None and sock is not None:
            self._down = verdict(sock, self._remedies)

    def _on_publish(self, client: Any, _: object, mid: int, reason: Any = None, *__: Any) -> None:
        code = client.puback_code if reason is None else paho_client.code_of(reason)
        self._waiting.append((self._to.published, (mid, self._refusal((code,)))))

    def _on_subscribe(self, _: Any, __: object, mid: int, codes: Any, *___: Any) -> None:
        needed, optional = self._asked.pop(mid, (len(codes), ()))
        numbers = [paho_client.code_of(code) for code in codes]
        refused = self._refusal(numbers[:needed])
        if optional:
            answers = zip(optional, numbers[needed:], strict=False)
            self.declined = tuple([one for one, code in answers if code >= failures.FAILURE])
        self._waiting.append((self._to.subscribed, (refused,)))

    def _on_message(self, _: Any, __: object, message: Any) -> None:
        self._waiting.append((self._to.received, (message.topic, bytes(message.payload))))
