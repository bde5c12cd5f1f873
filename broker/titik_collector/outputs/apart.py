"""An output in a thread of its own, so that one that waits or hangs holds up nobody.

What is hard: no call in a thread can be cut off from outside. So nobody waits for it: the collector
only lays down what is to be reported, and goes on.
Rule: at most MAX_WAITING things wait. When there are more, the oldest is dropped and counted.
Rule: a call that takes longer than HANG_S is logged once; so are drops.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from titik_collector.outputs.guard import Call, Guard
from titik_collector.outputs.output import Output

log = logging.getLogger(__name__)

MAX_WAITING = 1000  # some MB at most; one message of `now` for each router of a large city
HANG_S = 30.0  # longer than any timeout that an output should have


class Apart:
    """Carries calls to one output; the thread begins with the first of them."""

    def __init__(
        self,
        output: Output,
        monotonic: Callable[[], float] = time.monotonic,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._guard = Guard(output, monotonic)
        self._monotonic = monotonic
        self._waiting: deque[Call] = deque(maxlen=max_waiting)  # drops the oldest by itself
        self._awake = threading.Event()
        self._ending = False
        self._busy_since: float | None = None
        self._thread = threading.Thread(target=self._run, name=output.name, daemon=True)
        self._dropped = self._dropped_before = 0
        self._is_behind = False

    def carry(self, call: Call) -> None:
        """Lay it down; never waits."""
        self._dropped += len(self._waiting) == self._waiting.maxlen
        self._waiting.append(call)
        self._awake.set()
        if self._thread.ident is None:
            with suppress(RuntimeError):  # no thread can be had now: with the next call
                self._thread.start()

    def watch(self) -> None:
        """Log when it falls behind, and when it keeps up again."""
        since = self._busy_since
        busy_s = 0.0 if since is None else self._monotonic() - since
        is_behind = busy_s > HANG_S or self._dropped > self._dropped_before
        self._dropped_before = self._dropped
        if is_behind and not self._is_behind:
            log.error(
                "output hangs or is too slow, the oldest of what waits is dropped"
                " output=%s busy_s=%.0f waiting=%d",
                *(self._guard.name, busy_s, len(self._waiting)),
            )
        elif self._is_behind and not is_behind:
            log.info("output keeps up again output=%s dropped=%d", self._guard.name, self._dropped)
        self._is_behind = is_behind

    def close(self, patience_s: float) -> None:
        """Report what waits, for so long at most; a thread that hangs ends with the process."""
        self._ending = True
        self._awake.set()
        if self._thread.ident is not None:
            self._thread.join(patience_s)

    def _run(self) -> None:
        while not self._ending:
            self._awake.wait()
            self._awake.clear()  # before looking: what is laid down after that wakes it again
            while self._waiting:
                self._busy_since = self._monotonic()
                self._guard.call(self._waiting.popleft())
                self._busy_since = None
