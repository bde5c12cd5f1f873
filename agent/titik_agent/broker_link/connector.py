"""Keeps one router connected: dials, drives the connection and the publisher, backs off.

Rule: one thread owns the link and the publisher; other threads only call `wake` and `stop`.
Rule: every change of state is one line of log; what only a person can correct is logged once.

A fleet simulator has no threads: it waits for `fileno` of many of these in one epoll loop. It calls
`on_readable` and `on_writable`, and `step` when the seconds that the last `step` returned are
over.
"""

import logging
import math
import os
import select
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NamedTuple

from titik_agent.broker_link.backoff import Backoff
from titik_agent.broker_link.link import Link
from titik_agent.broker_link.publisher import Publisher
from titik_mqtt.connection import Events, Will
from titik_mqtt.failures import LinkDown, Redial

log = logging.getLogger(__name__)

# mosquitto before 2.1 evicts without a word, so after so many short connections in a row we guess.
SHORT_LIVES: Final = 3


class Timing(NamedTuple):
    """What tests and simulations shorten."""

    tick_s: float = 60.0  # keep-alive is looked at as often, or when the link has something to do
    stop_s: float = 2.0  # for the PUBACKs of a clean stop; procd kills after 5
    join_s: float = 3.0  # a thread inside getaddrinfo cannot be interrupted, so the wait is short


Dial = Callable[[Will, Events], Link]  # makes the next connection, not yet open


