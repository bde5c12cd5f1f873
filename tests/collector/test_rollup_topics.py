"""Which finished windows are published, when, and which of them is retained."""

from pathlib import Path
from typing import cast

import pytest

from bench.statements import Statements
from tests.collector.build import opened
from titik_collector.figures.scope import Scope
from titik_collector.figures.table import Figures
from titik_collector.figures.windows import Window
from titik_collector.live import rollup_topics
from titik_collector.rollups import rollup_message
from titik_collector.store import rollups, unpublished
from titik_collector.store.rollups import RollupRow, WindowKey
from titik_collector.store.sqlite import SqliteDatabase
from titik_wire import topics
from titik_wire.city_messages import Rollup

DAY_MS, HOUR_MS, MINUTE_MS = 86_400_000, 3_600_000, 60_000
H0 = 1_795_395_600_000  # a whole hour


def reported(db: SqliteDatabase, now_ms: int) -> list[tuple[str, int, bool]]:
    return [
        (
            topics.rollup(one.window, one.scope, one.name),
            (one.window_start - H0) // MINUTE_MS,
            newest,
        )
        for one, newest in rollup_topics.take(db, "kupang", now_ms)[0]
    ]


def finish(
    db: SqliteDatabase,
    window: str,
    start_ms: int,
    length_ms: int,
    scope: str = "city",
    scope_id: int = 0,
) -> None:
    """A window with nothing in it, and the note that it changed."""
    key = WindowKey(cast(Scope, scope), scope_id, cast(Window, window), start_ms)
    rollups.put(db, [(key, RollupRow(start_ms + length_ms, 1, Figures(routers=1)))])
    db.execute("INSERT INTO rollup_news VALUES (?, ?, ?, ?)", (scope, scope_id, window, start_ms))


@pytest.mark.parametrize(
    ("window", "length_ms", "grace_ms"), [("1m", MINUTE_MS, 10_000), ("1h", HOUR_MS, 60_000)]
)
def test_a_window_is_reported_once_when_its_last_samples_are_in(
    tmp_path: Path, window: str, length_ms: int, grace_ms: int
) -> None:
    """An hour waits for its last minute."""
    topic = f"titik/v1/rollup/{window}/city"
    with opened(tmp_path / "db") as db:
        finish(db, window, H0, length_ms)
        due_ms = H0 + length_ms + grace_ms

        assert [] == reported(db, due_ms - 1)
        assert [(topic, 0, True)] == reported(db, due_ms)
        assert [] == reported(db, due_ms)


def test_changes_of_what_is_gone_do_not_stay(tmp_path: Path) -> None:
    """A minute may be pruned before it is published: the collector was down."""
    with opened(tmp_path / "db") as db:
        finish(db, "1m", H0, MINUTE_MS)
        db.execute("DELETE FROM rollup")

        assert [] == reported(db, H0 + HOUR_MS)
        assert (0,) == db.execute("SELECT count(*) FROM rollup_news").fetchone()


def test_a_sum_waits_while_rollups_are_computed(tmp_path: Path) -> None:
    """Of the first routers only it would be wrong, and the later revision is not published."""
    due_ms = H0 + MINUTE_MS + 10_000
    with opened(tmp_path / "db") as db:
        for scope, number in (("city", 0), ("router", 1)):
            finish(db, "1m", H0, MINUTE_MS, scope, number)
        first, _ = rollup_topics.take(db, "kupang", due_ms, sums=False)
        then, _ = rollup_topics.take(db, "kupang", due_ms)

    assert [["router"], ["city"]] == [
        [one.scope for one, _ in reported] for reported in (first, then)
    ]


def test_neither_sums_nor_routers_wait_for_all_of_the_others(tmp_path: Path) -> None:
    """A large city publishes its minute though older ones of many routers wait, and they go on."""
    with opened(tmp_path / "db", ("a-1", "a-2", "a-3")) as db:
        for number in (1, 2, 3):
            finish(db, "1m", H0 - number * MINUTE_MS, MINUTE_MS, "router", number)
        finish(db, "1m", H0, MINUTE_MS)
        found = unpublished.due(db, H0 + HOUR_MS, H0 + HOUR_MS, sums=True, limit=3)

    assert [("city", 0), ("router", 3), ("router", 2)] == [one.key[:2] for one in found]


