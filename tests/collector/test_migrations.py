"""Stores of earlier versions, brought to this one."""

import sqlite3
from pathlib import Path

import pytest

from titik_collector.store import conservation
from titik_collector.store.database import StoreError, Unstorable, migrations
from titik_collector.store.sqlite import SqliteDatabase, open_writer

WRITTEN_OFTEN = ("sample", "boot_time", "rollup")


def at_version(path: Path, version: int) -> sqlite3.Connection:
    """A new store of the program that knew so many migrations."""
    old = sqlite3.connect(path, isolation_level=None)
    for number, sql in migrations("schema"):
        if number <= version:
            old.executescript(f"{sql} PRAGMA user_version = {number};")
    return old


def zeros(
    db: sqlite3.Connection | SqliteDatabase, table: str, **values: object
) -> tuple[str, list[object]]:
    """A statement that inserts a row, and its values, zero where nothing is given."""
    names = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
    marks = ", ".join("?" * len(names))
    return f"INSERT INTO {table} VALUES ({marks})", [values.get(name, 0) for name in names]


def test_a_store_of_the_fifth_schema_keeps_its_rollups_and_its_checks(tmp_path: Path) -> None:
    """Rates are new and unknown, counts new and none. What the checks refused they still refuse."""
    with at_version(tmp_path / "db", 5) as old:
        old.execute(*zeros(old, "rollup", scope="site", scope_id=3, window="1h", client_ms=7))
        new = (None, None, None, None, 0, 0, 0)
        before = [(*row, *new) for row in old.execute("SELECT * FROM rollup")]
    old.close()

    db = open_writer(tmp_path / "db")
    try:
        assert before == db.execute("SELECT * FROM rollup").fetchall()
        for scope, length in (("village", "1m"), ("city", "5m")):
            with pytest.raises(Unstorable):
                db.execute(*zeros(db, "rollup", scope=scope, length=length))
        with pytest.raises(Unstorable):
            db.execute(*zeros(db, "sample", quality="guess"))
        assert [("ok",)] == db.execute("PRAGMA integrity_check").fetchall()
    finally:
        db.close()


def test_a_store_older_than_the_first_version_is_refused(tmp_path: Path) -> None:
    """Nobody else ever had one; it stays as it is."""
    with sqlite3.connect(tmp_path / "db") as old:
        old.executescript("CREATE TABLE router (id INTEGER); PRAGMA user_version = 4")
    old.close()
    with pytest.raises(StoreError, match="schema 4 is older than 5"):
        open_writer(tmp_path / "db")


def test_a_run_that_was_closed_counts_as_it_did(tmp_path: Path) -> None:
    """What is missing of it is lost; a run that is open holds what is above its floor."""
    law = "SELECT run, taken, stored, refused, lost, in_spool FROM v_conservation ORDER BY run"
    with at_version(tmp_path / "db", 5) as old:
        old.execute("INSERT INTO router VALUES (1, 'tirosa-1', 1, 0)")
        for run, closed in ((1, 0), (2, 1)):
            old.execute(
                "INSERT INTO run (id, router_id, token, highest, floor, closed)"
                " VALUES (?, 1, ?, 20, 4, ?)",
                (run, f"{run:016x}", closed),
            )
            old.execute("INSERT INTO settled VALUES (?, 'stored', 3, 9)", (run,))
            old.execute("INSERT INTO settled VALUES (?, 'refused', 12, 12)", (run,))
        before = old.execute(law).fetchall()
    old.close()

    db = open_writer(tmp_path / "db")
    try:
        assert [(20, 7, 1, 2, 10), (20, 7, 1, 12, 0)] == [row[1:] for row in before]
        assert before == db.execute(law).fetchall()
        assert [] == conservation.findings(db)
    finally:
        db.close()


@pytest.mark.parametrize("table", WRITTEN_OFTEN)
def test_no_row_is_checked_by_way_of_a_table(tmp_path: Path, table: str) -> None:
    """As SQLite does for IN with three values, at more than the cost of the row."""
    db = open_writer(tmp_path / "db")
    try:
        sql, values = zeros(db, table)
        program = db.execute(f"EXPLAIN {sql}", values).fetchall()
        assert "OpenEphemeral" not in {step[1] for step in program}
    finally:
        db.close()


