"""What is computed of many together is what each gives alone."""

import random
import time
from collections.abc import Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.collector.build import T0, Registered, opened
from tests.collector.history import Life, content
from titik_collector.figures.windows import Span
from titik_collector.ingest.batch import BatchWriter
from titik_collector.limits import MAX_SPANS
from titik_collector.received import Arrived
from titik_collector.rollups import worker
from titik_collector.rollups.router import RouterRollups
from titik_collector.rollups.worker import Rollups
from titik_collector.store.sqlite import SqliteDatabase
from titik_wire.instant import DAY_MS, HOUR_MS

ROUTERS = ("a1", "b2", "c3", "d4")
SITES = (1, 2, 3)
BATCH = 40  # samples
Moves = Sequence[tuple[int, int, int | None]]  # router, from when, site


def drawn(rand: random.Random) -> tuple[list[Arrived], Moves]:
    """What the routers report, in any order, and where they stand: some never move."""
    arrivals = [one for name in ROUTERS for one in Life(name, rand, 3, 16).arrivals]
    rand.shuffle(arrivals)
    moves: list[tuple[int, int, int | None]] = []
    for router_id in range(1, len(ROUTERS) + 1):
        moves.append((router_id, 0, rand.choice(SITES)))
        for moved_ms in sorted(rand.sample(range(T0, T0 + 2 * HOUR_MS), rand.choice((0, 0, 1, 3)))):
            moves.append((router_id, moved_ms, rand.choice((*SITES, None))))
    return arrivals, moves


def rolled(db: SqliteDatabase, arrivals: Sequence[Arrived], moves: Moves) -> None:
    """Save them in batches, and compute all rollups after each."""
    for site_id in SITES:
        name = f"s{site_id}"
        db.execute(
            "INSERT INTO site (id, name, title, registered) VALUES (?, ?, 'S', 1)", (site_id, name)
        )
    db.executemany("INSERT INTO membership VALUES (?, ?, ?)", moves)
    store = BatchWriter(db, Registered(*ROUTERS))
    rollups = Rollups(db, ZoneInfo("Asia/Makassar"), lambda: T0 + 30 * DAY_MS)
    for start in range(0, len(arrivals), BATCH):
        store.save(arrivals[start : start + BATCH])
        while rollups.work(10, time.monotonic):
            pass


def of_router(db: SqliteDatabase, router_id: int) -> list[object]:
    """All windows of a router."""
    _, windows = content(db)
    assert isinstance(windows, list)
    return [row for row in windows if row[:2] == ("router", router_id)]


@pytest.mark.thorough
@pytest.mark.parametrize("seed", range(6))
def test_a_router_is_the_same_beside_others(tmp_path: Path, seed: int) -> None:
    """Whatever these report, and wherever they stand."""
    arrivals, moves = drawn(random.Random(seed))
    with opened(tmp_path / "db", ROUTERS) as db:
        rolled(db, arrivals, moves)
        together = [of_router(db, number) for number in range(1, len(ROUTERS) + 1)]
    for number, name in enumerate(ROUTERS, 1):
        with opened(tmp_path / name, ROUTERS) as db:
            rolled(db, [one for one in arrivals if one.router == name], moves)
            assert together[number - 1] == of_router(db, number)


@pytest.mark.thorough
@pytest.mark.parametrize("seed", range(6))
def test_one_at_a_time_gives_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """One router in a pass, and one hour of one site: up to the city nothing is different."""
    arrivals, moves = drawn(random.Random(seed))
    with opened(tmp_path / "together", ROUTERS) as db:
        rolled(db, arrivals, moves)
        together = content(db)
    monkeypatch.setattr(worker, "MAX_PASS", 1)
    monkeypatch.setattr(worker, "MAX_SITE_HOURS", 1)
    with opened(tmp_path / "alone", ROUTERS) as db:
        rolled(db, arrivals, moves)
        assert together == content(db)


@pytest.mark.thorough
@pytest.mark.parametrize(("bad", "spans"), [({2}, MAX_SPANS), ({2, 3}, 2)])
def test_a_router_that_meets_a_bug_of_ours_holds_up_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, bad: set[int], spans: int
) -> None:
    """Its rollups wait for the next start; all others have theirs, however much waits of it."""
    good = {1, 2, 3, 4} - bad
    arrivals, moves = drawn(random.Random(1))
    real = RouterRollups.roll

    def roll(self: RouterRollups, stretches: dict[int, Span], *times: int) -> None:
        if bad & stretches.keys():
            raise ZeroDivisionError
        real(self, stretches, *times)

    with opened(tmp_path / "whole", ROUTERS) as db:
        rolled(db, arrivals, moves)
        expected = [of_router(db, number) for number in good]
    with pytest.MonkeyPatch.context() as patch, opened(tmp_path / "db", ROUTERS) as db:
        patch.setattr(RouterRollups, "roll", roll)
        patch.setattr(worker, "MAX_SPANS", spans)
        rolled(db, arrivals, moves)
        assert expected == [of_router(db, number) for number in good]
        assert [[]] * len(bad) == [of_router(db, number) for number in bad]
    assert [f"a bug stops the rollups of a router router_id={number}" for number in bad] == sorted(
        caplog.messages
    )
    caplog.clear()
