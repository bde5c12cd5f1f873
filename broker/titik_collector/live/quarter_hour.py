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

    __slots__ = ("_minutes",)

    def __init__(self) -> None:
        self._minutes: deque[_Looks] = deque(maxlen=MINUTES)

    def add(self, value: float | None, at_ms: int) -> None:
        """What it is at a look; None: it is not known."""
        if value is None:
            return
        number = at_ms // MINUTE_MS
        if not self._minutes or self._minutes[-1].number != number:
            self._minutes.append(_Looks(number))
        newest = self._minutes[-1]
        newest.total += value
        newest.count += 1

    def mean(self, at_ms: int) -> float | None:
        """Each look counts as much as another."""
        since = at_ms // MINUTE_MS - MINUTES
        minutes = [one for one in self._minutes if one.number > since]
        if len(minutes) < LEAST:
            return None
        return sum(one.total for one in minutes) / sum(one.count for one in minutes)
