"""Where samples are placed in time, whatever arrives first."""

import itertools
import random
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cases import few
from tests.collector.build import OLD_RUN, T0, Registered, opened, received, sample
from tests.collector.history import without_clock
from titik_collector.ingest.batch import BatchWriter
from titik_collector.ingest.items import to_item
from titik_collector.received import Arrived, Item
from titik_collector.store import retention
from titik_collector.store.sqlite import SqliteDatabase
from titik_collector.timeline.placing_rules import OfflineBoot, offsets_of_lone
from titik_wire.instant import DAY_MS
from titik_wire.messages import Held, Sample

LATER_BOOT = "6b0f0000-0000-4000-8000-000000000002"
LAST_BOOT = "6b0f0000-0000-4000-8000-000000000003"
LATER_RUN = "3c2c41d07be35a61"
LAST_RUN = "3c2c41d07be35a62"
GUESSED = [without_clock(sample(n)) for n in range(1, 5)]


def arrived(one: Sample, live: bool = True, late_ms: int = 700) -> Item:
    """The sample, some time after it was truly taken."""
    return to_item(received(one, live), T0 + (one.uptime_ms - 1_000_000) + late_ms)


def places(db: SqliteDatabase) -> dict[int, tuple[int, str]]:
    """Of every seq, milliseconds after T0 and the quality."""
    return {
        seq: (at_ms - T0, quality)
        for seq, at_ms, quality in db.execute("SELECT seq, at_ms, quality FROM sample")
    }


