"""A TCP proxy in front of a port, that writes down every byte of both directions."""

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

TURN_S = 0.2


class Wiretap:
    """Use as a context manager. While `is_cut`, connections end and none begins."""

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self.is_cut = False
        self._peers: dict[socket.socket, socket.socket] = {}
        self._sent: dict[socket.socket, list[bytes]] = {}
        self._heard: list[list[bytes]] = []  # one for each direction of each connection
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def streams(self) -> Iterator[bytes]:
        """What was sent on each connection, in each direction, whole."""
        for one in list(self._heard):
            yield b"".join(one)

    def _run(self) -> None:
        while not self._stop.is_set():
            ready, _, _ = select.select([self._server, *self._peers], [], [], TURN_S)
            for one in ready:
                if one is self._server:
                    self._accept()
                elif one in self._peers:
                    self._pass_on(one)
            if self.is_cut:
                for one in list(self._peers):
                    self._close(one)
        for one in list(self._peers):
            self._close(one)

    def _accept(self) -> None:
        caller, _ = self._server.accept()
        if self.is_cut:
            caller.close()
            return
        try:
            target = socket.create_connection(self._target, 5)
        except OSError:  # the broker is down
            caller.close()
            return
        for one, other in ((caller, target), (target, caller)):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._peers[one] = other
            self._sent[one] = []
            self._heard.append(self._sent[one])

    def _pass_on(self, one: socket.socket) -> None:
        try:
            chunk = one.recv(1 << 16)
            self._sent[one].append(chunk)
            self._peers[one].sendall(chunk)
        except OSError:
            chunk = b""
        if not chunk:
            self._close(one)

    def _close(self, one: socket.socket) -> None:
        other = self._peers.pop(one, None)
        if other is not None:
            del self._peers[other]
            for each in (one, other):
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
                each.close()

    def __enter__(self) -> "Wiretap":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._server.close()
