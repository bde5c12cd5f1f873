"""How much one router may add to the store in an hour: a stolen key must not fill a disk."""

from dataclasses import dataclass

from titik_collector.config.model import RUNS_PER_HOUR, SAMPLES_PER_HOUR
from titik_collector.limits import MAX_NEW_INTERFACES
from titik_wire.instant import HOUR_MS


@dataclass(frozen=True, slots=True)
class Caps:
    """The most that one router may add in an hour."""

    samples: int = SAMPLES_PER_HOUR  # also of statuses, and of malformed messages that settle seqs
    runs: int = RUNS_PER_HOUR  # also of boots


DEFAULT_CAPS = Caps()


class Meter:
    """Counts what each router added in the hour of arrival that runs."""

    def __init__(self, caps: Caps) -> None:
        self._caps = caps
        self._counts: dict[tuple[str, int], tuple[int, int]] = {}  # hour and count
        self._before: list[tuple[tuple[str, int], tuple[int, int]]] = []  # what stood there

    def begin(self) -> None:
        """What is counted from here on can be undone."""
        self._before.clear()

    def undo(self) -> None:
        """Nothing was added since `begin`."""
        for key, counted in reversed(self._before):
            self._counts[key] = counted
        self._before.clear()

    def sample(self, router_id: int, now_ms: int) -> bool:
        """Count one more sample; False, and nothing is counted, if it is over the cap."""
        return self._allow("sample", router_id, now_ms, self._caps.samples)

    def run(self, router_id: int, now_ms: int) -> bool:
        """The same for a new run."""
        return self._allow("run", router_id, now_ms, self._caps.runs)

    def boot(self, router_id: int, now_ms: int) -> bool:
        """The same for a new boot."""
        return self._allow("boot", router_id, now_ms, self._caps.runs)

    def interfaces(self, router_id: int, now_ms: int, more: int) -> bool:
        """The same for new interfaces."""
        return self._allow("interface", router_id, now_ms, MAX_NEW_INTERFACES, more)

    def _allow(self, what: str, router_id: int, now_ms: int, cap: int, more: int = 1) -> bool:
        key, this_hour = (what, router_id), now_ms // HOUR_MS
        before = hour, count = self._counts.get(key, (0, 0))
        if hour < this_hour:
            count = 0
        if hour != this_hour + 1:  # it is ahead where the clock was; by more, it was wrong
            hour = this_hour
        if count + more > cap:
            return False
        self._before.append((key, before))
        self._counts[key] = hour, count + more
        return True
