"""Stores of an earlier version that hold samples which are acknowledged and not placed."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.collector.build import OLD_RUN, RUN, conservation
from tests.collector.test_collect import ROUTER, SITE, Watched
from tests.collector.test_migrations import at_version
from tests.collector.test_registry import HEAD
from titik_collector.ingest import waiting
from titik_collector.store import conservation as check
from titik_collector.store.database import StoreError
from titik_collector.store.sqlite import SqliteDatabase, open_writer

# Written by that version: seq 1 placed; in the table 2 to 6, 7 that breaks the contract, 8; then a
# damaged row of 9 to 12; then 1 to 4 merged; then 13 and a sample of an older run.
LEFT = Path(__file__).with_name("waiting_of_schema_5.sql")


@contextmanager
def upgraded(path: Path) -> Iterator[SqliteDatabase]:
    with closing(at_version(path, 5)) as old:
        old.executescript(LEFT.read_text())
    with closing(open_writer(path)) as db:
        yield db


def placed(db: SqliteDatabase) -> list[tuple[str, int, int]]:
    return db.execute(
        "SELECT token, first_seq, seq FROM sample JOIN run ON run.id = run_id ORDER BY token, seq"
    ).fetchall()


SOUND = [(OLD_RUN, 1, 1), (RUN, 1, 4), (RUN, 5, 5), (RUN, 6, 6), (RUN, 8, 8), (RUN, 13, 13)]


def test_what_was_acknowledged_and_not_placed_is_placed_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What breaks the contract becomes refused; the damaged row is logged; the table is gone."""
    with upgraded(tmp_path / "db") as db:
        waiting.place(db)
        waiting.place(db)

        assert SOUND == placed(db)
        assert {RUN: (13, 12, 1, 0, 0), OLD_RUN: (2, 1, 0, 0, 1)} == conservation(db)
        assert [("bss[0].weak: must be 0 to 1000000",)] == db.execute(
            "SELECT rule FROM quarantine"
        ).fetchall()
        assert "are damaged" in caplog.text
        assert [] == db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'waiting'").fetchall()
        assert [] == check.findings(db)


@pytest.mark.parametrize("steps", range(1, 5))
def test_a_start_that_fails_halfway_is_taken_up_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, steps: int
) -> None:
    """Each row of the table is placed and removed in one transaction."""
    with upgraded(tmp_path / "db") as db:
        db.execute(
            "CREATE TEMP TRIGGER full BEFORE DELETE ON main.waiting WHEN old.id = "
            f"{steps} BEGIN SELECT raise(ABORT, 'disk full'); END"
        )
        with pytest.raises(StoreError, match="disk full"):
            waiting.place(db)
        assert [(5 - steps,)] == db.execute("SELECT count(*) FROM waiting").fetchall()
        db.execute("DROP TRIGGER full")
        caplog.clear()
        waiting.place(db)

        assert SOUND == placed(db)
        assert {RUN: (13, 12, 1, 0, 0), OLD_RUN: (2, 1, 0, 0, 1)} == conservation(db)


def test_a_collector_places_them_when_it_starts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Before it connects, so that what comes next comes after them."""
    file = tmp_path / "titik.toml"
    file.write_text(HEAD + SITE + ROUTER)
    with upgraded(tmp_path / "titik.db") as db:
        Watched(file, db)

        assert SOUND == placed(db)
        assert "are damaged" in caplog.text
