"""One MQTT 5 connection to the broker; the only file that knows paho.

Rule: an object is one connection, with a paho client of its own; nothing is carried over.
Rule: whatever goes wrong, in paho or on the wire, is LinkDown, and the socket is closed.
Rule: events are delivered after paho has returned, never from inside it, so a receiver may publish.

paho is handed a connected socket and driven from outside (`on_readable`, `on_writable`, `tick`):
its own reconnect has no jitter, its thread dies of any exception while the client looks connected,
and above 340 clients in a process that thread never starts. paho 1.6.1 and 2.x are both spoken.
"""

import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import titik_agent.lazy_imports.slim_paho  # noqa: F401  before paho, which it makes smaller

# isort: split
import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from titik_agent.uplink import reason_codes
from titik_agent.uplink.dial import Broker, LinkDown, dial, tls_failure, verdict
from titik_wire.topics import CLIENT_ID

# The broker waits this long before it publishes the will, and keeps the session as long: an
# uplink that flaps for less does not flap the router's status. Resuming suppresses the will.
WILL_DELAY_S = 30
# All that can be without PUBACK: backlog window, live samples and status. paho queues no more.
MAX_IN_FLIGHT = 32
MAX_PACKET = 20 * 1024  # we ask the broker to send nothing larger; an ack is at most 12 KiB
# How often `tick` looks: a ping may be late by a ninth of the keep-alive, as brokers allow half.
DEADLINE_TICK_S = 1.0
MAX_TICK_S = 5.0
NOTHING_HEARD = "no answer from the broker for a while: check the uplink"


