"""hostapd's control interface: datagrams of plain text to a socket per BSS.

Rule: each question has a socket of its own, which is closed after it. So a late answer meets
nobody, and none can pass for the answer to the next question.
Rule: every question ends by its own deadline, and at most REQUEST_S after it was asked.
Rule: events that are not taken fill hostapd's send buffer, and then it answers no one; so who
listens pumps before anyone asks.
Rule: hostapd silently forgets a listener that was slow or whose address is gone. So listeners ask
now and then whether they are still known.
"""

import os
import re
import socket
import stat
import time
from collections.abc import Callable
from contextlib import suppress

from titik_agent.limits import MAX_CONTROL_REPLY

REQUEST_S = 1.0  # for one answer; hostapd takes less than a millisecond, and a driver some
PUMP_EVENTS = 64  # handled per `pump` and BSS; the rest waits for the next

_OURS = re.compile(r"titik-ctrl-(\d+)-[0-9a-f]{16}")


class ControlError(Exception):
    """hostapd did not answer, or not in a way we understand."""


class Addresses:
    """A private directory for the sockets that hostapd answers to; it cannot answer a nameless one.

    `parent` must be a place that hostapd sees too: not a /tmp of our own.
    """

    def __init__(self, parent: str = "/tmp") -> None:
        self._parent = parent
        self._directory: str | None = None
        self._count = 0

    def bind(self, client: socket.socket) -> str:
        """Give the socket an address; the path, for `release`."""
        if self._directory is None or not os.path.isdir(self._directory):
            # Not there yet, or a cleaner of old files found it empty.
            self._directory = self._make()
        self._count += 1
        path = os.path.join(self._directory, str(self._count))
        client.bind(path)
        return path

    def release(self, path: str) -> None:
        with suppress(OSError):
            os.unlink(path)

    def close(self) -> None:
        if self._directory is not None:
            _remove(self._directory)
        self._directory = None

    def _make(self) -> str:
        self._sweep()
        # A name that no one can have put there before us, even where everyone may write.
        name = f"titik-ctrl-{os.getpid()}-{os.urandom(8).hex()}"
        directory = os.path.join(self._parent, name)
        os.mkdir(directory, 0o700)
        return directory

    def _sweep(self) -> None:
        """Remove what killed processes of ours left: an agent that is killed daily for years."""
        for name in os.listdir(self._parent):
            ours = _OURS.fullmatch(name)
            if ours and not os.path.exists(f"/proc/{ours[1]}"):
                directory = os.path.join(self._parent, name)
                with suppress(OSError):
                    found = os.lstat(directory)
                    if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid():
                        _remove(directory)


def _remove(directory: str) -> None:
    with suppress(OSError):
        for name in os.listdir(directory):
            os.unlink(os.path.join(directory, name))
        os.rmdir(directory)


class ControlSocket:
    """One socket of ours, connected to the BSS whose socket is `server`."""

    def __init__(
        self,
        addresses: Addresses,
        server: str,
        on_event: Callable[[bytes], None] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._addresses = addresses
        self._on_event = on_event
        self._monotonic = monotonic
        self._path: str | None = None
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            self._path = addresses.bind(self._socket)
            # Once connected, the kernel lets no other process send to us.
            self._socket.connect(server)
        except OSError as error:
            self.close()
            raise ControlError(f"{server}: {error.strerror or error}") from error

    def fileno(self) -> int:
        return self._socket.fileno()

    def ask(self, question: bytes, deadline: float) -> bytes:
        """hostapd's answer; empty where it has nothing to say, such as after the last station."""
        by = min(deadline, self._monotonic() + REQUEST_S)
        try:
            self._wait_until(by)
            self._socket.send(question)
            while True:
                self._wait_until(by)
                message = self._socket.recv(MAX_CONTROL_REPLY)
                if not self._is_event(message):
                    return message
        except TimeoutError as error:
            raise ControlError("no answer in time") from error
        except OSError as error:
            raise ControlError(f"hostapd is gone: {error.strerror or error}") from error

    def attach(self, deadline: float) -> bool:
        """Hear events from now on; False if hostapd will not."""
        return self.ask(b"ATTACH", deadline) == b"OK\n"

    def is_attached(self, deadline: float) -> bool:
        """Whether hostapd still knows us. To ask by ATTACH would double an old one's events."""
        return self.ask(b"LEVEL 3", deadline) == b"OK\n"  # 3: what ATTACH starts with

    def pump(self) -> None:
        """Hear what has come in, without blocking."""
        self._socket.settimeout(0)
        try:
            for _ in range(PUMP_EVENTS):
                self._is_event(self._socket.recv(MAX_CONTROL_REPLY))
        except BlockingIOError:
            return
        except OSError as error:
            raise ControlError(f"hostapd is gone: {error.strerror or error}") from error

    def close(self) -> None:
        if self._path is not None:
            self._socket.settimeout(0)
            with suppress(OSError):
                self._socket.send(b"DETACH")
            self._addresses.release(self._path)
            self._path = None
        self._socket.close()

    def _wait_until(self, by: float) -> None:
        left = by - self._monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)

    def _is_event(self, message: bytes) -> bool:
        """An event starts with its level: `<3>AP-STA-CONNECTED 02:00:00:00:01:00`."""
        if not message.startswith(b"<"):
            return False
        if self._on_event is not None:
            self._on_event(message.partition(b">")[2])
        return True
