"""What the collector asks between batches, however much is stored, is found by an index."""

import random
import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.collector.build import (
    OLD_RUN,
    RUN,
    T0,
    Registered,
    opened,
    readings_of,
    received,
    sample,
)
from tests.collector.test_together import ROUTERS, drawn, rolled
from titik_collector.alerts.alert import AlertEvent, AlertKey, AlertSubject
from titik_collector.figures.windows import Span
from titik_collector.ingest.batch import BatchWriter
from titik_collector.ingest.items import to_item
from titik_collector.live import rollup_topics
from titik_collector.store import alert_rows, retention, rollups, visitor_counts
from titik_collector.store.alert_rows import KeptEvent
from titik_collector.store.sqlite import SqliteDatabase
from titik_wire.instant import DAY_MS, HOUR_MS, MINUTE_MS
from titik_wire.messages import Sample, Visitors

HISTORY = {"sample", "rollup", "settled", "boot_time", "boot", "run", "body", "counter", "cold"}


def whole_tables(db: SqliteDatabase, asked: Iterable[str]) -> set[str]:
    """The tables that any of the statements reads from end to end, and grow with history.

    An automatic index is made of a whole table, too.
    """
    found = set()
    for sql in asked:
        if sql.split()[0] in ("BEGIN", "COMMIT", "PRAGMA"):
            continue
        names = {alias: name for name, alias in re.findall(r"(\w+) AS (\w+)", sql)}
        for *_, plan in db.execute(f"EXPLAIN QUERY PLAN {sql}"):
            if plan.startswith("SCAN") or " AUTOMATIC " in plan:
                table = plan.split()[1]
                found.add(names.get(table, table))
    return found & HISTORY


def test_pruning_reads_no_table_whole(tmp_path: Path) -> None:
    """Ninety days of minutes are a hundred million rows, and samples wait meanwhile."""
    asked: list[str] = []
    with opened(tmp_path / "db") as db:
        db.raw.set_trace_callback(asked.append)
        retention.prune(db, T0, retention.Days(1, 30, 90))
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


def test_bytes_of_routers_read_no_other_minutes(tmp_path: Path) -> None:
    """Prometheus asks for the last ten of each router, of millions."""
    asked: list[str] = []
    with opened(tmp_path / "db") as db:
        db.raw.set_trace_callback(asked.append)
        rollups.bytes_of_routers(db, Span(T0, T0 + 10 * MINUTE_MS))
        db.raw.set_trace_callback(None)
        (sql,) = asked
        plans = [plan for *_, plan in db.execute(f"EXPLAIN QUERY PLAN {sql}")]
        (of_minutes,) = [one for one in plans if "rollup" in one]
        assert "scope_id=? AND length=? AND start_ms>? AND start_ms<?" in of_minutes


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


def steps_of_events(path: Path, before: int) -> tuple[int, int]:
    """Of SQLite, for the last changes by their time and as written, after so many others."""
    steps = 0

    def stepped() -> None:
        nonlocal steps
        steps += 1

    key = AlertKey("hot", AlertSubject("router", "park"))
    with opened(path) as db:
        for at_ms in (*(T0 - n * DAY_MS for n in range(before, 0, -1)), T0):
            event = AlertEvent(key, at_ms, "pending", "firing", "85 °C")
            alert_rows.add_events(db, [KeptEvent(event, None)])
        db.raw.set_progress_handler(stepped, 1)
        assert 1 == len(alert_rows.events(db, T0 - HOUR_MS, 9))
        assert 9 == len(alert_rows.events(db, 0, 9))
        by_time, steps = steps, 0
        assert 9 == len(alert_rows.newest_events(db, 9))
        db.raw.set_progress_handler(None, 0)
    return by_time, steps


def test_the_newest_changes_of_alerts_do_not_look_through_those_before(tmp_path: Path) -> None:
    """They are kept for ever, and read while samples wait."""
    few, many = (steps_of_events(tmp_path / str(n), n) for n in (20, 500))
    assert few == many


def steps_of_visitors(path: Path, before: int) -> int:
    """Of SQLite, for a day's visitors, when a run of the boot had so many samples before it."""
    runs = [(RUN, T0 - HOUR_MS - before * 30_000, before), (OLD_RUN, T0, 20)]
    steps = 0

    def stepped() -> None:
        nonlocal steps
        steps += 1

    with opened(path) as db:
        for run, from_ms, count in runs:
            BatchWriter(db, Registered()).save(
                [
                    to_item(received(_counting(run, seq, from_ms)), T0 + HOUR_MS)
                    for seq in range(1, count + 1)
                ]
            )
        db.raw.set_progress_handler(stepped, 1)
        found = visitor_counts.last(db, [(0, 1, 1, Span(T0, T0 + HOUR_MS))])
        db.raw.set_progress_handler(None, 0)
    assert 1 == len(found)
    return steps


def _counting(run: str, seq: int, from_ms: int) -> Sample:
    at_ms = from_ms + seq * 30_000
    uptime_ms = DAY_MS + at_ms - T0
    visitors = Visitors(seq, from_ms)
    return sample(seq, run=run, taken_at=at_ms, uptime_ms=uptime_ms, visitors=visitors)


@pytest.mark.thorough
def test_the_visitors_of_a_day_do_not_look_through_the_runs_before(tmp_path: Path) -> None:
    """An agent that was started again today may have had a run of weeks in the same boot."""
    few, many = (steps_of_visitors(tmp_path / str(n), n) for n in (20, 1000))
    assert many < 2 * few


@pytest.mark.thorough
@pytest.mark.parametrize("seed", range(3))
def test_no_batch_and_no_pass_reads_a_table_whole(tmp_path: Path, seed: int) -> None:
    """Whatever comes: merged ranges, boots never heard, moves, clocks not set."""
    with opened(tmp_path / "db", ROUTERS) as db:
        asked: dict[str, str] = {}
        db.raw.set_trace_callback(
            lambda sql: asked.setdefault(re.sub(r"'[^']*'|\d+", "", sql), sql)
        )
        rolled(db, *drawn(random.Random(seed)))
        db.raw.set_trace_callback(None)
        assert 60 <= len(asked)
        assert set() == whole_tables(db, asked.values())


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
                row = {"scope": scope, "scope_id": number, "length": window, "start_ms": start_ms}
                values = [row.get(name, 0) for name in names]
                db.execute(f"INSERT INTO rollup VALUES ({', '.join('?' * len(names))})", values)

        while retention.prune(db, T0 + 40 * 86_400_000, retention.Days(1, 30, 90)):
            pass
        assert [(0,)] == db.execute("SELECT count(*) FROM sample").fetchall()
        assert [(0,)] == db.execute("SELECT count(*) FROM body").fetchall()
        assert [("1h", 0, 3), ("1m", YOUNG, 3)] == db.execute(
            "SELECT length, start_ms, count(*) FROM rollup GROUP BY 1, 2 ORDER BY 1"
        ).fetchall()
