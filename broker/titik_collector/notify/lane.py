"""The lane of one receiver: a thread and a place for one message, so that nobody waits for it.

Rule: a lane holds one message at a time. What waits stays in the outbox, where it can be merged.
Rule: alerts that go on are posted again by the same thread, so that none overtakes its end.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import NamedTuple

from titik_collector.notify.alertmanager import AlertmanagerChannel, PostedAlert
from titik_collector.notify.channel import Channel
from titik_collector.notify.choosing import Choice
from titik_collector.notify.composed import Composed
from titik_collector.notify.undelivered import Undelivered

log = logging.getLogger(__name__)


class Try(NamedTuple):
    """How one try went."""

    receiver: str
    choice: Choice | None  # None: alerts that go on were posted again
    failure: Undelivered | None  # None: it arrived


class SendJob(NamedTuple):
    """What a lane has to do."""

    choice: Choice | None
    send: Callable[[], None]  # called in the lane: a bug in it costs one message


@dataclass(eq=False)
class ReceiverLane:
    """From `start` to the end of the process; its thread holds up no exit."""

    receiver: str
    channel: Channel
    tries: "SimpleQueue[Try]"
    is_busy: bool = False
    paused_until: float = 0.0  # monotonic: a receiver asked for patience
    _jobs: "SimpleQueue[SendJob]" = field(default_factory=SimpleQueue)

    def start(self) -> None:
        """Begin to wait for messages."""
        threading.Thread(target=self._work, name=f"lane {self.receiver}", daemon=True).start()

    def is_free(self) -> bool:
        """Whether it takes a message now."""
        return not self.is_busy and time.monotonic() >= self.paused_until

    def offer(self, choice: Choice, compose: Callable[[], Composed]) -> None:
        """Send this; the result comes by `tries`."""
        self._begin(SendJob(choice, lambda: self.channel.deliver(compose())))

    def post_again(self, compose: Callable[[], Sequence[PostedAlert]]) -> None:
        """Post these alerts, which go on; the result comes by `tries`."""
        channel = self.channel
        assert isinstance(channel, AlertmanagerChannel)
        self._begin(SendJob(None, lambda: channel.post(compose())))

    def done(self, one: Try) -> None:
        """Its result was taken."""
        self.is_busy = False
        if one.failure is not None and one.failure.wait_s is not None:
            self.paused_until = time.monotonic() + one.failure.wait_s

    def _begin(self, job: SendJob) -> None:
        self.is_busy = True
        self._jobs.put(job)

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            self.tries.put(self._try(job))

    def _try(self, job: SendJob) -> Try:
        try:
            job.send()
            return Try(self.receiver, job.choice, None)
        except Undelivered as failure:
            return Try(self.receiver, job.choice, failure)
        except Exception as error:  # a bug costs this try, and no lane
            log.exception("a bug stops a try receiver=%s", self.receiver)
            reason = f"a bug of Titik: {type(error).__name__}"
            return Try(self.receiver, job.choice, Undelivered("send", reason))
