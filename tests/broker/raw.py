"""MQTT by hand: what no library would send, and what it would hide of the answer.

Rule: what the broker says is returned as its number; None: it hung up.
"""

import itertools
import socket
import ssl
import time
from collections.abc import Sequence
from pathlib import Path

from tests.broker.enrolled import City

PATIENCE_S = 60.0
CONNECT, CONNACK, PUBLISH, PUBACK, SUBACK = 0x10, 0x20, 0x30, 0x40, 0x90
MOST = 268_435_455  # the largest remaining length that can be written
NAMES = {3: b"MQIsdp", 4: b"MQTT", 5: b"MQTT"}
NOT_AUTHORIZED = {4: 5, 5: 0x87}  # in CONNACK, by version
REFUSED = {4: 0x80, 5: 0x87}  # in SUBACK, by version


def text(value: str | bytes) -> bytes:
    """With its length before it."""
    data = value if isinstance(value, bytes) else value.encode()
    return len(data).to_bytes(2, "big") + data


def varint(number: int) -> bytes:
    """A remaining length."""
    out = bytearray()
    while True:
        number, low = divmod(number, 128)
        out.append(low | (0x80 if number else 0))
        if not number:
            return bytes(out)


def packet(first: int, body: bytes, announced: int | None = None) -> bytes:
    """A packet, which may lie about its length."""
    return bytes([first]) + varint(len(body) if announced is None else announced) + body


def hello(
    client_id: str | bytes,
    version: int = 5,
    user: str | None = None,
    password: str | None = None,
    will: tuple[str, bytes] | None = None,
) -> bytes:
    """The body of a CONNECT with a clean session; the will is retained, at least once."""
    flags = 0x02 | (0x80 if user is not None else 0) | (0x40 if password is not None else 0)
    none = b"\0" if version == 5 else b""  # no properties
    body = text(client_id)
    if will is not None:
        flags |= 0x04 | 0x08 | 0x20
        body += none + text(will[0]) + text(will[1])
    body += b"".join(text(one) for one in (user, password) if one is not None)
    return text(NAMES[version]) + bytes([version, flags, 0, 60]) + none + body


def context(keys: Path | None, ca: Path) -> ssl.SSLContext:
    """Trusts the city, and shows the certificate of a router's folder, if it has a key."""
    made = ssl.create_default_context(cafile=str(ca))
    if keys is not None and (keys / "router.key").exists():
        made.load_cert_chain(keys / "router.crt", keys / "router.key")
    return made


class Wire:
    """One connection; `heard` is every message that came, as topic and payload."""

    def __init__(self, sock: socket.socket, version: int = 5) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self.sock = sock
        self._version = version
        self._ids = itertools.count(1)
        self._none = b"\0" if version == 5 else b""

    def send(self, data: bytes) -> None:
        """Also to a broker that has hung up, which `read` shows."""
        try:
            self.sock.sendall(data)
        except OSError:
            return

    def read(self, within_s: float = PATIENCE_S) -> tuple[int, bytes] | None:
        """The next packet; TimeoutError if there is none so long."""
        deadline = time.monotonic() + within_s
        try:
            first = self._some(1, deadline)[0]
            length = shift = 0
            while True:
                (byte,) = self._some(1, deadline)
                length |= (byte & 0x7F) << shift
                shift += 7
                if not byte & 0x80:
                    return first, self._some(length, deadline)
        except TimeoutError:
            raise
        except (EOFError, OSError):
            return None

    def _some(self, number: int, deadline: float) -> bytes:
        data = b""
        while len(data) < number:
            self.sock.settimeout(max(0.001, deadline - time.monotonic()))
            more = self.sock.recv(number - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def answer(self, kind: int) -> bytes | None:
        """The body of the next packet of a kind; messages before it are kept in `heard`."""
        while (got := self.read()) is not None:
            first, body = got
            if first & 0xF0 == PUBLISH:
                self._hear(first, body)
            elif first & 0xF0 == kind:
                return body
        return None

    def _hear(self, first: int, body: bytes) -> None:
        size = int.from_bytes(body[:2], "big")
        topic, rest = body[2 : 2 + size].decode(), body[2 + size :]
        if first & 0x06:
            rest = rest[2:]
        if self._version == 5:
            rest = rest[1 + rest[0] :]
        self.heard.append((topic, rest))

    def connect(
        self,
        client_id: str | bytes,
        user: str | None = None,
        password: str | None = None,
        will: tuple[str, bytes] | None = None,
    ) -> int | None:
        """The reason in CONNACK; 0 is welcome."""
        self.send(packet(CONNECT, hello(client_id, self._version, user, password, will)))
        body = self.answer(CONNACK)
        return None if body is None else body[1]

    def publish(self, topic: str | bytes, payload: bytes = b"x", retain: bool = True) -> int | None:
        """The reason in PUBACK, which says nothing before MQTT 5."""
        number = next(self._ids).to_bytes(2, "big")
        head = text(topic) + number + self._none
        self.send(packet(PUBLISH | 0x02 | retain, head + payload))
        body = self.answer(PUBACK)
        return None if body is None else (body[2] if len(body) > 2 else 0)

    def subscribe(self, pattern: str | bytes) -> int | None:
        """The reason in SUBACK; below 0x80 is granted."""
        output = self.subscribe_all([pattern])
        return None if output is None else output[-1]

    def subscribe_all(self, patterns: Sequence[str | bytes]) -> bytes | None:
        """The reason for each pattern of one SUBSCRIBE."""
        number = next(self._ids).to_bytes(2, "big")
        body = b"".join(text(one) + b"\x01" for one in patterns)
        self.send(packet(0x82, number + self._none + body))
        answer = self.answer(SUBACK)
        return None if answer is None else answer[-len(patterns) :]

    def hear(self, seconds: float) -> list[tuple[str, bytes]]:
        """All that has been heard, after listening for so long."""
        deadline = time.monotonic() + seconds
        while (left_s := deadline - time.monotonic()) > 0:
            try:
                got = self.read(left_s)
            except TimeoutError:
                break
            if got is None:
                break
            if got[0] & 0xF0 == PUBLISH:
                self._hear(*got)
        return self.heard

    def is_cut(self) -> bool:
        """The broker ends it, whatever it says before."""
        while True:
            try:
                if self.read() is None:
                    return True
            except TimeoutError:
                return False

    def close(self) -> None:
        """Without a goodbye, as the cut of a cable; a will is published."""
        self.sock.close()

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def plain(port: int, version: int = 5) -> Wire:
    """Without TLS."""
    return Wire(socket.create_connection(("127.0.0.1", port), PATIENCE_S), version)


def secure(city: City, port: int, keys: Path | None = None, version: int = 5) -> Wire:
    """Over TLS, with a router's certificate or none."""
    sock = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
    try:
        ca = city.folder / "broker/tls/ca.crt"
        return Wire(context(keys, ca).wrap_socket(sock, server_hostname="localhost"), version)
    except BaseException:
        sock.close()
        raise
