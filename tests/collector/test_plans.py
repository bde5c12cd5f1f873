"""What the collector asks between batches, however much is stored, is found by an index."""

from pathlib import Path

from tests.collector.build import T0, Registered, opened, readings_of, received, sample
from titik_collector.figures.windows import Span
from titik_collector.ingest.batch import BatchWriter
from titik_collector.ingest.ingest import to_item
from titik_collector.live import rollup_topics
from titik_collector.store import retention
from titik_collector.store.sqlite import SqliteDatabase


def whole_tables(db: SqliteDatabase, asked: list[str]) -> set[str]:
    """The big tables that any of the statements reads from end to end."""
    plans = [
        str(row[3])
        for sql in asked
        if sql.lstrip().startswith(("SELECT", "DELETE", "WITH"))
        for row in db.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall()
    ]
    read = {plan.split()[1] for plan in plans if plan.startswith("SCAN")}
    return read & {"sample", "counter", "rollup", "r"}


def test_pruning_reads_no_table_whole(tmp_path: Path) -> None:
    """Ninety days of minutes are a hundred million rows, and samples wait meanwhile."""
    asked: list[str] = []
    with opened(tmp_path / "db") as db:
        db.raw.set_trace_callback(asked.append)
        retention.prune(db, T0, 1, 30, 90)
        db.raw.set_trace_callback(None)

        assert len(asked) >= 3
        assert set() == whole_tables(db, asked)


def test_changes_read_no_table_whole(tmp_path: Path) -> None:
    """They are looked for every two seconds."""
    asked: list[str] = []
    with opened(tmp_path / "db") as db:
        db.raw.set_trace_callback(asked.append)
        list(rollup_topics.newest(db, "city", 0, "kupang", T0))
        rollup_topics.take(db, "kupang", T0)
        db.raw.set_trace_callback(None)

        assert len(asked) >= 1
        assert set() == whole_tables(db, asked)


def test_the_samples_of_a_minute_read_no_table_whole(tmp_path: Path) -> None:
    """They are looked for with every minute of every router, by three statements."""
    asked: list[str] = []
    with opened(tmp_path / "db") as db:
        BatchWriter(db, Registered()).save(
            [to_item(received(sample(seq)), T0) for seq in range(1, 9)]
        )
        db.raw.set_trace_callback(asked.append)
        found = readings_of(db, 1, Span(T0 + 60_000, T0 + 120_000))
        db.raw.set_trace_callback(None)
        asked = [sql for sql in asked if " interface " not in sql]  # looked up once

        assert 4 <= len(found)
        assert 3 == len(asked)
        assert set() == whole_tables(db, asked)


YOUNG = T0 + 39 * 86_400_000


def test_old_samples_and_minutes_go_and_hours_stay(tmp_path: Path) -> None:
    """Of routers, sites and the city; nothing younger is touched."""
    with opened(tmp_path / "db") as db:
        db.execute("INSERT INTO site (id, name, title, registered) VALUES (1, 's', 'S', 1)")
        store = BatchWriter(db, Registered())
        store.save([to_item(received(sample(seq)), T0) for seq in (1, 2)])
        names = [row[1] for row in db.execute("PRAGMA table_info(rollup)")]
        for scope, number in (("router", 1), ("site", 1), ("city", 0)):
            for window, start_ms in (("1m", 0), ("1h", 0), ("1m", YOUNG)):
                row = {"scope": scope, "scope_id": number, "window": window, "start_ms": start_ms}
                values = [row.get(name, 0) for name in names]
                db.execute(f"INSERT INTO rollup VALUES ({', '.join('?' * len(names))})", values)

        while retention.prune(db, T0 + 40 * 86_400_000, 1, 30, 90):
            pass
        assert [(0,)] == db.execute("SELECT count(*) FROM sample").fetchall()
        assert [(0,)] == db.execute("SELECT count(*) FROM body").fetchall()
        assert [("1h", 0, 3), ("1m", YOUNG, 3)] == db.execute(
            "SELECT window, start_ms, count(*) FROM rollup GROUP BY 1, 2 ORDER BY 1"
        ).fetchall()
