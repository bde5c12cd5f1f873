"""What a router has on the way to the broker, on each of its topics.

Rule: a PUBACK only makes room for more; see `unacked` for what lets a record go.
"""

import logging
import math
from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from titik_agent.limits import MAX_RESENDS
from titik_agent.spool.record import Key
from titik_mqtt.endpoint import WINDOW
from titik_wire import topics

log = logging.getLogger(__name__)

RESERVE: Final = 4  # messages in flight that backlog leaves free for live samples and the status


class Pace(NamedTuple):
    """How fast, and how often again."""

    window: int = WINDOW  # backlog without PUBACK
    live_window: int = 8  # samples of the present without PUBACK; more only wait for the next
    resend_s: float = 60.0  # how long the collector may take before a record counts as missed
    resend_cap_s: float = 900.0  # the wait doubles up to this while nothing gets through
    resends: int = MAX_RESENDS  # then a record that later ones overtook is given up
    refused_s: float = 240.0  # a topic the broker refused is tried again after this, one record
    puback_s: float = 120.0  # a broker that owes a PUBACK for so long is stuck


class OpenLink(Protocol):
    """What is used of a `Link` that the broker accepted; both methods raise LinkDown."""

    room: int  # how many may be without PUBACK, however they are shared out

    def publish(self, topic: str, payload: bytes, retain: bool) -> int: ...

    def subscribe(self, topics: Sequence[str], optional: Sequence[str] = ()) -> None: ...


class Lane:
    """One topic; `reserve` is what it leaves to the others of the connection's room.

    `is_optional`: an older broker refuses it, which is nobody's to mend.
    """

    def __init__(
        self,
        topic: str,
        window: int,
        reserve: int,
        retain: bool = True,
        is_optional: bool = False,
    ) -> None:
        self.topic = topic
        self.window = window
        self.reserve = reserve
        self.retain = retain
        self.is_optional = is_optional
        # By message id: when it was published, and the record's key; a status has none.
        self.in_flight: dict[int, tuple[float, Key | None]] = {}
        self.is_refused = False
        self.closed_until = 0.0


class Lanes:
    """The topics of one router, over whatever connection there is."""

    def __init__(self, router: str, pace: Pace) -> None:
        self.link: OpenLink | None = None
        self.status = Lane(topics.status(router), pace.live_window, 0)
        self.sample = Lane(topics.sample(router), pace.live_window, 1)
        self.backlog = Lane(topics.backlog(router), pace.window, RESERVE, retain=False)
        self.running = Lane(topics.running(router), 1, 1, is_optional=True)
        self.answer = Lane(topics.answer(router), 1, RESERVE, False, is_optional=True)
        self._lanes = self.status, self.sample, self.backlog, self.running, self.answer
        self.refused_s = pace.refused_s
        self._puback_s = pace.puback_s

    def open(self, link: OpenLink) -> None:
        """A new connection, whose broker may take what another refused."""
        self.link = link
        for lane in self._lanes:
            lane.closed_until = 0.0

    def close(self) -> None:
        """The connection is gone, and with it every PUBACK."""
        self.link = None
        for lane in self._lanes:
            lane.in_flight.clear()

    def has_room(self, lane: Lane, now: float) -> bool:
        """The lane takes one more, and so does the broker; never less than one at a time."""
        if self.link is None or now < lane.closed_until:
            return False
        window = 1 if lane.is_refused else lane.window
        room = max(1, self.link.room - lane.reserve)
        return len(lane.in_flight) < window and len(self.in_flight()) < room

    def publish(self, lane: Lane, payload: bytes, key: Key | None, now: float) -> None:
        """Send; the broker's answer comes to `answered`."""
        assert self.link is not None
        mid = self.link.publish(lane.topic, payload, lane.retain)
        lane.in_flight[mid] = now, key

    def answered(self, mid: int, refused: str | None, now: float) -> Key | None:
        """The record that the broker answered for; None: none of ours."""
        lane = next((one for one in self._lanes if mid in one.in_flight), None)
        if lane is None:
            return None
        if refused is not None:
            lane.closed_until = now + self.refused_s
            if lane.is_optional:
                log.debug("not offered topic=%s reason=%s", lane.topic, refused)
            elif not lane.is_refused:
                log.warning("publish refused topic=%s reason=%s", lane.topic, refused)
        elif lane.is_refused and not lane.is_optional:
            log.info("publish accepted again topic=%s", lane.topic)
        lane.is_refused = refused is not None
        return lane.in_flight.pop(mid)[1]

    def in_flight(self) -> list[tuple[float, Key | None]]:
        """What has no PUBACK yet: since when, and the record's key."""
        return [one for lane in self._lanes for one in lane.in_flight.values()]

    def is_stuck(self, now: float) -> bool:
        """The broker takes our bytes and does not answer."""
        oldest = min((at for at, _ in self.in_flight()), default=math.inf)
        return now - oldest >= self._puback_s
