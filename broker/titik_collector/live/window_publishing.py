"""The jobs that report finished windows: each once, and the newest again on a new connection."""

import time
from collections import deque
from collections.abc import Callable, Sequence

from titik_collector.figures.scope import Scope
from titik_collector.live import rollup_topics
from titik_collector.outputs.output import Output
from titik_collector.store.database import Database, transaction
from titik_wire.messages import Rollup

Place = tuple[Scope, int, str]  # and its id and name


class FinishedWindows:
    """Takes finished windows from the store's list and reports them."""

    def __init__(
        self,
        db: Database,
        city: str,
        outputs: Output,
        connected: Callable[[], bool],
        is_whole: Callable[[], bool],
        now_ms: Callable[[], int],
    ) -> None:
        """`is_whole`: sums are of all their routers."""
        self._db = db
        self._city = city
        self._outputs = outputs
        self._connected = connected
        self._is_whole = is_whole
        self._now_ms = now_ms

    def due(self, _now: float) -> bool:
        """Whether a broker is there: finished windows wait in the store for it."""
        return self._connected()

    def step(self, _budget_s: float) -> bool:
        """Some of them; True if there are more."""
        with transaction(self._db):
            found, more = rollup_topics.take(
                self._db, self._city, self._now_ms(), sums=self._is_whole()
            )
        for rollup, newest in found:
            self._outputs.window_finished(rollup, newest)
        return more


class NewestAgain:
    """Publishes the newest windows of all places again, after each connect."""

    def __init__(
        self,
        db: Database,
        publish: Callable[[Rollup], object],
        places: Callable[[], Sequence[Place]],
        may: Callable[[], bool],
        now_ms: Callable[[], int],
    ) -> None:
        self._db = db
        self._publish = publish
        self._places = places
        self._may = may
        self._now_ms = now_ms
        self._left: deque[Place] = deque()

    def begin(self) -> None:
        """The connection is new."""
        self._left = deque(self._places())

    def moved(self) -> None:
        """Places are others than before."""
        if self._left:
            self.begin()

    def due(self, _now: float) -> bool:
        """Whether places are left and it may go on."""
        return bool(self._left) and self._may()

    def step(self, budget_s: float) -> bool:
        """Some places; one that fails is tried again."""
        until = time.monotonic() + budget_s
        while self._left:
            for rollup in rollup_topics.newest(self._db, *self._left[0], self._now_ms()):
                self._publish(rollup)
            self._left.popleft()
            if time.monotonic() >= until:
                break
        return bool(self._left)
