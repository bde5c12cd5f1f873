"""From accepted samples to rows: any order and repetition give the same rows."""

import random
from pathlib import Path

import pytest

from tests.cases import few
from tests.collector.build import (
    RUN,
    T0,
    Registered,
    conservation,
    opened,
    received,
    rows,
    sample,
)
from tests.collector.test_store import content, save
from titik_collector.broker_link.inbox import ReceivedMessage
from titik_collector.ingest.batch import BatchWriter
from titik_collector.ingest.caps import Caps
from titik_collector.ingest.items import to_item
from titik_collector.store import conservation as check
from titik_wire.messages import AckedRun, Bss, Held

NOW = T0 + 3_600_000


def take(store: BatchWriter, *letters: ReceivedMessage) -> None:
    """One batch."""
    store.save([to_item(one, NOW) for one in letters])


def broken(seq: int, first: int | None = None) -> ReceivedMessage:
    """A sample whose head is right and whose end breaks the contract."""
    right = received(sample(seq, first))
    return right._replace(payload=right.payload.replace(b'"weak":0', b'"weak":-1'))


@pytest.mark.parametrize("seed", few(2, range(6)))
def test_batches_of_any_size_end_as_the_same_samples_one_by_one(tmp_path: Path, seed: int) -> None:
    """Repetition and merging, in any order."""
    rand = random.Random(seed)
    history = [sample(n, lowest=max(1, n - 3)) for n in range(1, 65) if n not in (7, 21)]
    history += [sample(8, 5), sample(12, 9), sample(16, 9), sample(32, 31), sample(64, 33)]
    history += [sample(65, others=[Held("0a2c41d07be35a60", (1, 4))])]
    history += [sample(n, run="0a2c41d07be35a60", boot="0" * 8) for n in range(1, 5)]
    with opened(tmp_path / "a") as one_by_one, opened(tmp_path / "b") as batches:
        save(BatchWriter(one_by_one, Registered()), *history)
        mixed = [(one, False) for one in history * 3] + [(one, True) for one in history]
        rand.shuffle(mixed)
        store = BatchWriter(batches, Registered())
        while mixed:
            batch = [mixed.pop() for _ in range(min(len(mixed), rand.randrange(1, 60)))]
            take(store, *(received(one, live and one.first_seq == one.seq) for one, live in batch))
            assert conservation(batches)

        assert content(one_by_one) == content(batches)
        assert [] == check.findings(batches)


@pytest.mark.thorough
def test_what_is_acked_is_a_row(tmp_path: Path) -> None:
    """However many come at once, and whatever is among them."""
    many = [received(sample(n)) for n in range(1, 1001) if n != 500]
    with opened(tmp_path / "db") as db:
        store = BatchWriter(db, Registered())
        take(store, *many, broken(500))

        assert (AckedRun(RUN, 1000),) == store.acks({1: "tirosa-1"})[0].runs
        assert {RUN: (1000, 999, 1, 0, 0)} == conservation(db)
        assert [(n, n) for n in range(1, 1001) if n != 500] == rows(db)
        assert [("bss[0].weak: must be 0 to 1000000",)] == db.execute(
            "SELECT rule FROM quarantine"
        ).fetchall()


def test_a_good_sample_after_a_malformed_one_of_its_seq_is_stored(tmp_path: Path) -> None:
    """Refused becomes stored when it comes whole."""
    with opened(tmp_path / "db") as db:
        store = BatchWriter(db, Registered())
        take(store, broken(1))
        save(store, sample(1))

        assert {RUN: (1, 1, 0, 0, 0)} == conservation(db)


def test_a_merged_sample_that_breaks_the_contract_swallows_no_row(tmp_path: Path) -> None:
    """A false range could take out true rows."""
    with opened(tmp_path / "db") as db:
        store = BatchWriter(db, Registered())
        take(store, received(sample(1)), broken(4, 1))

        assert {RUN: (4, 1, 3, 0, 0)} == conservation(db)


def test_new_interfaces_over_the_cap_are_not_acked(tmp_path: Path) -> None:
    """A stolen key must not fill a disk this way either; what an honest router has waits."""
    with opened(tmp_path / "db") as db:
        store = BatchWriter(db, Registered(), Caps(samples=5000))
        bss = (tuple(Bss(f"p{n}", since=f"{at}") for n in range(64)) for at in range(1, 30))
        counted = [
            tuple(Bss(one.ifname, since=one.since, rx_bytes=1, tx_bytes=1) for one in row)
            for row in bss
        ]
        take(store, *(received(sample(n, net=None, bss=row)) for n, row in enumerate(counted, 1)))

        assert (960,) == db.execute("SELECT count(*) FROM interface").fetchone()
        assert (AckedRun(RUN, 15),) == store.acks({1: "tirosa-1"})[0].runs