class LinkEvents(Protocol):
    """What a connection tells; each may call `publish`, and may raise LinkDown."""

    def connected(self) -> None:
        """The broker accepted us."""
        ...

    def subscribed(self, refused: str | None) -> None:
        """The answer to `subscribe`; `refused` says why not, in words."""
        ...

    def published(self, mid: int, refused: str | None) -> None:
        """The broker answered for one message; `refused` says why it did not take it."""
        ...

    def received(self, topic: str, payload: bytes) -> None:
        """A message of a subscription."""
        ...


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker publishes, retained, when it loses us."""

    topic: str
    payload: bytes


class Link:
    """One connection, from `open` to `close`."""

    def __init__(
        self,
        broker: Broker,
        will: Will,
        events: LinkEvents,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.room = MAX_IN_FLIGHT  # what may be without PUBACK; a broker may allow less
        self._broker = broker
        self._will = will
        self._to = events
        self._monotonic = monotonic
        self._client: Any = None
        self._sock: socket.socket | None = None
        self._connack_by: float | None = 0.0  # None: it came
        self._tick_s = DEADLINE_TICK_S
        self._waiting: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self._delivering = False
        self._needed: dict[int, int] = {}  # of a SUBSCRIBE the first so many topics, by its id
        self._down: LinkDown | None = None

    def open(self) -> None:
        """Connect and send CONNECT, blocking; the broker's answer is the event `connected`."""
        self._client = client = _client(self._broker, self._dial)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_socket_close = self._on_socket_close
        will = self._will
        client.will_set(will.topic, will.payload, qos=1, retain=True, properties=_WILL)
        self._drive(
            client.connect,
            self._broker.host,
            self._broker.port,
            keepalive=self._broker.keepalive_s,
            clean_start=False,  # paho's default wipes the session on a process's first connect
            properties=_CONNECT,
        )
        self._connack_by = self._monotonic() + self._broker.connect_timeout_s

    def subscribe(self, topics: Sequence[str], optional: Sequence[str] = ()) -> None:
        """Ask for messages, at least once each; the broker's answer is the event `subscribed`.

        `optional`: what a broker may not offer; that it refuses these is no refusal.
        """
        self._check_connected()
        wanted = [(topic, SubscribeOptions(qos=1)) for topic in (*topics, *optional)]
        _, mid = self._drive(self._client.subscribe, wanted)
        self._needed[mid] = len(topics)

    def publish(self, topic: str, payload: bytes, retain: bool) -> int:
        """Send at least once; the id comes back with `published`."""
        self._check_connected()
        info = self._drive(self._client.publish, topic, payload, 1, retain)
        if info.rc != mqtt.MQTT_ERR_SUCCESS:
            raise self._fail(LinkDown("lost", f"could not publish: {mqtt.error_string(info.rc)}"))
        self._spoke()
        return int(info.mid)

    def fileno(self) -> int:
        """The socket to wait on, -1 when closed."""
        return -1 if self._sock is None else self._sock.fileno()

    def want_write(self) -> bool:
        """Whether there is something to send that the socket did not take yet."""
        return self._client is not None and bool(self._client.want_write())

    def on_readable(self) -> None:
        """Read what has come, and deliver it."""
        if self._client is None:
            return
        self._drive(self._client.loop_read)
        # TLS may hold decrypted packets that no poll sees.
        while self._client is not None and getattr(self._sock, "pending", int)() > 0:
            self._drive(self._client.loop_read)

    def on_writable(self) -> None:
        """Send what is waiting."""
        if self._client is not None:
            self._drive(self._client.loop_write)

    def tick(self) -> float:
        """Keep-alive and deadlines; the seconds until it must be called again."""
        if self._client is None:
            return DEADLINE_TICK_S
        if self._connack_by is None:
            self._drive(self._client.loop_misc)
        elif self._monotonic() >= self._connack_by:
            words = "no answer to CONNECT: is there an MQTT broker at this port?"
            raise self._fail(LinkDown("login", words))
        return self._tick_s

    def close(self, disconnect: bool = False) -> None:
        """End it; `disconnect` says goodbye, so that the will is not published."""
        client, self._client = self._client, None
        if client is not None and disconnect:
            try:
                client.disconnect()
            except Exception as error:  # paho again, see `_drive`; it is over in any case
                self._down = LinkDown("lost", str(error))
        # We dialled the socket, so we close it; paho's own goodbye may have done it already.
        sock, self._sock = self._sock, None
        if sock is not None:
            sock.close()
        self._waiting.clear()

    def _check_connected(self) -> None:
        if self._client is None or self._connack_by is not None:
            # paho would queue it in memory, and flood the broker with it later.
            raise self._down or LinkDown("lost", "not connected")

    def _drive(self, call: Callable[..., Any], *args: Any, **named: Any) -> Any:
        """Let paho work, then deliver what it saw; LinkDown if that was the end."""
        try:
            result = call(*args, **named)
        except LinkDown as down:
            raise self._fail(down) from down.__cause__
        except Exception as error:
            # paho raises ValueError, KeyError, AssertionError, struct.error and more on packets
            # it does not like, and 1.6.1 any OSError but ConnectionError: all mean the same here.
            raise self._fail(_failure(error)) from error
        self._deliver()
        if self._client is None:  # a receiver met the end
            raise self._down or LinkDown("lost", "closed")
        if self._client.told is not None:
            self._down = self._down or _refused("lost", self._client.told)
        if self._down is not None or self._client.socket() is None:
            raise self._fail(self._down or LinkDown("lost", "the broker closed the connection"))
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
            self._client.spoke()
        if self._sock is not None:
            # Else the kernel, after an idle time, confirms the PUBACK and the ack one by one. It
            # falls back to that by itself when a delayed ACK was of no use.
            with suppress(OSError):
                self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)

    def _fail(self, down: LinkDown) -> LinkDown:
        self._on_socket_close(None, None, self._sock)
        self._down = self._down or down
        if self._down.step == "lost" and self._connack_by is not None and not self._broker.tls:
            # As a port for TLS does, which takes our CONNECT for a broken handshake.
            words = f"{self._down.reason} before it answered: check broker.port and broker.tls"
            self._down = LinkDown("login", words)
        self.close()
        return self._down

    def _dial(self) -> socket.socket:
        self._sock = dial(self._broker)
        return self._sock

    # What follows is called by paho, in the shapes of both 1.6.1 and 2.x.

    def _on_connect(self, client: Any, _: object, __: object, reason: Any, properties: Any) -> None:
        code = _value(reason)
        if code != 0:
            self._down = _refused("login", code)
            return
        self._connack_by = None
        self.room = min(MAX_IN_FLIGHT, getattr(properties, "ReceiveMaximum", MAX_IN_FLIGHT))
        wished = getattr(properties, "ServerKeepAlive", None)
        client.keep_alive_by(wished)
        keepalive_s = wished or self._broker.keepalive_s
        self._tick_s = min(MAX_TICK_S, max(DEADLINE_TICK_S, keepalive_s / 9))
        self._waiting.append((self._to.connected, ()))

    def _on_disconnect(self, client: Any, _: object, *rest: Any) -> None:
        # 2.x: flags, reason, properties. 1.6.1: reason code or error number, properties.
        if self._down is not None:
            return
        if _said_by_broker(rest):
            self._down = _refused("lost", _value(rest[-2]))
        elif client.trouble is not None:
            self._down = _failure(client.trouble)
        elif _value(rest[-2]) in (mqtt.MQTT_ERR_KEEPALIVE, 0x8D):
            self._down = LinkDown("lost", NOTHING_HEARD)
        else:
            self._down = LinkDown("lost", "the broker closed the connection")

    def _on_socket_close(self, _: object, __: object, sock: Any) -> None:
        early = self._down is None and self._connack_by is not None
        if early and self._broker.tls is not None and sock is not None:
            self._down = verdict(sock)

    def _on_publish(self, client: Any, _: object, mid: int, reason: Any = None, *__: Any) -> None:
        code = client.puback if reason is None else _value(reason)
        refused = reason_codes.words(code) if code >= reason_codes.FAILURE else None
        self._waiting.append((self._to.published, (mid, refused)))

    def _on_subscribe(self, _: Any, __: object, mid: int, codes: Any, *___: Any) -> None:
        needed = map(_value, codes[: self._needed.pop(mid, len(codes))])
        failures = [code for code in needed if code >= reason_codes.FAILURE]
        refused = reason_codes.words(failures[0]) if failures else None
        self._waiting.append((self._to.subscribed, (refused,)))

    def _on_message(self, _: Any, __: object, message: Any) -> None:
        self._waiting.append((self._to.received, (message.topic, bytes(message.payload))))


