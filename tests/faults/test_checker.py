"""Which rollups the checker calls wrong where a clock was set back and its samples are pruned."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

from tests.collector.build import T0, Registered, opened, sample
from tests.faults.checker import Verdict, rebuild
from tests.system.city import ZONE
from titik_collector.ingest.batch import BatchWriter
from titik_collector.received import Arrived
from titik_collector.rollups.worker import Rollups
from titik_collector.store import retention
from titik_collector.store.database import Database
from titik_collector.store.sqlite import open_writer
from titik_wire import codec
from titik_wire.instant import DAY_MS, HOUR_MS

START = T0 // HOUR_MS * HOUR_MS
NOW = START + HOUR_MS
SET_BACK = range(31, 34)  # samples taken with a clock that is nine days behind


@contextmanager
def pruned(file: Path) -> Iterator[Database]:
    """A store whose rollups were computed before those samples were let go of."""
    with opened(file, ("r-1",)) as db:
        db.execute("PRAGMA synchronous = OFF")
        _prune(db)  # what is that old is sealed before it comes
        store = BatchWriter(db, Registered("r-1"))
        arrived = []
        for seq in range(1, 61):
            up_ms = (seq - 1) * 30_000
            taken_ms = START + up_ms - (9 * DAY_MS if seq in SET_BACK else 0)
            one = replace(sample(seq), router="r-1", uptime_ms=up_ms, taken_at=taken_ms)
            arrived.append(Arrived(one, codec.encode(one), False, NOW))
        store.save(arrived)
        rollups = Rollups(db, ZoneInfo(ZONE), lambda: NOW)
        assert not rollups.finish(60.0, time.monotonic)
        _prune(db)
        yield db


def _prune(db: Database) -> None:
    with db.transaction():
        retention.prune(db, NOW, retention.Days(1, 2, 90))


def verdict(file: Path) -> Verdict:
    """What the checker says of the rollups."""
    found = Verdict()
    with closing(open_writer(file)) as db:
        rebuild(db, NOW, found)
    return found


def test_a_window_beside_pruned_samples_is_excused(tmp_path: Path) -> None:
    """From nothing it comes out otherwise, and the row that is there is the better one."""
    with pruned(tmp_path / "titik.db"):
        found = verdict(tmp_path / "titik.db")
    assert (found.rollups_differ, found.rollups_excused > 0) == (0, True)


def test_a_window_away_from_pruned_samples_is_not_excused(tmp_path: Path) -> None:
    """A minute of the same router and hour, off by one."""
    with pruned(tmp_path / "titik.db") as db:
        db.execute(
            "UPDATE rollup SET client_ms = client_ms + 1 WHERE length = '1m' AND start_ms = ?",
            (START + 5 * 60_000,),
        )
        found = verdict(tmp_path / "titik.db")
    assert found.rollups_differ == 2  # as it was, and as it is from nothing


def test_a_window_of_a_router_that_lost_nothing_is_not_excused(tmp_path: Path) -> None:
    """No gap is between its samples: any row that differs is wrong."""
    with pruned(tmp_path / "titik.db") as db:
        db.execute("UPDATE settled SET kind = 'refused'")
        found = verdict(tmp_path / "titik.db")
    assert (found.rollups_differ > 0, found.rollups_excused) == (True, 0)
