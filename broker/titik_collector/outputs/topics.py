"""The output over MQTT: the topics `now`, with presence in it, and `rollup`; none for events.

Rule: what the contract cannot hold is not published, and logged once for each topic.
"""

import logging
from collections.abc import Sequence

from titik_collector.broker_link.inbox import Outbox
from titik_collector.outputs.output import FinishedWindow, Output
from titik_wire import codec, topics
from titik_wire.city_messages import Message, Now
from titik_wire.errors import WireError

log = logging.getLogger(__name__)


class Topics(Output):
    """Publishes by way of the collector's own connection."""

    name = "topics"

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self.refused: set[str] = set()  # topics of messages that break the contract

    def now_changed(self, nows: Sequence[Now]) -> None:
        """Each retained."""
        for one in nows:
            self._publish(one, topics.now(one.scope, one.name), retain=True)
        self._outbox.flush()

    def windows_finished(self, windows: Sequence[FinishedWindow]) -> None:
        """The newest retained; others pass by, for those that listen now."""
        for rollup, is_newest in windows:
            topic = topics.rollup(rollup.window, rollup.scope, rollup.name)
            self._publish(rollup, topic, retain=is_newest)

    def _publish(self, message: Message, topic: str, retain: bool) -> None:
        try:
            payload = codec.encode(message)
        except WireError as error:  # of a store that an earlier version wrote: the others go on
            if topic not in self.refused:
                log.error("not published, it breaks the contract topic=%s reason=%s", topic, error)
            self.refused.add(topic)
        else:
            self._outbox.publish(topic, payload, retain)
