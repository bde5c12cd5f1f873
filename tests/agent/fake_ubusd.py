"""ubusd with hostapd behind it, on a real socket from a thread of its own.

Objects live in the fake itself: `methods` maps a name to a function whose answer is a table (bytes
of `encode`), a status other than 0 (int), or None: it never answers.
"""

import contextlib
import itertools
import json
import os
import select
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from titik_agent.hostapd import ubus, ubus_blob
from titik_agent.hostapd.ubus import UbusMessage

CAPTURES = os.path.join(os.path.dirname(os.path.dirname(__file__)), "captures")

Method = Callable[[], "bytes | int | None"]


class Wide(int):
    """An INT64."""


class Short(int):
    """An INT16."""


def encode(members: Mapping[str, Any] | list[Any]) -> bytes:
    """A blobmsg table or array, as libubox writes it."""
    named = members.items() if isinstance(members, Mapping) else (("", each) for each in members)
    return b"".join(_member(name.encode(), value) for name, value in named)


def _member(name: bytes, value: Any) -> bytes:
    if isinstance(value, Mapping):
        return ubus_blob.member(ubus_blob.TABLE, name, encode(value))
    if isinstance(value, list):
        return ubus_blob.member(ubus_blob.ARRAY, name, encode(value))
    if isinstance(value, str):
        value = value.encode("utf-8", "surrogateescape")
    if isinstance(value, bytes):
        return ubus_blob.member(ubus_blob.STRING, name, value + b"\0")
    if isinstance(value, bool):
        return ubus_blob.member(ubus_blob.INT8, name, struct.pack(">B", value))
    if isinstance(value, Wide):
        return ubus_blob.member(ubus_blob.INT64, name, struct.pack(">Q", value % 2**64))
    if isinstance(value, Short):
        return ubus_blob.member(ubus_blob.INT16, name, struct.pack(">H", value % 2**16))
    return ubus_blob.member(ubus_blob.INT32, name, struct.pack(">I", value % 2**32))


def capture(name: str) -> dict[str, Any]:
    """What `ubus call` printed, with the widths that hostapd gave its numbers."""
    with open(os.path.join(CAPTURES, name), "rb") as file:
        parsed: dict[str, Any] = json.loads(file.read().decode("utf-8", "surrogateescape"))
    for table in (parsed, *parsed.get("clients", {}).values()):
        for wide in ("bytes", "airtime"):
            if wide in table:
                table[wide] = {key: Wide(number) for key, number in table[wide].items()}
    if "utilization" in parsed.get("airtime", {}):
        parsed["airtime"]["utilization"] = Short(parsed["airtime"]["utilization"])
    return parsed


def answer(reply: Mapping[str, Any]) -> Method:
    """A method that always answers this."""
    encoded = encode(reply)
    return lambda: encoded


def refuse(status: int) -> Method:
    return lambda: status


def hang() -> None:
    """A method that never answers."""


def _everything(*_: object) -> bool:
    return True


@dataclass
class _Object:
    path: str
    methods: dict[str, Method]
    hidden: bool = False
    subscribers: list[tuple["_Client", int]] = field(default_factory=list)


@dataclass
class _Client:
    socket: socket.socket
    identity: int
    uid: int = 0
    buffer: bytes = b""
    objects: set[int] = field(default_factory=set)
    patterns: list[tuple[str, int]] = field(default_factory=list)


