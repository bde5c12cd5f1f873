"""A network between a browser and its server that can be cut: no byte passes, nothing is closed."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

TICK_S = 0.05


class Network:
    """Passes bytes on between connections to its own port and the server."""

    def __init__(self, server: str) -> None:
        parts = urlsplit(server)
        assert parts.hostname is not None
        assert parts.port is not None
        self._server = parts.hostname, parts.port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(TICK_S)
        self._passes, self._open = threading.Event(), threading.Event()
        self._passes.set()
        self._open.set()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def address(self) -> str:
        """Of the page, through this network."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def cut(self) -> None:
        """From now on bytes wait."""
        self._passes.clear()

    def mend(self) -> None:
        """They pass again, those that waited first."""
        self._passes.set()

    def close(self) -> None:
        """End every connection."""
        self._open.clear()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while self._open.is_set():
            with contextlib.suppress(TimeoutError):
                client = self._listener.accept()[0]
                server = socket.create_connection(self._server)
                for source, target in ((client, server), (server, client)):
                    thread = threading.Thread(target=self._pass, args=(source, target))
                    thread.start()
                    self._threads.append(thread)

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        source.settimeout(TICK_S)
        with source, contextlib.suppress(OSError):
            while self._open.is_set():
                try:
                    content = source.recv(65536)
                except TimeoutError:
                    continue
                while self._open.is_set() and not self._passes.wait(TICK_S):
                    pass
                if not content:
                    break
                target.sendall(content)
            target.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def relayed(server: str) -> Iterator[Network]:
    """A network to that server until the end of the block."""
    with contextlib.closing(Network(server)) as network:
        yield network
