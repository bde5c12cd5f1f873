"""Minutes that an earlier version packed: read as ever, and put back as rows."""

import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.collector.build import T0
from tests.collector.packed import pack
from tests.collector.test_migrations import at_version
from tests.collector.test_rollup import FOR_EVER, START, City, at, city, hour_of
from titik_collector.figures.figures import with_means
from titik_collector.figures.scope import Scope
from titik_collector.figures.table import RATES, Figures
from titik_collector.figures.windows import Span
from titik_collector.store import packed_minutes, retention
from titik_collector.store.database import Database
from titik_collector.store.packed_minutes import PACKED, Unpacking
from titik_collector.store.rollups import RollupRow, Series
from titik_collector.store.sqlite import SqliteDatabase, open_reader, open_writer
from titik_wire.instant import DAY_MS, HOUR_MS, MINUTE_MS

OF_17 = PACKED[: PACKED.index("reach_answered")]  # columns of schema 17
DAY_0 = T0 // DAY_MS * DAY_MS
PLACES: tuple[tuple[Scope, int], ...] = (("router", 1), ("router", 2), ("site", 1), ("city", 0))
ORDER = "ORDER BY 1, 2, 3, start_ms"


pytestmark = pytest.mark.thorough


def everything(db: Database) -> list[dict[int, RollupRow]]:
    """The minutes of all places, packed or not."""
    return [packed_minutes.windows(db, Series(*one, "1m"), FOR_EVER) for one in PLACES]


def row(rand: random.Random, scope: Scope, start_ms: int) -> dict[str, float | None]:
    """A minute with any figures; means and rates of a router follow from its sums."""
    known = Figures._field_defaults
    values: dict[str, Any] = {
        name: rand.randrange(10**6) if default is not None else rand.choice((None, 7, 10**9))
        for name, default in known.items()
        if name in OF_17
    }
    figures = Figures(**values)._replace(clients_mean=rand.choice((None, 0.1, 12.345)))
    if scope == "router":
        figures = with_means(figures)
    return {"start_ms": start_ms, "revision": rand.randrange(1, 9), **figures._asdict()}


def of_schema_17(path: Path, days: int = 4) -> list[tuple[object, ...]]:
    """A store whose older half is packed; all its rollups, as rows."""
    rand = random.Random(17)
    with at_version(path, 17) as old:
        old.execute("BEGIN")
        for number in (1, 2):
            old.execute("INSERT INTO router VALUES (?, ?, 1, 0)", (number, f"r-{number}"))
        old.execute("INSERT INTO site (id, name, title, registered) VALUES (1, 's', 'S', 1)")
        for scope, scope_id in PLACES:
            for start_ms in range(DAY_0, DAY_0 + days * DAY_MS, 7 * MINUTE_MS):
                values = row(rand, scope, start_ms)
                names = (*OF_17, "scope", "scope_id", "window", "end_ms")
                values |= {"scope": scope, "scope_id": scope_id, "window": "1m"}  # type: ignore[dict-item]
                values["end_ms"] = start_ms + MINUTE_MS
                old.execute(
                    f"INSERT INTO rollup ({', '.join(names)}) VALUES"
                    f" ({', '.join(f':{name}' for name in names)})",
                    values,
                )
        before = rows_of(old)
        assert days // 2 * len(PLACES) == pack(
            old, DAY_0 + days // 2 * DAY_MS, "cold_before_ms", OF_17
        )
        old.execute("COMMIT")
    old.close()
    return before


def rows_of(db: SqliteDatabase | sqlite3.Connection) -> list[tuple[object, ...]]:
    """The table of rollups, whole, without columns that are younger than packing."""
    (length,) = db.execute("SELECT name FROM pragma_table_info('rollup') WHERE cid = 2").fetchone()
    names = ("scope", "scope_id", length, "end_ms", *OF_17)  # it was called `window` once
    return list(db.execute(f"SELECT {', '.join(names)} FROM rollup {ORDER}").fetchall())


def steps(db: Database, folder: Path) -> Iterator[Unpacking]:
    """The job, after each of its smallest steps."""
    job = Unpacking(db, folder)
    while job.due(2**60):
        job.step(0)
        yield job


def unpack(db: Database, folder: Path) -> None:
    """All that is packed."""
    for _ in steps(db, folder):
        pass


def test_a_store_of_schema_17_keeps_every_minute(tmp_path: Path) -> None:
    """Row by row: readers see all of them after each step, and in the end they are as they were."""
    before = of_schema_17(tmp_path / "db")
    db = open_writer(tmp_path / "db")
    reader = open_reader(tmp_path / "db")
    try:
        minutes = everything(reader)
        assert len(before) == sum(len(one) for one in minutes)
        assert len(before) > len(rows_of(db))
        count = 0
        for _ in steps(db, tmp_path):
            assert minutes == everything(reader)
            count += 1
        assert count > len(PLACES)
        assert before == rows_of(db)
        Unpacking(db, tmp_path)  # that of the next start
        assert [] == db.execute("SELECT name FROM sqlite_schema WHERE name = 'cold'")
        assert minutes == everything(reader)
    finally:
        reader.close()
        db.close()


