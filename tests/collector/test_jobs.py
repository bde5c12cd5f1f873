"""In which order jobs run, how often, and for how long."""

from math import inf

import pytest

from titik_collector.jobs import FLOOD_REST, REST_S, Jobs, OnDemand, Slot, Task


class Clock:
    """Seconds, moved by hand."""

    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


class Busy:
    """A job that always has something to do, and writes down its budgets."""

    def __init__(self, more: bool = False) -> None:
        self.budgets: list[float] = []
        self.more = more

    def due(self, _now: float) -> bool:
        return True

    def step(self, budget_s: float) -> bool:
        self.budgets.append(budget_s)
        return self.more


def is_ours(error: Exception) -> bool:
    """What ends a round here."""
    return isinstance(error, OSError)


def test_a_job_has_a_shorter_budget_while_messages_come() -> None:
    """A message that waits is late by a short step at most."""
    job = Busy()
    jobs = Jobs([Slot(job, idle_s=0.05, busy_s=0.002)], Clock(), is_ours)
    jobs.run(idle=True)
    jobs.run(idle=False)
    assert [0.05, 0.002] == job.budgets


def test_a_job_without_a_budget_for_busy_times_waits() -> None:
    """Nobody waits for what it does."""
    job = Busy()
    jobs = Jobs([Slot(job, idle_s=0.01, busy_s=None)], Clock(), is_ours)
    jobs.run(idle=False)
    jobs.run(idle=True)
    assert [0.01] == job.budgets


def test_what_is_left_of_a_job_waits_for_its_time_only_while_messages_come() -> None:
    """So a fleet's many windows leave at once when there is time."""
    clock, job = Clock(), Busy(more=True)
    jobs = Jobs([Slot(job, every_s=2.0)], clock, is_ours)
    counts = []
    for after_s, idle in ((0, False), (1, False), (1, True), (2, False), (3, False)):
        clock.at = 100.0 + after_s
        jobs.run(idle)
        counts.append(len(job.budgets))
    assert [1, 1, 2, 2, 3] == counts


def test_a_job_rests_after_a_step_of_a_flood() -> None:
    """More messages wait than one batch takes, and what the job does can wait longer."""
    clock, steps = Clock(), []

    def work() -> None:
        steps.append(clock.at)
        clock.at += 1.0

    jobs = Jobs([Slot(Task(work), rests=True)], clock, is_ours)
    jobs.run(idle=False, flood=True)
    jobs.run(idle=False, flood=True)
    clock.at += FLOOD_REST
    jobs.run(idle=False, flood=True)
    assert [100.0, 101.0 + FLOOD_REST] == steps


def test_a_job_that_rested_goes_on_once_no_message_comes() -> None:
    """The flood is over."""
    clock, steps = Clock(), []

    def work() -> None:
        steps.append(clock.at)
        clock.at += 1.0

    jobs = Jobs([Slot(Task(work), rests=True)], clock, is_ours)
    jobs.run(idle=False, flood=True)
    jobs.run(idle=True)
    assert [100.0, 101.0] == steps


def test_a_step_that_fails_ends_the_round_and_waits_for_its_time() -> None:
    """Jobs that come first come first again in the next round."""
    clock, first, last = Clock(), Busy(), Busy()

    def fail() -> None:
        raise OSError("disk full")

    jobs = Jobs(
        [Slot(first), Slot(Task(fail), every_s=5.0), Slot(last)],
        clock,
        is_ours,
    )
    with pytest.raises(OSError, match="disk full"):
        jobs.run(idle=True)
    jobs.run(idle=True)
    assert ([inf, inf], [inf]) == (first.budgets, last.budgets)


def test_a_job_that_a_bug_stops_is_tried_again_later(caplog: pytest.LogCaptureFixture) -> None:
    """Other jobs go on meanwhile; each try is one line with the way to the bug."""
    clock, tries, last = Clock(), [], Busy()

    def fail() -> None:
        tries.append(clock.at)
        raise KeyError("park-1")

    jobs = Jobs([Slot(Task(fail)), Slot(last)], clock, is_ours)
    for after_s in (0.0, 1.0, REST_S):
        clock.at = 100 + after_s
        jobs.run(idle=True)
    assert ([100.0, 100 + REST_S], 3) == (tries, len(last.budgets))
    assert ["a bug stops a job, it is tried again after 60 s"] * 2 == [
        one.getMessage() for one in caplog.records if one.exc_info
    ]


def test_what_is_wanted_is_done_once_and_again_only_if_it_failed() -> None:
    """As what a new connection needs, while the store fails."""
    done: list[str] = []
    problems = [OSError("disk full")]

    def act() -> None:
        if problems:
            raise problems.pop()
        done.append("acks")

    job = OnDemand(act)
    assert not job.due(0)
    job.wanted = True
    with pytest.raises(OSError, match="disk full"):
        job.step(inf)
    assert job.due(0)
    job.step(inf)
    assert (["acks"], False) == (done, job.due(0))


def test_what_is_wanted_goes_on_while_there_is_more() -> None:
    """A step may do some of it."""
    left = [True, False]
    job = OnDemand(lambda: left.pop(0))
    job.wanted = True
    for more in (True, False):
        assert (more, more) == (job.step(inf), job.due(0))
