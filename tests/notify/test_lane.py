"""The lane of one receiver."""

from queue import SimpleQueue

import pytest

from tests.notify.messages import composed, notification
from titik_collector.notify import choosing
from titik_collector.notify.choosing import Choice, Waiting
from titik_collector.notify.composed import Composed
from titik_collector.notify.lane import ReceiverLane, Try
from titik_collector.notify.undelivered import Passed, Undelivered, nothing


class Scripted:
    """A channel whose tries end as they are given."""

    def __init__(self, *fates: Exception | None) -> None:
        self._fates = list(fates)

    def deliver(self, _one: Composed, passed: Passed = nothing) -> None:
        """The next fate."""
        passed("send")
        if (fate := self._fates.pop(0)) is not None:
            raise fate


def choice() -> Choice:
    """One message."""
    one = notification()
    return Choice("single", (Waiting(choosing.key_of("store", one), one, 0, one.due_ms),))


def broken() -> Composed:
    """What cannot be put into words."""
    raise KeyError("a kind of a later version")


def test_a_bug_costs_one_try_and_no_lane(caplog: pytest.LogCaptureFixture) -> None:
    """In a channel or in the words; the next message goes out."""
    tries: SimpleQueue[Try] = SimpleQueue()
    lane = ReceiverLane("it", Scripted(ValueError("oops"), None), tries)
    lane.start()
    found = []
    for compose in (broken, composed, composed):
        lane.offer(choice(), compose)
        assert not lane.is_free()
        found.append(tries.get(timeout=60))
        lane.done(found[-1])
        assert lane.is_free()
    reasons = [None if one.failure is None else one.failure.reason for one in found]
    assert ["a bug of Titik: KeyError", "a bug of Titik: ValueError", None] == reasons
    assert 2 == len(caplog.records)


def test_a_receiver_that_asks_for_patience_gets_it() -> None:
    """Its other messages wait too."""
    tries: SimpleQueue[Try] = SimpleQueue()
    lane = ReceiverLane("it", Scripted(Undelivered("send", "429", wait_s=3600)), tries)
    lane.start()
    lane.offer(choice(), composed)
    lane.done(tries.get(timeout=60))
    assert not lane.is_free()
