"""A broker that keeps to a receive window, which mosquitto 2.0.11 does not: it sends a flood to one
collector, with at most so many messages unacknowledged."""

import contextlib
import socket
import threading
from collections.abc import Iterator

CONNECT, PUBACK, SUBSCRIBE, PINGREQ = 1, 4, 8, 12
CONNACK = b"\x20\x03\x00\x00\x00"
PINGRESP = b"\xd0\x00"


class WindowBroker:
    """Serves one connection on a loopback port; `messages` are topics and payloads."""

    def __init__(self, messages: list[tuple[str, bytes]], window: int) -> None:
        self._packets = [_publish(number, one) for number, one in enumerate(messages)]
        self._window = window
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.go = threading.Event()
        self.done = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Listen no more."""
        self._listener.close()

    def _serve(self) -> None:
        sock, _ = self._listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sent = acked = 0
        with sock, contextlib.suppress(OSError):
            for packets in _reads(sock):
                for kind, body in packets:
                    if kind == CONNECT:
                        sock.sendall(CONNACK)
                    elif kind == SUBSCRIBE:
                        sock.sendall(b"\x90\x06" + body[:2] + b"\x00\x01\x01\x01")
                        self.go.wait()
                    elif kind == PINGREQ:
                        sock.sendall(PINGRESP)
                    elif kind == PUBACK:
                        acked += 1
                if self.go.is_set() and sent < acked + self._window:
                    more = self._packets[sent : acked + self._window]
                    sock.sendall(b"".join(more))
                    sent += len(more)
                if acked == len(self._packets):
                    self.done.set()


def _reads(sock: socket.socket) -> Iterator[list[tuple[int, bytes]]]:
    """The whole packets of each read: a broker looks at all of them before it sends more."""
    data = b""
    while True:
        data += sock.recv(65_536) or _gone()
        packets, at = [], 0
        while (end := _end(data, at)) is not None and end[1] <= len(data):
            packets.append((data[at] >> 4, data[end[0] : end[1]]))
            at = end[1]
        data = data[at:]
        yield packets


def _gone() -> bytes:
    raise ConnectionError


def _end(data: bytes, at: int) -> tuple[int, int] | None:
    """Where the body of the packet at `at` begins and ends."""
    length = 0
    for n, byte in enumerate(data[at + 1 : at + 5]):
        length |= (byte & 127) << 7 * n
        if byte < 128:
            return at + n + 2, at + n + 2 + length
    return None


def _publish(number: int, message: tuple[str, bytes]) -> bytes:
    topic, payload = message
    name, mid = topic.encode(), number % 65_535 + 1
    body = len(name).to_bytes(2, "big") + name + mid.to_bytes(2, "big") + b"\x00" + payload
    left, size = len(body), bytearray()
    while True:
        size.append(left & 127 | (128 if left > 127 else 0))
        left >>= 7
        if not left:
            return b"\x32" + bytes(size) + body
