"""An MQTT client that reads many messages at a time; no other file leans so far into paho.

paho reads three times from the socket for each message and sends each PUBACK by itself, which
costs 40 us a message. Here one read takes what is there, PUBLISH packets are cut out of it, and
one write acknowledges a batch, or publishes all there is.

Rule: whatever is not a plain, whole PUBLISH goes to paho byte by byte, as if it came from the
socket. Every other kind of packet, QoS 2 and a broken one are such. So paho alone judges it.
Rule: at most READ_BYTES are read at a time, besides the packet that a read cut in two.
Rule: a paho without the parts used here is used as it is, slower; logged once.
"""

import functools
import logging
import ssl
import struct
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import paho.mqtt.client as paho
from paho.mqtt import MQTTException
from paho.mqtt import __version__ as paho_version
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from titik_collector.limits import MAX_KNOWN_TOPICS
from titik_mqtt.paho_client import Client

log = logging.getLogger(__name__)

READ_BYTES: Final = 256 * 1024  # some 250 samples
Packet = tuple[str, bytes, int]  # topic, payload, and the id to acknowledge; 0: none wanted
Message = tuple[str, bytes, bool]  # topic, payload, and whether the broker keeps it
Take = Callable[[Sequence[Packet]], object]

# First bytes of a PUBLISH at QoS 0 or 1, retained or not; only QoS 1 may be a duplicate.
_PLAIN: Final = frozenset((0x30, 0x31, 0x32, 0x33, 0x3A, 0x3B))
_PUBACK: Final = 0x40
_PINGRESP: Final = b"\xd0\x00"

_LAST_HEARD: Final = ("_last_bytes_received", "_last_msg_in")  # since 2.2; until 2.1


