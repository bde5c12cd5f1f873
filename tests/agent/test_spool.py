"""The spool: what it keeps, what it lets go of, and how it stays within its limit."""

import errno
import os
import random
import shutil
import tempfile
from functools import partial
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.agent.spooled import (
    OTHER_RUN,
    Clock,
    Disk,
    ack,
    read,
    sample,
    spans,
    take,
    typical,
)
from tests.wire.examples import BARE_SAMPLE, RUN
from titik_agent.spool.segments import Segments
from titik_agent.spool.spool import Key, Spool
from titik_wire.codec import encode
from titik_wire.messages import Ack, AckedRun

SMALL = 16 * 1024  # holds about 25 of the bare samples


def test_what_is_appended_can_be_read_back(tmp_path: Path) -> None:
    """A record's payload is the bytes that were appended."""
    spool = Spool(str(tmp_path / "spool"))
    spool.append(RUN, 1, encode(sample(1)))

    assert [Key(RUN, 1, 1)] == spool.keys()
    assert encode(sample(1)) == spool.payload(Key(RUN, 1, 1))
    spool.close()


def test_what_is_not_held_has_no_payload() -> None:
    """A key that is gone gives None, not an error."""
    spool = Spool(None)
    take(spool, 1)

    assert spool.payload(Key(RUN, 2, 2)) is None
    assert spool.payload(Key(OTHER_RUN, 1, 1)) is None


def test_only_its_owner_may_look_into_the_directory(tmp_path: Path) -> None:
    """The directory is created with mode 0700, its files with 0600."""
    spool = Spool(str(tmp_path / "spool"))
    take(spool, 1)
    modes = [os.stat(path).st_mode & 0o777 for path in (tmp_path / "spool").iterdir()]

    assert 0o700 == os.stat(tmp_path / "spool").st_mode & 0o777
    assert [0o600] == modes
    spool.close()


def test_the_next_process_finds_it_all(tmp_path: Path) -> None:
    """Reopening keeps every record, oldest run first, and appending goes on behind them."""
    first = Spool(str(tmp_path))
    take(first, 1, 2, 3, run="ffffffffffffffff")
    first.close()
    second = Spool(str(tmp_path))
    take(second, 1, 2, run="0000000000000000")
    second.close()

    third = Spool(str(tmp_path))
    take(third, 1)
    assert {
        "ffffffffffffffff": (1, 3),
        "0000000000000000": (1, 2),
        RUN: (1, 1),
    } == third.held()
    assert ["ffffffffffffffff", "0000000000000000", RUN] == list(third.held())
    assert 6 == third.spooled
    third.close()


def test_restarts_do_not_multiply_files(tmp_path: Path) -> None:
    """A process appends to the file that the one before it began."""
    for seq in range(1, 11):
        spool = Spool(str(tmp_path))
        take(spool, seq)
        spool.close()

    assert 1 == len(list(tmp_path.glob("*.seg")))


@pytest.mark.thorough
def test_rewriting_segments_does_not_change_the_order_of_runs(tmp_path: Path) -> None:
    """The oldest run stays the oldest, wherever in the files its records have come to lie."""
    spool = Spool(str(tmp_path), SMALL)
    take(spool, 1, run=OTHER_RUN)
    take(spool, *range(1, 500))
    spool.close()

    reopened = Spool(str(tmp_path), SMALL)
    assert [OTHER_RUN, RUN] == list(reopened.held())
    assert (1, 1) == reopened.held()[OTHER_RUN]
    reopened.close()


def test_a_seq_is_appended_once() -> None:
    """A seq that is not above the run's highest is the caller's mistake, acked or not."""
    spool = Spool(None)
    take(spool, 1, 2)
    assert spool.settle(ack(2))

    with pytest.raises(ValueError, match="appended before"):
        take(spool, 2)


