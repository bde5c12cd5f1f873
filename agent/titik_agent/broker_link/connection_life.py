"""How a router's connection begins and ends: its will, its status and its subscriptions."""

import logging
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Final, Literal

from titik_agent.broker_link.lanes import Lanes, OpenLink
from titik_wire import topics
from titik_wire.codec import encode
from titik_wire.messages import Status

log = logging.getLogger(__name__)

DOUBT_S: Final = 60.0  # a broker keeps a collector's status, and sends it at once


class ConnectionLife:
    """What the broker learns of one router, beside its samples."""

    def __init__(
        self,
        about: Status,
        lanes: Lanes,
        monotonic: Callable[[], float],
        announce: bool,
        where: str,
    ) -> None:
        """`about`: who we are; its state and connection are filled in. See `Publisher`."""
        self.optional: tuple[str, ...] = ()  # topics that a broker may not offer
        self.is_known = False  # this is the city's broker: it has a collector's status
        self.is_stopping = False
        self.subscribe_at = math.inf  # again, because the broker refused it
        self._about = about
        self._lanes = lanes
        self._monotonic = monotonic
        self._announce = announce
        self._ack_topic = topics.ack(about.router)
        self._connection = 0
        self._where = where
        self._doubt_at = 0.0  # of a connection; infinite once doubted

    @property
    def doubt(self) -> str | None:
        """Why this may not be the city's broker; None once a collector's status has come."""
        if self.is_known:
            return None
        return (
            f"no collector has ever reported at {self._where}: is this the city's broker?"
            " titik broker check on the server shows its ports"
        )

    def will(self) -> tuple[str, bytes]:
        """Topic and payload of the next connection's will."""
        state = replace(self._about, state="offline", connection=self._connection + 1)
        return self._lanes.status.topic, encode(state)

    def dialled(self) -> None:
        """A CONNECT with that will went out, so that its number is used, whatever comes of it."""
        self._connection += 1

    def connected(self, link: OpenLink) -> None:
        """The broker accepted us: report that, and listen."""
        self._lanes.open(link)
        if self._doubt_at < math.inf:
            self._doubt_at = self._monotonic() + DOUBT_S
        self._report("online")
        self._subscribe(link)

    def step(self, link: OpenLink, now: float) -> None:
        """Subscribe again where that was refused, and doubt the broker once."""
        if now >= self.subscribe_at:
            self._subscribe(link)
        if now >= self._doubt_at:
            self._doubt_at = math.inf
            if self.doubt is not None:
                log.warning(self.doubt)

    def _subscribe(self, link: OpenLink) -> None:
        """The ack first: what it covers need not be sent when a collector shows up."""
        self.subscribe_at = math.inf
        link.subscribe((self._ack_topic, topics.ALL_COLLECTORS), self.optional)

    def subscribed(self, refused: str | None) -> None:
        """Without the ack nothing leaves the spool, but the present can still be shown."""
        if refused is not None:
            self.subscribe_at = self._monotonic() + self._lanes.refused_s
            log.warning("subscription refused topic=%s reason=%s", self._ack_topic, refused)

    def stop(self) -> None:
        """Send nothing more but that this is a clean end."""
        was_stopping, self.is_stopping = self.is_stopping, True
        if self._lanes.link is not None and not was_stopping:
            self._report("stopping")

    def _report(self, state: Literal["online", "stopping"]) -> None:
        if self._announce:
            about = replace(self._about, state=state, connection=self._connection)
            self._lanes.publish(self._lanes.status, encode(about), None, self._monotonic())
