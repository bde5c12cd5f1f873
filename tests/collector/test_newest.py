"""The newest sample of each boot in memory: quicker, and never otherwise."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cases import few
from tests.collector.build import OLD_RUN, T0, Registered, opened, received, sample
from tests.collector.history import Life, without_clock
from titik_collector.ingest.batch import BatchWriter
from titik_collector.ingest.caps import Caps
from titik_collector.ingest.items import to_item
from titik_collector.received import Arrived, Item
from titik_collector.timeline import newest
from titik_wire.messages import Held, Sample

pytestmark = pytest.mark.thorough

BATCH = 60


def batches(rand: random.Random) -> list[list[Arrived]]:
    """What two routers send: mostly in order, some late, some twice, some without a clock."""
    lives = [Life(name, rand, boots=6) for name in ("tirosa-1", "tirosa-2")]
    arrivals = [one for life in lives for one in life.arrivals]
    for at in rand.sample(range(len(arrivals)), len(arrivals) // 20):
        arrivals[at] = arrivals[at]._replace(sample=without_clock(arrivals[at].sample))
    arrivals += rand.sample(arrivals, len(arrivals) // 10)
    arrivals.sort(key=lambda one: one.arrived_ms + (rand.random() < 0.1) * rand.randrange(600_000))
    found = []
    while arrivals:
        size = rand.choice((1, 2, 5, BATCH))
        found.append(arrivals[:size])
        del arrivals[:size]
    return found


def stored(path: Path, history: Sequence[Sequence[Item]]) -> list[str]:
    """All tables after a history."""
    with opened(path, ["tirosa-1", "tirosa-2"]) as db:
        store = BatchWriter(db, Registered("tirosa-1", "tirosa-2"), Caps(10_000, 1000))
        for batch in history:
            store.save(batch)
        return [
            f"{table.name} {row}"
            for table in db.tables()
            for row in sorted(
                db.execute(f"SELECT {', '.join(table.columns)} FROM {table.name}"), key=str
            )
        ]


@pytest.mark.parametrize("seed", few(3, range(20)))
def test_memory_changes_no_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Places, spans to compute again, boots: with it and without it, to the byte."""
    history = batches(random.Random(seed))
    remembered = stored(tmp_path / "a", history)
    monkeypatch.setattr(newest, "MAX_NEWEST", 0)

    assert stored(tmp_path / "b", history) == remembered


def asked(path: Path, then: Callable[[BatchWriter], None]) -> list[str]:
    """What is read of samples when one more comes behind the newest."""
    with opened(path) as db:
        store = BatchWriter(db, Registered())
        for seq in (1, 2):
            store.save([item(sample(seq))])
        then(store)
        read: list[str] = []
        db.raw.set_trace_callback(read.append)
        store.save([item(sample(3))])
        db.raw.set_trace_callback(None)
    return [sql for sql in read if "sample" in sql and "SELECT" in sql]


def item(one: Sample) -> Item:
    """It came as it was taken."""
    return to_item(received(one, True), T0 + one.uptime_ms - 1_000_000 + 100)


@pytest.mark.sqlite("sees what SQLite is asked")
def test_a_sample_behind_the_newest_needs_no_read(tmp_path: Path) -> None:
    """That is what nearly every sample is."""
    assert [] == asked(tmp_path / "db", lambda _store: None)


def fail(store: BatchWriter) -> None:
    """The store is full for a moment."""
    broken = replace(sample(4), seq=2**70)
    with pytest.raises(OverflowError):
        store.save([item(sample(3))._replace(sample=broken)])  # type: ignore[union-attr]


@pytest.mark.sqlite("sees what SQLite is asked")
@pytest.mark.parametrize("then", [fail, BatchWriter.time_jumped])
def test_what_may_not_be_true_any_more_is_read_again(
    tmp_path: Path, then: Callable[[BatchWriter], None]
) -> None:
    """After a failure, and where stamps moved."""
    assert [] != asked(tmp_path / "db", then)


def test_the_run_of_a_lone_boot_is_placed_when_a_newer_boot_first_names_it(tmp_path: Path) -> None:
    """The sample that names it is in order otherwise."""
    lone = [replace(sample(n, run=OLD_RUN, boot="0" * 8), clock="guess") for n in (1, 2)]
    late = [to_item(received(one), T0 + 900_000) for one in lone]
    naming = sample(3, others=[Held(OLD_RUN, (1, 2))])
    with opened(tmp_path / "db") as db:
        store = BatchWriter(db, Registered())
        store.save([item(sample(1)), *late])
        store.save([item(sample(2))])
        before = db.execute("SELECT max(at_ms) FROM sample WHERE quality = 'bounded'")
        store.save([item(naming)])
        after = db.execute("SELECT max(at_ms) FROM sample WHERE quality = 'bounded'")

    assert after[0] < before[0]