class Connector:
    """The router's way to the broker; `step` for a caller's loop, `start` for a thread of its own.

    `wait_s` delays the first connection (see `Backoff.at_start`).
    """

    def __init__(
        self,
        publisher: Publisher,
        dial: Dial,
        backoff: Backoff,
        *,
        wait_s: float = 0.0,
        timing: Timing | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.is_connected = False
        self.is_over = False  # stopped, and everything closed
        self.since = monotonic()  # when it was connected, or lost
        self.trouble: str | None = None  # why the last connection ended, or could not be made
        self.changed: Callable[[], None] = lambda: None  # called after a change, and a message
        # Why a connection ended or could not be made, and whether the broker had accepted it.
        self.failed: Callable[[LinkDown, bool], None] = lambda _down, _was_connected: None
        self._publisher = publisher
        self._life = publisher.life
        self.subscribed = publisher.life.subscribed
        self.published = publisher.published
        self._dial = dial
        self._backoff = backoff
        self._timing = timing or Timing()
        self._monotonic = monotonic
        self._link: Link | None = None
        self._dial_at = monotonic() + wait_s
        self._is_woken = False  # `wake` was called, and the publisher has not looked since
        self._publish_at = 0.0
        self._tick_at = 0.0
        self._stop_by: float | None = None  # None: go on for ever
        self._logged = ""  # the trouble that was logged last
        self._short_lives = 0  # connections in a row that the broker ended soon
        self._thread: threading.Thread | None = None
        self._is_to_stop = False  # the bell wakes the thread to read it
        self._bell: tuple[int, int] | None = None  # a pipe that wakes the thread

    # For a thread of its own.

    def start(self) -> None:
        """Run in a thread that never keeps the process alive."""
        reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._bell = reader, writer
        self._thread = threading.Thread(target=self._run, name="broker", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """There is something new in the spool; from any thread."""
        bell = self._bell
        if bell is not None:
            try:
                os.write(bell[1], b"\0")
            except BlockingIOError:
                return  # it rings already
        else:
            self._is_woken = True

    def stop(self) -> bool:
        """Say goodbye and end the thread; False: it hangs in a lookup or a connect, and is left."""
        thread, bell = self._thread, self._bell
        if thread is None or bell is None:
            return True
        self._is_to_stop = True
        self.wake()
        thread.join(self._timing.join_s)
        if thread.is_alive():
            return False
        self._bell = None
        for fd in bell:
            os.close(fd)
        return True

    def _run(self) -> None:
        while not self.is_over:
            try:
                if self._is_to_stop:
                    self.stop_soon()
                self.turn()
            except Exception:
                # A bug here must not end reporting for good, unnoticed, with the process alive.
                log.exception("a bug ended the connection, connecting again")
                self._let_go(LinkDown("error in the agent, see the log"))
                with suppress(Exception):  # it may be what has the bug
                    self.changed()

    def turn(self, longest_s: float = math.inf) -> None:
        """Do what is due, then wait for the broker or for `wake`, but no longer than that."""
        wait_s = min(self.step(), longest_s)
        bell_fd = self._bell[0] if self._bell is not None else -1
        link_fd = self.fileno()
        poll = select.poll()
        if bell_fd >= 0:
            poll.register(bell_fd, select.POLLIN)
        if link_fd >= 0:
            poll.register(link_fd, select.POLLIN | (select.POLLOUT if self.want_write() else 0))
        for fd, event in poll.poll(wait_s * 1000):
            if fd == bell_fd:
                os.read(fd, 4096)
                self._is_woken = True
                continue
            if event & ~select.POLLOUT:  # errors and hang-ups are read too
                self.on_readable()
            if event & select.POLLOUT:
                self.on_writable()

    # For a caller's loop.

    def step(self) -> float:
        """Do what is due; the seconds until it wants to be called again."""
        now = self._monotonic()
        try:
            if self._stop_by is not None:
                self._step_to_the_end(now)
            elif self._link is None and now >= self._dial_at:
                self._connect()
            if self._link is not None:
                self._step_link(now)
        except LinkDown as down:
            self._lose(down)
        return self._wait()

    def fileno(self) -> int:
        """What to wait on, -1 when not connected; look again after every call."""
        return -1 if self._link is None else self._link.fileno()

    def want_write(self) -> bool:
        """Whether to wait for writability too."""
        return self._link is not None and self._link.want_write()

    def on_readable(self) -> None:
        """The descriptor has something to read, or hung up."""
        if self._link is not None:
            self._try(self._link.on_readable)

    def on_writable(self) -> None:
        """The descriptor takes bytes again."""
        if self._link is not None:
            self._try(self._link.on_writable)

    def stop_soon(self) -> None:
        """Begin a clean end: `step` until `is_over`."""
        if self._stop_by is None:
            self._stop_by = self._monotonic() + self._timing.stop_s
            self._try(self._life.stop)

    @property
    def next_try_at(self) -> float:
        """When the next connection is due, or the present one was."""
        return self._dial_at

    # Of the link's events those that are not the publisher's alone.

    def connected(self) -> None:
        """The broker accepted us."""
        self.is_connected = True
        self.since = self._monotonic()
        self.trouble = None
        self._backoff.connected(self.since)
        log.info("broker connected")
        assert self._link is not None
        self._publisher.connected(self._link)
        self.changed()

    def received(self, topic: str, payload: bytes) -> None:
        """A message of a collector."""
        self._publisher.received(topic, payload)
        self.changed()

    def _connect(self) -> None:
        topic, payload = self._life.will()
        link = self._dial(Will(topic, payload), self)
        link.open()
        self._life.dialled()
        self._link = link

    def _step_link(self, now: float) -> None:
        """What is due next is asked again each time: what came may have settled it."""
        assert self._link is not None
        if self.is_connected:
            if self._is_woken or now >= self._publish_at:
                if self._publisher.is_stuck():
                    raise LinkDown("the broker no longer answers for what we publish")
                self._is_woken = False
                self._publisher.step()
            self._publish_at = now + self._publisher.rest_s()
        self._tick_at = now + min(self._timing.tick_s, self._link.tick())

    def _step_to_the_end(self, now: float) -> None:
        assert self._stop_by is not None
        if self.is_connected and self._publisher.lanes.in_flight() and now < self._stop_by:
            return
        link, self._link = self._link, None
        if link is not None:
            link.close(disconnect=self.is_connected)
        self.is_connected = False
        self.is_over = True
        log.info("broker disconnected")

    def _try(self, call: Callable[[], None]) -> None:
        try:
            call()
        except LinkDown as down:
            self._lose(down)

    def _lose(self, down: LinkDown) -> None:
        self._let_go(down)
        self.changed()

    def _let_go(self, down: LinkDown) -> None:
        now = self._monotonic()
        link, self._link = self._link, None
        if link is not None:
            link.close()
        was_connected, self.is_connected = self.is_connected, False
        self.since = now if was_connected else self.since
        self.trouble = down.reason
        self._publisher.disconnected()
        self.failed(down, was_connected)
        if isinstance(down, Redial):
            self._redial(down, now)
            return
        if self._backoff.stable(now):
            self._logged = ""
            self._short_lives = 0
        elif was_connected:
            self._short_lives += 1
        wait_s = self._backoff.failed(now, down.slow)
        self._dial_at = now + wait_s
        self._log_trouble(down, was_connected, wait_s)

    def _redial(self, down: Redial, now: float) -> None:
        self._logged = ""
        self._short_lives = 0
        wait_s = self._backoff.redialled(now)
        self._dial_at = now + wait_s
        log.info("connecting again reason=%s next_try_s=%d", down.reason, wait_s)

    def _log_trouble(self, down: LinkDown, was_connected: bool, wait_s: float) -> None:
        new = down.reason != self._logged
        self._logged = down.reason
        if new or (was_connected and not down.slow):
            hint = ", a restart of the agent tries at once" if down.slow else ""
            level = logging.WARNING if new else logging.INFO
            log.log(
                level, "broker unreachable reason=%s next_try_s=%d%s", down.reason, wait_s, hint
            )
        if was_connected and self._short_lives == SHORT_LIVES:
            log.warning("connections end soon: does another device use this router's name?")

    def _wait(self) -> float:
        now = self._monotonic()
        if self.is_over:
            return 0.0
        if self._link is None:
            return max(0.0, self._dial_at - now) if self._stop_by is None else 0.0
        wake_at = min(self._tick_at, self._publish_at) if self.is_connected else self._tick_at
        if self._stop_by is not None:
            wake_at = min(wake_at, self._stop_by)
        return max(0.0, wake_at - now)
