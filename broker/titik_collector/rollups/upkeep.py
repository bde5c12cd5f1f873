"""Jobs that compute rollups and restate the past; how far behind, and when sums are published."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from titik_collector.rollups.worker import Rollups


@dataclass(eq=False)
class Upkeep:
    """Computes what changed."""

    _rollups: Rollups
    _hold_s: float  # so long sums wait for their routers; one that never ends delays nobody
    _monotonic: Callable[[], float] = time.monotonic
    is_behind: bool = True

    def __post_init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """The connection is new: what waited at the routers comes now, and sums wait for it."""
        self._whole_at = self._monotonic()  # when nothing was left to compute

    def behind_ms(self) -> int:
        """For how long something has been left to compute, without a pause."""
        self.is_whole()
        return round((self._monotonic() - self._whole_at) * 1000)

    def is_whole(self) -> bool:
        """Whether sums are of all their routers, or waited for long enough."""
        if not self.is_behind:
            self._whole_at = self._monotonic()
        return not self.is_behind or self._monotonic() - self._whole_at >= self._hold_s

    def due(self, _now: float) -> bool:
        """Always: only the store knows."""
        return True

    def step(self, budget_s: float) -> bool:
        """Some stretches of time."""
        self.is_behind = False  # nothing waits for a step that raises
        self.is_behind = self._rollups.work(budget_s, self._monotonic)
        return self.is_behind

    def finish(self, budget_s: float) -> None:
        """What is over when the collector ends, so that the store shows what it holds."""
        self._rollups.finish(budget_s, self._monotonic)
