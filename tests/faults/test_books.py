"""What closing the books calls a second that is counted twice, and what it says of it."""

import time
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.collector.build import T0, Registered, opened, sample
from tests.faults.checker import slack_ms
from tests.system.city import HOUR_MS, SLACK_MS, ZONE
from tests.system.overlap import assert_minutes_never_overlap
from titik_collector.ingest.batch import BatchWriter
from titik_collector.received import Arrived
from titik_collector.rollups.worker import Rollups
from titik_collector.store.database import Database
from titik_wire import codec

SAMPLES = 20
EARLY = 11  # the first seq by the clock that was set back


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    """A store with one router."""
    with opened(tmp_path / "titik.db") as found:
        yield found


def rolled(db: Database, early_ms: int = 0) -> None:
    """Ten minutes; the router's clock was set back by so much before one of the samples."""
    shifts = [early_ms if seq >= EARLY else 0 for seq in range(1, SAMPLES + 1)]
    ours = [
        sample(seq, taken_at=T0 + seq * 30_000 - shift) for seq, shift in enumerate(shifts, start=1)
    ]
    BatchWriter(db, Registered()).save(
        [Arrived(one, codec.encode(one), True, one.taken_at) for one in ours]
    )
    rollups = Rollups(db, ZoneInfo(ZONE), lambda: T0 + 2 * HOUR_MS)
    while rollups.work(1.0, time.monotonic):
        pass


def with_more(db: Database, figure: str, more_ms: int) -> None:
    """As if the fullest minute had counted so much twice."""
    db.execute(
        f"UPDATE rollup SET {figure} = {figure} + ? WHERE scope = 'router' AND length = '1m'"
        " AND start_ms = (SELECT start_ms FROM rollup WHERE scope = 'router' AND length = '1m'"
        "  ORDER BY observed_ms DESC, start_ms LIMIT 1)",
        (more_ms,),
    )


@pytest.mark.parametrize("figure", ["covered_ms", "observed_ms", "up_ms"])
def test_a_minute_with_more_in_it_is_named(db: Database, figure: str) -> None:
    """What is wrong is reported with its figures."""
    rolled(db)
    with_more(db, figure, 1800)
    with pytest.raises(AssertionError, match=r"more than a minute in them.*61800"):
        assert_minutes_never_overlap(db, SLACK_MS)


def test_a_moment_of_a_fast_clock_is_no_overlap(db: Database) -> None:
    """One millisecond between two readings is 1.8 s where time runs 1800 times as fast."""
    rolled(db)
    with_more(db, "observed_ms", 1800)
    assert_minutes_never_overlap(db, slack_ms(1800.0))


def test_a_minute_that_is_counted_twice_is_found_on_a_fast_clock(db: Database) -> None:
    """However fast it is there."""
    rolled(db)
    with_more(db, "observed_ms", 60_000)
    with pytest.raises(AssertionError, match="more than a minute in them"):
        assert_minutes_never_overlap(db, slack_ms(1800.0))


@pytest.mark.parametrize("early_ms", [1000, 29_000])
def test_what_a_router_lived_twice_by_its_clock_is_no_overlap(db: Database, early_ms: int) -> None:
    """A clock that is set back names the same seconds again, and clients were there in both."""
    rolled(db, early_ms)
    (most_ms,) = db.execute(
        "SELECT max(observed_ms) FROM rollup WHERE scope = 'router' AND length = '1m'"
    ).fetchone()
    assert most_ms > 60_000 + SLACK_MS
    assert_minutes_never_overlap(db, SLACK_MS)


def test_a_second_counted_twice_is_found_where_a_clock_was_set_back(
    db: Database,
) -> None:
    """No more is allowed than what the clock named again."""
    rolled(db, 1000)
    with_more(db, "observed_ms", 1000)
    with pytest.raises(AssertionError, match=r"more than a minute in them.*62000"):
        assert_minutes_never_overlap(db, SLACK_MS)


def test_a_clock_that_runs_as_usual_has_the_usual_slack() -> None:
    """Of the city's other tests."""
    assert SLACK_MS == slack_ms(1.0)
