"""All outputs of a collector as one: what one of them raises stops no other."""

import time
from collections.abc import Callable, Sequence

from titik_collector.outputs.carrier import Call, Carrier
from titik_collector.outputs.output import Event, FinishedWindow, Output, PresenceChange
from titik_wire.city_messages import Now

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
        self._topics = Carrier(topics, monotonic)
        self._others = [Carrier(one, monotonic) for one in others]
        self._monotonic = monotonic

    def presence_changed(self, changes: Sequence[PresenceChange]) -> None:
        """To all."""
        self._each(lambda output: output.presence_changed(changes), len(changes))

    def now_changed(self, nows: Sequence[Now]) -> None:
        """To all."""
        self._each(lambda output: output.now_changed(nows), len(nows))

    def windows_finished(self, windows: Sequence[FinishedWindow]) -> None:
        """To all."""
        self._each(lambda output: output.windows_finished(windows), len(windows))

    def windows_retained(self, windows: Sequence[FinishedWindow]) -> None:
        """The newest once more, to the topics alone: a broker may have lost them."""
        self._topics.call(lambda output: output.windows_finished(windows), len(windows))

    def events_happened(self, events: Sequence[Event]) -> None:
        """To all."""
        self._each(lambda output: output.events_happened(events), len(events))

    def watch(self) -> None:
        """Log which of them fail; call it every few seconds."""
        for one in (self._topics, *self._others):
            one.watch()

    def close(self) -> None:
        """Let them report what waits, and end; what they do not report is logged."""
        self._topics.call(lambda output: output.close(), 0)
        for one in self._others:
            one.end()
        until = self._monotonic() + CLOSE_S
        for one in self._others:
            one.join(max(0.0, until - self._monotonic()))
        self.watch()

    def _each(self, call: Call, things: int) -> None:
        if things:
            self._topics.call(call, things)
            for one in self._others:
                one.carry(call, things)
