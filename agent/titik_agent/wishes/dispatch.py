"""Hands each wish to the handler of its kind, and says on `running` what became of all of them.

Rule: it is made when the first wish comes, and so is each handler; see `WishLane`.
Rule: a message that breaks the contract changes nothing. It is logged once in a connection, and
refused where its revision can be read.
Rule: what is retained comes again at each connection, so a handler knows what it has seen.
"""

import logging
import math
from collections.abc import Callable
from functools import partial

from titik_agent.broker_link.wish_lane import WishLane
from titik_agent.clock import Clock
from titik_agent.wishes.wish_handler import BUG, WishDesk, WishHandler
from titik_mqtt.failures import LinkDown
from titik_wire import __version__, codec
from titik_wire.errors import WireError
from titik_wire.fleet_messages import RouterReply, Running

log = logging.getLogger(__name__)

Make = Callable[[str, WishDesk], WishHandler | None]  # None: not offered


class Dispatch:
    """The wishes of one router."""

    def __init__(
        self, lane: WishLane, clock: Clock, make: Make, wake: Callable[[], None] = lambda: None
    ) -> None:
        """`make`: the handler of a kind. `wake`: lets the connection's thread `step` soon."""
        self.router = lane.about.router
        self.monotonic = clock.monotonic
        self.wall_ms = clock.wall_ms
        self.newest_seq = lane.newest_seq
        self.is_collected = lane.is_collected
        self.wake = wake
        self.running: Running | None = None  # as it was published last, or is about to be
        self._lane = lane
        self._make = make
        self._handlers: dict[str, WishHandler | None] = {}
        self._malformed: set[str] = set()  # kinds whose message was ignored; logged once
        self._is_changed = False
        self._payload: bytes | None = None  # of `running`, to be sent
        self._sent: bytes | None = None  # in this connection
        self._reply: bytes | None = None

    def received(self, topic: str, payload: bytes) -> None:
        """A wish; an empty payload withdraws it."""
        kind = topic.rpartition("/")[2]
        if not payload:
            handler = self._handlers.get(kind)
            if handler is not None:
                self._call(kind, handler.withdrawn)
            return
        try:
            message = codec.decode(topic, payload)
        except WireError as error:
            self._ignore(kind, payload, str(error))
            return
        handler = self._handler(kind)
        if handler is None:
            return
        if not self._call(kind, partial(handler.received, message)):
            self._call(kind, partial(handler.refused, getattr(message, "revision", None), BUG))

    def connected(self) -> None:
        """What is retained of us may be lost, so it is published again."""
        self._sent = None
        self._is_changed = True
        self._malformed.clear()
        for kind, handler in self._loaded():
            self._call(kind, handler.connected)

    def disconnected(self) -> None:
        """An answer that was not sent is not wanted any more."""
        self._reply = None
        for kind, handler in self._loaded():
            self._call(kind, handler.disconnected)

    def acked(self, seq: int) -> None:
        """A collector has this sample of this run."""
        for kind, handler in self._loaded():
            self._call(kind, partial(handler.acked, seq))

    def step(self, now: float) -> float:
        """Do what is due; when to call again."""
        due = math.inf
        for kind, handler in self._loaded():
            try:
                due = min(due, handler.step(now))
            except LinkDown:
                raise
            except Exception:
                self._bug(kind)
        return due

    def take_running(self) -> bytes | None:
        """What to publish on `running` now; None: nothing new."""
        if self._is_changed:
            self._is_changed = False
            self._compose()
        payload, self._payload = self._payload, None
        if payload is None or payload == self._sent:
            return None
        self._sent = payload
        return payload

    def not_taken(self) -> None:
        """The broker refused what was sent on `running`."""
        self._payload, self._sent = self._payload or self._sent, None

    def take_answer(self) -> bytes | None:
        """What to publish on `answer` now."""
        reply, self._reply = self._reply, None
        return reply

    def has_more(self) -> bool:
        """Whether something waits to be published."""
        return self._is_changed or self._payload is not None or self._reply is not None

    def changed(self) -> None:
        """What a handler reports is another."""
        self._is_changed = True

    def answer(self, reply: RouterReply) -> None:
        """Send it as soon as there is room."""
        self._reply = codec.encode(reply)
        self.wake()

    def close(self) -> None:
        """The agent ends as it should."""
        for kind, handler in self._loaded():
            self._call(kind, handler.close)

    def _compose(self) -> None:
        """What all handlers report; nothing as long as there is no wish."""
        running = Running(self.router, self._lane.about.run, __version__)
        loaded = self._loaded()
        for kind, handler in loaded:
            try:
                running = handler.report(running)
            except Exception:
                self._bug(kind)
        if not loaded:
            return
        try:
            self._payload = codec.encode(running)
            self.running = running
        except WireError as error:
            log.error("not published, not in the contract topic=running reason=%s", error)

    def _ignore(self, kind: str, payload: bytes, reason: str) -> None:
        if kind not in self._malformed:
            self._malformed.add(kind)
            log.warning("wish ignored kind=%s reason=%s", kind, reason)
        revision = codec.revision(payload)
        handler = self._handlers.get(kind) if revision is None else self._handler(kind)
        if handler is not None:
            self._call(kind, partial(handler.refused, revision, reason))

    def _handler(self, kind: str) -> WishHandler | None:
        if kind not in self._handlers:
            self._handlers[kind] = handler = self._make(kind, self)
            if handler is None:
                log.info("wish not offered by this version kind=%s", kind)
        return self._handlers[kind]

    def _loaded(self) -> list[tuple[str, WishHandler]]:
        return [(kind, one) for kind, one in self._handlers.items() if one is not None]

    def _call(self, kind: str, call: Callable[[], None]) -> bool:
        """False: it had a bug; it must not end the connection, or it would at each one."""
        try:
            call()
        except LinkDown:
            raise
        except Exception:
            self._bug(kind)
            return False
        return True

    def _bug(self, kind: str) -> None:
        if f"bug in {kind}" not in self._malformed:
            self._malformed.add(f"bug in {kind}")
            log.exception("a bug spoiled a wish kind=%s", kind)
