"""What is let go of, and what is computed no more because of it."""

from pathlib import Path
from typing import Any, cast

import pytest
from click.testing import CliRunner

from tests.collector.build import T0, Registered, opened, received, sample
from tests.collector.test_migrations import at_version
from tests.collector.test_registry import HEAD
from titik_collector.cli import titik
from titik_collector.config.store_table import Store
from titik_collector.ingest.batch import BatchWriter
from titik_collector.ingest.items import to_item
from titik_collector.store import retention
from titik_collector.store.sqlite import SqliteDatabase
from titik_collector.timeline import pruning
from titik_wire.instant import DAY_MS

DAYS = retention.Days(messages=1, samples=30, minutes=90)
IN_2039 = 2_177_452_800_000


def sealed(db: SqliteDatabase) -> int:
    row = db.execute("SELECT value FROM setting WHERE name = 'sealed_before_ms'").fetchone()
    return int(row[0])


def test_a_seal_goes_back_with_the_time(tmp_path: Path) -> None:
    """A collector of an earlier version met a clock of 2039; rollups go on."""
    with opened(tmp_path / "db") as db:
        retention.prune(db, IN_2039, DAYS)
        retention.prune(db, T0, DAYS)
        assert (T0 - 30 * DAY_MS) // DAY_MS * DAY_MS == sealed(db)


def test_a_seal_stays_before_what_was_pruned(tmp_path: Path) -> None:
    """Or days would be computed again from the half of their samples."""
    with opened(tmp_path / "db") as db:
        BatchWriter(db, Registered()).save([to_item(received(sample(1), True), T0 + 30_100)])
        later = T0 + 40 * DAY_MS
        retention.prune(db, later, DAYS)
        assert [] == db.execute("SELECT seq FROM sample").fetchall()
        retention.prune(db, T0, DAYS)
        assert (T0 // DAY_MS + 2) * DAY_MS == sealed(db)


def keeping(**days: int) -> Store:
    return Store(path=Path("titik.db"), **cast(Any, days))


def test_a_new_store_keeps_a_week_of_samples_and_two_of_minutes(tmp_path: Path) -> None:
    """Longer where the configuration says so, and minutes never less long than samples."""
    with opened(tmp_path / "db") as db:
        assert retention.Days(1, 8, 14) == pruning.days(db, keeping())
        assert retention.Days(1, 8, 90) == pruning.days(db, keeping(minutes_days=90))
        assert retention.Days(2, 30, 30) == pruning.days(
            db, keeping(messages_days=2, samples_days=30)
        )
        assert None is pruning.of_before(db, keeping())


@pytest.mark.sqlite("migrates a file")
def test_a_store_of_an_earlier_version_keeps_its_days_until_others_are_set(tmp_path: Path) -> None:
    """An upgrade deletes nothing; it says which keys decide otherwise."""
    with at_version(tmp_path / "db", 18) as old:
        old.execute("INSERT INTO router VALUES (1, 'tirosa-1', 1, 0)")
    old.close()
    with opened(tmp_path / "db") as db:
        words = (
            "the figures of samples are kept 30 days and minutes {} days, as an earlier version"
            " did; store.samples_days and store.minutes_days change it"
        )
        assert retention.Days(1, 30, 90) == pruning.days(db, keeping())
        assert words.format(90) == pruning.of_before(db, keeping())
        assert retention.Days(1, 30, 30) == pruning.days(db, keeping(minutes_days=14))
        assert words.format(30) == pruning.of_before(db, keeping(minutes_days=14))
        chosen = keeping(samples_days=8, minutes_days=14)
        assert retention.Days(1, 8, 14) == pruning.days(db, chosen)
        assert None is pruning.of_before(db, chosen)


@pytest.mark.sqlite("migrates a file")
def test_db_check_says_that_a_store_keeps_its_days(tmp_path: Path) -> None:
    """Until the configuration names both."""
    file = tmp_path / "titik.toml"
    with at_version(tmp_path / "titik.db", 18) as old:
        old.execute("INSERT INTO router VALUES (1, 'tirosa-1', 1, 0)")
    old.close()
    with opened(tmp_path / "titik.db"):
        pass
    screens = []
    for more in ("", "samples_days = 8\nminutes_days = 14\n"):
        file.write_text(HEAD + more)
        done = CliRunner().invoke(titik, ["db", "check", "--config", str(file)])
        assert 0 == done.exit_code, done.output
        screens.append(done.output)
    assert ["minutes 90 days, as an earlier version did" in one for one in screens] == [True, False]
