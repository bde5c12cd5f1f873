"""What a city costs as it lives: what arrives is saved, and each minute its rollups are computed.

Rule: ten minutes are measured as one, because hours and days that go on are computed once in them.
Rule: rollups have the budgets of a collector's turns: a long one while no message comes, a short
one while messages come. Between turns sites are summed, whether all their routers are done or not.
Rule: processor time is this process's, with `synchronous=FULL`. That of a database with processes
of its own is the `server` of a result. PostgreSQL waits for its disk, as SQLite does.
Rule: two engines take turns, minute by minute, so that a ratio is of one machine in one state.
"""

import contextlib
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from bench import procfs
from bench.city import T0, City
from bench.results import Length, Result
from bench.statements import Statements
from tests.postgres import Postgres
from titik_collector.assemble import BUSY_S
from titik_collector.limits import MAX_BATCH, MAX_PASS
from titik_collector.received import Arrived
from titik_collector.rollups.worker import GRACE_MS
from titik_collector.store import postgres_schema
from titik_collector.store.database import Database
from titik_collector.store.postgres import PostgresPlace
from titik_wire.instant import MINUTE_MS

COMMAND = "python -m bench.run --only live"
STEP_MS = 30_000
TEN = 10
IDLE_S = 0.05  # of rollups in one turn of a collector to which no message comes
PER_SITE = (4, 2000)
MOST_BUSY = 200  # routers of a city that is measured with the short budget: it may take minutes


class Took(NamedTuple):
    """What a minute of the city took, in seconds."""

    saving_s: float
    saving_wall_s: float
    rollups_s: float
    server_saving_s: float  # of the database's own process
    server_rollups_s: float


class Minute(NamedTuple):
    """One minute of the city."""

    took: Took
    batches: tuple[int, ...]  # statements of each
    pass_: int  # statements of all rollups


class Clocks(NamedTuple):
    """Seconds of this process, of the wall and of the database's own process."""

    cpu_s: float
    wall_s: float
    server_s: float


class Saving(NamedTuple):
    """What one sample of each router took."""

    cpu_s: float
    wall_s: float
    server_s: float
    statements: list[int]  # of each batch


class Life:
    """A city whose minutes pass one after the other."""

    def __init__(
        self,
        folder: Path,
        routers: int,
        per_site: int,
        counted: bool = False,
        db: Database | None = None,
    ) -> None:
        self.city = City(folder, routers, per_site, db)
        self._server = _backend(db) if db else None
        self._counted = Statements(self.city.db) if counted else None
        self.routers, self.name = routers, _named(routers, per_site)
        self._at_ms = T0

    def until_half_past(self, minutes: int) -> None:
        """So many minutes that are not measured, and their rollups."""
        for _ in range(2 * minutes):
            for items in self._arrive():
                self.city.store.save(items)
        self._roll()
        if self._server is None:
            self.city.db.execute("PRAGMA synchronous = FULL")

    def minute(self, budget_s: float = IDLE_S) -> Minute:
        """One more: rollups are due when the samples of its beginning are there."""
        with self.city.db.transaction():
            self.city.db.execute("DELETE FROM rollup_news")  # a collector publishes them
        first = self._save()
        began, before = self._clocks(), self._statements
        self._roll(budget_s)
        ended, statements = self._clocks(), self._statements - before
        second = self._save()
        took = Took(
            first.cpu_s + second.cpu_s,
            first.wall_s + second.wall_s,
            ended.cpu_s - began.cpu_s,
            first.server_s + second.server_s,
            ended.server_s - began.server_s,
        )
        return Minute(took, (*first.statements, *second.statements), statements)

    @property
    def _statements(self) -> int:
        return self._counted.number if self._counted else 0

    def _save(self) -> "Saving":
        """One sample of each router."""
        arriving = list(self._arrive())
        began, counts = self._clocks(), []
        for items in arriving:
            before = self._statements
            self.city.store.save(items)
            counts.append(self._statements - before)
        ended = self._clocks()
        return Saving(
            ended.cpu_s - began.cpu_s,
            ended.wall_s - began.wall_s,
            ended.server_s - began.server_s,
            counts,
        )

    def _clocks(self) -> "Clocks":
        server_s = 0.0 if self._server is None else procfs.cpu_s(self._server)
        return Clocks(time.process_time(), time.perf_counter(), server_s)

    def _arrive(self) -> Iterator[list[Arrived]]:
        """Batches in the order in which their samples come, spread over the interval."""
        apart_ms = STEP_MS / self.routers
        for first in range(0, self.routers, MAX_BATCH):
            some = enumerate(self.city.routers[first : first + MAX_BATCH], first)
            yield [one.take(self._at_ms + round(n * apart_ms)) for n, one in some]
        self._at_ms += STEP_MS

    def _roll(self, budget_s: float = IDLE_S) -> None:
        self.city.now_ms = (self._at_ms - STEP_MS) // MINUTE_MS * MINUTE_MS + GRACE_MS
        while self.city.rollups.work(budget_s, time.process_time):
            pass


