"""For `host`: a reading that may take seconds, as of one-wire sensors, and delays no sample.

Rule: who asks waits at most PATIENCE_S; an answer that comes later is given to who asks next.
Rule: an answer is good for FRESH_S, because a thread costs a small router a millisecond.
Rule: while none comes it is given until it is STALE_S old, then the value is unknown.
Rule: a thread lives only while a reading takes longer than it should, and there is one at most: a
quick device costs no memory, and one that hangs for ever costs one thread.
"""

import math
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

PATIENCE_S = 0.2  # a sample waits so long; where a sensor is a file in memory it takes 1 ms
FRESH_S = 75.0  # three samples of the usual interval; a temperature and a free disk change slowly
STALE_S = 120.0  # four samples; a temperature or a free disk is still worth knowing


class Slow(Generic[T]):
    """The newest value that `read` gave; None where it gave none, and if it raised."""

    def __init__(
        self, read: Callable[[], T | None], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._read = read
        self._monotonic = monotonic
        # The one thing that both threads touch, replaced whole: the value, and when it was asked.
        self._last: tuple[T | None, float] | None = None
        self._thread: threading.Thread | None = None

    def value(self) -> T | None:
        """What was read just now or lately."""
        if self._thread is None and self._age_s() >= FRESH_S:
            self._thread = self._start()
        if self._thread is not None:
            self._thread.join(PATIENCE_S)
            if not self._thread.is_alive():
                self._thread = None
        if self._last is None or self._age_s() > STALE_S:
            return None
        return self._last[0]

    def _age_s(self) -> float:
        return math.inf if self._last is None else self._monotonic() - self._last[1]

    def _start(self) -> threading.Thread | None:
        """None: there is no room for a thread."""
        thread = threading.Thread(target=self._run, name="slow", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            return None
        return thread

    def _run(self) -> None:
        asked = self._monotonic()
        self._last = self._read(), asked