def test_windows_are_published_with_a_few_statements(tmp_path: Path) -> None:
    """Each is a way to a server and back, and the collector reads no message meanwhile."""
    with opened(tmp_path / "db", ("a-1", "a-2")) as db:
        for minute in range(300):
            finish(db, "1m", H0 + minute * MINUTE_MS, MINUTE_MS, "router", 1 + minute % 2)
        asked = Statements(db)
        found, _ = rollup_topics.take(db, "kupang", H0 + DAY_MS)
        assert asked.number <= 5  # BEGIN, COMMIT and, on a server, the lease are three

    assert 2 == len(found)


def test_an_hour_of_a_router_waits_while_rollups_are_computed(tmp_path: Path) -> None:
    """It goes on to be summed every ten minutes, so it may lack the last of them."""
    due_ms = H0 + HOUR_MS + 60_000
    with opened(tmp_path / "db") as db:
        finish(db, "1h", H0, HOUR_MS, "router", 1)
        first, _ = rollup_topics.take(db, "kupang", due_ms, sums=False)
        then, _ = rollup_topics.take(db, "kupang", due_ms)

    assert ([], ["router"]) == (first, [one.scope for one, _ in then])


def test_a_backfill_shows_old_hours_unretained_and_old_minutes_not_at_all(tmp_path: Path) -> None:
    """The newest stays on the topic, and a flood of minutes helps nobody."""
    with opened(tmp_path / "db") as db:
        for window, length_ms in (("1m", MINUTE_MS), ("1h", HOUR_MS)):
            for number in range(2):
                finish(db, window, H0 + number * length_ms, length_ms)
        found = reported(db, H0 + 10 * HOUR_MS)

    assert [
        ("titik/v1/rollup/1h/city", 0, False),
        ("titik/v1/rollup/1m/city", 1, True),
        ("titik/v1/rollup/1h/city", 60, True),
    ] == found


def test_the_newest_window_of_each_length_that_is_over(tmp_path: Path) -> None:
    """What a broker that lost everything receives."""
    with opened(tmp_path / "db") as db:
        for window, length_ms in (("1m", MINUTE_MS), ("1h", HOUR_MS)):
            for number in range(3):
                finish(db, window, H0 + number * length_ms, length_ms)
        found = list(rollup_topics.newest(db, "city", 0, "kupang", H0 + 2 * HOUR_MS + MINUTE_MS))

    assert [
        ("1m", "city", H0 + 2 * MINUTE_MS),
        ("1h", "city", H0 + HOUR_MS),
    ] == [(one.window, one.scope, one.window_start) for one in found]


def test_what_goes_on_is_not_looked_for(tmp_path: Path) -> None:
    """10,000 routers have 20,000 open hours and days; only whether they are over is asked."""
    with opened(tmp_path / "db") as db:
        finish(db, "1d", H0, 23 * HOUR_MS)  # the day on which clocks go forward

        assert [] == reported(db, H0 + 23 * HOUR_MS)
        assert 1 == len(reported(db, H0 + 23 * HOUR_MS + 60_000))


def unreadable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug meets the windows of router 1."""
    of = rollup_message.of

    def fail(key: WindowKey, name: str, row: RollupRow) -> Rollup:
        if key.scope_id == 1:
            raise ZeroDivisionError
        return of(key, name, row)

    monkeypatch.setattr(rollup_message, "of", fail)


def test_a_window_that_cannot_be_read_keeps_no_other_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged, and not tried again until it changes."""
    unreadable(monkeypatch)
    with opened(tmp_path / "db", ("a-1", "a-2")) as db:
        for router_id in (1, 2):
            finish(db, "1m", H0, MINUTE_MS, "router", router_id)
        found = [reported(db, H0 + HOUR_MS) for _ in range(2)]

    assert [[("titik/v1/rollup/1m/router/a-2", 0, True)], []] == found
    assert [f"a bug stops a window name=a-1 window=1m start_ms={H0}"] == [
        one.getMessage() for one in caplog.records
    ]


def test_a_place_that_cannot_be_read_keeps_no_other_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The newest windows of the others are published again after a connect."""
    unreadable(monkeypatch)
    published: list[str] = []
    with opened(tmp_path / "db", ("a-1", "a-2")) as db:
        for router_id in (1, 2):
            finish(db, "1m", H0, MINUTE_MS, "router", router_id)
        job = rollup_topics.NewestAgain(
            db,
            lambda windows: published.extend(one.rollup.name for one in windows),
            lambda: [("router", 1, "a-1"), ("router", 2, "a-2")],
            lambda: True,
            lambda: H0 + HOUR_MS,
        )
        job.begin()
        while job.due(0):
            job.step(0)

    assert ["a-2"] == published
    assert ["a bug stops the newest windows of a place name=a-1"] == [
        one.getMessage() for one in caplog.records
    ]
