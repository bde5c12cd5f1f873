"""A TCP relay in front of the broker that counts what one client sends and gets.

Rule: bytes are those of an Ethernet uplink: what TCP carries, TLS included, and 52 bytes of IPv4
and TCP header (with timestamps) for every segment, acknowledgements included, at a segment size of
1448. Retransmissions count. The kernel counts the segments, so it needs no root and misses none.
"""

import selectors
import socket
import struct
import threading
from contextlib import suppress
from typing import NamedTuple

HEADERS = 52  # IPv4 20, TCP 20, timestamps 12
SEGMENT = 1448
# struct tcp_info of linux/tcp.h: segments out and in are the two words at 136.
_SEGMENTS = struct.Struct("=II")
_AT = 136


class Traffic(NamedTuple):
    """Of one client, both ways together, since it first connected."""

    payload: int = 0  # what TCP carried
    segments: int = 0

    @property
    def wire(self) -> int:
        """Bytes on the uplink."""
        return self.payload + HEADERS * self.segments

    def since(self, before: "Traffic") -> "Traffic":
        """What came after `before`."""
        return Traffic(self.payload - before.payload, self.segments - before.segments)


class Relay:
    """Use as a context manager; clients connect to `port`."""

    def __init__(self, broker_port: int) -> None:
        self._broker_port = broker_port
        self._server = socket.socket()
        self._server.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT)
        self._server.bind(("127.0.0.1", 0))
        self._server.listen()
        self.port = int(self._server.getsockname()[1])
        self._payload = 0
        self._segments_before = 0  # of connections that are over
        self._clients: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._stopping, self._stop = socket.socketpair()
        self._thread = threading.Thread(target=self._serve)

    def traffic(self) -> Traffic:
        """What was counted so far."""
        with self._lock:
            live = sum(_segments(one) for one in self._clients)
            return Traffic(self._payload, self._segments_before + live)

    def __enter__(self) -> "Relay":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.close()
        self._thread.join()
        self._stopping.close()
        self._server.close()

    def _serve(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._stopping, selectors.EVENT_READ)
            selector.register(self._server, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is self._stopping:
                        self._close_all(selector)
                        return
                    if key.fileobj is self._server:
                        self._accept(selector)
                    elif selector.get_map().get(key.fd) == key:  # not closed by one before it
                        self._pass_on(selector, key)

    def _accept(self, selector: selectors.BaseSelector) -> None:
        client, _ = self._server.accept()
        try:
            broker = socket.create_connection(("127.0.0.1", self._broker_port))
        except OSError:
            client.close()
            return
        for one in (client, broker):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(client, selectors.EVENT_READ, broker)
        selector.register(broker, selectors.EVENT_READ, client)
        with self._lock:
            self._clients.add(client)

    def _pass_on(self, selector: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
        source, sink = key.fileobj, key.data
        assert isinstance(source, socket.socket)
        try:
            data = source.recv(65536)
            sink.sendall(data)
        except OSError:
            data = b""
        with self._lock:
            self._payload += len(data)
        if not data:
            self._end(selector, source, sink)

    def _end(self, selector: selectors.BaseSelector, *pair: socket.socket) -> None:
        for one in pair:
            with self._lock:
                if one in self._clients:
                    self._segments_before += _segments(one)
                    self._clients.discard(one)
            with suppress(KeyError):
                selector.unregister(one)
            one.close()

    def _close_all(self, selector: selectors.BaseSelector) -> None:
        for key in list(selector.get_map().values()):
            if isinstance(key.data, socket.socket) and isinstance(key.fileobj, socket.socket):
                self._end(selector, key.fileobj)


def _segments(sock: socket.socket) -> int:
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    out, received = _SEGMENTS.unpack_from(info, _AT)
    return int(out + received)
