"""All outputs of a collector, as one that fails for nobody."""

import time
from collections.abc import Callable, Sequence

from titik_collector.outputs.apart import Apart
from titik_collector.outputs.guard import Call, Guard
from titik_collector.outputs.output import Event, Output, PresenceChange
from titik_wire.messages import Now, Rollup

CLOSE_S = 2.0  # for all outputs together to report what waits


class Outputs(Output):
    """Reports to the topics in the collector's thread, to each other output in its own."""

    name = "outputs"

    def __init__(
        self,
        topics: Output,
        others: Sequence[Output] = (),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`topics` only hands over to the collector's own connection, so it waits for nothing."""
        self._topics = Guard(topics, monotonic)
        self._others = [Apart(one, monotonic) for one in others]
        self._monotonic = monotonic

    def presence_changed(self, change: PresenceChange) -> None:
        """To all."""
        self._each(lambda output: output.presence_changed(change))

    def now_changed(self, nows: Sequence[Now]) -> None:
        """To all."""
        self._each(lambda output: output.now_changed(nows))

    def window_finished(self, rollup: Rollup, newest: bool) -> None:
        """To all."""
        self._each(lambda output: output.window_finished(rollup, newest))

    def window_retained(self, rollup: Rollup) -> None:
        """The newest of its length once more, to the topics alone: a broker may have lost it."""
        self._topics.call(lambda output: output.window_finished(rollup, newest=True))

    def event_happened(self, event: Event) -> None:
        """To all."""
        self._each(lambda output: output.event_happened(event))

    def watch(self) -> None:
        """Log which of them hang; call it every few seconds."""
        for one in self._others:
            one.watch()

    def close(self) -> None:
        """Let them report what waits."""
        until = self._monotonic() + CLOSE_S
        for one in self._others:
            one.close(max(0.0, until - self._monotonic()))

    def _each(self, call: Call) -> None:
        self._topics.call(call)
        for one in self._others:
            one.carry(call)
