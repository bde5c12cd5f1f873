"""The job that reports events to outputs, as soon as `titik events` has them.

Rule: an event is reported once, and again when it says something else: that it is over, or why.
Rule: after a start, what began before the collector last heard was reported before.
"""

from collections.abc import Callable

from titik_collector.limits import MAX_LOSSES
from titik_collector.outputs.output import Event, Output
from titik_collector.store.database import alone

# A fault of the server's line is found within an hour after it.
LOOK_BACK_MS = 7_200_000
MARGIN_MS = 60_000  # of the last minute before it ended, perhaps not

Gather = Callable[[int, int], list[Event]]  # what went on between two times


class EventReporting:
    """Remembers what was reported."""

    def __init__(
        self, gather: Gather, outputs: Output, now_ms: Callable[[], int], heard_ms: int
    ) -> None:
        """`heard_ms` is until when the collector before this one heard."""
        self._gather = gather
        self._outputs = outputs
        self._now_ms = now_ms
        self._known: dict[object, str] = {}
        with alone("the events of before the start, they are reported again"):
            old = (one for one in self._found() if one.at_ms < heard_ms - MARGIN_MS)
            self._known |= {_key(one): _words(one) for one in old}

    def due(self, _now: float) -> bool:
        """Always: events are found by looking."""
        return True

    def step(self, _budget_s: float) -> bool:
        """Report what is new."""
        found = self._found()
        new = [one for one in found if self._known.get(_key(one)) != _words(one)]
        if len(self._known) > MAX_LOSSES:
            self._known.clear()
        self._known |= {_key(one): _words(one) for one in found}
        if new:
            self._outputs.events_happened(new)
        return False

    def _found(self) -> list[Event]:
        now_ms = self._now_ms()
        return self._gather(now_ms - LOOK_BACK_MS, now_ms)


def _key(one: Event) -> object:
    """A loss has no time of its own: while its router's clock is ahead, it is now."""
    return one.kind, one.name, one.text if one.kind == "lost" else one.at_ms


def _words(one: Event) -> str:
    """What it says; the length of what goes on grows all the time."""
    return one.why if one.goes_on else one.text
