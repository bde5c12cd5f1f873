"""The throughput that an earlier version stored for sites and the city, computed again."""

from pathlib import Path

import pytest

from tests.collector.build import OLD_RUN
from tests.collector.test_rollup import (
    FOR_EVER,
    OTHER_SITE,
    ROUTERS,
    SITE,
    START,
    City,
    city,
    hour_of,
)
from titik_collector.figures.scope import CITY_ID, Scope
from titik_collector.figures.table import RATES, Figures
from titik_collector.figures.windows import Window
from titik_collector.rollups.restate import Restate
from titik_collector.store import rollups
from titik_collector.store.database import StoreError, migrations
from titik_collector.store.rollups import RollupRow, Series, WindowKey
from titik_collector.store.sqlite import SqliteDatabase
from titik_wire.instant import DAY_MS, HOUR_MS

pytestmark = pytest.mark.thorough

WINDOWS: tuple[Window, ...] = ("1m", "1h", "1d")
PLACES: tuple[tuple[Scope, int], ...] = (("site", SITE), ("site", OTHER_SITE), ("city", CITY_ID))


def fill(here: City) -> None:
    """Two sites of one router each, one known for a third of the hour."""
    here.db.execute("UPDATE membership SET site_id = ? WHERE router_id = 2", (OTHER_SITE,))
    here.save(*hour_of(ROUTERS[0]), *hour_of(ROUTERS[1], run=OLD_RUN)[:41])
    here.roll()


def forget_rates(db: SqliteDatabase) -> None:
    """Make the store one of the schema before rates, as its migration leaves it."""
    db.execute(f"UPDATE rollup SET {', '.join(f'{name} = NULL' for name in RATES)}")
    sql = next(sql for number, sql in migrations("schema") if number == 9)
    db.execute("DELETE FROM rollup_news")
    db.execute(sql[sql.index("INSERT INTO restate") :].partition(";")[0])


def everything(db: SqliteDatabase) -> dict[tuple[Scope, int, Window], dict[int, RollupRow]]:
    """All windows of the sites and the city."""
    found = {}
    for scope, scope_id in PLACES:
        for window in WINDOWS:
            found[scope, scope_id, window] = rollups.read(
                db, Series(scope, scope_id, window), FOR_EVER
            )
    return found


def test_rates_of_the_past_become_those_of_today(tmp_path: Path) -> None:
    """In the least steps there are; only where bytes are known does a revision rise, by one."""
    with city(tmp_path / "db") as here:
        fill(here)
        before = everything(here.db)
        forget_rates(here.db)
        restate, steps = Restate(here.db), 0
        while restate.step(0):
            steps += 1
        after = everything(here.db)
        assert steps > 10
        assert [] == here.db.execute("SELECT * FROM restate").fetchall()
    assert {
        place: {
            start_ms: row._replace(revision=row.revision + bool(row.figures.uplink_known_ms))
            for start_ms, row in rows.items()
        }
        for place, rows in before.items()
    } == after


def test_hours_and_days_are_published_again_and_minutes_are_not(tmp_path: Path) -> None:
    """So that the past is no flood."""
    with city(tmp_path / "db") as here:
        fill(here)
        forget_rates(here.db)
        Restate(here.db).step(60)
        windows = here.db.execute("SELECT DISTINCT scope, length FROM rollup_news ORDER BY 1, 2")
        assert [
            ("city", "1d"),
            ("city", "1h"),
            ("site", "1d"),
            ("site", "1h"),
        ] == windows.fetchall()


def test_years_are_not_published_again(tmp_path: Path) -> None:
    """Whoever wants them asks for an export."""
    with city(tmp_path / "db") as here:
        fill(here)
        forget_rates(here.db)
        old_ms = START - 40 * DAY_MS
        here.db.execute(
            "UPDATE rollup SET start_ms = start_ms - ?, end_ms = end_ms - ? WHERE length = '1d'",
            (START - old_ms, START - old_ms),
        )
        Restate(here.db).step(60)
        windows = here.db.execute("SELECT DISTINCT length FROM rollup_news").fetchall()
        lacking = "SELECT count(*) FROM rollup WHERE length = '1d' AND scope = 'city'"
        assert [("1h",)] == windows
        assert [(0,)] == here.db.execute(f"{lacking} AND wifi_down_bps IS NULL").fetchall()


def test_windows_whose_minutes_and_samples_are_gone_are_restated(tmp_path: Path) -> None:
    """From the hours and days of routers, which are kept for ever; nothing else changes."""
    with city(tmp_path / "db") as here:
        fill(here)
        before = everything(here.db)
        forget_rates(here.db)
        here.db.execute("DELETE FROM rollup WHERE length = '1m'")
        here.db.execute("DELETE FROM sample")
        Restate(here.db).step(60)
        after = everything(here.db)
    for scope, scope_id in PLACES:
        for window in WINDOWS[1:]:
            place = scope, scope_id, window
            figures = {start_ms: row.figures for start_ms, row in before[place].items()}
            assert figures == {start_ms: row.figures for start_ms, row in after[place].items()}


def test_late_data_that_comes_meanwhile_wins(tmp_path: Path) -> None:
    """A window that was computed as usual is left alone."""
    with city(tmp_path / "db") as here:
        fill(here)
        forget_rates(here.db)
        mine = Figures(wifi_known_ms=1, wifi_down_bps=1)
        rollups.put(
            here.db, [(WindowKey("site", SITE, "1h", START), RollupRow(START + HOUR_MS, 9, mine))]
        )
        Restate(here.db).step(60)
        assert RollupRow(START + HOUR_MS, 9, mine) == everything(here.db)["site", SITE, "1h"][START]


def test_a_store_that_fails_loses_no_work(tmp_path: Path) -> None:
    """It goes on where it was."""
    with city(tmp_path / "db") as here:
        fill(here)
        before = everything(here.db)
        forget_rates(here.db)
        restate = Restate(here.db)
        here.db.execute("PRAGMA query_only = ON")
        with pytest.raises(StoreError):
            restate.step(60)
        here.db.execute("PRAGMA query_only = OFF")
        assert not restate.step(60)
        after = everything(here.db)
    assert [row.figures for rows in before.values() for row in rows.values()] == [
        row.figures for rows in after.values() for row in rows.values()
    ]


def test_a_router_that_moved_counts_for_both_sites(tmp_path: Path) -> None:
    """In an hour and a day; in a minute for the site it was at as the minute began."""
    with city(tmp_path / "db") as here:
        moved_ms = START + HOUR_MS // 2
        here.db.execute("INSERT INTO membership VALUES (1, ?, ?)", (moved_ms, OTHER_SITE))
        here.save(*hour_of(ROUTERS[0]))
        here.roll()
        before = everything(here.db)
        forget_rates(here.db)
        Restate(here.db).step(60)
        after = everything(here.db)
    assert before["site", SITE, "1h"][START].figures.wifi_down_bps is not None
    for place, rows in before.items():
        assert {at: row.figures for at, row in rows.items()} == {
            at: row.figures for at, row in after[place].items()
        }