def test_two_processes_do_not_share_a_directory(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The second keeps its samples in memory until the first is gone."""
    clock = Clock()
    first = Spool(str(tmp_path))
    second = Spool(str(tmp_path), monotonic=clock)
    take(first, 1, 2, run="ffffffffffffffff")
    take(second, 1)
    assert ({RUN: (1, 1)}, False) == (second.held(), second.complete)

    first.close()
    clock.now += 60
    take(second, 2, 3)
    assert second.complete
    assert [("ffffffffffffffff", (1, 2)), (RUN, (1, 3))] == list(second.held().items())
    second.close()
    assert ["spool disk failed"] == [line[:17] for line in caplog.messages]


# What an ack covers


def test_an_ack_settles_what_it_covers_of_every_run_it_lists() -> None:
    """`upto` and `also` drop records; the rest stays."""
    spool = Spool(None)
    take(spool, *range(1, 5), run=OTHER_RUN)
    take(spool, *range(1, 9))
    both = Ack(BARE_SAMPLE.router, (AckedRun(OTHER_RUN, 4), AckedRun(RUN, 2, ((4, 5), (7, 7)))))

    assert spool.settle(both)
    assert {RUN: (3, 8)} == spool.held()
    assert [(3, 3), (6, 6), (8, 8)] == spans(spool)


def test_a_block_covered_in_part_stays() -> None:
    """A merged record goes only when its whole range is settled, by whichever ranges."""
    spool = Spool(None, SMALL)
    take(spool, *range(1, 100))
    assert (1, 4) == spans(spool)[0]

    assert spool.settle(ack(2))
    assert (1, 4) == spans(spool)[0]
    assert spool.settle(ack(2, (3, 4)))
    assert (5, 8) == spans(spool)[0]


@pytest.mark.parametrize("claim", [ack(4), ack(1, (3, 4)), ack(2**53 - 1)])
def test_an_ack_above_what_was_taken_is_ignored_whole(
    claim: Ack, caplog: pytest.LogCaptureFixture
) -> None:
    """A forged ack drops nothing, not even of the runs it is right about, and is logged once."""
    spool = Spool(None)
    take(spool, 1, run=OTHER_RUN)
    take(spool, 1, 2, 3)
    forged = Ack(claim.router, (AckedRun(OTHER_RUN, 1), *claim.runs))

    assert not spool.settle(forged)
    assert not spool.settle(forged)
    assert {OTHER_RUN: (1, 1), RUN: (1, 3)} == spool.held()
    assert 1 == len(caplog.messages)
    assert spool.settle(ack(3))


def test_an_ack_may_know_more_of_an_older_run_than_the_spool() -> None:
    """A power cut took the end of an older run, so its highest seq is no limit."""
    spool = Spool(None)
    take(spool, 1, 2, run=OTHER_RUN)
    take(spool, 1)

    assert spool.settle(ack(50, run=OTHER_RUN))
    assert {RUN: (1, 1)} == spool.held()


def test_a_discarded_record_is_lost() -> None:
    """Giving up counts every seq the record covered; doing it twice counts once."""
    spool = Spool(None)
    take(spool, 1, 2)
    spool.discard(Key(RUN, 1, 1))
    spool.discard(Key(RUN, 1, 1))

    assert 1 == spool.lost
    assert {RUN: (2, 2)} == spool.held()


# When it is full


def test_a_full_spool_merges_the_shortest_pair_oldest_first() -> None:
    """Nothing is lost; spans fall with age and the newest sample stays on its own."""
    spool = Spool(None, SMALL)
    take(spool, *range(1, 41))
    held = spans(spool)
    lengths = [last - first + 1 for first, last in held]

    assert 0 == spool.lost
    assert 40 - len(held) == spool.merged > 0
    assert sorted(lengths, reverse=True) == lengths
    assert {1, 2} == set(lengths)
    assert (40, 40) == held[-1]
    assert [*range(1, 41)] == [s for first, last in held for s in range(first, last + 1)]


def test_the_newest_sample_is_merged_only_if_nothing_else_can() -> None:
    """The present is not folded into the past while there is another pair."""
    one = len(encode(sample(4))) + 36
    spool = Spool(None, 4 * one + 60)
    take(spool, 1, 2, 3, 4, 5)
    assert [(1, 2), (3, 3), (4, 4), (5, 5)] == spans(spool)
    take(spool, 6)
    assert [(1, 2), (3, 4), (5, 5), (6, 6)] == spans(spool)
    take(spool, 7)
    assert [(1, 4), (5, 5), (6, 6), (7, 7)] == spans(spool)
    take(spool, 8)
    assert [(1, 4), (5, 6), (7, 7), (8, 8)] == spans(spool)


def test_runs_are_not_merged_with_each_other(caplog: pytest.LogCaptureFixture) -> None:
    """Blocks lie within one run, however full it is."""
    spool = Spool(None, SMALL)
    runs = [f"{n:016x}" for n in range(1, 41)]
    for run in runs:
        take(spool, 1, run=run)

    assert 0 == spool.merged
    assert spool.lost == 40 - spool.spooled > 0
    assert 1 == len(caplog.messages)


def test_the_oldest_is_lost_when_nothing_can_merge(caplog: pytest.LogCaptureFixture) -> None:
    """Only every second seq: no pair is free of gaps. What goes is counted, and logged once."""
    spool = Spool(None, SMALL)
    take(spool, *range(1, 101, 2))
    held = spans(spool)

    assert 0 == spool.merged
    assert 50 == len(held) + spool.lost
    assert (99, 99) == held[-1]
    assert 101 - 2 * len(held) == held[0][0]
    assert ["spool is full and nothing can merge, dropping the oldest"] == caplog.messages


def test_what_is_no_sample_of_this_contract_is_kept_apart(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A later contract's record is held and sent, and merging it is tried only once."""
    spool = Spool(None, SMALL)
    alien = b'{"v":2,"router":"tirosa-1"}' + b" " * 600
    for seq in range(1, 5):
        spool.append(OTHER_RUN, seq, alien)
    with caplog.at_level("DEBUG"):
        take(spool, *range(1, 101))
        for seq in range(101, 501, 2):
            take(spool, seq, seq + 1)
            assert spool.settle(ack(seq + 1))
        take(spool, *range(501, 601))

    assert [(n, n) for n in range(1, 5)] == spans(spool, OTHER_RUN)
    assert 0 == spool.lost
    assert ["records stay apart"] * 2 == [line[:18] for line in caplog.messages]


@pytest.mark.parametrize(
    ("hours", "limit"),
    [(9, 1 << 17), pytest.param(72, 1 << 20, marks=[pytest.mark.system, pytest.mark.long])],
)
@pytest.mark.thorough
def test_an_outage_longer_than_the_spool_keeps_exact_totals(
    hours: int, limit: int, tmp_path: Path
) -> None:
    """A sample each 30 s and after joins, 1.1 kB each: every counter's last value is there."""
    spool = Spool(str(tmp_path), limit)
    count = hours * 150
    peak = 0
    for seq in range(1, count + 1):
        spool.append(RUN, seq, encode(typical(seq)))
        peak = max(peak, spool.used_bytes)
    keys = spool.keys()
    held = [read(spool, key) for key in keys]

    assert 0 == spool.lost
    assert peak <= limit
    assert [*range(1, count + 1)] == [s for one in held for s in range(one.first_seq, one.seq + 1)]
    assert (count - 1) * 30_000 == sum(one.covers_ms for one in held)
    assert [typical(one.seq).net for one in held] == [one.net for one in held]
    assert [typical(one.seq).client_ms for one in held] == [one.client_ms for one in held]
    spool.close()


# When the disk fails


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_a_failing_disk_costs_no_sample(
    error: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Memory takes over at once, is counted in the limit, and the disk is tried once a minute."""
    clock, disk = Clock(), Disk()
    spool = Spool(
        str(tmp_path), SMALL, monotonic=clock, open_segments=partial(Segments, write=disk.write)
    )
    take(spool, 1, 2)
    disk.error = error
    writes = disk.writes
    for seq in range(3, 203):
        clock.now += 1
        take(spool, seq)
        assert spool.used_bytes <= SMALL

    # At 0, 60, 120 and 180 s; a full disk once more, after a segment without anything needed went.
    assert writes + 4 + (error == errno.ENOSPC) == disk.writes
    assert 0 == spool.lost
    assert 202 == spans(spool)[-1][1]
    assert [encode(sample(202))] == [spool.payload(Key(RUN, 202, 202))]
    assert 1 == len(caplog.messages)
    spool.close()

    reopened = Spool(str(tmp_path), SMALL)
    assert 0 == reopened.corrupt  # what a full disk took of a record is not left behind
    reopened.close()


def test_a_disk_that_works_again_takes_over_from_memory(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What was taken meanwhile survives this process after all."""
    clock, disk = Clock(), Disk()
    spool = Spool(str(tmp_path), monotonic=clock, open_segments=partial(Segments, write=disk.write))
    take(spool, 1)
    disk.error = errno.ENOSPC
    take(spool, 2, 3)
    disk.error = None
    take(spool, 4)  # too early to try
    clock.now += 60
    with caplog.at_level("INFO"):
        take(spool, 5)
    spool.close()

    reopened = Spool(str(tmp_path))
    assert [(n, n) for n in range(1, 6)] == spans(reopened)
    assert 0 == reopened.corrupt
    assert "spool disk works again" == caplog.messages[-1][:22]
    reopened.close()


@pytest.mark.parametrize("works", [True, False])
def test_an_orderly_end_tries_the_disk_once_more(
    tmp_path: Path, works: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Though its minute is not over: what is in memory would be gone."""
    disk = Disk()
    spool = Spool(
        str(tmp_path), monotonic=Clock(), open_segments=partial(Segments, write=disk.write)
    )
    take(spool, 1)
    disk.error = errno.ENOSPC
    take(spool, 2, 3)
    disk.error = None if works else errno.EIO
    spool.close()
    assert 1 == len(caplog.messages)  # reported before

    reopened = Spool(str(tmp_path))
    assert [(n, n) for n in range(1, 4 if works else 2)] == spans(reopened)
    assert 0 == reopened.corrupt
    reopened.close()


def test_a_directory_that_cannot_be_made_is_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A file in the way is no reason to stop; once it is gone the spool lies on disk."""
    clock = Clock()
    (tmp_path / "spool").write_text("in the way")
    spool = Spool(str(tmp_path / "spool"), monotonic=clock)
    take(spool, 1)
    (tmp_path / "spool").unlink()
    clock.now += 60
    take(spool, 2)
    spool.close()

    reopened = Spool(str(tmp_path / "spool"))
    assert [(1, 1), (2, 2)] == spans(reopened)
    assert 1 == len(caplog.messages)
    reopened.close()


def test_a_record_damaged_under_a_running_agent_is_skipped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is found when it is read, counted, and held no longer."""
    spool = Spool(str(tmp_path))
    take(spool, 1, 2)
    [segment] = tmp_path.glob("*.seg")
    with segment.open("r+b") as file:
        file.seek(100)
        file.write(b"?")

    assert spool.payload(Key(RUN, 1, 1)) is None
    assert {RUN: (2, 2)} == spool.held()
    assert 1 == spool.corrupt
    assert 1 == len(caplog.messages)
    spool.close()


def test_a_merge_that_a_kill_interrupted_is_finished_by_the_next_process(tmp_path: Path) -> None:
    """The merged record and its halves are all in the files; the containing range wins."""
    spool = Spool(str(tmp_path / "before"), SMALL)
    take(spool, 1, 2, 3)
    spool.close()
    shutil.copytree(tmp_path / "before", tmp_path / "after")
    spool = Spool(str(tmp_path / "after"), SMALL)
    take(spool, *range(4, 41))
    spool.close()
    old = next(iter((tmp_path / "before").glob("*.seg")))
    shutil.copy(old, tmp_path / "after" / "9999999999.seg")

    reopened = Spool(str(tmp_path / "after"), SMALL)
    held = spans(reopened)
    assert [*range(1, 41)] == [s for first, last in held for s in range(first, last + 1)]
    assert (1, 2) == held[0]
    reopened.close()


# Conservation, whatever happens


class Life(RuleBasedStateMachine):
    """A spool beside the plain set of seqs that it must hold."""

    @initialize(on_disk=st.booleans())
    def start(self, on_disk: bool) -> None:
        self.temporary = tempfile.TemporaryDirectory()
        self.generation = 0
        self.directory = os.path.join(self.temporary.name, "0") if on_disk else None
        self.clock, self.disk = Clock(), Disk()
        self.run, self.seq = 1, 0
        self.taken = 0  # highest seq appended by this process
        self.held: set[tuple[str, int]] = set()
        self.gone: set[tuple[str, int]] = set()  # settled or lost
        self.spool = self.open()

    def open(self) -> Spool:
        return Spool(self.directory, 4096, monotonic=self.clock, open_segments=self.disk.open)

    def name(self) -> str:
        return f"{self.run:016x}"

    def now_held(self) -> set[tuple[str, int]]:
        keys = self.spool.keys()
        listed = [(key.run, seq) for key in keys for seq in range(key.first_seq, key.seq + 1)]
        assert len(listed) == len(set(listed))
        return set(listed)

    @rule(count=st.integers(1, 12))
    def append(self, count: int) -> None:
        """Only what is counted as lost goes."""
        for _ in range(count):
            self.seq += 1
            self.clock.now += 30
            lost = self.spool.lost
            take(self.spool, self.seq, run=self.name())
            self.taken = self.seq
            self.held.add((self.name(), self.seq))
            dropped = self.held - self.now_held()
            assert len(dropped) == self.spool.lost - lost
            self.gone |= dropped
            self.held -= dropped

    @rule()
    def skip_a_seq(self) -> None:
        """The agent made no sample of it."""
        self.seq += 1

    @rule(at=st.integers(0, 60), also=st.lists(st.integers(1, 60), max_size=2, unique=True))
    def settle(self, at: int, also: list[int]) -> None:
        """What goes is covered, and all blocks that are covered go."""
        spare = tuple((seq, seq + 1) for seq in sorted(also) if seq > at)
        top = max([at, *(last for _, last in spare)])
        settled = {*range(1, at + 1), *(s for pair in spare for s in pair)}
        keys = self.spool.keys()
        before = self.now_held()
        believed = self.spool.settle(ack(at, *spare, run=self.name()))
        assert believed == (not self.taken or top <= self.taken)
        expected = {
            (key.run, seq)
            for key in keys
            for seq in range(key.first_seq, key.seq + 1)
            if believed
            and key.run == self.name()
            and settled >= set(range(key.first_seq, key.seq + 1))
        }
        assert before - expected == self.now_held()
        self.held -= expected
        self.gone |= expected

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def discard(self, data: st.DataObject) -> None:
        """A record given up is lost, whole."""
        key = data.draw(st.sampled_from(self.spool.keys()))
        lost = self.spool.lost
        self.spool.discard(key)
        assert key.span == self.spool.lost - lost
        covered = {(key.run, seq) for seq in range(key.first_seq, key.seq + 1)}
        self.held -= covered
        self.gone |= covered

    @precondition(lambda self: self.directory)
    @rule(error=st.sampled_from([None, errno.ENOSPC, errno.EIO]))
    def break_or_mend_the_disk(self, error: int | None) -> None:
        """From now on every write fails, or none."""
        self.disk.error = error

    @precondition(lambda self: self.directory)
    @rule(short=st.booleans())
    def begin_or_end_a_shortage(self, short: bool) -> None:
        """From now on no read succeeds, or each."""
        self.disk.short = short

    @precondition(lambda self: self.directory and not self.disk.error and not self.disk.short)
    @rule(crash=st.booleans())
    def start_again(self, crash: bool) -> None:
        """Everything held is found; what was gone may be back, to be sent twice."""
        self.clock.now += 60
        self.append(6)  # brings everything back to disk
        old = self.directory
        assert old is not None
        if crash:
            self.generation += 1
            self.directory = os.path.join(self.temporary.name, str(self.generation))
            shutil.copytree(old, self.directory)
        self.spool.close()
        self.spool = self.open()
        assert 0 == self.spool.corrupt
        found = self.now_held()
        assert self.held - found == set()
        assert found - self.held - self.gone == set()
        self.gone -= found
        self.held = found
        self.run, self.seq, self.taken = self.run + 1, 0, 0

    @invariant()
    def holds_exactly_what_it_must(self) -> None:
        """Held, and nowhere else; every block is a whole sample of its range."""
        assert self.held == self.now_held()
        for key in () if self.disk.short else self.spool.keys():
            one = read(self.spool, key)
            assert (key.run, key.first_seq, key.seq) == (one.run, one.first_seq, one.seq)

    def teardown(self) -> None:
        if hasattr(self, "spool"):
            self.spool.close()
            self.temporary.cleanup()


@pytest.mark.thorough
def test_every_seq_is_held_settled_or_counted_as_lost(caplog: pytest.LogCaptureFixture) -> None:
    """For any course of appends, acks, give-ups, disk failures, crashes and restarts."""
    run_state_machine_as_test(Life, settings=settings(stateful_step_count=30))
    assert {"titik_agent.spool.spool", "titik_agent.spool.storage"} >= {
        one.name for one in caplog.records
    }


@pytest.mark.thorough
def test_the_files_never_outgrow_the_limit(tmp_path: Path) -> None:
    """Whatever acks leave behind as dead bytes: sizes, gaps and order are random."""
    rand = random.Random(7)
    limit = 128 * 1024
    spool = Spool(str(tmp_path), limit)
    for seq in range(1, 1500):
        spool.append(RUN, seq, encode(typical(seq) if rand.random() < 0.7 else sample(seq)))
        if rand.random() < 0.2:
            key = rand.choice(spool.keys())
            assert spool.settle(ack(0, (key.first_seq, key.seq)))
        size = sum(path.stat().st_size for path in tmp_path.glob("*.seg"))
        assert size == spool.used_bytes <= limit

    assert 0 == spool.lost
    spool.close()


# When it cannot be read for a while


def test_a_spool_that_cannot_be_read_for_a_moment_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a free descriptor the bytes are as good as before; it is logged once."""
    spool = Spool(str(tmp_path))
    for seq in range(1, 30):
        spool.append(RUN, seq, encode(sample(seq)))

    def exhausted(*_: object) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", exhausted)
        patched.setattr(os, "pread", exhausted)
        unread = [spool.payload(key) for key in spool.keys()]  # noqa: SIM118
    again = [spool.payload(key) for key in spool.keys()]  # noqa: SIM118

    assert [None] * 29 == unread
    assert (29, 0, {RUN: (1, 29)}) == (spool.spooled, spool.corrupt, spool.held())
    assert None not in again
    assert 1 == len(caplog.records)
    spool.close()


def _with_gaps(directory: Path, disk: Disk) -> Spool:
    """A spool that is half in use, and half of that dead bytes in every segment."""
    spool = Spool(str(directory), 1 << 16, open_segments=disk.open)
    for seq in range(1, 31):
        spool.append(RUN, seq, encode(typical(seq)))
    assert spool.settle(ack(0, *[(seq, seq) for seq in range(2, 30, 2)]))
    return spool


@pytest.mark.thorough
@pytest.mark.usefixtures("caplog")
def test_a_segment_that_cannot_be_read_now_is_rewritten_later(tmp_path: Path) -> None:
    """Its file stays until what is live in it has been copied."""
    disk = Disk()
    spool = _with_gaps(tmp_path, disk)
    disk.short = True
    seq = 30
    while spool.used_bytes < (1 << 16) - 2048:  # by then a segment should have been rewritten
        seq += 1
        spool.append(RUN, seq, encode(typical(seq)))
    disk.short = False

    assert (0, 0) == (spool.lost, spool.corrupt)
    assert None not in [spool.payload(key) for key in list(spool.keys())]
    for later in range(seq + 1, 200):
        spool.append(RUN, later, encode(typical(later)))
        assert spool.used_bytes <= 1 << 16
    assert (0, 0) == (spool.lost, spool.corrupt)
    assert spool.settle(ack(199))
    assert 0 == spool.spooled
    spool.close()


@pytest.mark.thorough
def test_files_stay_within_the_limit_while_nothing_can_be_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What has to go for that is counted as lost; the rest is whole when it can be read again."""
    disk = Disk()
    spool = _with_gaps(tmp_path, disk)
    held = spool.spooled
    disk.short = True
    for seq in range(31, 531):
        spool.append(RUN, seq, encode(typical(seq)))
        assert spool.used_bytes <= 1 << 16
    disk.short = False

    assert held + 500 == spool.spooled + spool.lost
    assert None not in [spool.payload(key) for key in list(spool.keys())]
    assert 0 == spool.corrupt
    assert "spool is full and cannot be read, dropped records=1" in caplog.messages
    spool.close()


@pytest.mark.thorough
@pytest.mark.usefixtures("caplog")
def test_what_could_not_be_read_is_merged_later(tmp_path: Path) -> None:
    """Nothing is dropped for a shortage that is over soon."""
    disk = Disk()
    spool = Spool(str(tmp_path), 1 << 16, open_segments=disk.open)
    for seq in range(1, 601):
        disk.short = seq % 100 in (0, 1, 2)
        spool.append(RUN, seq, encode(typical(seq)))
        assert spool.used_bytes <= 1 << 16

    assert (0, 0) == (spool.lost, spool.corrupt)
    assert 600 == spool.spooled + spool.merged
    spool.close()
