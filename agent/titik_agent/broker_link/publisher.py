"""Offers a router's records, oldest first; an ack lets go. Pure: no socket, thread or clock.

Rule: `sample` carries the present, each newer than the one before, whether or not anyone collects.
`backlog` carries all else, oldest first, a window at a time, while a collector is online.
Rule: what was acknowledged and a collector lacks goes behind all that never was.
Rule: what no ack covers in time is sent again, packed or plain as collectors take it by then.
"""

import math
from collections import deque
from collections.abc import Callable
from typing import Final

from titik_agent.broker_link.collectors import Collectors
from titik_agent.broker_link.connection_life import ConnectionLife
from titik_agent.broker_link.lanes import Lane, Lanes, OpenLink, Pace
from titik_agent.broker_link.unacked import Unacked
from titik_agent.broker_link.wish_lane import WishLane
from titik_agent.spool.spool import Key, Spool
from titik_wire import packed
from titik_wire.messages import Status

IDLE_S: Final = 60.0  # `step` is to be called again within this at the latest
SOON_S: Final = 1.0  # and this soon while something waits for a PUBACK


class Publisher:
    """Offers one router's records to whatever connection there is."""

    def __init__(
        self,
        about: Status,
        spool: Spool,
        monotonic: Callable[[], float],
        pace: Pace | None = None,
        compress: bool | None = None,
        announce: bool = True,
        where: str = "the broker",
    ) -> None:
        """`about`: who we are. `where`: the broker's address.

        `compress`: whether samples are packed; None: where every collector takes it.
        Without `announce` (`titik-agent check`) no status is published, so its end is no outage.
        """
        pace = pace or Pace()
        self.lanes = Lanes(about.router, pace)
        self.life = ConnectionLife(about, self.lanes, monotonic, announce, where)
        self.unacked = Unacked(spool, pace)
        self.collectors = Collectors(self.life, self.unacked, monotonic)
        self.compress = compress
        self.wishes = WishLane(
            about, self.lanes, lambda: self._newest_live, lambda: bool(self.collectors.online)
        )
        self.first_ack: Callable[[], None] | None = None  # called once, when a sample has its ack
        self._about = about
        self._spool = spool
        self._monotonic = monotonic
        self._unsent: deque[Key] = deque()  # oldest first
        self._again: deque[Key] = deque()  # what was acknowledged, and a collector lacks
        self._newest_live = 0  # highest seq of this run that was published on `sample`
        self._stepped_at = 0.0

    def connected(self, link: OpenLink) -> None:
        """The broker accepted us: report that, listen, then send the newest and the rest."""
        # Asked for only by who can handle them.
        self.life.optional = () if self.wishes.load is None else self.wishes.topics
        self.wishes.connected()
        self.life.connected(link)
        self.step()

    def step(self) -> None:
        """Do what is due; call it after an append, and again after `rest_s`."""
        link = self.lanes.link
        if link is None or self.life.is_stopping:
            return
        now = self._stepped_at = self._monotonic()
        self.life.step(link, now)
        self._look()
        self._send_newest(now)
        if now >= self._resend_at():
            self.unacked.take_missed(now)
            self._look()
        self._send_backlog(now)
        self.wishes.step(now)

    def _look(self) -> None:
        """See what the spool holds now: appended, merged, settled or dropped since."""
        keys = self._spool.keys()
        # Looked up only where it can be sent: that is counted.
        again = self._spool.again() if self.collectors.online else []
        self.unacked.keep({*keys, *again})
        sent = {key for _, key in self.lanes.in_flight()}
        self._unsent = deque([key for key in keys if key not in self.unacked and key not in sent])
        self._again = deque([key for key in again if key not in self.unacked and key not in sent])

    def _send_newest(self, now: float) -> None:
        """The last record is the present, if it is this run's and was never published as such."""
        if self._unsent and self.lanes.has_room(self.lanes.sample, now):
            key = self._unsent[-1]
            if key.run == self._about.run and key.seq > self._newest_live:
                self._newest_live = key.seq
                self._offer(self.lanes.sample, self._unsent.pop(), now)

    def _send_backlog(self, now: float) -> None:
        if self.collectors.online and not self.life.is_stopping:
            while (some := self._unsent or self._again) and self.lanes.has_room(
                self.lanes.backlog, now
            ):
                self._offer(self.lanes.backlog, some.popleft(), now)

    def _offer(self, lane: Lane, key: Key, now: float) -> None:
        payload = self._spool.payload(key)
        if payload is not None:  # None: acked or merged since we looked
            if self._packs():
                payload = packed.pack(payload)
            self.lanes.publish(lane, payload, key, now)

    def _packs(self) -> bool:
        return self.collectors.take_packed if self.compress is None else self.compress

    def published(self, mid: int, refused: str | None) -> None:
        """The broker took a message or refused it. Both wait for the collector's ack."""
        now = self._monotonic()
        self.wishes.published(mid, refused)
        key = self.lanes.answered(mid, refused, now)
        if key is not None:
            self.unacked.add(key, now)
        self.wishes.step(now)
        if not self.life.is_stopping:
            self._send_newest(now)
        self._send_backlog(now)

    def received(self, topic: str, payload: bytes) -> None:
        """A message of a collector, which may want the backlog now."""
        if topic in self.wishes.topics:
            self.wishes.received(topic, payload, self._monotonic())
            return
        self.collectors.received(topic, payload)
        acked = self.unacked.acked.get(self._about.run)
        if acked is not None:
            newest = max([acked.upto, *[last for _, last in acked.also]])
            if newest and self.first_ack is not None:
                self.first_ack()
                self.first_ack = None
            self.wishes.acked(newest, self._monotonic())
        if self._spool.is_asked:
            self._look()
        self._send_backlog(self._monotonic())

    def is_stuck(self) -> bool:
        """A PUBACK is overdue, by the publisher's own clock.

        In a simulated past the connector has another clock.
        """
        return self.lanes.is_stuck(self._monotonic())

    def disconnected(self) -> None:
        """What had no PUBACK counts as unsent; what had one may still be acked, or missed."""
        self.lanes.close()
        self._unsent.clear()
        self._again.clear()
        self.collectors.disconnected()
        self.wishes.disconnected()

    def _resend_at(self) -> float:
        """When the oldest record counts as missed."""
        # Backlog first: nothing is sent again while records wait. Live samples do not count,
        # because one is nearly always in flight.
        if not self.collectors.online or self.lanes.backlog.in_flight or self._unsent:
            return math.inf
        # Since when the first of the collectors is online.
        return self.unacked.missed_at(min(self.collectors.online.values()))

    def rest_s(self) -> float:
        """Seconds until `step` has something to do, if nothing is appended before."""
        if self.lanes.link is None or self.life.is_stopping:
            return IDLE_S
        now = self._monotonic()
        waits_for_puback = bool(self.lanes.in_flight())
        look_at = self._stepped_at + (SOON_S if waits_for_puback else IDLE_S)
        # To subscribe again is due where the broker refused it.
        due = [look_at, self._resend_at(), self.life.subscribe_at, self.wishes.due_at()]
        if self._unsent or self._again:  # a topic is closed after the broker refused it
            closed = (self.lanes.sample.closed_until, self.lanes.backlog.closed_until)
            due += [until for until in closed if until > self._stepped_at]
        return max(0.0, min(due) - now)
