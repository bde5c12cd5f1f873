"""A client of ubusd, OpenWrt's message bus, for hostapd over ubus, the survey and the watchdog.

Rule: every operation ends at the caller's deadline; a hung ubusd costs that long and no more.
Rule: a connection that broke the protocol, or was cut in the middle of a message, is closed.
Rule: a complete message never waits in our buffer, where no selector would see it.
"""

import contextlib
import os
import socket
import struct
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from titik_agent.hostapd.ubus_blob import (
    BlobTable,
    UbusError,
    attribute,
    attributes,
    number_attribute,
    number_member,
    text_attribute,
    text_member,
    to_text,
)
from titik_agent.limits import MAX_OBJECTS, MAX_UBUS_MESSAGE

READ_BYTES = 64 << 10  # at a time, of a large answer
PUMP_BYTES = 16 << 10  # handled per `pump`: some 80 notifications

HELLO, STATUS, DATA, PING, LOOKUP, INVOKE, ADD_OBJECT, REMOVE_OBJECT = range(8)
SUBSCRIBE, UNSUBSCRIBE, NOTIFY = range(8, 11)
ATTR_STATUS, ATTR_OBJPATH, ATTR_OBJID, ATTR_METHOD, ATTR_OBJTYPE = range(1, 6)
ATTR_SIGNATURE, ATTR_DATA, ATTR_TARGET, ATTR_ACTIVE, ATTR_NO_REPLY = range(6, 11)

OK, INVALID_COMMAND, INVALID_ARGUMENT, METHOD_NOT_FOUND, NOT_FOUND = range(5)
PERMISSION_DENIED = 6
_REASONS = (
    *("ok", "invalid command", "invalid argument", "method not found", "not found", "no data"),
    *("permission denied", "timeout", "not supported", "unknown error", "connection failed"),
    *("no memory", "parse error", "system error"),
)

EVENTS_OBJECT = 1  # ubusd's own object that registers listeners

_HEADER = struct.Struct(">BBHI")  # version, type, seq, peer
_FRAME = struct.Struct(">BBHII")  # the same and the length of the body
_NUMBER = struct.Struct(">I")


class UbusRefused(UbusError):
    """An answer came, and it is a refusal: `status` says which."""

    def __init__(self, status: int) -> None:
        super().__init__(_REASONS[status] if status < len(_REASONS) else f"status {status}")
        self.status = status


class UbusEvent(NamedTuple):
    """A notification of an object we subscribed to, or an event that we listen for."""

    name: str  # the notification's type; "unsubscribed" when ubusd says that the object is gone
    data: BlobTable


class UbusMessage:
    """One message from ubusd; its attributes are decoded when asked for."""

    __slots__ = ("_found", "_raw", "kind", "peer", "seq")

    def __init__(self, raw: bytes) -> None:
        if len(raw) < _FRAME.size:
            raise UbusError("a message is cut off")
        _, self.kind, self.seq, self.peer, _ = _FRAME.unpack_from(raw)
        self._raw = raw
        self._found = attributes(raw, _FRAME.size, len(raw))

    def number(self, identity: int) -> int | None:
        """An INT32, or the INT8 that a flag is."""
        start, end = self._found.get(identity, (0, 0))
        if end - start == 1:
            return self._raw[start]
        if end - start != 4:
            return None
        number: int = _NUMBER.unpack_from(self._raw, start)[0]
        return number

    def text(self, identity: int) -> str:
        start, end = self._found.get(identity, (0, 0))
        return to_text(self._raw[start:end])

    def table(self) -> BlobTable:
        """What the message carries; an empty table if nothing."""
        return BlobTable(self._raw, *self._found.get(ATTR_DATA, (0, 0)))


