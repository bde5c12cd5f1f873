"""What is let go of, and what is computed no more because of it."""

from pathlib import Path

from tests.collector.build import T0, Registered, opened, received, sample
from titik_collector.ingest.batch import BatchWriter
from titik_collector.ingest.ingest import to_item
from titik_collector.store import retention
from titik_collector.store.sqlite import SqliteDatabase
from titik_wire.instant import DAY_MS

DAYS = (1, 30, 90)  # messages, samples, minutes
IN_2039 = 2_177_452_800_000


def sealed(db: SqliteDatabase) -> int:
    row = db.execute("SELECT value FROM setting WHERE name = 'sealed_before_ms'").fetchone()
    return int(row[0])


def test_a_seal_goes_back_with_the_time(tmp_path: Path) -> None:
    """A collector of an earlier version met a clock of 2039; rollups go on."""
    with opened(tmp_path / "db") as db:
        retention.prune(db, IN_2039, *DAYS)
        retention.prune(db, T0, *DAYS)
        assert (T0 - 30 * DAY_MS) // DAY_MS * DAY_MS == sealed(db)


def test_a_seal_stays_before_what_was_pruned(tmp_path: Path) -> None:
    """Or days would be computed again from the half of their samples."""
    with opened(tmp_path / "db") as db:
        BatchWriter(db, Registered()).save([to_item(received(sample(1), True), T0 + 30_100)])
        later = T0 + 40 * DAY_MS
        retention.prune(db, later, *DAYS)
        assert [] == db.execute("SELECT seq FROM sample").fetchall()
        retention.prune(db, T0, *DAYS)
        assert (T0 // DAY_MS + 2) * DAY_MS == sealed(db)
