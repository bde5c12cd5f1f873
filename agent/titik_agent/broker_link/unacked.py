"""What the broker has and the collector may not have yet. Pure: times come in as arguments.

Rule: a record leaves the spool here alone: when an ack covers it, or when it was sent again ten
times after later ones got through.
Rule: what no ack covers in time is missed. The time doubles while nothing gets through.
"""

import logging
import math
from collections.abc import Collection
from itertools import takewhile

from titik_agent.broker_link.lanes import Pace
from titik_agent.spool.spool import Key, Spool
from titik_wire.messages import Ack, AckedRun

log = logging.getLogger(__name__)


class Unacked:
    """The records of `spool` that wait for an ack."""

    def __init__(self, spool: Spool, pace: Pace) -> None:
        self.acked: dict[str, AckedRun] = {}  # by run, as the last ack lists them
        self._spool = spool
        self._pace = pace
        self._sent: dict[Key, float] = {}  # when the broker answered, ascending
        self._resent: dict[Key, int] = {}  # how often after later ones were acked
        self._progress_at = 0.0
        self._wait_s = pace.resend_s

    def __contains__(self, key: Key) -> bool:
        return key in self._sent

    def add(self, key: Key, now: float) -> None:
        """The broker answered for it."""
        self._sent[key] = now

    def keep(self, held: Collection[Key]) -> None:
        """Forget what the spool no longer holds: merged or dropped."""
        self._sent = {key: at for key, at in self._sent.items() if key in held}
        self._resent = {key: times for key, times in self._resent.items() if key in held}

    def settle(self, ack: Ack, now: float) -> None:
        """Let go of what the collector has committed, or knows to be lost."""
        oldest = next(iter(self._sent), None)
        before = self._acked_upto(oldest)
        if not self._spool.settle(ack):
            return
        self.acked = {acked.run: acked for acked in ack.runs}
        # Only what concerns the oldest that waits is progress. If newer ones counted, a record
        # that got lost on the way would never be sent again while the present flows.
        covered = list(takewhile(self._is_acked, self._sent))
        for key in covered:
            del self._sent[key]
        if covered or self._acked_upto(oldest) > before:
            self._progress_at = now
        through = [key for key in self._resent if self._is_acked(key)]
        for key in through:
            del self._resent[key]
        if through or not self._resent:
            self._wait_s = self._pace.resend_s

    def missed_at(self, since: float) -> float:
        """When the oldest counts as missed; `since`: from when a collector could answer."""
        oldest = next(iter(self._sent.values()), math.inf)
        return max(oldest, self._progress_at, since) + self._wait_s

    def take_missed(self, now: float) -> None:
        """Take out what was missed, so that it is sent again: all of it at first, then a few."""
        missed = list(takewhile(lambda key: self._sent[key] <= now - self._wait_s, self._sent))
        if self._wait_s > self._pace.resend_s:
            # A router that is not registered would send its whole spool every 15 minutes.
            missed = missed[: self._pace.window]
        for key in missed:
            del self._sent[key]
            # While nothing gets through, that says nothing of this one: we may be unregistered.
            self._resent[key] = self._resent.get(key, 0) + self._is_overtaken(key)
            if self._resent[key] > self._pace.resends:
                self._spool.discard(key)
                log.warning("sample given up run=%s seq=%d", key.run, key.seq)
        self._wait_s = min(self._pace.resend_cap_s, self._wait_s * 2)
        log.info("no ack, sending again records=%d next_wait_s=%d", len(missed), self._wait_s)

    def _acked_upto(self, key: Key | None) -> int:
        acked = self.acked.get(key.run) if key is not None else None
        return 0 if acked is None else acked.upto

    def _is_acked(self, key: Key) -> bool:
        acked = self.acked.get(key.run)
        return acked is not None and any(
            first <= key.first_seq and key.seq <= last
            for first, last in ((1, acked.upto), *acked.also)
        )

    def _is_overtaken(self, key: Key) -> bool:
        acked = self.acked.get(key.run)
        return acked is not None and any(last > key.seq for _, last in acked.also)
