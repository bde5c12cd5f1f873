"""Which live samples came as they were taken, and what that shows of a boot's start.

A broker keeps samples for a collector that is away, and hands over what it has retained. So a
sample on `sample` may be old. Where two of a boot came as far apart as they were taken, they came
at once: a queue that is worked off gets shorter.
Rule: a boot's `prompt_ms` is the smallest arrival minus uptime, from the first such sample on. The
router was switched on then, to within the time that a message takes.
"""

from titik_collector.limits import MAX_KNOWN_BOOTS
from titik_collector.store import boot_time
from titik_collector.store.database import Database
from titik_wire.messages import Sample

GRAIN_MS = 1000  # a message that took so much less changes nothing


class Promptness:
    """Judges live samples in their order of arrival."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._last: dict[int, tuple[str, int, int]] = {}  # boot, uptime and arrival, by router
        self._known: dict[int, int | None] = {}  # by boot

    def is_prompt(self, router_id: int, sample: Sample, arrived_ms: int) -> bool:
        """Whether this live sample came as it was taken; False also where that is not known."""
        boot, up_ms, at_ms = self._last.get(router_id, ("", 0, 0))
        elapsed_ms = sample.uptime_ms - up_ms
        if boot == sample.boot and elapsed_ms <= 0:  # again, or an older one
            return False
        self._last[router_id] = (sample.boot, sample.uptime_ms, arrived_ms)
        late_ms = arrived_ms - at_ms - elapsed_ms
        return boot == sample.boot and abs(late_ms) <= GRAIN_MS + elapsed_ms // 10

    def learn(self, boot_id: int, offset_ms: int, prompt: bool) -> bool:
        """A sample's arrival minus uptime; True if that may change whether clocks are believed."""
        known_ms = self.of(boot_id)
        if not prompt if known_ms is None else offset_ms > known_ms - GRAIN_MS:
            return False
        self._known[boot_id] = offset_ms
        boot_time.keep_prompt_ms(self._db, boot_id, offset_ms)
        return True

    def of(self, boot_id: int) -> int | None:
        """The boot's `prompt_ms`; None while it is not known."""
        if boot_id not in self._known:
            if len(self._known) >= MAX_KNOWN_BOOTS:
                self._known.clear()
            self._known[boot_id] = boot_time.prompt_ms(self._db, boot_id)
        return self._known[boot_id]

    def forget(self) -> None:
        """The transaction failed, or time jumped: nothing in memory may be true."""
        self._last.clear()
        self._known.clear()
