"""Offers a router's records, oldest first; an ack lets go. Pure: no socket, thread or clock.

Rule: `sample` carries the present, each newer than the one before, whether or not anyone collects.
`backlog` carries all else, oldest first, a window at a time, while a collector is online.
Rule: what no ack covers in time is sent again.
"""

import logging
import math
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Final, Literal

from titik_agent.limits import MAX_COLLECTORS
from titik_agent.spool.spool import Key, Spool
from titik_agent.uplink.lanes import Lane, Lanes, Outlet, Pace
from titik_agent.uplink.unacked import Unacked
from titik_wire import WireError, topics
from titik_wire.codec import decode, encode
from titik_wire.messages import Ack, CollectorStatus, Status

log = logging.getLogger(__name__)

IDLE_S: Final = 60.0  # `step` asks to be called again within this, come what may
DOUBT_S: Final = 60.0  # a broker keeps a collector's status, and sends it at once
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
        """`about`: who we are; its state and connection are filled in. `pack`: as samples are sent.
        `where`: the broker's address, for the log.

        Without `announce` nothing goes to `status`, for a run that nobody is to miss.
        """
        self.day_starts: tuple[int, ...] = ()  # of the city, for the count of visitors
        self.unacked = Unacked(spool, pace or Pace())
        self._about = about
        self._spool = spool
        self._monotonic = monotonic
        self._pace = pace or Pace()
        self._pack = pack
        self._announce = announce
        self._lanes = Lanes(about.router, self._pace)
        self._ack_topic = topics.ack(about.router)
        self._connection = 0
        self._stopping = False
        self._subscribe_at = math.inf  # again, because the broker refused it
        self._where = where
        self._is_known = False  # this is the city's broker: it has a collector's status
        self._doubt_at = 0.0  # of a connection; infinite once doubted
        self._collectors: dict[str, float] = {}  # that are online, and since when
        self._unsent: deque[Key] = deque()  # oldest first
        self._newest_shown = 0  # highest seq of this run that went to `sample`
        self._malformed: set[str] = set()  # topics whose last message was none

    @property
    def doubt(self) -> str | None:
        """Why this may not be the city's broker; None once a collector's status has come."""
        if self._is_known:
            return None
        return (
            f"no collector has ever reported at {self._where}: is this the city's broker?"
            " titik broker check on the server shows its ports"
        )

    def connected(self, link: Outlet) -> None:
        """The broker accepted us: report that, listen, then send the newest and the rest."""
        self._lanes.open(link)
        if self._doubt_at < math.inf:
            self._doubt_at = self._monotonic() + DOUBT_S
        self._report("online")
        self._subscribe(link)
        self.step()

    def step(self) -> float:
        """Do what is due; call it after an append, and again within the seconds it returns."""
        link = self._lanes.link
        if link is None or self._stopping:
            return IDLE_S
        now = self._monotonic()
        if now >= self._subscribe_at:
            self._subscribe(link)
        if now >= self._doubt_at:
            self._doubt_at = math.inf
            if self.doubt is not None:
                log.warning(self.doubt)
        self._look()
        self._send_newest(now)
        if now >= self._resend_at():
            self.unacked.take_missed(now)
            self._look()
        self._send_backlog(now)
        return self._wait_s(now)

    def published(self, mid: int, refused: str | None) -> None:
        """The broker answered for a message; a refused one waits to be missed too."""
        now = self._monotonic()
        key = self._lanes.answered(mid, refused, now)
        if key is not None:
            self.unacked.add(key, now)
        self._send_backlog(now)

    def received(self, topic: str, payload: bytes) -> None:
        """An ack of ours, or a collector's status; an empty payload clears a retained one."""
        try:
            name = topics.parse(topic).name or ""
            message = decode(topic, payload) if payload else None
        except WireError as error:
            if topic not in self._malformed and len(self._malformed) < MAX_COLLECTORS:
                self._malformed.add(topic)
                log.warning("message ignored topic=%s reason=%s", topic, error)
            return
        self._malformed.discard(topic)
        now = self._monotonic()
        self._is_known |= isinstance(message, CollectorStatus)
        if isinstance(message, Ack):
            self.unacked.settle(message, now)
        elif isinstance(message, CollectorStatus) and message.state == "online":
            self.day_starts = message.day_starts or self.day_starts
            if len(self._collectors) < MAX_COLLECTORS:
                self._collectors.setdefault(name, now)
            self._send_backlog(now)
        elif topic != self._ack_topic:
            self._collectors.pop(name, None)

    def lost(self) -> None:
        """What had no PUBACK counts as unsent; what had one may still be acked, or missed."""
        self._lanes.close()
        self._unsent.clear()
        self._collectors.clear()

    def _look(self) -> None:
        """See what the spool holds now: appended, merged, settled or dropped meanwhile."""
        keys = self._spool.keys()
        self.unacked.keep(set(keys))
        in_flight = {key for _, key in self._lanes.in_flight()}
        self._unsent = deque(
            [key for key in keys if key not in self.unacked and key not in in_flight]
        )

    def _send_newest(self, now: float) -> None:
        """The last record is the present, if it is this run's and was never shown."""
        if self._unsent and self._lanes.has_room(self._lanes.sample, now):
            key = self._unsent[-1]
            if key.run == self._about.run and key.seq > self._newest_shown:
                self._newest_shown = key.seq
                self._offer(self._lanes.sample, self._unsent.pop(), now)

    def _send_backlog(self, now: float) -> None:
        if self._collectors and not self._stopping:
            while self._unsent and self._lanes.has_room(self._lanes.backlog, now):
                self._offer(self._lanes.backlog, self._unsent.popleft(), now)

    def _offer(self, lane: Lane, key: Key, now: float) -> None:
        payload = self._spool.payload(key)
        if payload is not None:  # None: acked or merged since we looked
            self._lanes.publish(lane, self._pack(payload), key, now)

    def _resend_at(self) -> float:
        """When the oldest record counts as missed."""
        # The present does not count: of samples taken each second one is always on its way.
        if not self._collectors or self._lanes.backlog.in_flight or self._unsent:
            return math.inf
        return self.unacked.missed_at(min(self._collectors.values()))

    def _wait_s(self, now: float) -> float:
        if not self.idle():
            return SOON_S
        due = [now + IDLE_S, self._resend_at(), self._subscribe_at]
        if self._unsent:
            closed = (self._lanes.sample.closed_until, self._lanes.backlog.closed_until)
            due += [until for until in closed if until > now]
        return max(0.0, min(due) - now)

    # How a connection begins and ends.

    def will(self) -> tuple[str, bytes]:
        """Topic and payload of the next connection's will."""
        state = replace(self._about, state="offline", connection=self._connection + 1)
        return self._lanes.status.topic, encode(state)

    def dialled(self) -> None:
        """A CONNECT with that will went out, so that its number is used, whatever comes of it."""
        self._connection += 1

    def subscribed(self, refused: str | None) -> None:
        """Without the ack nothing leaves the spool, but the present can still be shown."""
        if refused is not None:
            self._subscribe_at = self._monotonic() + self._pace.refused_s
            log.warning("subscription refused topic=%s reason=%s", self._ack_topic, refused)

    def stop(self) -> None:
        """Send nothing more than the word that this is a clean end."""
        was_stopping, self._stopping = self._stopping, True
        if self._lanes.link is not None and not was_stopping:
            self._report("stopping")

    def idle(self) -> bool:
        """Nothing waits for a PUBACK."""
        return not self._lanes.in_flight()

    def stuck(self) -> bool:
        """The broker takes our bytes and does not answer."""
        oldest = min((at for at, _ in self._lanes.in_flight()), default=math.inf)
        return self._monotonic() - oldest >= self._pace.puback_s

    def _report(self, state: Literal["online", "stopping"]) -> None:
        if self._announce:
            about = replace(self._about, state=state, connection=self._connection)
            self._lanes.publish(self._lanes.status, encode(about), None, self._monotonic())

    def _subscribe(self, link: Outlet) -> None:
        self._subscribe_at = math.inf
        # The ack first: what it covers need not be sent when a collector shows up.
        link.subscribe((self._ack_topic, topics.ALL_COLLECTORS))
