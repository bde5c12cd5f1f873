"""Carries calls to one output, so that one that raises, waits or hangs delays no other.

What is hard: no call in a thread can be cut off from outside. So the collector waits for
none. It lays down what will be reported, and goes on.
Rule: at most MAX_CARRIED things wait. When there are more, the oldest are dropped and counted.
Rule: an output that fails still gets what comes next, so it is back when its cause is gone.
Rule: a problem is logged once, again when its reason changes, and when it was over for STEADY_S.
"""

import logging
import threading
import traceback
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from titik_collector.limits import MAX_CARRIED, MAX_REASON
from titik_collector.outputs.output import Output

log = logging.getLogger(__name__)

HANG_S = 30.0  # longer than any timeout that an output should have
STEADY_S = 60.0  # also between two lines about one output

Call = Callable[[Output], None]  # things that are ready to be reported


class Carrier:
    """One output, and what waits for it."""

    def __init__(
        self, output: Output, monotonic: Callable[[], float], most: int = MAX_CARRIED
    ) -> None:
        self._output = output
        self._monotonic = monotonic
        self._most = most
        self._waiting: deque[tuple[Call, int]] = deque()  # and how many things each has
        self._things = 0  # that wait
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=output.name, daemon=True)
        self._ending = False
        self._busy_since: float | None = None
        self._lost = self._lost_before = 0  # things; before: when `watch` looked last
        self._error: BaseException | None = None  # the newest since `watch` looked last
        self._reason: str | None = None  # that was logged last; None: it works
        self._bad_at = self._logged_at = 0.0

    def carry(self, call: Call, things: int) -> None:
        """Lay it down for the output's thread, which begins with the first; never waits."""
        with self._changed:
            self._waiting.append((call, things))
            self._things += things
            while self._things > self._most and len(self._waiting) > 1:
                self._lost += self._next()[1]
            self._changed.notify()
        if self._thread.ident is None:
            with suppress(RuntimeError):  # no thread can be had now: with the next call
                self._thread.start()

    def call(self, call: Call, things: int) -> None:
        """Report in this thread; things are lost to this output if that fails."""
        self._busy_since = self._monotonic()
        try:
            call(self._output)
        except BaseException as error:
            with self._changed:
                self._lost, self._error = self._lost + things, error
        self._busy_since = None

    def watch(self) -> None:
        """Log when it begins to fail, hang or be too slow, and when that is over."""
        with self._changed:
            error, self._error = self._error, None
            is_losing, self._lost_before = self._lost > self._lost_before, self._lost
        now, reason = self._monotonic(), self._problem(error, is_losing)
        if reason is not None:
            self._bad_at = now
            if reason != self._reason and (
                self._reason is None or now - self._logged_at >= STEADY_S
            ):
                self._reason, self._logged_at = reason, now
                log.error(
                    "output fails output=%s lost=%d waiting=%d reason=%s",
                    *(self._output.name, self._lost, self._things, reason),
                    exc_info=error,
                )
        elif self._reason is not None and now - self._bad_at >= STEADY_S:
            self._reason = None
            log.info("output works again output=%s lost=%d", self._output.name, self._lost)

    def end(self) -> None:
        """Lay down the end, after what waits; never waits."""
        self.carry(lambda output: output.close(), 0)
        with self._changed:
            self._ending = True
            self._changed.notify()

    def join(self, patience_s: float) -> None:
        """Wait for the end so long at most; a thread that hangs ends with the process."""
        if self._thread.ident is not None:
            self._thread.join(patience_s)
        with self._changed:
            self._lost += self._things
            self._waiting.clear()
            self._things = 0

    def _problem(self, error: BaseException | None, is_losing: bool) -> str | None:
        """In words, or None."""
        since = self._busy_since
        if since is not None and self._monotonic() - since > HANG_S:
            return f"it does not return within {HANG_S:.0f} s"
        if error is not None:  # its own text may raise; this never does
            return "".join(traceback.format_exception_only(error)).strip()[:MAX_REASON]
        return "too slow, the oldest are dropped" if is_losing else None

    def _next(self) -> tuple[Call, int]:
        call, things = self._waiting.popleft()
        self._things -= things
        return call, things

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting:
                    if self._ending:
                        return
                    self._changed.wait()
                call, things = self._next()
            self.call(call, things)
