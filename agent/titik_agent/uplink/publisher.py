"""Which sample goes out when, and when again. Pure: no socket, no thread, no clock of its own.

Rule: a record leaves the spool only when the collector's ack covers it, or when it was resent ten
times after later ones got through. The broker's PUBACK only opens the window.
Rule: `sample` carries the present, each newer than the one before, whether or not anyone collects.
`backlog` carries all else, oldest first, a window at a time, while a collector is online.
Rule: what the ack does not cover is sent again, ever more slowly while nothing gets through.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import islice, takewhile
from typing import Final, Literal, NamedTuple, Protocol

from titik_agent.spool.spool import Key
from titik_wire import WireError, topics
from titik_wire.codec import decode, encode
from titik_wire.messages import Ack, AckedRun, CollectorStatus, Status

log = logging.getLogger(__name__)

IDLE_S: Final = 60.0  # `step` asks to be called again within this, come what may
SOON_S: Final = 1.0  # and this soon while something waits for a PUBACK
RESERVE: Final = 4  # of the room, that backlog leaves to the present and to the status
MAX_COLLECTORS: Final = 64  # to remember; there are one or two


class Pace(NamedTuple):
    """How fast, and how often again."""

    window: int = 20  # backlog without PUBACK: mosquitto's default of what it takes at once
    live_window: int = 8  # samples of the present without PUBACK; more only wait for the next
    resend_s: float = 60.0  # how long the collector may take before a record counts as missed
    resend_cap_s: float = 900.0  # the wait doubles up to this while nothing gets through
    resends: int = 10  # then a record that later ones overtook is given up
    refused_s: float = 240.0  # a topic the broker refused is tried again after this, one record
    puback_s: float = 120.0  # a broker that owes a PUBACK for so long is stuck


class Outlet(Protocol):
    """What the publisher needs of a connection; both methods raise LinkDown."""

    room: int  # how many may be without PUBACK, however they are shared out

    def publish(self, topic: str, payload: bytes, retain: bool) -> int: ...

    def subscribe(self, topics: Sequence[str]) -> None: ...


class Records(Protocol):
    """What the publisher needs of the spool."""

    def keys(self) -> list[Key]: ...

    def payload(self, key: Key) -> bytes | None: ...

    def settle(self, ack: Ack) -> bool: ...

    def discard(self, key: Key) -> None: ...


class _Lane:
    """One topic that carries samples, and whether the broker takes them there."""

    def __init__(self, topic: str, retain: bool, window: int) -> None:
        self.topic = topic
        self.retain = retain
        self.in_flight = 0
        self.refused = False
        self.closed_until = 0.0
        self._window = window

    def has_room(self, now: float) -> bool:
        """A refused topic is tried with one record, not with a window of them."""
        window = 1 if self.refused else self._window
        return self.in_flight < window and now >= self.closed_until


class _Flight(NamedTuple):
    """Something published whose PUBACK has not come."""

    at: float
    lane: _Lane
    key: Key | None  # None: a status


class Publisher:
    """Offers one router's records to whatever connection there is."""

    def __init__(
        self,
        about: Status,
        spool: Records,
        monotonic: Callable[[], float],
        pace: Pace | None = None,
        pack: Callable[[bytes], bytes] = bytes,
        announce: bool = True,
    ) -> None:
        """`about` says who we are; its state and connection are filled in here.

        `pack` makes of a sample's payload what is sent. Without `announce` nothing is published on
        `status`, for a run that nobody is to miss.
        """
        self.open_runs: tuple[str, ...] = ()  # that the last ack listed, for the sampler
        self.day_starts: tuple[int, ...] = ()  # of the city, for the count of visitors
        self._about = about
        self._spool = spool
        self._monotonic = monotonic
        self._pace = pace = pace or Pace()
        self._pack = pack
        self._announce = announce
        self._status = _Lane(topics.status(about.router), True, pace.live_window)
        self._sample = _Lane(topics.sample(about.router), True, pace.live_window)
        self._backlog = _Lane(topics.backlog(about.router), False, pace.window)
        self._ack_topic = topics.ack(about.router)
        self._connection = 0
        self._link: Outlet | None = None
        self._stopping = False
        self._subscribe_at: float | None = None  # again, because the broker refused it
        self._collectors: set[str] = set()  # that are online
        self._collected_since = 0.0
        self._unsent: deque[Key] = deque()  # oldest first
        self._in_flight: dict[int, _Flight] = {}  # by message id, in the order of sending
        self._sent: dict[Key, float] = {}  # not yet acked, and when the broker answered, ascending
        self._resent: dict[Key, int] = {}  # how often after later ones were acked
        self._newest_shown = 0  # highest seq of this run that went to `sample`
        self._acked: dict[str, AckedRun] = {}
        self._progress_at = 0.0
        self._wait = pace.resend_s
        self._garbled: set[str] = set()  # topics whose last message was none

    def will(self) -> tuple[str, bytes]:
        """Topic and payload of the next connection's will."""
        state = replace(self._about, state="offline", connection=self._connection + 1)
        return self._status.topic, encode(state)

    def dialled(self) -> None:
        """A CONNECT with that will went out, so that its number is used, whatever comes of it."""
        self._connection += 1

    def connected(self, link: Outlet) -> None:
        """The broker accepted us: say so, listen, then send the newest and the rest."""
        self._link = link
        self._subscribe_at = None
        self._sample.closed_until = self._backlog.closed_until = 0.0
        self._say("online")
        self._subscribe()
        self.step()

    def lost(self) -> None:
        """What had no PUBACK counts as unsent; what had one waits for the resend rule."""
        self._link = None
        self._in_flight.clear()
        self._unsent.clear()
        self._collectors.clear()
        for lane in (self._status, self._sample, self._backlog):
            lane.in_flight = 0

    def stop(self) -> None:
        """Send nothing more than the word that this is a clean end."""
        if self._link is not None and not self._stopping:
            self._stopping = True
            self._say("stopping")
        self._stopping = True

    def idle(self) -> bool:
        """Nothing waits for a PUBACK."""
        return not self._in_flight

    def stuck(self) -> bool:
        """The broker takes our bytes and does not answer."""
        oldest = next(iter(self._in_flight.values()), None)
        return oldest is not None and self._monotonic() - oldest.at >= self._pace.puback_s

    def step(self) -> float:
        """Do what is due; call it after an append, and again within the seconds it returns."""
        if self._link is None or self._stopping:
            return IDLE_S
        now = self._monotonic()
        if self._subscribe_at is not None and now >= self._subscribe_at:
            self._subscribe()
        self._look()
        self._send_newest(now)
        if self._resend_due(now) <= 0:
            self._resend(now)
            self._look()
        self._send_backlog(now)
        return SOON_S if self._in_flight else max(0.0, min(IDLE_S, *self._due(now)))

    def published(self, mid: int, refused: str | None) -> None:
        """The broker answered for a message; refused ones wait for the resend rule too."""
        flight = self._in_flight.pop(mid, None)
        if flight is None:
            return
        now = self._monotonic()
        flight.lane.in_flight -= 1
        if flight.key is not None:
            self._sent[flight.key] = now
        self._open_or_close(flight.lane, refused, now)
        self._send_backlog(now)

    def subscribed(self, refused: str | None) -> None:
        """Without the ack nothing leaves the spool, but the present can still be shown."""
        self._subscribe_at = None
        if refused is not None:
            self._subscribe_at = self._monotonic() + self._pace.refused_s
            log.warning("subscription refused topic=%s reason=%s", self._ack_topic, refused)

    def received(self, topic: str, payload: bytes) -> None:
        """An ack of ours, or a collector's status; an empty payload clears a retained one."""
        try:
            message = decode(topic, payload) if payload else None
        except WireError as error:
            if topic not in self._garbled and len(self._garbled) < MAX_COLLECTORS:
                self._garbled.add(topic)
                log.warning("message ignored topic=%s reason=%s", topic, error)
            return
        self._garbled.discard(topic)
        if isinstance(message, Ack):
            self._settle(message)
        elif isinstance(message, CollectorStatus) or topic != self._ack_topic:
            online = isinstance(message, CollectorStatus) and message.state == "online"
            if isinstance(message, CollectorStatus) and online and message.day_starts:
                self.day_starts = message.day_starts
            self._collector(topic, online)

    def _say(self, state: Literal["online", "stopping"]) -> None:
        if not self._announce:
            return
        about = replace(self._about, state=state, connection=self._connection)
        self._publish(self._status, encode(about), None)

    def _subscribe(self) -> None:
        assert self._link is not None
        self._subscribe_at = None
        # The ack first: what it covers need not be sent when a collector shows up.
        self._link.subscribe((self._ack_topic, topics.ALL_COLLECTORS))

    def _look(self) -> None:
        """See what the spool holds now: appended, merged, settled or dropped meanwhile."""
        keys = self._spool.keys()
        held = set(keys)
        for gone in [key for key in self._sent if key not in held]:
            del self._sent[gone]
        for gone in [key for key in self._resent if key not in held]:
            del self._resent[gone]
        flying = {flight.key for flight in self._in_flight.values()}
        self._unsent = deque(key for key in keys if key not in self._sent and key not in flying)

    def _send_newest(self, now: float) -> None:
        """The last record is the present, if it is this run's and was never shown."""
        if not self._unsent or not self._sample.has_room(now) or not self._room(1):
            return
        key = self._unsent[-1]
        if key.run == self._about.run and key.seq > self._newest_shown:
            self._unsent.pop()
            self._newest_shown = key.seq
            self._offer(self._sample, key)

    def _send_backlog(self, now: float) -> None:
        while self._unsent and self._may_send_backlog(now):
            self._offer(self._backlog, self._unsent.popleft())

    def _may_send_backlog(self, now: float) -> bool:
        if self._link is None or self._stopping or not self._collectors:
            return False
        return self._backlog.has_room(now) and self._room(RESERVE)

    def _room(self, reserve: int) -> bool:
        """The broker allows one more, and `reserve` besides; never less than one at a time."""
        assert self._link is not None
        return len(self._in_flight) < max(1, self._link.room - reserve)

    def _offer(self, lane: _Lane, key: Key) -> None:
        payload = self._spool.payload(key)
        if payload is not None:  # None: acked or merged since we looked
            self._publish(lane, self._pack(payload), key)

    def _publish(self, lane: _Lane, payload: bytes, key: Key | None) -> None:
        assert self._link is not None
        mid = self._link.publish(lane.topic, payload, lane.retain)
        self._in_flight[mid] = _Flight(self._monotonic(), lane, key)
        lane.in_flight += 1

    def _open_or_close(self, lane: _Lane, refused: str | None, now: float) -> None:
        if refused is not None:
            lane.closed_until = now + self._pace.refused_s
            if not lane.refused:
                log.warning("publish refused topic=%s reason=%s", lane.topic, refused)
        elif lane.refused:
            log.info("publish accepted again topic=%s", lane.topic)
        lane.refused = refused is not None

    def _collector(self, topic: str, online: bool) -> None:
        name = topics.parse(topic).name or ""
        now = self._monotonic()
        if not online:
            self._collectors.discard(name)
            return
        if not self._collectors:
            self._collected_since = now
        if len(self._collectors) < MAX_COLLECTORS:
            self._collectors.add(name)
        self._send_backlog(now)

    def _settle(self, ack: Ack) -> None:
        oldest = next(iter(self._sent), None)
        before = self._upto(oldest)
        if not self._spool.settle(ack):
            return
        self._acked = {acked.run: acked for acked in ack.runs}
        self.open_runs = tuple(self._acked)
        # Only what concerns the oldest that waits is progress. If newer ones counted, a record
        # that got lost on the way would never be sent again while the present flows.
        covered = list(takewhile(self._is_acked, self._sent))
        for key in covered:
            del self._sent[key]
        if covered or self._upto(oldest) > before:
            self._progress_at = self._monotonic()
        self._relax()

    def _upto(self, key: Key | None) -> int:
        acked = self._acked.get(key.run) if key is not None else None
        return 0 if acked is None else acked.upto

    def _relax(self) -> None:
        """The wait is short again once something that was sent again got through."""
        through = [key for key in self._resent if self._is_acked(key)]
        for key in through:
            del self._resent[key]
        if through or not self._resent:
            self._wait = self._pace.resend_s

    def _is_acked(self, key: Key) -> bool:
        acked = self._acked.get(key.run)
        if acked is None:
            return False
        return key.seq <= acked.upto or any(
            first <= key.first_seq and key.seq <= last for first, last in acked.also
        )

    def _overtaken(self, key: Key) -> bool:
        acked = self._acked.get(key.run)
        return acked is not None and any(last > key.seq for _, last in acked.also)

    def _resend_due(self, now: float) -> float:
        """Seconds until the oldest record counts as missed."""
        # The present does not count: of samples taken each second one is always on its way.
        if not self._sent or not self._collectors or self._backlog.in_flight or self._unsent:
            return IDLE_S
        oldest = next(iter(self._sent.values()))
        return max(oldest, self._progress_at, self._collected_since) + self._wait - now

    def _resend(self, now: float) -> None:
        """Everything missed at first; then a few at a time, until something gets through."""
        limit = now - self._wait
        missed: Iterable[Key] = takewhile(lambda key: self._sent[key] <= limit, self._sent)
        if self._wait > self._pace.resend_s:
            # A router that nobody has registered would send its whole spool every 15 minutes.
            missed = islice(missed, self._pace.window)
        again = list(missed)
        for key in again:
            del self._sent[key]
            # While nothing gets through, that says nothing of this one: nobody may know us yet.
            self._resent[key] = self._resent.get(key, 0) + self._overtaken(key)
            if self._resent[key] > self._pace.resends:
                self._spool.discard(key)
                log.warning("sample given up run=%s seq=%d", key.run, key.seq)
        self._wait = min(self._pace.resend_cap_s, self._wait * 2)
        log.info("no ack, sending again records=%d next_wait_s=%d", len(again), self._wait)

    def _due(self, now: float) -> list[float]:
        due = [self._resend_due(now)]
        if self._subscribe_at is not None:
            due.append(self._subscribe_at - now)
        if self._unsent:
            lanes = (lane for lane in (self._sample, self._backlog) if lane.closed_until > now)
            due += [lane.closed_until - now for lane in lanes]
        return due
