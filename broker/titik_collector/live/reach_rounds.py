"""Whether a router's internet answers now, from the rounds of tests that its samples report.

Rule: a round counts once, with the first sample that reports it.
Rule: where some rounds answer and others do not, it is not known.
"""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from titik_collector.limits import MAX_ROUNDS
from titik_collector.live.last_hour import ReachRound
from titik_wire.instant import MINUTE_MS
from titik_wire.messages import Reach, Sample

LATELY_MS = 5 * MINUTE_MS


class CountedRounds(NamedTuple):
    """What a run has counted of its rounds."""

    run: str
    attempts: int
    answered: int | None


class ReachState(NamedTuple):
    """What the rounds of the last minutes show."""

    answers: bool | None  # None: not known
    failing_ms: int | None = None  # since when no round answered


class ReachRounds:
    """Those of one router."""

    __slots__ = ("_counted", "_failing_ms", "_rounds", "is_recalled")

    def __init__(self) -> None:
        self._rounds: deque[ReachRound] = deque(maxlen=MAX_ROUNDS)
        self._counted: CountedRounds | None = None
        self._failing_ms: int | None = None
        self.is_recalled = False

    def hear(self, sample: Sample, at_ms: int) -> None:
        """A sample came as it was taken."""
        reach = sample.reach
        if reach is None or not reach.attempts:
            return
        old, new = self._counted, CountedRounds(sample.run, reach.attempts, reach.answered)
        self._counted = new
        if old is not None and old[:2] == new[:2]:
            return
        answers = _more_answered(old, new)
        answers = answered(reach) if answers is None else answers
        self._add(ReachRound(at_ms, answers))

    def recall(self, before: Sequence[ReachRound]) -> None:
        """What was before the first one that was heard."""
        heard = list(self._rounds)
        self.is_recalled, self._failing_ms = True, None
        self._rounds.clear()
        for one in before:
            if not heard or one.at_ms < heard[0].at_ms:
                self._add(one)
        for one in heard:
            self._add(one)

    def internet(self, now_ms: int) -> ReachState:
        """What they show at a moment."""
        lately = [answers for at_ms, answers in self._rounds if at_ms > now_ms - LATELY_MS]
        if not lately:
            return ReachState(None)
        if not any(lately):
            return ReachState(False, self._failing_ms)
        return ReachState(True if all(lately[-2:]) else None)

    def _add(self, one: ReachRound) -> None:
        self._rounds.append(one)
        if one.answers:
            self._failing_ms = None
        elif self._failing_ms is None:
            self._failing_ms = one.at_ms


def _more_answered(old: CountedRounds | None, new: CountedRounds) -> bool | None:
    """Whether any round since the sample before was answered; None: the counts do not show it."""
    if old is None or old.run != new.run or old.answered is None or new.answered is None:
        return None
    return new.answered > old.answered


def answered(reach: Reach) -> bool:
    """Of the last round. Connecting proves more than a name, which the router may remember."""
    return (reach.dns_ms if reach.tcp_failures is None else reach.tcp_ms) is not None
