"""What the collector does between batches: jobs, in one order, each with a budget.

Rule: a job holds its own state and knows no other job. What it needs of another is a function that
it gets where the jobs are put together.
Rule: a store that fails ends the round. The next round begins with the first job again.
Rule: a job that a bug of ours stops is tried again later. It stops neither samples nor other jobs.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from math import inf
from typing import Protocol

log = logging.getLogger(__name__)

REST_S = 60.0  # before a job that a bug stopped is tried again, and logged again
FLOOD_REST = 9  # times what a step took: a job has a tenth of the time at most


class Job(Protocol):
    """Something that is done a little at a time."""

    def due(self, now: float, /) -> bool:
        """Whether there is something to do at `now`, in monotonic seconds; asked often."""
        ...

    def step(self, budget_s: float, /) -> bool:
        """Work for about so long; True if there is more to do. StoreError: call again later."""
        ...


@dataclass(eq=False)
class Task:
    """A job that is one function, done each time that it may be; true: there is more to do."""

    _act: Callable[[], bool | None]
    _may: Callable[[], bool] = lambda: True

    def due(self, _now: float) -> bool:
        """Whether it may be done."""
        return self._may()

    def step(self, _budget_s: float) -> bool:
        """All of it, or some."""
        return bool(self._act())


class OnDemand(Task):
    """A task that is done once each time somebody wants it, and again if it fails."""

    wanted = False

    def due(self, now: float) -> bool:
        """Whether somebody wants it, and it may be done."""
        return self.wanted and super().due(now)

    def step(self, budget_s: float) -> bool:
        """All of it, or some."""
        self.wanted = super().step(budget_s)
        return self.wanted


@dataclass(slots=True)
class Slot:
    """A job's place in the order: how often it runs, and for how long each time."""

    job: Job
    _: KW_ONLY
    every_s: float = 0.0  # 0: each round. While no message comes, the rest follows at once
    idle_s: float = inf  # its budget while no message comes; inf: its steps are short anyway
    busy_s: float | None = inf  # its budget while messages come; None: it waits until none comes
    rests: bool = False  # after each step, while more messages wait than one batch takes
    _next: float = 0.0
    _more: bool = False

    def run(self, idle: bool, flood: bool, monotonic: Callable[[], float]) -> None:
        """One step, if it is time for one."""
        now = monotonic()
        budget_s = self.idle_s if idle else self.busy_s
        if budget_s is None or (now < self._next and not (idle and self._more)):
            return
        if self.job.due(now):
            self._next = now + self.every_s
            self._more = self.job.step(budget_s)
            if flood and self.rests:
                ended = monotonic()
                self._next = max(self._next, ended + FLOOD_REST * (ended - now))
                self._more = True  # once the flood is over, it goes on at once

    def rest(self, until: float) -> None:
        """Do nothing until then."""
        self._next, self._more = until, False


@dataclass(eq=False)
class Jobs:
    """All slots, in order."""

    _slots: Sequence[Slot]
    _monotonic: Callable[[], float]
    _ends_the_round: Callable[[Exception], bool]  # such as a store that fails

    def run(self, idle: bool, flood: bool = False) -> None:
        """One round; `idle`: no message came in this turn; `flood`: more than a batch takes."""
        for slot in self._slots:
            try:
                slot.run(idle, flood, self._monotonic)
            except Exception as error:
                if self._ends_the_round(error):
                    raise
                slot.rest(self._monotonic() + REST_S)
                log.exception("a bug stops a job, it is tried again after %.0f s", REST_S)
