"""A name that leads to one machine at a time: ports of this one that pass on to a broker's."""

import contextlib
import socket
import threading
from types import TracebackType

CHUNK = 65536


class MovingName:
    """`port` is the name's; what comes there goes to where `lead` led last."""

    def __init__(self, to: int) -> None:
        self._to = to
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._accepts = threading.Thread(target=self._accept, daemon=True)

    def lead(self, to: int) -> None:
        """From now on; what is connected stays where it is."""
        self._to = to

    def __enter__(self) -> "MovingName":
        self._accepts.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepts.join()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                here, _ = self._listener.accept()
                there = socket.socket()
                if there.connect_ex(("127.0.0.1", self._to)) != 0:
                    here.close()
                    there.close()
                    continue
                for one, other in ((here, there), (there, here)):
                    threading.Thread(target=_pass_on, args=(one, other), daemon=True).start()


def _pass_on(one: socket.socket, other: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := one.recv(CHUNK):
            other.sendall(data)
    for ended in (one, other):
        with contextlib.suppress(OSError):
            ended.shutdown(socket.SHUT_RDWR)
    one.close()
