"""Offers a router's records, oldest first; an ack lets go. Pure: no socket, thread or clock.

Rule: `sample` carries the present, each newer than the one before, whether or not anyone collects.
`backlog` carries all else, oldest first, a window at a time, while a collector is online.
Rule: what no ack covers in time is sent again.
"""

import logging
import math
from collections import deque
from collections.abc import Callable
from typing import Final

from titik_agent.limits import MAX_COLLECTORS
from titik_agent.spool.spool import Key, Spool
from titik_agent.uplink.connection_life import ConnectionLife
from titik_agent.uplink.lanes import Lane, Lanes, OpenLink, Pace
from titik_agent.uplink.unacked import Unacked
from titik_wire import WireError, topics
from titik_wire.codec import decode
from titik_wire.messages import Ack, CollectorStatus, Status

log = logging.getLogger(__name__)

IDLE_S: Final = 60.0  # `step` asks to be called again within this, come what may
SOON_S: Final = 1.0  # and this soon while something waits for a PUBACK


class Publisher:
    """Offers one router's records to whatever connection there is."""

    def __init__(
        self,
        about: Status,
        spool: Spool,
        monotonic: Callable[[], float],
        pace: Pace | None = None,
        pack: Callable[[bytes], bytes] = bytes,
        announce: bool = True,
        where: str = "the broker",
    ) -> None:
        """`about`: who we are. `pack`: as samples are sent. `where`: the broker's address.

        Without `announce` nothing goes to `status`: the run's end is to be no outage.
        """
        pace = pace or Pace()
        self.day_starts: tuple[int, ...] = ()  # of the city, for the count of visitors
        self.lanes = Lanes(about.router, pace)
        self.life = ConnectionLife(about, self.lanes, monotonic, announce, where)
        self.unacked = Unacked(spool, pace)
        self._about = about
        self._spool = spool
        self._monotonic = monotonic
        self._pack = pack
        self._collectors: dict[str, float] = {}  # that are online, and since when
        self._unsent: deque[Key] = deque()  # oldest first
        self._newest_shown = 0  # highest seq of this run that went to `sample`
        self._malformed: set[str] = set()  # topics whose last message was none

    def connected(self, link: OpenLink) -> None:
        """The broker accepted us: report that, listen, then send the newest and the rest."""
        self.life.connected(link)
        self.step()

    def step(self) -> float:
        """Do what is due; call it after an append, and again within the seconds it returns."""
        link = self.lanes.link
        if link is None or self.life.is_stopping:
            return IDLE_S
        now = self._monotonic()
        self.life.step(link, now)
        self._look()
        self._send_newest(now)
        if now >= self._resend_at():
            self.unacked.take_missed(now)
            self._look()
        self._send_backlog(now)
        return self._wait_s(now)

    def _look(self) -> None:
        """See what the spool holds now: appended, merged, settled or dropped meanwhile."""
        keys = self._spool.keys()
        self.unacked.keep(set(keys))
        sent = {key for _, key in self.lanes.in_flight()}
        self._unsent = deque([key for key in keys if key not in self.unacked and key not in sent])

    def _send_newest(self, now: float) -> None:
        """The last record is the present, if it is this run's and was never shown."""
        if self._unsent and self.lanes.has_room(self.lanes.sample, now):
            key = self._unsent[-1]
            if key.run == self._about.run and key.seq > self._newest_shown:
                self._newest_shown = key.seq
                self._offer(self.lanes.sample, self._unsent.pop(), now)

    def _send_backlog(self, now: float) -> None:
        if self._collectors and not self.life.is_stopping:
            while self._unsent and self.lanes.has_room(self.lanes.backlog, now):
                self._offer(self.lanes.backlog, self._unsent.popleft(), now)

    def _offer(self, lane: Lane, key: Key, now: float) -> None:
        payload = self._spool.payload(key)
        if payload is not None:  # None: acked or merged since we looked
            self.lanes.publish(lane, self._pack(payload), key, now)

    def published(self, mid: int, refused: str | None) -> None:
        """The broker took a message or refused it; without an ack either is sent again."""
        now = self._monotonic()
        key = self.lanes.answered(mid, refused, now)
        if key is not None:
            self.unacked.add(key, now)
        self._send_backlog(now)

    def received(self, topic: str, payload: bytes) -> None:
        """An ack of ours, or a collector's status; an empty payload clears a retained one."""
        try:
            address = topics.parse(topic)
            message = decode(topic, payload) if payload else None
        except WireError as error:
            if topic not in self._malformed and len(self._malformed) < MAX_COLLECTORS:
                self._malformed.add(topic)
                log.warning("message ignored topic=%s reason=%s", topic, error)
            return
        self._malformed.discard(topic)
        name, now = address.name or "", self._monotonic()
        self.life.is_known |= isinstance(message, CollectorStatus)
        if isinstance(message, Ack):
            self.unacked.settle(message, now)
        elif isinstance(message, CollectorStatus) and message.state == "online":
            self.day_starts = message.day_starts or self.day_starts
            if len(self._collectors) < MAX_COLLECTORS:
                self._collectors.setdefault(name, now)
            self._send_backlog(now)
        elif address.kind == "collector":
            self._collectors.pop(name, None)

    def is_stuck(self) -> bool:
        """The broker takes our bytes and does not answer, by the clock that sent them."""
        return self.lanes.is_stuck(self._monotonic())

    def disconnected(self) -> None:
        """What had no PUBACK counts as unsent; what had one may still be acked, or missed."""
        self.lanes.close()
        self._unsent.clear()
        self._collectors.clear()

    def _resend_at(self) -> float:
        """When the oldest record counts as missed."""
        # Not while more is to be sent. A sample that is in flight does not count: with one a
        # second, there always is one.
        if not self._collectors or self.lanes.backlog.in_flight or self._unsent:
            return math.inf
        return self.unacked.missed_at(min(self._collectors.values()))

    def _wait_s(self, now: float) -> float:
        if self.lanes.in_flight():
            return SOON_S
        due = [now + IDLE_S, self._resend_at(), self.life.subscribe_at]
        if self._unsent:
            closed = (self.lanes.sample.closed_until, self.lanes.backlog.closed_until)
            due += [until for until in closed if until > now]
        return max(0.0, min(due) - now)