def test_an_upgrade_unpacks_nothing_before_the_collector_works(tmp_path: Path) -> None:
    """It would keep a city of a thousand routers waiting for an hour."""
    of_schema_17(tmp_path / "db")
    with open_writer(tmp_path / "db").raw as raw:
        assert (2 * len(PLACES),) == raw.execute("SELECT count(*) FROM cold").fetchone()
    raw.close()


def test_the_newest_day_is_unpacked_first(tmp_path: Path) -> None:
    """Everything younger is open to changes from then on."""
    of_schema_17(tmp_path / "db", days=6)
    db = open_writer(tmp_path / "db")
    try:
        edges = [packed_minutes.edge_ms(db)]
        edges += [packed_minutes.edge_ms(db) for _ in steps(db, tmp_path)]
    finally:
        db.close()
    days = [None if one is None else (one - DAY_0) // DAY_MS for one in edges]
    assert [3, *[3] * len(PLACES), *[2] * len(PLACES), *[1] * len(PLACES), None] == days


def test_a_change_of_a_packed_day_waits_until_it_is_unpacked(tmp_path: Path) -> None:
    """Then it is computed as if nothing had ever been packed, up to the city."""
    late = at(60)
    with city(tmp_path / "db") as here, city(tmp_path / "other") as other:
        for there in (here, other):
            there.save(*(one for one in hour_of() if one.seq != late.seq))
            there.roll()
        assert pack(here.db) > 0
        before = rows_of(here.db)
        for there in (here, other):
            there.save(late)
            there.roll()
        assert before == rows_of(here.db)
        assert (1,) == here.db.execute("SELECT count(*) FROM dirty").fetchone()
        unpack(here.db, tmp_path)
        here.roll()
        assert [] == here.db.execute("SELECT * FROM dirty UNION ALL SELECT 1, 1, 1 FROM stale")
        assert rows_of(other.db) == rows_of(here.db)


def test_what_is_new_waits_for_no_packed_day(tmp_path: Path) -> None:
    """Neither does a router whose older changes wait, and these stay written down."""
    new_ms = START + 3 * DAY_MS
    with city(tmp_path / "db") as here:
        here.save(*hour_of())
        here.roll()
        assert pack(here.db) > 0
        here.save(at(8641))  # all since the last one changes
        here.save(*(at(8641 + n) for n in range(1, 8)))
        here.roll()
        for scope, number in PLACES:
            if (scope, number) != ("router", 2):
                assert new_ms + MINUTE_MS in here.windows(scope, number, "1m")
        left = here.db.execute("SELECT from_ms < ?, to_ms >= ? FROM dirty", (new_ms, new_ms))
        assert [(1, 1)] == left.fetchall()


def test_packed_days_go_when_they_are_old(tmp_path: Path) -> None:
    """Without being unpacked before, and no younger ones."""
    of_schema_17(tmp_path / "db", days=6)
    db = open_writer(tmp_path / "db")
    try:
        keep = retention.Days(1, 2, 2)
        while retention.prune(db, DAY_0 + 3 * DAY_MS + HOUR_MS, keep):
            pass
        left = db.execute("SELECT DISTINCT day_ms FROM cold ORDER BY day_ms").fetchall()
        assert [(DAY_0 + n * DAY_MS,) for n in (1, 2)] == left
    finally:
        db.close()


def test_unpacking_leaves_the_last_of_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It logs that, and readers see what stays packed."""
    monkeypatch.setattr(packed_minutes, "FREE_RATIO", 1.1)
    of_schema_17(tmp_path / "db")
    db = open_writer(tmp_path / "db")
    try:
        before = everything(db)
        job = Unpacking(db, tmp_path)
        assert not job.step(60)
        assert not job.due(0)
        assert "minutes of an earlier version stay packed" in caplog.text
        assert before == everything(db)
        monkeypatch.undo()
        unpack(db, tmp_path)
        assert before == everything(db)
    finally:
        db.close()


def test_a_damaged_day_holds_up_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It cannot be read any more; the log says so."""
    before = of_schema_17(tmp_path / "db")
    db = open_writer(tmp_path / "db")
    try:
        db.execute("UPDATE cold SET packed = x'00' WHERE scope = 'city' AND day_ms = ?", (DAY_0,))
        unpack(db, tmp_path)
        day = Span(DAY_0, DAY_0 + DAY_MS)
        kept = [
            one
            for one in before
            if not (one[0] == "city" and day.start_ms <= int(str(one[4])) < day.end_ms)
        ]
        assert kept == rows_of(db)
        assert "packed minutes are damaged" in caplog.text
    finally:
        db.close()


def test_a_day_that_is_older_than_rates_is_read_without_them(tmp_path: Path) -> None:
    """A router's follow from its bytes; those of a site are computed later."""
    with city(tmp_path / "db") as here:
        here.save(*hour_of())
        here.roll()
        before = _of(here, "router", 1), _of(here, "site", 1)
        assert pack(here.db, columns=OF_17[: -len(RATES)]) > 0
        unpack(here.db, tmp_path)
        nothing: dict[str, Any] = dict.fromkeys(RATES)
        lacking = {start_ms: one._replace(**nothing) for start_ms, one in before[1].items()}
        assert (before[0], lacking) == (_of(here, "router", 1), _of(here, "site", 1))


def _of(here: City, scope: Scope, number: int) -> dict[int, Figures]:
    return here.windows(scope, number, "1m")
