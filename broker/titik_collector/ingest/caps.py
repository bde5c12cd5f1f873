"""How much one router may add to the store in an hour: a stolen key must not fill a disk."""

from typing import Literal

from titik_collector.config.store_table import RUNS_PER_HOUR, SAMPLES_PER_HOUR
from titik_collector.limits import MAX_NEW_INTERFACES
from titik_wire.instant import HOUR_MS

Kind = Literal["sample", "run", "boot", "interface"]


class Caps:
    """The most of each kind, and what each router added in the hour of arrival that runs."""

    def __init__(self, samples: int = SAMPLES_PER_HOUR, runs: int = RUNS_PER_HOUR) -> None:
        """Statuses, and malformed messages that settle seqs, count as samples; boots as runs."""
        self._most: dict[Kind, int] = {
            "sample": samples, "run": runs, "boot": runs, "interface": MAX_NEW_INTERFACES,
        }  # fmt: skip
        self._counts: dict[tuple[Kind, int], tuple[int, int]] = {}  # hour and count
        self._before: list[tuple[tuple[Kind, int], tuple[int, int]]] = []  # what stood there

    def begin(self) -> None:
        """What is counted from here on can be undone."""
        self._before.clear()

    def undo(self) -> None:
        """Nothing was added since `begin`."""
        for key, counted in reversed(self._before):
            self._counts[key] = counted
        self._before.clear()

    def allow(self, kind: Kind, router_id: int, now_ms: int, more: int = 1) -> bool:
        """Count that many more; False, and nothing is counted, if it is over the cap."""
        key, this_hour = (kind, router_id), now_ms // HOUR_MS
        before = hour, count = self._counts.get(key, (0, 0))
        if hour < this_hour:
            count = 0
        if hour != this_hour + 1:  # it is ahead where the clock was; by more, it was wrong
            hour = this_hour
        if count + more > self._most[kind]:
            return False
        self._before.append((key, before))
        self._counts[key] = hour, count + more
        return True
