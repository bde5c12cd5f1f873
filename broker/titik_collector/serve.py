"""`titik serve`: collector, page and notifier as processes, started again when they end.

Rule: they share nothing but the store, so what hangs in one delays no acknowledgement.
Rule: one that keeps ending is started again after a wait that doubles; each end is logged.
Rule: the collector is the first. Who reads its store is started when it is there, or after a while.
Rule: a signal ends all of them. They end too when this process dies without a word.
"""

import ctypes
import logging
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

log = logging.getLogger(__name__)

FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0  # before a process is started again
LIVED_S = 60.0  # one that ran so long begins with the first wait again
STOP_S = 20.0  # the collector finishes what it began; then what still runs is killed
LOOK_S = 0.2
STORE_S = 20.0  # for a store to be made, or brought up to date
COLLECTOR, PAGE, NOTIFIER = ("collect",), ("web",), ("notify",)  # the commands of `titik`
PUBLIC_PAGE = ("public", "export", "--every", "60s")
_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)


class KeptService:
    """One command of `titik`, as a process that is kept running."""

    def __init__(self, command: Sequence[str]) -> None:
        self.name = command[0]
        self._command = [sys.executable, "-m", "titik_collector", *command]
        self._process: subprocess.Popen[bytes] | None = None
        self._wait_s = FIRST_WAIT_S
        self._started = self._next = 0.0

    def look(self, now: float) -> None:
        """Start it if that is due; notice that it ended."""
        if self._process is None:
            if now >= self._next:
                self._start(now)
        elif self._process.poll() is not None:
            self._ended(now, self._process.returncode)

    def stop(self) -> None:
        """Ask it to end."""
        if self._process is not None:
            self._process.terminate()

    def wait(self, until: float) -> None:
        """Until it has ended; kill it when the time is over."""
        if self._process is None:
            return
        try:
            self._process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            log.error("process does not end, killed name=%s pid=%d", self.name, self._process.pid)
            self._process.kill()
            self._process.wait()

    def _start(self, now: float) -> None:
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is ours to pass on
            preexec_fn=_die_with_parent,  # before threads are: there are none here
        )
        self._started = now
        log.info("process started name=%s pid=%d", self.name, self._process.pid)

    def _ended(self, now: float, status: int) -> None:
        if now - self._started >= LIVED_S:
            self._wait_s = FIRST_WAIT_S
        log.error(
            "process ended, started again name=%s status=%d wait_s=%g",
            self.name,
            status,
            self._wait_s,
        )
        self._process = None
        self._next = now + self._wait_s
        self._wait_s = min(LONGEST_WAIT_S, self._wait_s * 2)


def run(
    file: Path,
    commands: Sequence[Sequence[str]],
    stopped: Callable[[], bool],
    has_store: Callable[[], bool],
) -> None:
    """Keep these commands of a configuration running until `stopped`, then end them.

    The first makes what the others read: they wait for it.
    """
    parts = [KeptService((*command, "--config", str(file))) for command in commands]
    wait_until, waits = time.monotonic() + STORE_S, True
    try:
        while not stopped():
            waits = waits and time.monotonic() < wait_until and not has_store()
            for part in parts[:1] if waits else parts:
                part.look(time.monotonic())
            time.sleep(LOOK_S)
    finally:
        for part in parts:
            part.stop()
        until = time.monotonic() + STOP_S
        for part in parts:
            part.wait(until)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGTERM)