def run(length: Length) -> list[Result]:
    """Every figure of a city that lives."""
    quick = length == "quick"
    found = []
    with Postgres(durable=True) as server:
        for routers in (10,) if quick else (10, 200, 1000):
            for per_site in PER_SITE:
                with _lives(server, routers, per_site) as lives:
                    found += _measured(*lives, quick)
    return found + _counted(10 if quick else MAX_PASS) + (_many() if length == "full" else [])


def _many() -> list[Result]:
    """The largest city, in a file."""
    found = []
    for per_site in PER_SITE:
        with tempfile.TemporaryDirectory() as folder:
            life = Life(Path(folder), 10_000, per_site)
            life.until_half_past(10)
            found += _of_tens(life, [_mean([life.minute().took for _ in range(TEN)])], "")
            life.city.db.close()
    return found


@contextlib.contextmanager
def _lives(server: Postgres, routers: int, per_site: int) -> Iterator[tuple[Life, Life]]:
    """The same city in a file and on a server."""
    with (
        server.schema() as schema,
        contextlib.closing(postgres_schema.open_writer(PostgresPlace(server.url, schema))) as db,
        tempfile.TemporaryDirectory() as folder,
    ):
        file = Life(Path(folder), routers, per_site)
        with contextlib.closing(file.city.db):
            yield file, Life(Path(folder), routers, per_site, db=db)


def _measured(file: Life, server: Life, quick: bool) -> list[Result]:
    """One city on both engines; ten of its minutes are a run."""
    both = (file, server)
    for life in both:
        life.until_half_past(2 if quick else 30)
    count, routers = 1 if quick else 3, file.routers
    tens = [
        [_mean(some) for some in zip(*[_turn(both) for _ in range(TEN)], strict=True)]
        for _ in range(count)
    ]
    found = _of_tens(file, [one for one, _ in tens], "")
    found += _of_tens(server, [one for _, one in tens], ", on PostgreSQL")
    for what, ratios in {
        "a sample saved and placed": [b.saving_s / a.saving_s for a, b in tens],
        "all rollups of a router's minute": [b.rollups_s / a.rollups_s for a, b in tens],
    }.items():
        name = f"{what}, {file.name}: the collector's CPU on PostgreSQL to that on SQLite"
        found.append(Result(name, "", tuple(ratios), "<= 1.5", COMMAND))
    if routers <= MOST_BUSY:
        busy = [_mean([file.minute(BUSY_S).took for _ in range(TEN)]) for _ in range(count)]
        rollups = tuple(one.rollups_s * 1000 / routers for one in busy)
        what = f"all rollups of a router's minute while messages come, {file.name}"
        found.append(Result(what, "ms of CPU", rollups, "<= 0.25", COMMAND))
    return found


def _turn(lives: Sequence[Life]) -> list[Took]:
    """A minute of each."""
    return [life.minute().took for life in lives]


def _mean(minutes: Sequence[Took]) -> Took:
    """What a minute took in the mean of some."""
    return Took(*(statistics.mean(each) for each in zip(*minutes, strict=True)))


def _of_tens(life: Life, minutes: Sequence[Took], where: str) -> list[Result]:
    """What a sample and a router-minute took of one engine; only SQLite's has to reach a figure."""
    routers, is_server = life.routers, bool(where)
    samples = 2 * routers
    fast = is_server and routers >= MAX_BATCH
    return [
        Result(
            f"a sample saved and placed, {life.name}{where}",
            "ms of CPU",
            tuple(one.saving_s * 1000 / samples for one in minutes),
            None if is_server else "<= 0.1",
            COMMAND,
            f"in batches of {min(routers, MAX_BATCH)}",
            tuple(one.server_saving_s * 1000 / samples for one in minutes if is_server),
        ),
        Result(
            f"samples saved and placed, {life.name}{where}",
            "samples/s",
            tuple(samples / one.saving_wall_s for one in minutes),
            ">= 6000" if fast else None,
            COMMAND,
            f"in prepared batches of {min(routers, MAX_BATCH)}",
        ),
        Result(
            f"all rollups of a router's minute, {life.name}{where}",
            "ms of CPU",
            tuple(one.rollups_s * 1000 / routers for one in minutes),
            None if is_server else "<= 0.25",
            COMMAND,
            "mean of ten minutes: 1m, 1h and 1d of router, site and city",
            tuple(one.server_rollups_s * 1000 / routers for one in minutes if is_server),
        ),
    ]


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


def _backend(db: Database) -> int:
    """The server's process of this session."""
    ((pid,),) = db.execute("SELECT pg_backend_pid()")
    return int(pid)
