"""Starts a command once an hour, in a process of its own, as long as somebody looks.

Rule: it may take seconds of a processor for a large city, so nobody who answers readers does it.
Rule: what fails is logged, and tried again the next time.
"""

import logging
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

log = logging.getLogger(__name__)
PROGRAM = (sys.executable, "-m", "titik_collector")
FIRST_S, EVERY_S = 60.0, 3600.0


class Hourly:
    """One command."""

    def __init__(
        self, command: Sequence[str], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._command, self._monotonic = command, monotonic
        self._next = monotonic() + FIRST_S
        self._running: subprocess.Popen[bytes] | None = None

    def look(self) -> None:
        """Start it if it is due; call this often, from one thread."""
        if self._running is not None and self._running.poll() is not None:
            if self._running.returncode:
                log.warning("an hourly command failed command=%s", " ".join(self._command))
            self._running = None
        if self._running is None and self._monotonic() >= self._next:
            self._next = self._monotonic() + EVERY_S
            try:
                self._running = subprocess.Popen(self._command, stdin=subprocess.DEVNULL)
            except OSError as error:
                log.warning("an hourly command cannot be started reason=%s", error)
