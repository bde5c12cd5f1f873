"""The ranges of a run are bounded, and its seqs are counted exactly all the same."""

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.collector.build import (
    RUN,
    Registered,
    conservation,
    opened,
    rows,
    sample,
    unreadable,
)
from tests.collector.test_store import save
from titik_collector.ingest.batch import BatchWriter
from titik_collector.limits import MAX_RANGES
from titik_collector.store import conservation as check
from titik_collector.store import runs
from titik_collector.store.database import StoreError
from titik_collector.store.runs import KEPT_RANGES, Run

STEP = st.tuples(st.sampled_from(["store", "refuse", "hold"]), st.integers(1, 4000))


def terms(run: Run) -> tuple[int, int, int]:
    """Stored, refused and settled."""
    stored = run.base_stored + len(run.stored)
    return stored, run.base_refused + len(run.refused), len(run.settled())


@given(st.lists(STEP, max_size=60), st.integers(1, 2**32))
def test_ranges_are_bounded_and_nothing_is_counted_twice(
    steps: list[tuple[str, int]], seed: int
) -> None:
    """Single seqs in any order: stored and refused are what was new and not settled for good."""
    rand = random.Random(seed)
    run = Run(1, 1, RUN)
    stored, refused = set[int](), set[int]()
    for step, seq in steps:
        for one in {seq, *(rand.randrange(1, 4000) for _ in range(20))}:
            if one > run.base and step == "store":
                stored.add(one)
                refused.discard(one)
            elif one > run.base and step == "refuse" and one not in stored:
                refused.add(one)
            if step == "store":
                run.store(one, one)
            elif step == "refuse":
                run.refuse(one, one)
            else:
                run.hold(max(1, one - 5), one)
        assert run.stored.spans + run.refused.spans <= MAX_RANGES
        assert (len(stored), len(refused)) == terms(run)[:2]
        assert all(run.has(one, one) for one in stored)
        assert run.base <= run.highest


@pytest.mark.thorough
def test_a_router_with_a_hole_after_each_sample_costs_no_more_than_others(tmp_path: Path) -> None:
    """A stolen key that sends odd seqs; the oldest holes are lost, and accounted."""
    with opened(tmp_path / "db") as db:
        store = BatchWriter(db, Registered())
        for at in range(1, 2001, 200):
            save(store, *(sample(seq, lowest=1) for seq in range(at, at + 200, 2)))
        most = db.execute("SELECT count(*) FROM settled").fetchone()[0]
        taken, stored, refused, lost, in_spool = conservation(db)[RUN]
        acked = store.acks({1: "tirosa-1"})[0].runs[0]

        assert KEPT_RANGES <= most <= MAX_RANGES
        assert (1999, 1000, 0, 999) == (taken, stored, refused, lost + in_spool)
        assert most - 1 <= in_spool <= most
        assert acked.upto == 1999 - 2 * in_spool
        assert [] == check.findings(db)


@pytest.mark.thorough
def test_what_comes_below_the_bound_is_a_duplicate(tmp_path: Path) -> None:
    """After a restart as before it; a merged range that reaches above it is stored."""
    with opened(tmp_path / "db") as db:
        for _ in range(2):
            store = BatchWriter(db, Registered())
            save(store, *(sample(seq, lowest=1) for seq in range(1, 1025, 2)))
            before = conservation(db)
            saved = save(store, sample(2), sample(64, 33))
            assert (0, before) == (saved.stored, conservation(db))
        save(store, sample(1024, 1))

        assert [(1, 1024)] == rows(db)
        taken, stored, _, lost, in_spool = conservation(db)[RUN]
        assert (1024, 1024, 0) == (taken, stored + lost, in_spool)
        assert [] == check.findings(db)


def test_a_store_of_more_ranges_is_bounded_when_the_run_goes_on(tmp_path: Path) -> None:
    """As an earlier version left them."""
    with opened(tmp_path / "db") as db:
        save(BatchWriter(db, Registered()), sample(1))
        with db.transaction():
            db.executemany(
                "INSERT INTO settled VALUES (?, ?, ?, ?)",
                [(1, "stored", n, n) for n in range(3, 9000, 2)],
            )
            db.execute("UPDATE run SET highest = 8999")
        save(BatchWriter(db, Registered()), sample(9001))

        assert (runs.KEPT_RANGES,) == db.execute("SELECT count(*) FROM settled").fetchone()
        assert (9001, 4501) == conservation(db)[RUN][:2]


def test_a_run_that_could_not_be_read_is_read_again(tmp_path: Path) -> None:
    """The ack after that names it, and the next sample goes on with it."""
    with opened(tmp_path / "db") as db:
        save(BatchWriter(db, Registered()), sample(1))
        store = BatchWriter(db, Registered())  # another start
        with unreadable(db, "settled"), pytest.raises(StoreError):
            store.acks({1: "tirosa-1"})

        assert [1] == [run.upto for run in store.acks({1: "tirosa-1"})[0].runs]
        save(store, sample(2))
        assert [(1, 1), (2, 2)] == rows(db)