class FakeUbusd:
    """Use as a context manager. `hung`: takes connections and messages, and says nothing."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.hung = False
        self.refuse_listen = False
        self.refuse_subscribe = False
        self.allows: Callable[[int, str, str], bool] = _everything  # user, path, method
        self.calls: list[tuple[str, str]] = []  # path and method
        self.given: list[dict[str, Any]] = []  # the arguments of each call
        self.invocations: list[bytes] = []  # the messages of those calls
        self.connections = 0
        self.lookups: list[str] = []  # patterns
        self.answers: list[int] = []  # statuses that clients gave to notifications
        self._objects: dict[int, _Object] = {}
        self._clients: dict[int, _Client] = {}
        self._ids = itertools.count(0x695CC704, 0x1F3D)
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._server.bind(self.path)
        self._server.listen(8)
        self._wake_read, self._wake_write = socket.socketpair()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Go, as when ubusd is killed: every object and subscription goes too."""
        if self._thread is None:
            return
        self._wake_write.send(b"x")
        self._thread.join()
        self._thread = None
        for each in (self._server, self._wake_read, self._wake_write):
            each.close()
        for client in self._clients.values():
            client.socket.close()
        self._clients.clear()
        self._objects.clear()
        os.unlink(self.path)

    def add(self, path: str, methods: dict[str, Method], hidden: bool = False) -> int:
        """An object appears, with an id never used before."""
        with self._changed:
            identity = next(self._ids)
            self._objects[identity] = _Object(path, methods, hidden)
            self._announce("ubus.object.add", identity, path)
            return identity

    def remove(self, path: str) -> None:
        """An object goes, as at `wifi reload`; its subscribers are informed."""
        with self._changed:
            identity, gone = self._find(path)
            del self._objects[identity]
            for client, own in gone.subscribers:
                ids = ubus_blob.number_attribute(ubus.ATTR_OBJID, own)
                ids += ubus_blob.number_attribute(ubus.ATTR_TARGET, identity)
                _send(client, ubus.UNSUBSCRIBE, 0, 0, ids)
            self._announce("ubus.object.remove", identity, path)

    def notify(
        self, path: str, name: str, data: Mapping[str, Any], reply: bool = False, times: int = 1
    ) -> None:
        """hostapd informs its subscribers; `times` in one go, which the socket takes more of."""
        with self._changed:
            identity, target = self._find(path)
            for client, own in target.subscribers:
                body = b"" if reply else ubus_blob.attribute(ubus.ATTR_NO_REPLY, b"\1")
                body += ubus_blob.number_attribute(ubus.ATTR_OBJID, own)
                body += ubus_blob.text_attribute(ubus.ATTR_METHOD, name)
                body += ubus_blob.attribute(ubus.ATTR_DATA, encode(data))
                _send(client, ubus.INVOKE, 7, identity, body, times)

    def send_raw(self, raw: bytes) -> None:
        """To every client: what no ubusd would say."""
        with self._changed:
            for client in self._clients.values():
                with contextlib.suppress(OSError):  # it may have gone
                    client.socket.sendall(raw)

    def subscriptions(self, path: str) -> int:
        with self._changed:
            return len(self._find(path)[1].subscribers)

    def wait_for(self, condition: Callable[[], bool]) -> bool:
        """True as soon as it holds, False if it does not within a minute."""
        with self._changed:
            return self._changed.wait_for(condition, 60)

    def _find(self, path: str) -> tuple[int, _Object]:
        return next((i, each) for i, each in self._objects.items() if each.path == path)

    def _announce(self, event: str, identity: int, path: str) -> None:
        for client in self._clients.values():
            for pattern, own in client.patterns:
                if event.startswith(pattern.rstrip("*")):
                    body = ubus_blob.number_attribute(ubus.ATTR_OBJID, own)
                    body += ubus_blob.text_attribute(ubus.ATTR_METHOD, event)
                    data = encode({"id": identity, "path": path})
                    _send(
                        client, ubus.INVOKE, 1, 0, body + ubus_blob.attribute(ubus.ATTR_DATA, data)
                    )

    def _run(self) -> None:
        while True:
            sockets = {client.socket: client for client in self._clients.values()}
            waiting = [self._server, self._wake_read, *sockets]
            ready, _, _ = select.select(waiting, [], [])
            if self._wake_read in ready:
                return
            with self._changed:
                if self._server in ready:
                    self._accept()
                for each in ready:
                    if each in sockets:
                        self._read(sockets[each])
                self._changed.notify_all()

    def _accept(self) -> None:
        connection, _ = self._server.accept()
        self.connections += 1
        connection.settimeout(5)
        peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        client = _Client(connection, next(self._ids), struct.unpack("3i", peer)[1])
        self._clients[client.identity] = client
        if not self.hung:
            _send(client, ubus.HELLO, 0, client.identity, b"")

    def _read(self, client: _Client) -> None:
        try:
            chunk = client.socket.recv(1 << 16)
        except OSError:
            chunk = b""
        if not chunk:
            self._drop(client)
            return
        client.buffer += chunk
        while len(client.buffer) >= 12:
            size = 8 + (struct.unpack_from(">I", client.buffer, 8)[0] & 0xFFFFFF)
            if len(client.buffer) < size:
                return
            raw, client.buffer = client.buffer[:size], client.buffer[size:]
            if self.hung:
                continue
            if raw[1] == ubus.INVOKE:
                self.invocations.append(raw)
            self._serve(client, UbusMessage(raw))

    def _drop(self, client: _Client) -> None:
        client.socket.close()
        self._clients.pop(client.identity, None)
        for each in self._objects.values():
            each.subscribers = [pair for pair in each.subscribers if pair[0] is not client]

    def _serve(self, client: _Client, message: UbusMessage) -> None:
        if message.kind == ubus.STATUS:
            self.answers.append(message.number(ubus.ATTR_STATUS) or 0)
            return
        serve = {
            ubus.LOOKUP: self._lookup,
            ubus.INVOKE: self._invoke,
            ubus.ADD_OBJECT: self._add_object,
            ubus.SUBSCRIBE: self._subscribe,
        }.get(message.kind)
        status = serve(client, message) if serve else ubus.INVALID_COMMAND
        if status is not None:
            body = ubus_blob.number_attribute(ubus.ATTR_STATUS, status)
            _send(client, ubus.STATUS, message.seq, message.peer, body)

    def _lookup(self, client: _Client, message: UbusMessage) -> int:
        pattern = message.text(ubus.ATTR_OBJPATH)
        self.lookups.append(pattern)
        found = {
            identity: each
            for identity, each in self._objects.items()
            if (
                each.path == pattern
                or (pattern.endswith("*") and each.path.startswith(pattern[:-1]))
            )
            and any(self.allows(client.uid, each.path, method) for method in each.methods or ("",))
        }
        for identity, each in found.items():
            if each.hidden:
                continue  # the real one says `ok` and no more
            body = ubus_blob.text_attribute(ubus.ATTR_OBJPATH, each.path)
            body += ubus_blob.number_attribute(ubus.ATTR_OBJID, identity)
            body += ubus_blob.number_attribute(ubus.ATTR_OBJTYPE, 1)
            signature = encode({method: {} for method in each.methods})
            body += ubus_blob.attribute(ubus.ATTR_SIGNATURE, signature)
            _send(client, ubus.DATA, message.seq, message.peer, body)
        return ubus.OK if found else ubus.NOT_FOUND

    def _invoke(self, client: _Client, message: UbusMessage) -> int | None:
        identity = message.number(ubus.ATTR_OBJID) or 0
        name = message.text(ubus.ATTR_METHOD)
        if identity == ubus.EVENTS_OBJECT:
            return self._register(client, message)
        target = self._objects.get(identity)
        if target is None:
            return ubus.NOT_FOUND
        self.calls.append((target.path, name))
        self.given.append(dict(message.table().items()))
        if name not in target.methods:
            return ubus.METHOD_NOT_FOUND
        if not self.allows(client.uid, target.path, name):
            return ubus.PERMISSION_DENIED
        reply = target.methods[name]()
        if isinstance(reply, bytes):
            body = ubus_blob.number_attribute(ubus.ATTR_OBJID, identity)
            body += ubus_blob.attribute(ubus.ATTR_DATA, reply)
            _send(client, ubus.DATA, message.seq, identity, body)
            return ubus.OK
        return reply

    def _register(self, client: _Client, message: UbusMessage) -> int:
        own, pattern = message.table().pick(b"object", b"pattern")
        if self.refuse_listen:
            return ubus.PERMISSION_DENIED
        if own not in client.objects or not isinstance(own, int) or not isinstance(pattern, str):
            return ubus.INVALID_ARGUMENT
        client.patterns.append((pattern, own))
        return ubus.OK

    def _add_object(self, client: _Client, message: UbusMessage) -> int:
        own = next(self._ids)
        client.objects.add(own)
        body = ubus_blob.number_attribute(ubus.ATTR_OBJID, own)
        _send(client, ubus.DATA, message.seq, message.peer, body)
        return ubus.OK

    def _subscribe(self, client: _Client, message: UbusMessage) -> int:
        own = message.number(ubus.ATTR_OBJID) or 0
        target = self._objects.get(message.number(ubus.ATTR_TARGET) or 0)
        if target is None or self.refuse_subscribe:
            return ubus.NOT_FOUND
        if own not in client.objects:
            return ubus.INVALID_ARGUMENT
        target.subscribers.append((client, own))
        return ubus.OK


def _send(client: _Client, kind: int, seq: int, peer: int, body: bytes, times: int = 1) -> None:
    raw = struct.pack(">BBHI", 0, kind, seq, peer) + ubus_blob.attribute(0, body)
    with contextlib.suppress(OSError):  # the client may have gone
        client.socket.sendall(raw * times)
