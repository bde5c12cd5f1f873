"""Whether the server's own line to the internet works: it connects to addresses outside.

Rule: nobody waits. A look begins connections, and the next ones find out what became of them.
Rule: one address that answers is enough.
"""

import errno
import select
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from titik_collector.config.alert_tables import Outside

EVERY_MS = 20_000
PATIENCE_MS = 10_000


@dataclass(eq=False)
class OutsideLine:
    """`look` every few seconds."""

    _outside: Sequence[Outside]
    _begun_ms: int | None = None
    _failing_ms: int | None = None
    _open: tuple[socket.socket, ...] = ()

    def change(self, outside: Sequence[Outside]) -> None:
        """Test with other addresses from now on."""
        if tuple(outside) != tuple(self._outside):
            self.close()
            self._outside, self._begun_ms, self._failing_ms = outside, None, None

    def look(self, now_ms: int) -> int | None:
        """Since when no address answers; None: one does, or that is not known."""
        if self._open:
            self._end(now_ms)
        elif self._outside and (self._begun_ms is None or now_ms - self._begun_ms >= EVERY_MS):
            self._begin(now_ms)
        return self._failing_ms

    def close(self) -> None:
        """Let go of what was begun."""
        for one in self._open:
            one.close()
        self._open = ()

    def _begin(self, now_ms: int) -> None:
        self._begun_ms = now_ms
        found = []
        for one in self._outside:
            with suppress(OSError):
                found.append(_connecting(one))
        self._open = tuple(found)
        if not found:  # there is no way to any of them
            self._failed(now_ms)

    def _end(self, now_ms: int) -> None:
        _, ended, _ = select.select((), self._open, (), 0)
        waits = len(ended) < len(self._open)
        if any(_works(one) for one in ended):
            self.close()
            self._failing_ms = None
        elif not waits or now_ms - (self._begun_ms or 0) >= PATIENCE_MS:
            self.close()
            self._failed(now_ms)

    def _failed(self, now_ms: int) -> None:
        if self._failing_ms is None:
            self._failing_ms = now_ms if self._begun_ms is None else self._begun_ms


def _connecting(outside: Outside) -> socket.socket:
    """OSError if that fails at once."""
    family = socket.AF_INET6 if ":" in outside.host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setblocking(False)
    code = made.connect_ex(tuple(outside))
    if code not in (0, errno.EINPROGRESS):
        made.close()
        raise OSError(code, "not connected")
    return made


def _works(ended: socket.socket) -> bool:
    """Connected; or refused, which somebody outside has answered too."""
    code = ended.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    return code in (0, errno.ECONNREFUSED)
