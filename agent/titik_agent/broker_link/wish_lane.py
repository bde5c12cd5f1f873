"""The way of the city's wishes: in on four topics of this router, out on `running` and `answer`.

Rule: until the first wish comes, there is nothing here but a list of topics.
Rule: a broker that refuses a topic does not offer it. That never ends a connection.
Rule: nor does a wish that cannot be loaded, where memory or a file is missing.
"""

import logging
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from titik_agent.broker_link.lanes import Lanes
from titik_mqtt.failures import LinkDown
from titik_wire import topics
from titik_wire.messages import Status

if TYPE_CHECKING:
    from titik_wire.fleet_messages import Running

log = logging.getLogger(__name__)


class Wishes(Protocol):
    """What handles them; see `titik_agent.wishes.dispatch`, which is loaded at the first one."""

    running: "Running | None"

    def received(self, topic: str, payload: bytes) -> None: ...
    def connected(self) -> None: ...
    def disconnected(self) -> None: ...
    def acked(self, seq: int) -> None: ...
    def step(self, now: float) -> float: ...
    def take_running(self) -> bytes | None: ...
    def not_taken(self) -> None: ...
    def take_answer(self) -> bytes | None: ...
    def has_more(self) -> bool: ...
    def close(self) -> None: ...


class WishLane:
    """Of one router; `load` makes what handles wishes, None: they are not offered."""

    def __init__(
        self,
        about: Status,
        lanes: Lanes,
        newest_seq: Callable[[], int],
        is_collected: Callable[[], bool],
    ) -> None:
        """`newest_seq`: of this run and published. `is_collected`: a collector is online."""
        self.about = about
        self.newest_seq = newest_seq
        self.is_collected = is_collected
        self.load: Callable[[], Wishes] | None = None
        self.wishes: Wishes | None = None  # once the first one has come
        self.topics = (
            topics.settings(about.router), topics.certificate(about.router),
            topics.upgrade(about.router), topics.request(about.router),
        )  # fmt: skip
        self._lanes = lanes
        self._step_at = math.inf
        self._stepped_at = 0.0
        self._level = logging.ERROR  # of what cannot be loaded; logged once

    @property
    def running(self) -> "Running | None":
        """What was published of the wishes; None: there is none."""
        return None if self.wishes is None else self.wishes.running

    def received(self, topic: str, payload: bytes, now: float) -> None:
        """A message of one of the topics."""
        try:
            if self.wishes is None and payload and self.load is not None:
                wishes = self.load()
                wishes.connected()
                self.wishes = wishes
            if self.wishes is not None:
                self.wishes.received(topic, payload)
        except LinkDown:
            raise
        except Exception:
            # It is retained, so that each connection would end by it.
            log.log(self._level, "a wish cannot be loaded topic=%s", topic, exc_info=True)
            self._level = logging.DEBUG
        self.step(now)

    def connected(self) -> None:
        """The broker accepted us."""
        if self.wishes is not None:
            self.wishes.connected()

    def disconnected(self) -> None:
        """The connection is gone."""
        self._step_at = math.inf
        if self.wishes is not None:
            self.wishes.disconnected()

    def acked(self, seq: int, now: float) -> None:
        """A collector has this sample of this run."""
        if self.wishes is not None:
            self.wishes.acked(seq)
            self.step(now)

    def step(self, now: float) -> None:
        """Do what is due, and send what is new."""
        if self.wishes is not None and self._lanes.link is not None:
            self._stepped_at = now
            self._step_at = self.wishes.step(now)
            self._send(self.wishes, now)

    def published(self, mid: int, refused: str | None) -> None:
        """The broker's answer, before the lanes hear it."""
        if self.wishes is not None and refused is not None and mid in self._lanes.running.in_flight:
            self.wishes.not_taken()

    def due_at(self) -> float:
        """When `step` is to be called next."""
        if self.wishes is None or not self.wishes.has_more():
            return self._step_at
        closed = (self._lanes.running.closed_until, self._lanes.answer.closed_until)
        # With a lane that is open, it waits for a PUBACK.
        return min([self._step_at, *[until for until in closed if until > self._stepped_at]])

    def close(self) -> None:
        """The agent ends as it should."""
        if self.wishes is not None:
            self.wishes.close()

    def _send(self, wishes: Wishes, now: float) -> None:
        for lane, take in (
            (self._lanes.running, wishes.take_running), (self._lanes.answer, wishes.take_answer),
        ):  # fmt: skip
            payload = take() if self._lanes.has_room(lane, now) else None
            if payload is not None:
                self._lanes.publish(lane, payload, None, now)
