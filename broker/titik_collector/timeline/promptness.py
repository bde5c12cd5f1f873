"""Which live samples came as they were taken, and what that shows of a boot's start.

A broker keeps samples for a collector that is away, and hands over what it has retained. So a
sample on `sample` may be old. Where two of a boot came as far apart as they were taken, they came
at once: a queue that is worked off gets shorter.
Rule: a boot's `prompt_ms` is the smallest arrival minus uptime, from the first such sample on. The
router was switched on then, to within the time that a message takes.
"""

from titik_collector.store.ids import NamedBoot
from titik_wire.messages import Sample

GRAIN_MS = 1000  # a message that took so much less changes nothing


class Promptness:
    """Judges live samples in their order of arrival."""

    def __init__(self) -> None:
        self._last: dict[int, tuple[str, int, int]] = {}  # boot, uptime and arrival, by router

    def is_prompt(self, router_id: int, sample: Sample, arrived_ms: int) -> bool:
        """Whether this live sample came as it was taken; False also where that is not known."""
        boot, up_ms, at_ms = self._last.get(router_id, ("", 0, 0))
        elapsed_ms = sample.uptime_ms - up_ms
        if boot == sample.boot and elapsed_ms <= 0:  # again, or an older one
            return False
        self._last[router_id] = (sample.boot, sample.uptime_ms, arrived_ms)
        late_ms = arrived_ms - at_ms - elapsed_ms
        return boot == sample.boot and abs(late_ms) <= GRAIN_MS + elapsed_ms // 10

    def forget(self) -> None:
        """The transaction failed, or time jumped: nothing in memory may be true."""
        self._last.clear()


def learn(boot: NamedBoot, offset_ms: int, prompt: bool) -> bool:
    """A sample's arrival minus uptime; True if that may change whether clocks are believed."""
    known_ms = boot.prompt_ms
    if not prompt if known_ms is None else offset_ms > known_ms - GRAIN_MS:
        return False
    boot.prompt_ms = offset_ms
    return True
