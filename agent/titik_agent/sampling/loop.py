"""The sampling thread: waits for the next sample or for a client to join or leave.

Rule: nothing here waits for the network; the connection has a thread of its own.
Rule: nothing wakes up to look whether there is something to do: waking costs more than looking.
"""

import logging
import os
import select
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

from titik_agent.sampling.sampler import Sampler
from titik_agent.sampling.schedule import Schedule
from titik_agent.sampling.source import EventSource
from titik_agent.spool.spool import Spool

log = logging.getLogger(__name__)

# The longest sleep: bounds how late a checkpoint can be.
LONGEST_S = 60.0


class Loop:
    """Runs until `stop` is set; every sample is in the spool before `spooled` is called.

    `alive` is called after each turn, at least every LONGEST_S.
    """

    def __init__(
        self,
        sampler: Sampler,
        schedule: Schedule,
        spool: Spool,
        events: Sequence[EventSource],
        monotonic: Callable[[], float],
        spooled: Callable[[], None],
        alive: Callable[[], None] = lambda: None,
    ) -> None:
        self._sampler = sampler
        self._schedule = schedule
        self._spool = spool
        self._events = events
        self._monotonic = monotonic
        self._spooled = spooled
        self._alive = alive
        self._bell: tuple[int, int] | None = None  # a pipe that wakes `run`

    def run(self, stop: threading.Event) -> None:
        """Take samples until `stop` is set; the thread that sets it calls `wake`."""
        self._bell = bell = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            while not stop.is_set():
                self.turn(min(LONGEST_S, self._schedule.wait_s(self._monotonic())))
        finally:
            self._bell = None
            for fd in bell:
                os.close(fd)

    def wake(self) -> None:
        """End the wait; from any thread, and from a signal's handler."""
        bell = self._bell
        if bell is not None:
            with suppress(BlockingIOError):  # it rings already
                os.write(bell[1], b"\0")

    def turn(self, wait_s: float) -> None:
        """Wait, hear what changed, and take a sample if one is due."""
        for source in self._wait(wait_s):
            if source.pump():
                self._schedule.changed(self._monotonic())
        if self._schedule.take(self._monotonic()):
            sample, payload = self._sampler.take()
            self._spool.append(sample.run, sample.seq, payload)
            self._spooled()
        self._spool.checkpoint_if_due()
        self._alive()

    def _wait(self, wait_s: float) -> list[EventSource]:
        """The sources with something to read; poll, because select stops at descriptor 1024."""
        poll = select.poll()
        owners = {fd: source for source in self._events for fd in source.filenos()}
        for fd in owners:
            poll.register(fd, select.POLLIN)
        if self._bell is not None:
            poll.register(self._bell[0], select.POLLIN)
        found = [fd for fd, _ in poll.poll(wait_s * 1000)]
        if self._bell is not None and self._bell[0] in found:
            os.read(self._bell[0], 4096)
        ready = {owners.get(fd) for fd in found}
        return [source for source in self._events if source in ready]