class Ubus:
    """One connection, opened by `open`. Deadlines are times of `monotonic`."""

    def __init__(
        self,
        paths: Sequence[str],
        on_event: Callable[[UbusEvent], None] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._paths = paths
        self._on_event = on_event
        self._monotonic = monotonic
        self._socket: socket.socket | None = None
        self._buffer = bytearray()
        self._seq = 0
        self._own_object: int | None = None

    @property
    def is_open(self) -> bool:
        return self._socket is not None

    def fileno(self) -> int | None:
        """To wait on for reading before `pump`."""
        return self._socket.fileno() if self._socket else None

    def open(self, deadline: float) -> None:
        """Connect to the first of the paths that exists."""
        self.close()
        path = next((path for path in self._paths if os.path.exists(path)), None)
        if path is None:
            raise UbusError(f"there is no ubusd at {' or '.join(self._paths)}")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(self._left(deadline))
            self._socket.connect(path)
        except OSError as error:
            raise self._broken(f"cannot connect to {path}", error) from error
        try:
            greeting = self._receive(deadline)
        except UbusError:
            self.close()
            raise
        if greeting.kind != HELLO:
            raise self._broken("ubusd did not greet")

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None
        self._buffer.clear()
        self._own_object = None

    def lookup(self, pattern: str, deadline: float) -> dict[str, int]:
        """Object ids by path; `*` may end the pattern. What the ACL hides is not there."""
        try:
            replies = self._request(LOOKUP, text_attribute(ATTR_OBJPATH, pattern), deadline)
        except UbusRefused as error:
            if error.status == NOT_FOUND:
                return {}
            raise
        found = ((reply.text(ATTR_OBJPATH), reply.number(ATTR_OBJID)) for reply in replies)
        return {path: identity for path, identity in found if identity is not None}

    def call(self, objid: int, method: str, deadline: float, arguments: bytes = b"") -> BlobTable:
        """What the method answered; an empty table if it answered nothing but `ok`."""
        body = number_attribute(ATTR_OBJID, objid) + text_attribute(ATTR_METHOD, method)
        replies = self._request(INVOKE, body + attribute(ATTR_DATA, arguments), deadline)
        return replies[-1].table() if replies else BlobTable(b"")

    def subscribe(self, objid: int, deadline: float) -> None:
        """Hear the notifications of an object, until it goes; they come as `on_event`."""
        body = number_attribute(ATTR_OBJID, self._listener(deadline))
        self._request(SUBSCRIBE, body + number_attribute(ATTR_TARGET, objid), deadline)

    def listen(self, pattern: str, deadline: float) -> None:
        """Hear events whose name matches, such as `ubus.object.*`; they come as `on_event`."""
        arguments = number_member(b"object", self._listener(deadline))
        arguments += text_member(b"pattern", pattern)
        self.call(EVENTS_OBJECT, "register", deadline, arguments)

    def pump(self) -> bool:
        """Handle what has come in, without blocking, at most PUMP_BYTES; False: more may wait."""
        if self._socket is None:
            return True
        self._socket.settimeout(0)
        try:
            size = self._fill(PUMP_BYTES)
        except BlockingIOError:
            return True
        self._handle_buffered()
        return size < PUMP_BYTES

    def _listener(self, deadline: float) -> int:
        """Our nameless object, to which notifications are addressed."""
        if self._own_object is None:
            replies = self._request(ADD_OBJECT, b"", deadline)
            self._own_object = replies[-1].number(ATTR_OBJID) if replies else None
        if self._own_object is None:
            raise self._broken("ubusd gave us no object")
        return self._own_object

    def _request(self, kind: int, body: bytes, deadline: float) -> list[UbusMessage]:
        """Send a request; the DATA that came before its STATUS."""
        if self._left(deadline) == 0:
            raise UbusError("no time left to ask")
        self._seq = self._seq % 0xFFFF + 1
        seq = self._seq
        self._send(kind, seq, 0, body, deadline)
        replies: list[UbusMessage] = []
        while True:
            message = self._receive(deadline)
            if message.seq != seq or message.kind not in (STATUS, DATA):
                self._handle(message)  # also the late answer to a request that timed out
            elif message.kind == DATA:
                replies.append(message)
                if len(replies) > MAX_OBJECTS:
                    raise self._broken("ubusd answers without end")
            else:
                self._handle_buffered()
                status = message.number(ATTR_STATUS)
                if status != OK:
                    raise UbusRefused(INVALID_COMMAND if status is None else status)
                return replies

    def _send(self, kind: int, seq: int, peer: int, body: bytes, deadline: float) -> None:
        if self._socket is None:
            raise UbusError("not connected to ubusd")
        message = _HEADER.pack(0, kind, seq, peer) + attribute(0, body)
        try:
            self._socket.settimeout(self._left(deadline))
            self._socket.sendall(message)
        except OSError as error:
            raise self._broken("ubusd does not take messages", error) from error

    def _receive(self, deadline: float) -> UbusMessage:
        while (message := self._next_message()) is None:
            if self._socket is None:
                raise UbusError("not connected to ubusd")
            # Asked before each read, or an endless flow of notifications would be listened to.
            if (left := self._left(deadline)) == 0:
                raise UbusError("no answer in time")
            self._socket.settimeout(left)
            with contextlib.suppress(TimeoutError):
                self._fill(READ_BYTES if len(self._buffer) > PUMP_BYTES else PUMP_BYTES)
        return message

    def _fill(self, limit: int) -> int:
        assert self._socket is not None
        try:
            chunk = self._socket.recv(limit)
        except (TimeoutError, BlockingIOError):
            raise
        except OSError as error:
            raise self._broken("the connection to ubusd broke", error) from error
        if not chunk:
            raise self._broken("ubusd closed the connection")
        self._buffer += chunk
        return len(chunk)

    def _next_message(self) -> UbusMessage | None:
        """Take one message from the buffer, None if there is no whole one."""
        if len(self._buffer) < _FRAME.size:
            return None
        version, _, _, _, head = _FRAME.unpack_from(self._buffer)
        size = _HEADER.size + (head & 0xFF_FFFF)
        if version != 0 or not _FRAME.size <= size <= MAX_UBUS_MESSAGE:
            raise self._broken("not the ubus protocol, or a message too large")
        if len(self._buffer) < size:
            return None
        raw = bytes(memoryview(self._buffer)[:size])
        del self._buffer[:size]
        try:
            return UbusMessage(raw)
        except UbusError as error:
            raise self._broken("a message cannot be read", error) from error

    def _handle_buffered(self) -> None:
        while (message := self._next_message()) is not None:
            self._handle(message)

    def _handle(self, message: UbusMessage) -> None:
        """Pass on what came unasked: notifications, events, the end of a subscription."""
        if message.kind == UNSUBSCRIBE:
            self._deliver(UbusEvent("unsubscribed", BlobTable(b"")))
        if message.kind != INVOKE:
            return
        self._answer(message)
        self._deliver(UbusEvent(message.text(ATTR_METHOD), message.table()))

    def _deliver(self, event: UbusEvent) -> None:
        if self._on_event is not None:
            self._on_event(event)

    def _answer(self, message: UbusMessage) -> None:
        """hostapd may wait for this; events of ubusd itself have no peer that could."""
        if message.peer == 0 or message.number(ATTR_NO_REPLY):
            return
        body = number_attribute(ATTR_STATUS, OK)
        body += number_attribute(ATTR_OBJID, message.number(ATTR_OBJID) or 0)
        self._send(STATUS, message.seq, message.peer, body, self._monotonic())

    def _left(self, deadline: float) -> float:
        """A timeout for the socket; 0 means that it may not block at all."""
        return max(0.0, deadline - self._monotonic())

    def _broken(self, what: str, cause: Exception | None = None) -> UbusError:
        self.close()
        return UbusError(f"{what}: {cause}" if cause else what)