def changed_spans(db: SqliteDatabase) -> list[tuple[int, int]]:
    """Stretches marked, in seconds after T0; forgets them."""
    found = db.execute("DELETE FROM dirty RETURNING from_ms, to_ms").fetchall()
    return sorted(((one - T0) // 1000, (two - T0) // 1000) for one, two in found)


def test_a_clock_that_is_believed_is_kept(tmp_path: Path) -> None:
    """The router knows best."""
    with opened(tmp_path / "db") as db:
        BatchWriter(db, Registered()).save([arrived(sample(3))])
        assert {3: (90_000, "ntp")} == places(db)


def test_a_clock_ahead_of_its_arrival_is_a_guess(tmp_path: Path) -> None:
    """By more than two minutes; then the arrival counts."""
    ahead = replace(sample(3), taken_at=T0 + 90_000 + 200_000)
    with opened(tmp_path / "db") as db:
        BatchWriter(db, Registered()).save([arrived(ahead)])
        assert {3: (90_000, "arrival")} == places(db)


@pytest.mark.parametrize("order", few(8, itertools.permutations(range(4))))
def test_samples_before_ntp_are_placed_by_the_nearest_after_it(
    tmp_path: Path, order: tuple[int, ...]
) -> None:
    """Through uptime, exactly; in any order of arrival."""
    # The clock was 400 ms behind until after seq 4.
    history = [*GUESSED[:2], replace(sample(4), taken_at=T0 + 120_400), sample(9)]
    with opened(tmp_path / "db") as db:
        store = BatchWriter(db, Registered())
        for number in order:
            store.save([arrived(history[number], live=number % 2 == 0)])
        assert {
            1: (30_400, "ntp"),
            2: (60_400, "ntp"),
            4: (120_400, "ntp"),
            9: (270_000, "ntp"),
        } == places(db)


def test_between_two_clocks_equally_near_the_earlier_counts(tmp_path: Path) -> None:
    """A rule, so that order does not decide."""
    with opened(tmp_path / "db") as db:
        later = replace(sample(3), taken_at=T0 + 90_500)
        BatchWriter(db, Registered()).save(
            [arrived(one) for one in (later, without_clock(sample(2)), sample(1))]
        )
        assert (60_000, "ntp") == places(db)[2]


def test_without_any_clock_the_fastest_arrival_places_the_boot(tmp_path: Path) -> None:
    """To the second, downwards: no sample arrives before it is taken."""
    with opened(tmp_path / "db") as db:
        store = BatchWriter(db, Registered())
        for one, late_ms in zip(GUESSED, (9000, 1900, 7000, 40_000), strict=True):
            store.save([arrived(one, late_ms=late_ms)])
        assert {n: (n * 30_000 + 1000, "arrival") for n in (1, 2, 3, 4)} == places(db)


def test_a_clock_that_is_set_later_moves_the_whole_boot(tmp_path: Path) -> None:
    """And marks the time it leaves and the time it enters."""
    with opened(tmp_path / "db") as db:
        store = BatchWriter(db, Registered())
        store.save([arrived(one, late_ms=3_600_000) for one in GUESSED])
        changed_spans(db)
        store.save([arrived(sample(5))])
        assert {n: (n * 30_000, "ntp") for n in (1, 2, 3, 4, 5)} == places(db)
        (early_from, early_to), (late_from, late_to) = changed_spans(db)
        assert early_from <= 30
        assert early_to >= 150
        assert late_from <= 3600 + 30
        assert late_to >= 3600 + 120


def test_a_boot_loses_its_clock_with_the_only_sample_that_had_one(tmp_path: Path) -> None:
    """A merged range takes the sample's place, and its clock is not believed."""
    with opened(tmp_path / "db") as db:
        store = BatchWriter(db, Registered())
        store.save([arrived(GUESSED[0], late_ms=5000), arrived(sample(4))])
        assert (30_000, "ntp") == places(db)[1]
        changed_spans(db)
        store.save([arrived(without_clock(sample(4, 3)), late_ms=9000)])
        assert {1: (35_000, "arrival"), 4: (125_000, "arrival")} == places(db)
        assert 125 == max(to_s for _, to_s in changed_spans(db))


def test_a_boot_whose_samples_with_a_clock_are_pruned_is_placed_by_arrival(tmp_path: Path) -> None:
    """A router was offline for ten days, and its clock is unset as it comes back."""
    days = 10 * DAY_MS
    back = [replace(one, uptime_ms=one.uptime_ms + days) for one in GUESSED[2:]]
    with opened(tmp_path / "db") as db:
        store = BatchWriter(db, Registered())
        store.save([arrived(sample(1))])
        while retention.prune(db, T0 + days, retention.Days(1, 8, 14)):
            pass
        store.save([arrived(one) for one in back])
        assert {n: days + n * 30_000 + 700 for n in (3, 4)} == {
            n: at[0] for n, at in places(db).items()
        }
        store.save(
            [
                arrived(
                    replace(
                        sample(5),
                        uptime_ms=sample(5).uptime_ms + days,
                        taken_at=T0 + days + 150_000,
                    )
                )
            ]
        )
        assert {n: (days + n * 30_000, "ntp") for n in (3, 4, 5)} == places(db)


def test_the_fastest_arrival_goes_with_its_sample(tmp_path: Path) -> None:
    """A merged range an hour late replaces it: the boot moves, and the time it left is marked."""
    with opened(tmp_path / "db") as db:
        store = BatchWriter(db, Registered())
        for one, late_ms in zip(GUESSED, (3_600_000, 3_600_000, 1900, 2500), strict=True):
            store.save([arrived(one, late_ms=late_ms)])
        assert (121_000, "arrival") == places(db)[4]
        changed_spans(db)
        store.save([arrived(without_clock(sample(4, 3)), late_ms=3_600_000)])
        assert {n: (n * 30_000 + 3_600_000, "arrival") for n in (1, 2, 4)} == places(db)
        assert any(from_s <= 31 and to_s >= 121 for from_s, to_s in changed_spans(db))


def lonely(last: int = 4) -> list[Sample]:
    """An older run in a boot that nobody heard, in the spool of later ones."""
    return [without_clock(sample(n, run=OLD_RUN)) for n in range(1, last + 1)]


def later(seq: int, run: str, boot: str, held: str, uptime_ms: int, taken_at: int = T0) -> Sample:
    """A sample of a boot in which four samples of an older run still waited."""
    waiting = [Held(held, (1, 4))]
    return sample(seq, run=run, boot=boot, others=waiting, uptime_ms=uptime_ms, taken_at=taken_at)


def test_a_boot_never_heard_ends_before_the_next_begins(tmp_path: Path) -> None:
    """Its power went at the latest then; it is bounded, not known."""
    newer = later(1, LATER_RUN, LATER_BOOT, OLD_RUN, uptime_ms=20_000, taken_at=T0 + 3_600_000)
    with opened(tmp_path / "db") as db:
        store = BatchWriter(db, Registered())
        items: list[Item] = [Arrived(newer, received(newer).payload, True, T0 + 3_600_100)]
        items += [Arrived(one, b"{}", False, T0 + 3_700_000) for one in lonely()]
        for item in items:
            store.save([item])
        began = 3_600_000 - 20_000
        got = {
            seq: (at_ms - T0, quality)
            for seq, at_ms, quality in db.execute(
                "SELECT seq, at_ms, quality FROM sample JOIN run ON run.id = run_id"
                " WHERE token = ?",
                (OLD_RUN,),
            )
        }
        assert {n: (began - (4 - n) * 30_000, "bounded") for n in (1, 2, 3, 4)} == got


def chain() -> list[Item]:
    """Two boots never heard, one after the other, and one that is."""
    first = [Arrived(one, b"{}", False, T0 + 9_000_000) for one in lonely()]
    middle = [
        without_clock(later(n, LATER_RUN, LATER_BOOT, OLD_RUN, uptime_ms=n * 30_000))
        for n in (1, 2, 3)
    ]
    last = later(1, LAST_RUN, LAST_BOOT, LATER_RUN, uptime_ms=50_000, taken_at=T0 + 8_000_000)
    return [
        *first,
        *(Arrived(one, b"{}", False, T0 + 9_000_000) for one in middle),
        Arrived(last, b"{}", True, T0 + 8_000_100),
    ]


@pytest.mark.thorough
def test_a_chain_of_boots_never_heard_is_placed_from_its_end(tmp_path: Path) -> None:
    """Each ends before the next begins; whatever came first."""
    found = set()
    for seed in range(12):
        items = chain()
        random.Random(seed).shuffle(items)
        with opened(tmp_path / f"db{seed}") as db:
            store = BatchWriter(db, Registered())
            for item in items:
                store.save([item])
            found.add(
                tuple(
                    db.execute(
                        "SELECT token, seq, at_ms - ?, quality FROM sample"
                        " JOIN run ON run.id = run_id ORDER BY at_ms, token, seq",
                        (T0,),
                    )
                )
            )
    middle_began = 8_000_000 - 50_000 - 90_000
    (rows,) = found
    assert [
        *((OLD_RUN, n, middle_began - (4 - n) * 30_000, "bounded") for n in (1, 2, 3, 4)),
        *((LATER_RUN, n, middle_began + n * 30_000, "bounded") for n in (1, 2, 3)),
        (LAST_RUN, 1, 8_000_000, "ntp"),
    ] == list(rows)


def test_a_circle_of_boots_ends() -> None:
    """No real router makes one; it must not stop the collector."""
    circle = {
        1: OfflineBoot(5_000_000, 60_000, frozenset({2})),
        2: OfflineBoot(5_000_000, 60_000, frozenset({1})),
    }
    assert {1, 2} == offsets_of_lone(circle, {}).keys()


def test_a_boot_with_nothing_else_is_known_arrived_at_the_latest(tmp_path: Path) -> None:
    """Not heard while it ran, and no other boot says when: the arrival bounds it."""
    with opened(tmp_path / "db") as db:
        BatchWriter(db, Registered()).save([arrived(one, live=False) for one in GUESSED])
        assert {n: (n * 30_000, "bounded") for n in (1, 2, 3, 4)} == places(db)


def test_a_sample_marks_the_time_from_the_one_before_to_the_one_after(tmp_path: Path) -> None:
    """Rates lie between samples."""
    with opened(tmp_path / "db") as db:
        store = BatchWriter(db, Registered())
        store.save([arrived(sample(n)) for n in (1, 2, 5, 6)])
        changed_spans(db)
        store.save([arrived(sample(4))])
        ((from_s, to_s),) = changed_spans(db)
        assert 60 - 2 <= from_s <= 60
        assert 150 == to_s


def test_a_sample_without_counters_is_passed_over(tmp_path: Path) -> None:
    """The bytes across it lie between the samples that have them."""
    with opened(tmp_path / "db") as db:
        store = BatchWriter(db, Registered())
        store.save([arrived(one) for one in (sample(1), sample(2, bss=None), sample(3, bss=None))])
        changed_spans(db)
        store.save([arrived(sample(4))])
        ((from_s, to_s),) = changed_spans(db)
        assert from_s <= 30
        assert 120 == to_s


def test_a_merged_range_marks_what_it_replaces(tmp_path: Path) -> None:
    """From the sample before the range to the one after it."""
    with opened(tmp_path / "db") as db:
        store = BatchWriter(db, Registered())
        store.save([arrived(sample(n)) for n in (2, 5, 6, 7, 9)])
        changed_spans(db)
        store.save([arrived(sample(8, 5))])
        marked = changed_spans(db)
        assert min(from_s for from_s, _ in marked) <= 60
        assert 270 == max(to_s for _, to_s in marked)


@pytest.mark.sqlite("counts SQLite's steps")
@pytest.mark.thorough
def test_a_live_sample_costs_the_same_after_a_long_time(tmp_path: Path) -> None:
    """Steps of SQLite's machine, in a boot of 100 samples and in one of 5000."""
    with opened(tmp_path / "db") as db:
        store = BatchWriter(db, Registered())
        costs = []
        for count in (100, 5000):
            store.save([arrived(sample(n)) for n in range(1, count + 1)])
            db.execute("DELETE FROM dirty")
            ticks: list[int] = []
            db.raw.set_progress_handler(lambda ticks=ticks: ticks.append(1), 10)  # type: ignore[misc]
            store.save([arrived(sample(count + 1))])
            db.raw.set_progress_handler(None, 0)
            costs.append(len(ticks))
        assert costs[1] < 1.5 * costs[0]
