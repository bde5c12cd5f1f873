"""The times in which the collector could not hear."""

from pathlib import Path

import pytest

from tests.collector.build import T0, opened
from titik_collector.live.hearing import Hearing
from titik_collector.live.presence import Presence
from titik_collector.store.database import StoreError
from titik_collector.store.sqlite import SqliteDatabase


class Clock:
    """Seconds after T0."""

    def __init__(self) -> None:
        self.at_s = 0

    def now_ms(self) -> int:
        return T0 + self.at_s * 1000


def hearing(db: SqliteDatabase, clock: Clock, at_s: int) -> Hearing:
    """As it is after a start."""
    clock.at_s = at_s
    return Hearing(db, Presence(db), clock.now_ms)


def gaps(db: SqliteDatabase) -> list[tuple[int, int, str, str]]:
    rows = db.execute("SELECT from_ms, to_ms, what, reason FROM server_outage")
    return [((start - T0) // 1000, (end - T0) // 1000, *rest) for start, end, *rest in rows]


def test_a_first_start_is_no_gap(tmp_path: Path) -> None:
    """Nobody listened before, and nobody was to."""
    with opened(tmp_path / "db") as db:
        ears = hearing(db, Clock(), 100)
        assert (None, 0) == (ears.since_ms, ears.deaf_ms())
        ears.resume()
        assert (T0 + 100_000, []) == (ears.since_ms, gaps(db))


def test_a_collector_that_never_heard_is_deaf_since_its_start(tmp_path: Path) -> None:
    """Its store failed at once: what the broker kept of routers is as old as that, and unknown."""
    clock = Clock()
    with opened(tmp_path / "db") as db:
        ears = hearing(db, clock, 100)
        clock.at_s = 130
        assert 30_000 == ears.deaf_ms()


def test_a_gap_is_from_what_was_last_heard_to_the_return(tmp_path: Path) -> None:
    """A broker that hangs is noticed late."""
    clock = Clock()
    with opened(tmp_path / "db") as db:
        ears = hearing(db, clock, 0)
        ears.resume()
        ears.heard(T0 + 40_000)
        clock.at_s = 60
        ears.stop("broker", "it says nothing")
        ears.heard(T0 + 60_000)
        ears.stop("store", "and the disk is full")
        clock.at_s = 100
        assert (None, 60_000) == (ears.since_ms, ears.deaf_ms())
        ears.resume()
        assert [(40, 100, "broker", "it says nothing")] == gaps(db)


def test_a_short_gap_is_no_event(tmp_path: Path) -> None:
    """A sample comes every 30 s."""
    clock = Clock()
    with opened(tmp_path / "db") as db:
        ears = hearing(db, clock, 0)
        ears.resume()
        ears.heard(T0)
        ears.stop("store", "database is locked")
        clock.at_s = 9
        ears.resume()
        assert [] == gaps(db)


def test_the_time_without_a_collector_is_a_gap(tmp_path: Path) -> None:
    """Until when it heard outlives it."""
    clock = Clock()
    with opened(tmp_path / "db") as db:
        ears = hearing(db, clock, 0)
        ears.resume()
        ears.heard(T0 + 30_000)
        ears.notice_silent([])
        hearing(db, clock, 3600).resume()
        assert [(30, 3600, "collector", "the collector did not run")] == gaps(db)


@pytest.mark.sqlite("refuses by a PRAGMA")
def test_a_gap_that_cannot_be_written_is_not_over(tmp_path: Path) -> None:
    """What comes may not be saved before: it would be taken for heard in time."""
    clock = Clock()
    with opened(tmp_path / "db") as db:
        ears = hearing(db, clock, 0)
        ears.resume()
        ears.heard(T0)
        ears.stop("store", "disk full")
        clock.at_s = 100
        db.execute("PRAGMA query_only = ON")
        with pytest.raises(StoreError):
            ears.resume()
        assert ears.since_ms is None
        db.execute("PRAGMA query_only = OFF")
        ears.resume()
        assert [(0, 100, "store", "disk full")] == gaps(db)


def test_a_gap_is_in_no_length_of_an_outage(tmp_path: Path) -> None:
    """A router was away before it, and after it."""
    with opened(tmp_path / "db") as db:
        db.execute(
            "INSERT INTO outage (router_id, from_ms, to_ms) VALUES (1, ?, ?)",
            (T0, T0 + 1000_000),
        )
        db.execute(
            "INSERT INTO server_outage VALUES (?, ?, 'broker', 'gone')",
            (T0 + 100_000, T0 + 400_000),
        )
        assert [(700,)] == db.execute("SELECT length_s FROM v_outage").fetchall()


def test_two_gaps_at_once_make_no_length_negative(tmp_path: Path) -> None:
    """A line that failed, and a collector that was started again meanwhile."""
    with opened(tmp_path / "db") as db:
        db.execute("INSERT INTO outage (router_id, from_ms, to_ms) VALUES (1, 0, 600000)")
        db.execute(
            "INSERT INTO server_outage VALUES (0, 600000, 'line', ''), (1, 20000, 'broker', '')"
        )
        assert [(0,)] == db.execute("SELECT length_s FROM v_outage").fetchall()


def test_attempts_that_hear_nothing_are_one_gap(tmp_path: Path) -> None:
    """A broker that lets the collector in and refuses its subscriptions, again and again."""
    clock = Clock()
    with opened(tmp_path / "db") as db:
        ears = hearing(db, clock, 0)
        ears.resume()
        ears.heard(T0)
        for at_s in (8, 16, 24):
            ears.stop("broker", "it refused the subscriptions")
            clock.at_s = at_s
            ears.resume()
        assert [(0, 24, "broker", "it refused the subscriptions")] == gaps(db)