class StockClient(Client):
    """paho's own reading, MQTT 5, with acknowledgement by hand."""

    def __init__(self, take: Take, **options: Any) -> None:
        super().__init__(
            CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5, manual_ack=True, **options
        )
        self.take = take
        self.on_message = self._take_one

    def acknowledge(self, packets: Sequence[int]) -> None:
        """Send the PUBACKs of these packet ids."""
        for packet in packets:
            self.ack(packet, 1)

    def publish_all(self, messages: Sequence[Message]) -> None:
        """Publish these at QoS 0, in this order."""
        for topic, payload, retain in messages:
            self.publish(topic, payload, 0, retain)

    def ping_every(self, seconds: int) -> None:
        """Ask a silent broker so often, and give up as long after; it knows the time of CONNECT."""
        self._keepalive = seconds

    def hear(self) -> None:
        """Something was sent and is not read yet: the broker lives."""

    def _take_one(self, _client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        packet = message.mid if message.qos else 0
        self.take(((message.topic, bytes(message.payload), packet),))


class BulkClient(StockClient):
    """The same from outside; `loop_read` takes all that one read gives."""

    _unread = b""  # read from the socket and not yet looked at

    def acknowledge(self, packets: Sequence[int]) -> None:
        """All in one write."""
        if packets:
            acks = b"".join([b"\x40\x02" + packet.to_bytes(2, "big") for packet in packets])
            self._packet_queue(_PUBACK, acks, packets[-1], 1)

    def publish_all(self, messages: Sequence[Message]) -> None:
        """All in one write."""
        if messages:
            # Queued under the name of a packet at whose end paho calls nothing.
            self._packet_queue(_PUBACK, b"".join([_publish_bytes(*one) for one in messages]), 0, 0)

    def hear(self) -> None:
        """Else paho would take the answer to its ping, which is behind the unread, for missing."""
        self._ping_t = 0.0
        setattr(self, _last_heard(self), time.monotonic())

    def reconnect(self) -> MQTTErrorCode:
        """A new connection begins with a new packet."""
        self._unread = b""
        return super().reconnect()

    def loop_read(self, max_packets: int = 1) -> MQTTErrorCode:  # noqa: ARG002
        """Read once (over TLS: until nothing is left), take the messages, leave paho the rest."""
        if self._sock is None:
            return MQTTErrorCode.MQTT_ERR_NO_CONN
        try:
            read = self._read()
        except BlockingIOError:
            return MQTTErrorCode.MQTT_ERR_SUCCESS
        except OSError as error:
            self._easy_log(paho.MQTT_LOG_ERR, "failed to receive on socket: %s", error)
            return self._loop_rc_handle(MQTTErrorCode.MQTT_ERR_CONN_LOST)
        if not read:
            return self._loop_rc_handle(MQTTErrorCode.MQTT_ERR_CONN_LOST)
        setattr(self, _last_heard(self), time.monotonic())
        self._unread += read
        return self._digest()

    def _read(self) -> bytes:
        """One TCP read; of TLS all that is there, since one read gives one record of a message."""
        first = super()._sock_recv(READ_BYTES)
        if not first or not isinstance(self._sock, ssl.SSLSocket):
            return first
        parts, room = [first], READ_BYTES - len(first)
        while room > 0:
            try:
                part = super()._sock_recv(room)
            except OSError:  # nothing left, or broken: the next read meets it again
                break
            if not part:
                break
            parts.append(part)
            room -= len(part)
        return b"".join(parts)

    def _digest(self) -> MQTTErrorCode:
        """All packets in hand, in order."""
        while self._unread:
            if self._in_packet["command"] == 0:  # paho is not in the middle of one
                packets, used, whole = split_packets(self._unread)
                self._unread = self._unread[used:]
                if packets:
                    self.take(packets)
                if not whole or not self._unread:
                    break
            rc = self._packet_read()
            if rc == MQTTErrorCode.MQTT_ERR_AGAIN:
                continue  # its packet goes on in the next read, or it took a breath
            if rc > 0:
                return self._loop_rc_handle(rc)
            if self._sock is None:  # a callback closed it
                break
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _sock_recv(self, bufsize: int) -> bytes:
        """What paho reads is what was read already."""
        if not self._unread:
            raise BlockingIOError
        data, self._unread = self._unread[:bufsize], self._unread[bufsize:]
        return data


def split_packets(data: bytes) -> tuple[list[Packet], int, bool]:
    """The plain PUBLISH packets at the start, their length, and whether what follows is for paho.

    It is not if it is the beginning of one more of them.
    """
    found: list[Packet] = []
    at, end = 0, len(data)
    while at + 1 < end and data[at] in _PLAIN:
        length, body = data[at + 1], at + 2
        if length > 127:
            long = _length(data, body - 1)
            if long is None:
                return found, at, end - at >= 5
            length, body = long
        stop = body + length
        if stop > end:
            return found, at, length > READ_BYTES  # a huge one grows in paho's hands, not here
        packet = _publish(data, data[at] & 2, body, stop)
        if packet is None:
            return found, at, True
        found.append(packet)
        at = stop
    return found, at, at < end and data[at] not in _PLAIN


def _publish(data: bytes, wants_ack: int, at: int, stop: int) -> Packet | None:
    """The PUBLISH whose body is `data[at:stop]`, None if it is paho's to judge."""
    middle = at + 2 + (data[at] << 8 | data[at + 1]) if at + 2 <= stop else stop
    packet = 0
    text = middle
    if wants_ack:
        middle += 2
    if middle >= stop:
        return None
    if wants_ack:
        packet = data[text] << 8 | data[text + 1]
        if packet == 0:
            return None
    payload = middle + 1
    if data[middle]:
        after = _properties_end(data, middle, stop)
        if after is None:
            return None
        payload = after
    topic = _topic(data[at + 2 : text])
    return None if topic is None else (topic, data[payload:stop], packet)


def _publish_bytes(topic: str, payload: bytes, retain: bool) -> bytes:
    """A PUBLISH at QoS 0 without properties."""
    name = topic.encode()
    length = 3 + len(name) + len(payload)
    head = bytearray((0x30 | retain,))
    while length > 127:
        head.append(length & 127 | 128)
        length >>= 7
    head.append(length)
    return b"".join((head, len(name).to_bytes(2, "big"), name, b"\0", payload))


def _length(data: bytes, at: int) -> tuple[int, int] | None:
    """A variable byte integer and what follows it; None if it is cut short or too long."""
    value = 0
    for n, byte in enumerate(data[at : at + 4]):
        value |= (byte & 127) << 7 * n
        if byte < 128:
            return value, at + n + 1
    return None


def _properties_end(data: bytes, at: int, stop: int) -> int | None:
    found = _length(data[:stop], at)
    if found is None or sum(found) > stop:
        return None
    end = sum(found)
    return end if _well_formed(data[at:end]) else None


@functools.lru_cache(64)
def _well_formed(properties: bytes) -> bool:
    try:
        Properties(PacketTypes.PUBLISH).unpack(properties)  # type: ignore[no-untyped-call]
    except (MQTTException, LookupError, ValueError, struct.error):
        return False
    return True


@functools.lru_cache(MAX_KNOWN_TOPICS)
def _topic(raw: bytes) -> str | None:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


def make(take: Take, fast: type[StockClient] = BulkClient, **options: Any) -> StockClient:
    """A `fast` client if this paho has what it leans on, otherwise a stock one."""
    absent = _absent(fast)
    if not absent:
        return fast(take, **options)
    _log_slow(absent)
    return StockClient(take, **options)


def _absent(fast: type[StockClient]) -> str:
    """What `fast` needs and this paho lacks; nothing: it fits.

    It reads two packets and queues another, without a connection.
    """
    heard: list[Sequence[Packet]] = []
    try:
        client: Any = fast(heard.append)
        _last_heard(client)
        client._ping_t, client._unread = 1.0, _PINGRESP
        rc = client._loop_rc_handle(client._digest())
        if (rc, client._ping_t, client._unread, client._sock) != (0, 0.0, b"", None):
            return "_packet_read"
        client._unread = b"\x32\x08\x00\x01t\x00\x07\x00ok"
        rc = client._digest()
        client.acknowledge([7])
        queued = [bytes(one["packet"]) for one in client._out_packet]
    except Exception as error:  # whatever it is, it is this paho's inside
        return f"{error!r}"
    if heard != [[("t", b"ok", 7)]] or queued != [b"\x40\x02\x00\x07"]:
        return "_packet_queue"
    return ""


@functools.lru_cache(1)
def _log_slow(absent: str) -> None:
    log.warning("paho-mqtt has changed, reading slowly version=%s absent=%s", paho_version, absent)


def _last_heard(client: paho.Client) -> str:
    """Where paho keeps when it last heard the broker; its keepalive looks there."""
    for name in _LAST_HEARD:
        if hasattr(client, name):
            return name
    raise AttributeError(_LAST_HEARD[0])
