"""Two devices that use one name: a cloned image, or a second `titik-agent run`."""

import random
from pathlib import Path

import pytest

from tests.cases import few
from tests.collector.build import (
    OLD_RUN,
    RUN,
    Registered,
    conservation,
    opened,
    sample,
)
from tests.collector.test_store import save
from titik_collector.ingest.batch import BatchWriter
from titik_collector.store import conservation as check
from titik_wire.messages import Ack, Held, Sample

MINE, OTHERS = RUN, OLD_RUN


class Device:
    """What an agent keeps and lets go of, with the acks of a topic that it may share."""

    def __init__(self, run: str) -> None:
        self.run = run
        self.taken = 0
        self.spool: dict[int, Sample] = {}
        self.open_runs: list[str] = []

    def take(self) -> Sample:
        """The next sample; what no ack covers is in the spool."""
        self.taken += 1
        gone = [Held(run, None) for run in self.open_runs if run != self.run]
        lowest = min(self.spool, default=self.taken)
        one = sample(self.taken, run=self.run, lowest=lowest, others=gone, boot=self.run)
        self.spool[self.taken] = one
        return one

    def hear(self, ack: Ack) -> None:
        """Let go of what is covered."""
        self.open_runs = [one.run for one in ack.runs]
        for acked in ack.runs:
            for first, last in ((1, acked.upto), *acked.also):
                if acked.run == self.run:
                    for seq in [seq for seq in self.spool if first <= seq <= last]:
                        del self.spool[seq]


@pytest.mark.parametrize("seed", few(2, range(8)))
def test_no_device_loses_what_it_holds(tmp_path: Path, seed: int) -> None:
    """Outages of each, backlogs in pieces, and acks heard before or after the next sample."""
    rand = random.Random(seed)
    with opened(tmp_path / "db") as db:
        store = BatchWriter(db, Registered())
        devices = [Device(MINE), Device(OTHERS)]
        for _ in range(40):
            here = rand.choice(devices)
            if rand.random() < 0.8:
                here.hear(store.acks({1: "tirosa-1"})[0])  # retained
            for _ in range(rand.randrange(4)):  # while it was away
                here.take()
            save(store, here.take(), live=True)
            if rand.random() < 0.5:
                here.hear(store.acks({1: "tirosa-1"})[0])
            save(store, *list(here.spool.values())[: rand.randrange(4)])
        for one in devices:
            save(store, one.take(), *one.spool.values())

        taken = {one.run: (one.taken, one.taken, 0, 0, 0) for one in devices}
        assert taken == conservation(db)
        assert [] == check.findings(db)


def test_a_device_that_is_back_is_believed_and_not_who_never_held_its_run(tmp_path: Path) -> None:
    """What the other lacks counts as lost until then, and is never acknowledged for it."""
    with opened(tmp_path / "db") as db:
        store = BatchWriter(db, Registered())
        save(store, sample(1), sample(9, lowest=2), live=True)
        save(store, sample(1, run=OTHERS, others=[Held(MINE, None)]), live=True)
        assert (9, 2, 0, 7, 0) == conservation(db)[MINE]
        assert [OTHERS] == [one.run for one in store.acks({1: "tirosa-1"})[0].runs]
        save(store, sample(10, lowest=2), live=True)

        assert (10, 3, 0, 0, 7) == conservation(db)[MINE]
        acked = {one.run: one for one in store.acks({1: "tirosa-1"})[0].runs}[MINE]
        assert (1, ((9, 10),)) == (acked.upto, acked.also)


def test_a_late_sample_of_a_run_that_is_over_takes_nothing_back(tmp_path: Path) -> None:
    """It was on its way; the next life has the last word."""
    with opened(tmp_path / "db") as db:
        store = BatchWriter(db, Registered())
        save(store, sample(1, run=OTHERS), sample(9, run=OTHERS, lowest=2))
        save(store, sample(1, others=[Held(OTHERS, None)]))
        save(store, sample(8, run=OTHERS, lowest=2))

        assert (9, 3, 0, 6, 0) == conservation(db)[OTHERS]
