"""Two devices of one name are noticed, named, and never shown as crashes."""

from pathlib import Path

import pytest
from rich.console import Console

from tests.collector.build import RUN, T0, opened
from tests.collector.test_presence import OTHER_BOOT, OTHER_RUN, outages, record, reported
from titik_collector.limits import MAX_DEVICES
from titik_collector.live import namesakes
from titik_collector.live.namesakes import APART_MS, Namesakes
from titik_collector.queries import events, status
from titik_collector.screens import event_screen
from titik_collector.store import namesake_rows as times_of_two
from titik_collector.store.sqlite import SqliteDatabase

A, B = RUN, OTHER_RUN


def noted(db: SqliteDatabase) -> list[tuple[int, int, int]]:
    return [
        ((one.from_ms - T0) // 1000, (one.last_ms - T0) // 1000, one.times)
        for one in times_of_two.since(db, 0)
    ]


def test_a_run_that_connects_again_after_another_is_a_second_device(tmp_path: Path) -> None:
    """Each change counts; the first of them looks like a crash still."""
    with opened(tmp_path / "db") as db:
        record(
            db,
            reported("online", 0, A, 1),
            reported("online", 10, B, 1, OTHER_BOOT),
            reported("online", 20, A, 2),
            reported("online", 30, B, 2, OTHER_BOOT),
            reported("online", 40, A, 3),
        )

        assert [(20, 40, 3)] == noted(db)
        assert [(0, 10, "power cut")] == outages(db)


@pytest.mark.parametrize(
    "heard",
    [
        # a flapping uplink
        [reported("online", 0, A, 1), reported("online", 9, A, 2), reported("online", 20, A, 7)],
        # reboots, one after the other
        [reported("online", 9 * n, f"{n:016x}", 1, f"{n:08x}") for n in range(9)],
        # a word of an earlier run that comes again
        [reported("online", 0, A, 3), reported("online", 9, B), reported("online", 20, A, 3)],
        [reported("online", 0, A, 3), reported("online", 9, B), reported("online", 20, A, 2)],
    ],
)
def test_one_device_is_none(tmp_path: Path, heard: list[object]) -> None:
    """However often it comes back."""
    with opened(tmp_path / "db") as db:
        record(db, *heard)  # type: ignore[arg-type]

        assert [] == noted(db)


def test_an_outage_of_a_name_that_two_use_has_no_cause(tmp_path: Path) -> None:
    """Whichever comes back says nothing of why the other went."""
    with opened(tmp_path / "db") as db:
        record(
            db,
            reported("online", 0, A, 1),
            reported("online", 10, B, 1, OTHER_BOOT),
            reported("offline", 20, B, 1, OTHER_BOOT),
            reported("online", 50, A, 2),
        )

        assert (10, 50, "unknown") == outages(db)[-1]


def test_what_is_remembered_and_written_is_bounded(tmp_path: Path) -> None:
    """A name that is used twice for long is one event; after a rest it is another."""
    with opened(tmp_path / "db") as db:
        known = Namesakes(db)
        for connection in range(1, 50):
            for run in (A, B):
                known.came(1, run, connection, T0 + connection * 60_000)
        for run in (A, B):
            known.came(1, run, 99, T0 + 2 * APART_MS)
        for number in range(99):
            known.came(1, f"{number:016x}", 1, T0)

        assert 2 == db.execute("SELECT count(*) FROM namesake").fetchone()[0]
        assert MAX_DEVICES == len(known._runs[1])


def test_an_engineer_reads_of_it(tmp_path: Path) -> None:
    """In the events, and in the status while it lasts."""
    with opened(tmp_path / "db") as db:
        record(
            db,
            reported("online", 0, A, 1),
            reported("online", 10, B, 1, OTHER_BOOT),
            reported("online", 20, A, 2),
            reported("online", 80, B, 2, OTHER_BOOT),
        )
        found = events.gather(db, T0, T0 + 90_000)
        console = Console(width=80)
        with console.capture() as capture:
            console.print(event_screen.render(found, None, T0))
        problem_text = "two devices use this name"
        text = f"{problem_text}, 2 changes in 1 min; {namesakes.REMEDY}"

        assert text in [one.text for one in found if one.kind == "clone"]
        assert "clone" in capture.get()
        assert [True, False] == [
            any(problem_text in problem for one in _routers(db, at_ms) for problem in one.problems)
            for at_ms in (T0 + 90_000, T0 + 80_001 + namesakes.NOW_MS)
        ]


def _routers(db: SqliteDatabase, at_ms: int) -> list[status.RouterStatus]:
    return list(status.gather(db, "kupang", at_ms).routers())
