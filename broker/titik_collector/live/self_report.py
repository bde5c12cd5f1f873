"""The job that reports the collector itself: its status on the broker, and its state file.

Rule: `state` is `offline` while the store fails, because agents wait for `online`.
Rule: the status is published when it changes, because every router reads it. The same goes out
every BEAT_S on a topic that no router reads.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from titik_collector.broker_link.inbox import Outbox
from titik_collector.config.model import STATE_FOLDER, Config
from titik_collector.own_state import collector_state
from titik_collector.own_state.collector_state import EVERY_S, CollectorState, StateFile
from titik_collector.store.identity import Identity
from titik_wire import __version__, codec, topics
from titik_wire.limits import MAX_LABEL
from titik_wire.messages import CollectorStatus

BEAT_S = 10.0


@dataclass(eq=False)
class SelfReport:
    """Knows whether the collector is connected and storing; `step` when it is `due`."""

    _collector: str  # its id
    _file: StateFile
    _outbox: Outbox
    _behind_ms: Callable[[], int]
    _now_ms: Callable[[], int]
    _identity: Callable[[], Identity]  # the store's, which may rise
    _day_starts: Callable[[], tuple[int, ...]]  # the city's
    _packed: bool = True  # packed samples are asked for
    _connected: bool = False
    _broker_problem: str | None = None
    _store_problem: str | None = None
    _stored_ms: int | None = None
    _beat: int = 0
    _published: CollectorStatus | None = None  # on this connection, without what moves
    _beat_due: float = 0.0
    _file_due: float = 0.0

    def __post_init__(self) -> None:
        self._since_ms = self._now_ms()

    @property
    def storing(self) -> bool:
        """Whether the store takes what comes."""
        return self._store_problem is None

    def connected(self) -> None:
        """The broker has us, and gets the status as the first message."""
        self._changed()
        self._published = None
        self._connected, self._broker_problem = True, None
        self._publish(self._state())

    def disconnected(self, reason: str) -> None:
        """The broker is gone, or was not reached again."""
        if self._connected:
            self._changed()
        self._connected, self._broker_problem = False, reason

    def failed(self, reason: str) -> None:
        """The store failed."""
        if self._store_problem is None:
            self._changed()
        self._store_problem = reason

    def waits(self, reason: str) -> None:
        """The store does not answer; the file says it, for nothing is published meanwhile."""
        self.failed(reason)
        self._file.write(self._state())

    def works(self) -> None:
        """The store works again."""
        self._changed()
        self._store_problem = None

    def stored(self) -> None:
        """A batch was committed."""
        self._stored_ms = self._now_ms()

    def due(self, now: float) -> bool:
        """Whether `step` has something to do; `now` is monotonic seconds."""
        return now >= min(self._beat_due, self._file_due)

    def step(self, _budget_s: float) -> bool:
        """Publish if it is time to, and write the file."""
        state, now = self._state(), time.monotonic()
        if now >= self._beat_due:
            self._beat_due = now + BEAT_S
            self._publish(state)
        self._file_due = now + EVERY_S
        self._file.write(state)
        return False

    def close(self) -> None:
        """Publish `offline`; without a file no one takes this collector for running."""
        self._send(topics.collector(self._collector), self._about("offline"), retain=True)
        self._file.remove()

    def withdraw(self) -> None:
        """Remove the file."""
        self._file.remove()

    def will(self) -> tuple[str, bytes]:
        """Topic and payload that the broker publishes when it loses us."""
        return topics.collector(self._collector), codec.encode(self._about("offline"))

    def _about(self, word: Literal["online", "offline"]) -> CollectorStatus:
        of = self._identity()
        return CollectorStatus(
            self._collector, word, __version__,
            store=of.store, epoch=of.epoch, packed=self._packed or None,
        )  # fmt: skip

    def _changed(self) -> None:
        self._since_ms = self._now_ms()
        self._beat_due = self._file_due = 0.0

    def _state(self) -> CollectorState:
        return CollectorState(
            self._collector,
            os.getpid(),
            self._now_ms(),
            self._since_ms,
            self._connected,
            self.storing,
            self._broker_problem,
            self._store_problem,
            self._stored_ms,
            self._behind_ms(),
            self._beat,
        )

    def _publish(self, state: CollectorState) -> None:
        """The status if it changed, else a beat."""
        problem = state.store_problem
        about = replace(
            self._about("online" if state.storing else "offline"),
            storing=state.storing,
            problem=None if problem is None else _label(problem),
            since=state.since_ms,
            day_starts=self._day_starts() or None,
        )
        changed, self._published = about != self._published, about
        self._beat += 1
        now = replace(about, behind_ms=state.behind_ms, beat=self._beat)
        topic = (topics.collector if changed else topics.beat)(self._collector)
        self._send(topic, now, retain=changed)

    def _send(self, topic: str, status: CollectorStatus, retain: bool) -> None:
        self._outbox.publish(topic, codec.encode(status), retain=retain)
        self._outbox.flush()


def report_waiting(settings: Config, reason: str, since_ms: int) -> None:
    """The state file of a collector that waits for its store before it begins."""
    own, now_ms = settings.collector, time.time_ns() // 1_000_000
    state = CollectorState(own.id, os.getpid(), now_ms, since_ms, store_problem=reason)
    StateFile(settings.state_files, STATE_FOLDER).write(state)


def forget_past_life(settings: Config) -> None:
    """Remove a state file that nobody writes: who stands by is no collector that hangs."""
    state = collector_state.read(settings.state_files)
    if state is not None and state.is_stale(time.time_ns() // 1_000_000):
        StateFile(settings.state_files).remove()


def _label(text: str) -> str:
    """At most MAX_LABEL characters that a terminal can show."""
    plain = "".join(one if one.isprintable() else "?" for one in text)
    return plain if len(plain) <= MAX_LABEL else plain[: MAX_LABEL - 3] + "..."