def test_outages_of_the_fifth_schema_are_kept(tmp_path: Path) -> None:
    """With their numbers; what their causes were concluded from is not known."""
    with at_version(tmp_path / "db", 5) as old:
        old.execute("INSERT INTO router VALUES (1, 'tirosa-1', 1, 0)")
        old.execute(
            "INSERT INTO outage (id, router_id, from_ms, to_ms, cause)"
            " VALUES (7, 1, 1000, 61000, 'uplink lost'), (9, 1, 90000, NULL, 'unknown')"
        )
        before = [(*row, None) for row in old.execute("SELECT * FROM outage")]
        lengths = old.execute("SELECT length_s, cause FROM v_outage").fetchall()
    old.close()

    db = open_writer(tmp_path / "db")
    try:
        assert before == db.execute("SELECT * FROM outage").fetchall()
        assert lengths == db.execute("SELECT length_s, cause FROM v_outage").fetchall()
    finally:
        db.close()


def test_the_past_of_a_store_that_knew_no_alerts_stays(tmp_path: Path) -> None:
    """An upgrade of firmware becomes a cause; whatever else is no cause is still refused."""
    with at_version(tmp_path / "db", 22) as old:
        old.execute("INSERT INTO router VALUES (1, 'tirosa-1', 1, 0)")
        old.execute("INSERT INTO outage VALUES (7, 1, 1000, 61000, 'server', 'in words')")
    old.close()

    db = open_writer(tmp_path / "db")
    try:
        add = "INSERT INTO outage (router_id, from_ms, cause) VALUES (1, ?, ?)"
        db.execute(add, (90_000, "firmware upgrade"))
        with pytest.raises(Unstorable):
            db.execute(add, (95_000, "ghosts"))
        assert [
            (7, 1, 1000, 61000, "server", "in words"),
            (8, 1, 90000, None, "firmware upgrade", None),
        ] == db.execute("SELECT * FROM outage ORDER BY id").fetchall()
        assert [("ok",)] == db.execute("PRAGMA integrity_check").fetchall()
    finally:
        db.close()


def steps_of_upgrade(path: Path, rows: int) -> int:
    """Of SQLite's machine, in tens, from the fifth schema to the newest."""
    with at_version(path, 5) as old:
        old.execute("BEGIN")
        for number in range(1, rows + 1):
            values = {"run_id": 1, "seq": number, "quality": "ntp", "counters": b""}
            old.execute(*zeros(old, "sample", **values))
            old.execute(*zeros(old, "rollup", scope="site", window="1h", start_ms=number))
        old.execute("COMMIT")
        ticks: list[int] = []
        old.set_progress_handler(lambda: ticks.append(1), 10)
        for number, sql in migrations("schema"):
            if number > 5:
                old.executescript(sql)
        old.set_progress_handler(None, 0)
        last = "SELECT seq, claim_ms, taken_ms, reach_rounds FROM sample ORDER BY seq DESC LIMIT 1"
        assert [(rows, None, None, None)] == old.execute(last).fetchall()
        rates = "SELECT start_ms, airtime_active_ms, uplink_up_bps, reach_answered, reach_rounds"
        rates += " FROM rollup ORDER BY start_ms"
        assert (1, 0, None, 0, 0) == old.execute(rates).fetchone()
        assert [("ok",)] == old.execute("PRAGMA integrity_check").fetchall()
    old.close()
    return len(ticks)


@pytest.mark.thorough
def test_an_upgrade_reads_no_sample_and_no_rollup(tmp_path: Path) -> None:
    """A city has a hundred million of them; SQLite 3.41 and later would, in ALTER TABLE."""
    few, many = (steps_of_upgrade(tmp_path / f"{rows}.db", rows) for rows in (10, 2000))
    assert many < 1.1 * few
