"""What a city costs as it lives: what arrives is saved, and each minute its rollups are computed.

Rule: ten minutes are measured as one, because hours and days that go on are computed once in them.
Rule: rollups have the budgets of a collector's turns: a long one while no message comes, a short
one while messages come. Between turns sites are summed, whether all their routers are done or not.
Rule: processor time is this process's, with `synchronous=FULL`. That of a database with processes
of its own is the `server` of a result.
"""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bench.city import T0, City
from bench.results import Length, Result
from bench.statements import Statements
from titik_collector.assemble import BUSY_S
from titik_collector.limits import MAX_BATCH
from titik_collector.received import Arrived
from titik_collector.rollups.worker import GRACE_MS
from titik_wire.instant import MINUTE_MS

COMMAND = "python -m bench.run --only store"
STEP_MS = 30_000
IDLE_S = 0.05  # of rollups in one turn of a collector to which no message comes
PER_SITE = (4, 2000)
MOST_BUSY = 200  # routers of a city that is measured with the short budget: it may take minutes


class Minute(NamedTuple):
    """What one minute of the city took."""

    saving_s: float
    rollups_s: float
    batches: tuple[int, ...]  # statements of each
    pass_: int  # statements of all rollups


class Life:
    """A city whose minutes pass one after the other."""

    def __init__(self, folder: Path, routers: int, per_site: int, counted: bool = False) -> None:
        self.city = City(folder, routers, per_site)
        self._counted = Statements(self.city.db) if counted else None
        self._routers = routers
        self._at_ms = T0

    def until_half_past(self, minutes: int) -> None:
        """So many minutes that are not measured, and their rollups."""
        for _ in range(2 * minutes):
            for items in self._arrive():
                self.city.store.save(items)
        self._roll()
        self.city.db.execute("PRAGMA synchronous = FULL")

    def minute(self, budget_s: float = IDLE_S) -> Minute:
        """One more: rollups are due when the samples of its beginning are there."""
        self.city.db.execute("DELETE FROM rollup_news")  # a collector publishes them
        saving_s, batches = self._save()
        began, before = time.process_time(), self._statements
        self._roll(budget_s)
        rollups_s, statements = time.process_time() - began, self._statements - before
        more_s, more = self._save()
        return Minute(saving_s + more_s, rollups_s, (*batches, *more), statements)

    def ten(self, budget_s: float = IDLE_S) -> tuple[float, float]:
        """Ten more; milliseconds of saving and of rollups, of one router and minute."""
        minutes = [self.minute(budget_s) for _ in range(10)]
        both = sum(one.saving_s for one in minutes), sum(one.rollups_s for one in minutes)
        saving_ms, rollups_ms = (one * 100 / self._routers for one in both)
        return saving_ms, rollups_ms

    @property
    def _statements(self) -> int:
        return self._counted.number if self._counted else 0

    def _save(self) -> tuple[float, list[int]]:
        """One sample of each router."""
        arriving = list(self._arrive())
        began, counts = time.process_time(), []
        for items in arriving:
            before = self._statements
            self.city.store.save(items)
            counts.append(self._statements - before)
        return time.process_time() - began, counts

    def _arrive(self) -> Iterator[list[Arrived]]:
        """Batches in the order in which their samples come, spread over the interval."""
        apart_ms = STEP_MS / self._routers
        for first in range(0, self._routers, MAX_BATCH):
            some = enumerate(self.city.routers[first : first + MAX_BATCH], first)
            yield [one.take(self._at_ms + round(n * apart_ms)) for n, one in some]
        self._at_ms += STEP_MS

    def _roll(self, budget_s: float = IDLE_S) -> None:
        self.city.now_ms = (self._at_ms - STEP_MS) // MINUTE_MS * MINUTE_MS + GRACE_MS
        while self.city.rollups.work(budget_s, time.process_time):
            pass


def run(length: Length) -> list[Result]:
    """Every figure of a city that lives."""
    sizes = {"quick": (10,), "usual": (10, 200, 1000), "full": (10, 200, 1000, 10_000)}[length]
    found = []
    for routers in sizes:
        for per_site in PER_SITE:
            found += _measured(routers, per_site, length == "quick")
    return found + _counted(10 if length == "quick" else 1000)


def _measured(routers: int, per_site: int, quick: bool) -> list[Result]:
    """One city; ten of its minutes are a run."""
    with tempfile.TemporaryDirectory() as folder:
        life = Life(Path(folder), routers, per_site)
        life.until_half_past(2 if quick else 30)
        count = 1 if quick else 3
        tens = [life.ten() for _ in range(count)]
        busy = [life.ten(BUSY_S) for _ in range(count)] if routers <= MOST_BUSY else []
        life.city.db.close()
    name = _named(routers, per_site)
    found = [
        Result(
            f"a sample saved and placed, {name}",
            "ms of CPU",
            tuple(saving_ms / 2 for saving_ms, _ in tens),
            "<= 0.1",
            COMMAND,
            f"in batches of {min(routers, MAX_BATCH)}",
        ),
        Result(
            f"all rollups of a router's minute, {name}",
            "ms of CPU",
            tuple(rollups_ms for _, rollups_ms in tens),
            "<= 0.25",
            COMMAND,
            "minute by minute: 1m, 1h and 1d of router, site and city",
        ),
    ]
    if busy:
        rollups = tuple(rollups_ms for _, rollups_ms in busy)
        wanted = "<= 0.25"
        what = f"all rollups of a router's minute while messages come, {name}"
        found.append(Result(what, "ms of CPU", rollups, wanted, COMMAND))
    return found


def _counted(most: int) -> list[Result]:
    """Statements, an executemany counted once; they are the same in every run."""
    found = []
    for routers, per_site in dict.fromkeys(
        (routers, per_site) for routers in (10, most) for per_site in PER_SITE
    ):
        with tempfile.TemporaryDirectory() as folder:
            life = Life(Path(folder), routers, per_site, counted=True)
            life.until_half_past(2)
            minutes = [life.minute() for _ in range(2)]
            life.city.db.close()
        name = _named(routers, per_site)
        batches = tuple(float(count) for one in minutes for count in one.batches)
        passes = tuple(float(one.pass_) for one in minutes)
        found += [
            Result(f"a batch of a sample each, {name}", "statements", batches, "<= 20", COMMAND),
            Result(f"a pass of all rollups, {name}", "statements", passes, "<= 60", COMMAND),
        ]
    return found


def _named(routers: int, per_site: int) -> str:
    return f"{routers:,} routers, {min(routers, per_site):,} a site"
