"""Hears the collector's beat at the broker: the whole way works, also with every router off.

Rule: it reads and never writes. That it cannot hear is no alert, but no sign of life either.
"""

import logging
import os
import threading
import time
from dataclasses import dataclass
from typing import NamedTuple

from titik_collector.broker_link.conversation import Conversation
from titik_mqtt.endpoint import Endpoint
from titik_mqtt.failures import LinkDown
from titik_wire import codec, topics
from titik_wire.errors import WireError
from titik_wire.messages import CollectorStatus

log = logging.getLogger(__name__)

PATIENCE_S, RETRY_S, LOOK_S = 5.0, 5.0, 1.0


class HeardCollector(NamedTuple):
    """Who collects at the broker."""

    store: str
    epoch: int


@dataclass(eq=False)
class BeatListener:
    """A thread of its own; other threads read what it heard."""

    endpoint: Endpoint
    collector: str
    heard: HeardCollector | None = None  # None: nobody yet
    _beat_at: float | None = None
    _logged: str | None = None

    def start(self) -> None:
        """Begin to listen."""
        threading.Thread(target=self._listen, name="beat", daemon=True).start()

    def silent_s(self) -> float | None:
        """For how long no beat came; None: none came yet."""
        return None if self._beat_at is None else time.monotonic() - self._beat_at

    def take(self, topic: str, payload: bytes) -> None:
        """A message of the broker."""
        try:
            message = codec.decode(topic, payload)
        except WireError as error:
            log.warning("beat cannot be read topic=%s reason=%s", topic, error)
            return
        if not isinstance(message, CollectorStatus):
            return
        if message.store is not None and message.epoch is not None and message.state == "online":
            self.heard = HeardCollector(message.store, message.epoch)
        if topic == topics.beat(self.collector) and message.state == "online":
            self._beat_at = time.monotonic()

    def _listen(self) -> None:
        while True:
            try:
                self._converse()
            except LinkDown as down:
                if down.reason != self._logged:
                    log.warning("broker cannot be heard reason=%s", down.reason)
                self._logged = down.reason
            except Exception:  # a bug costs this connection, and not all that follow
                log.exception("a bug stops the hearing of the broker")
            time.sleep(RETRY_S)

    def _converse(self) -> None:
        name = f"{topics.CLIENT_ID}notify:{self.collector}:{os.getpid()}"
        with Conversation(self.endpoint, name, PATIENCE_S).open() as it:
            for topic in (topics.collector(self.collector), topics.beat(self.collector)):
                it.subscribe(topic, "the collector's beat")
            self._logged = None
            while True:
                it.until(lambda: bool(it.received_messages), LOOK_S)
                received, it.received_messages[:] = list(it.received_messages), []
                for topic, payload in received:
                    self.take(topic, payload)
