"""What was stamped while the server's clock was wrong goes where it belongs."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from tests.cases import few
from tests.collector.build import T0, Registered, opened, received, sample
from tests.collector.history import without_clock
from tests.collector.test_presence import reported
from titik_collector.ingest.batch import BatchWriter
from titik_collector.ingest.items import to_item
from titik_collector.limits import MAX_JUDGED
from titik_collector.live.presence import Presence
from titik_collector.queries import status
from titik_collector.store.database import StoreError
from titik_collector.store.sqlite import SqliteDatabase
from titik_collector.timeline import restamp
from titik_collector.timeline.server_clock import Jump, ServerClock
from titik_collector.timeline.timekeeping import Timekeeping
from titik_wire.messages import Sample

HOUR = 3_600_000
WRONG = [sign * ms for ms in (3 * HOUR, 40 * 24 * HOUR, 12 * 365 * 24 * HOUR) for sign in (1, -1)]


def places(db: SqliteDatabase) -> list[tuple[int, int, str]]:
    return db.execute("SELECT seq, at_ms - ?, quality FROM sample ORDER BY seq", (T0,)).fetchall()


def live(one: Sample, wrong_ms: int, late_ms: int = 100) -> object:
    return to_item(received(one, True), T0 + one.uptime_ms - 1_000_000 + late_ms + wrong_ms)


@pytest.mark.parametrize("wrong_ms", few(2, WRONG))
@pytest.mark.parametrize("guess", [False, True])
@pytest.mark.parametrize("stays", [False, True])
def test_samples_of_a_wrong_server_are_in_the_right_minute_once_it_is_right(
    tmp_path: Path, wrong_ms: int, guess: bool, stays: bool
) -> None:
    """With a clock of their own or without, whether more come of the boot or not."""
    with opened(tmp_path / "db") as db:
        presence = Presence(db)
        store = BatchWriter(db, Registered(), presence=presence)
        taken = [without_clock(sample(n)) if guess else sample(n) for n in range(1, 8)]
        store.save([replace(reported("online", 0), arrived_ms=T0 + wrong_ms)])
        for one in taken[:5]:
            store.save([live(one, wrong_ms)])  # type: ignore[list-item]
        db.execute("BEGIN")
        restamp.move(db, Jump(T0 + wrong_ms, -wrong_ms), T0 + 151_000)
        db.execute("COMMIT")
        store.time_jumped()
        for one in taken[5:] if stays else ():
            store.save([live(one, 0)])  # type: ignore[list-item]
        quality = "arrival" if guess else "ntp"
        assert [(n, n * 30_000, quality) for n in range(1, 8 if stays else 6)] == places(db)
        assert T0 + (210_100 if stays else 150_100) == presence.state(1).heard_ms
        changed = db.execute("SELECT min(from_ms), max(to_ms) FROM dirty").fetchone()
        assert changed[0] <= T0 + 30_000 + min(0, wrong_ms)


@contextmanager
def answerless(transaction: Callable[[], AbstractContextManager[None]]) -> Iterator[None]:
    """One that is kept, but nobody learns that."""
    with transaction():
        yield
    raise StoreError("the connection is lost")


@pytest.mark.usefixtures("caplog")
def test_stamps_are_moved_once_though_the_answer_to_a_commit_is_lost(tmp_path: Path) -> None:
    """What the store keeps of the clock shows that they were."""
    wall_ms, up_ms = T0 - 3 * HOUR, 0
    with opened(tmp_path / "db") as db:
        clock = ServerClock(None, None, lambda: wall_ms, lambda: up_ms, "boot")
        keeper = Timekeeping(db, clock, lambda _: None, lambda: None)
        Presence(db).record([(1, replace(reported("online", 0), arrived_ms=wall_ms))])
        wall_ms, up_ms = T0 + 60_000, 60_000
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(db, "transaction", partial(answerless, db.transaction))
            with pytest.raises(StoreError):
                keeper.step(1)
        keeper.step(1)

        assert T0 == Presence(db).state(1).since_ms


def test_a_sample_placed_while_the_server_was_behind_is_not_held_at_its_arrival(
    tmp_path: Path,
) -> None:
    """One believed sample places all of its boot, though their arrivals are hours earlier."""
    with opened(tmp_path / "db") as db:
        store = BatchWriter(db, Registered())
        for n in range(1, 6):
            store.save([live(sample(n), -3 * HOUR)])  # type: ignore[list-item]
        for n in (6, 7):
            store.save([live(sample(n), 0)])  # type: ignore[list-item]
        assert [(n, n * 30_000, "ntp") for n in range(1, 8)] == places(db)


def test_a_live_clock_hours_behind_is_not_believed(tmp_path: Path) -> None:
    """By two samples that came as they were taken; the boot is placed by arrival."""
    with opened(tmp_path / "db") as db:
        store = BatchWriter(db, Registered())
        for n in range(1, 6):
            one = sample(n, taken_at=T0 + n * 30_000 - 5 * HOUR)
            store.save([live(one, 0)])  # type: ignore[list-item]
        assert [(n, n * 30_000, "arrival") for n in range(1, 6)] == places(db)


def test_status_names_the_router_whose_clock_is_behind(tmp_path: Path) -> None:
    """And by how much; a right one beside it has no problem."""
    with opened(tmp_path / "db", ("tirosa-1", "tirosa-2")) as db:
        store = BatchWriter(db, Registered("tirosa-1", "tirosa-2"), presence=Presence(db))
        for n in range(1, 6):
            wrong = sample(n, taken_at=T0 + n * 30_000 - 5 * HOUR)
            store.save([live(wrong, 0), live(sample(n, router="tirosa-2"), 0)])  # type: ignore[list-item]
        found = status.gather(db, "kupang", T0 + 151_000)
    assert {
        "tirosa-1": ("its clock is 5 h 00 min behind: check its NTP servers",),
        "tirosa-2": (),
    } == {one.name: one.problems for one in found.routers()}


def test_samples_that_waited_for_a_collector_keep_their_clock(tmp_path: Path) -> None:
    """A broker hands over the live samples of hours; they are of then."""
    with opened(tmp_path / "db") as db:
        store = BatchWriter(db, Registered())
        for n in range(1, 60):
            one = sample(n)
            store.save([live(one, 0, 5 * HOUR - n * 29_000)])  # type: ignore[list-item]
        for n in range(700, 705):
            store.save([live(sample(n), 0)])  # type: ignore[list-item]
        assert {"ntp"} == {quality for _, _, quality in places(db)}
        assert all(at_ms == seq * 30_000 for seq, at_ms, _ in places(db))


def test_two_boots_of_a_router_do_not_overlap(tmp_path: Path) -> None:
    """The second has a clock that is 40 s behind; no second is covered twice."""
    with opened(tmp_path / "db") as db:
        store = BatchWriter(db, Registered())
        for n in range(1, 41):
            one = sample(n, uptime_ms=1_000_000 + n * 1000, taken_at=T0 + n * 1000, covers_ms=1000)
            store.save([live(one, 0)])  # type: ignore[list-item]
        for n in range(1, 36):
            began_ms = T0 + 43_000
            one = sample(n, run="b" * 16, boot="b" * 8, uptime_ms=30_000 + n * 1000)
            one = replace(one, taken_at=began_ms + one.uptime_ms - 40_000, covers_ms=1000)
            arrived_ms = began_ms + one.uptime_ms + 100
            store.save([to_item(received(one, True), arrived_ms)])
        rows = db.execute(
            "SELECT boot_id, min(at_ms), max(at_ms), max(quality)"
            " FROM sample GROUP BY boot_id ORDER BY boot_id"
        ).fetchall()
        (_, _, ended_ms, _), (_, began_ms, _, quality) = rows
        assert ended_ms < began_ms
        assert (T0 + 43_000 + 31_000, "arrival") == (began_ms, quality)


def test_a_whole_city_is_judged_a_few_boots_at_a_time(tmp_path: Path) -> None:
    """Of a batch MAX_JUDGED are looked through, however many routers it is of; then the next."""
    names = [f"park-{n}" for n in range(1, 2 * MAX_JUDGED + 1)]
    with opened(tmp_path / "db", names) as db:
        store = BatchWriter(db, Registered(*names))
        known = []
        for n in range(1, 5):
            batch = [live(sample(n, router=name), 0) for name in names]
            store.save(batch)  # type: ignore[arg-type]
            known.append(db.execute("SELECT count(prompt_ms) FROM boot").fetchone()[0])
        assert [0, MAX_JUDGED, 2 * MAX_JUDGED, 2 * MAX_JUDGED] == known
