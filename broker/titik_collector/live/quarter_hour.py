"""The mean of a figure over the last quarter of an hour, looked at every few seconds.

Rule: it is not known before the figure was known in most of these minutes.
"""

from collections import deque
from dataclasses import dataclass

from titik_wire.instant import MINUTE_MS

MINUTES = 15
LEAST = 12  # minutes in which it was known


@dataclass(slots=True)
class _Looks:
    """Those of one minute."""

    number: int  # since 1970
    total: float = 0.0
    count: int = 0


class QuarterHour:
    """One figure."""

    __slots__ = ("_count", "_minutes", "_total")

    def __init__(self) -> None:
        self._minutes: deque[_Looks] = deque()
        self._total = 0.0  # of all of them
        self._count = 0

    def add(self, value: float | None, at_ms: int, looks: int = 1) -> None:
        """What it is at a look, or was at some; None: it is not known."""
        number = at_ms // MINUTE_MS
        while self._minutes and self._minutes[0].number <= number - MINUTES:
            old = self._minutes.popleft()
            self._total -= old.total
            self._count -= old.count
        if value is None:
            return
        if not self._minutes or self._minutes[-1].number != number:
            self._minutes.append(_Looks(number))
        newest = self._minutes[-1]
        newest.total += value * looks
        newest.count += looks
        self._total += value * looks
        self._count += looks

    def mean(self) -> float | None:
        """At the last look; each look counts as much as another."""
        return self._total / self._count if len(self._minutes) >= LEAST else None