_Paho: Any = mqtt.Client  # two versions, two sets of types


class _Client(_Paho):  # type: ignore[misc]
    """paho's client over a socket of ours: its own way of opening one follows `mqtt_proxy` in the
    environment, takes its TLS deadline from the keep-alive (1.6.1), and calls
    `ssl.match_hostname`, gone in Python 3.12, when the context does not check by itself.
    """

    dial: Callable[[], socket.socket]
    told: int | None = None  # the reason of a DISCONNECT that paho keeps to itself (1.6.1)
    puback: int = 0  # the reason of the PUBACK at hand, likewise
    trouble: OSError | None = None  # what the socket said, which paho turns into a number

    def _create_socket_connection(self) -> socket.socket:
        return self.dial()

    def _sock_recv(self, bufsize: int) -> bytes:
        try:
            return bytes(super()._sock_recv(bufsize))
        except BlockingIOError:
            raise
        except OSError as error:
            self.trouble = error
            raise

    def keep_alive_by(self, seconds: int | None) -> None:
        """The broker's wish; paho 2.x follows it by itself."""

    def spoke(self) -> None:
        """Both lines forget to note what they send, and ping however much they have said."""
        self._last_msg_out = time.monotonic()


class _OldClient(_Client):
    """paho 1.6.1 parses the reason codes of PUBACK and DISCONNECT and tells nobody, and ignores
    what keep-alive the broker asks for. It is the last of its line, so its insides hold still.
    """

    def _packet_handle(self) -> Any:
        command = self._in_packet["command"] & 0xF0
        body = self._in_packet["packet"]
        if command == mqtt.PUBACK:
            self.puback = body[2] if len(body) > 2 else 0
        elif command == mqtt.DISCONNECT:
            self.told = body[0] if body else 0
        return super()._packet_handle()

    def keep_alive_by(self, seconds: int | None) -> None:
        if seconds:
            self._keepalive = seconds


def _client(broker: Broker, dialled: Callable[[], socket.socket]) -> Any:
    arguments: dict[str, Any] = {
        "client_id": CLIENT_ID + broker.router,
        "protocol": mqtt.MQTTv5,
        "reconnect_on_failure": False,
    }
    versions = getattr(mqtt, "CallbackAPIVersion", None)
    if versions is None:
        client: Any = _OldClient(**arguments)
    else:
        client = _Client(callback_api_version=versions.VERSION2, **arguments)
    client.dial = dialled
    client.username_pw_set(broker.username or broker.router, broker.password)
    client.max_inflight_messages_set(MAX_IN_FLIGHT)
    client.max_queued_messages_set(MAX_IN_FLIGHT)
    return client


def _properties(packet: int, **values: int) -> Any:
    make: Any = Properties
    properties = make(packet)
    for name, value in values.items():
        setattr(properties, name, value)
    return properties


# Shared, because paho keeps a table of all of MQTT's properties in each of them, 10 kB.
_WILL = _properties(PacketTypes.WILLMESSAGE, WillDelayInterval=WILL_DELAY_S)
_CONNECT = _properties(
    PacketTypes.CONNECT, SessionExpiryInterval=WILL_DELAY_S, MaximumPacketSize=MAX_PACKET
)


def _failure(error: Exception) -> LinkDown:
    """An exception out of paho, or out of the socket under it."""
    if type(error).__module__ == "ssl" and isinstance(error, OSError):
        # TLS 1.3: the broker's verdict on our certificate comes after the handshake.
        return tls_failure(error, "the broker")
    if isinstance(error, OSError):
        return LinkDown("lost", f"connection lost: {error.strerror or error}")
    return LinkDown("lost", f"not understood: {type(error).__name__}: {error}")


def _refused(step: Any, code: int) -> LinkDown:
    if code == 0:
        return LinkDown(step, "the broker closed the connection")
    return LinkDown(step, reason_codes.words(code), slow=reason_codes.slow(code))


def _said_by_broker(rest: tuple[Any, ...]) -> bool:
    if len(rest) == 3:
        return bool(rest[0].is_disconnect_packet_from_server)
    return not isinstance(rest[0], int)


def _value(reason: Any) -> int:
    """A reason code of either paho; 1.6.1 gives a plain number now and then, or None."""
    return int(getattr(reason, "value", reason) or 0)
