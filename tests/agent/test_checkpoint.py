"""The copy on flash: there during a long outage, and never on a healthy router."""

import errno
import os
from pathlib import Path

import pytest

from tests.agent.spooled import OTHER_RUN, Clock, Disk, ack, spans, take
from tests.wire.examples import RUN
from titik_agent.spool.checkpoint import Checkpoint
from titik_agent.spool.spool import Spool

SMALL = 16 * 1024


class Router:
    """A spool in RAM-backed storage that a power cut empties, with a copy on flash."""

    def __init__(self, root: Path, limit: int = 1 << 20) -> None:
        self.clock = Clock()
        self.flash = root / "flash"
        self.limit = limit
        self.spool = self.boot()

    def boot(self) -> Spool:
        """Start with nothing but the flash."""
        return Spool(None, self.limit, str(self.flash), monotonic=self.clock)

    def cut_power(self) -> None:
        """No close: the old spool is just gone."""
        self.spool = self.boot()

    def live(self, seqs: range, acked: bool = False, run: str = RUN) -> None:
        """A sample each 30 s."""
        for seq in seqs:
            self.clock.now += 30
            take(self.spool, seq, run=run)
            if acked:
                assert self.spool.settle(ack(seq, run=run))
            self.spool.checkpoint_if_due()

    def written(self) -> int | None:
        """The checkpoint's inode: each write makes another file."""
        path = self.flash / "spool.checkpoint"
        return path.stat().st_ino if path.exists() else None


@pytest.fixture
def router(tmp_path: Path) -> Router:
    """One with nothing spooled."""
    return Router(tmp_path)


@pytest.mark.thorough
def test_a_healthy_router_writes_no_flash(router: Router) -> None:
    """A day of samples, each acked: the directory is not even made."""
    router.live(range(1, 2881), acked=True)
    router.spool.close()

    assert not router.flash.exists()


@pytest.mark.thorough
def test_an_ack_that_takes_minutes_is_no_outage(router: Router) -> None:
    """Every record is acked within five minutes, though something always waits."""
    for seq in range(1, 1000):
        router.live(range(seq, seq + 1))
        if seq > 9:
            assert router.spool.settle(ack(seq - 9))

    assert not router.flash.exists()


def test_it_is_written_when_a_record_has_waited_five_minutes(router: Router) -> None:
    """Then everything unacked is in it."""
    router.live(range(1, 11))
    assert router.written() is None
    router.live(range(11, 12))
    assert router.written() is not None

    router.cut_power()
    assert [(n, n) for n in range(1, 12)] == spans(router.spool)


@pytest.mark.thorough
def test_a_merged_record_has_waited_as_long_as_its_older_half(tmp_path: Path) -> None:
    """A small spool that merges all the time is copied no later."""
    router = Router(tmp_path, SMALL)
    for seq in range(1, 301):
        router.clock.now += 1
        take(router.spool, seq)
        router.spool.checkpoint_if_due()
    assert router.written() is None
    router.clock.now += 1
    router.spool.checkpoint_if_due()
    assert router.written() is not None


def test_the_copy_is_on_flash_before_it_has_its_name(
    router: Router, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is synced, then renamed, then its directory is synced."""
    calls = []
    sync, rename = os.fsync, os.rename

    def note_sync(fd: int) -> None:
        calls.append("sync " + os.path.basename(os.readlink(f"/proc/self/fd/{fd}")))
        sync(fd)

    def note_rename(old: str, new: str) -> None:
        calls.append("rename")
        rename(old, new)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(os, "rename", note_rename)
    router.live(range(1, 12))

    assert ["sync spool.checkpoint.tmp", "rename", "sync flash"] == calls


@pytest.mark.thorough
def test_it_is_written_at_most_every_15_minutes(router: Router) -> None:
    """A day-long outage: 96 writes, and a power cut costs at most 15 minutes."""
    before, writes = router.written(), 0
    keep = []  # else the next file could get the same inode
    for seq in range(1, 2881):
        router.live(range(seq, seq + 1))
        if router.written() != before:
            before, writes = router.written(), writes + 1
            keep.append((router.flash / "spool.checkpoint").open("rb"))
    for file in keep:
        file.close()

    assert 96 == writes
    router.cut_power()
    assert 2880 - 30 < spans(router.spool)[-1][1] <= 2880


def test_it_goes_when_everything_in_it_is_acked(router: Router) -> None:
    """What was taken after it was written may still wait."""
    router.live(range(1, 15))
    assert router.spool.settle(ack(10))
    assert router.written() is not None
    assert router.spool.settle(ack(13))
    assert router.written() is None
    assert {RUN: (14, 14)} == router.spool.held()


@pytest.mark.thorough
def test_one_record_that_is_never_acked_does_not_wear_the_flash(router: Router) -> None:
    """It is in the copy already; the others are healthy."""
    router.live(range(1, 12))
    first = router.written()
    assert first is not None
    for seq in range(12, 1000):
        router.live(range(seq, seq + 1))
        assert router.spool.settle(ack(0, (2, seq)))

    assert first == router.written()


def test_closing_copies_what_is_unacked(router: Router) -> None:
    """However new it is: the router may be about to reboot."""
    router.live(range(1, 4))
    router.spool.close()
    router.spool.close()

    router.cut_power()
    assert {RUN: (1, 3)} == router.spool.held()


def test_closing_writes_nothing_that_is_there_already(router: Router) -> None:
    """Flash wears."""
    router.live(range(1, 12))
    first = router.written()
    router.spool.close()

    assert first == router.written()


def test_restored_records_keep_their_run_and_come_first(router: Router) -> None:
    """The new run is younger, whatever it is called."""
    router.live(range(1, 4), run="ffffffffffffffff")
    router.spool.close()
    router.cut_power()
    router.live(range(1, 3), run=OTHER_RUN)

    assert [("ffffffffffffffff", (1, 3)), (OTHER_RUN, (1, 2))] == list(router.spool.held().items())
    assert router.spool.settle(ack(3, run="ffffffffffffffff"))
    assert router.written() is None


@pytest.mark.thorough
def test_a_restart_waits_with_the_next_copy(router: Router) -> None:
    """How old the copy is cannot be known, so it counts as new: no crash loop wears the flash."""
    router.live(range(1, 12))
    for run in range(1, 20):
        router.spool.close()
        inode = router.written()
        router.cut_power()
        router.live(range(1, 20), run=f"{run:016x}")
        assert inode == router.written()


def test_what_the_directory_still_has_is_not_restored_twice(tmp_path: Path) -> None:
    """The agent restarted without a power cut; blocks merged since contain the copy's."""
    clock = Clock()
    flash, directory = str(tmp_path / "flash"), str(tmp_path / "spool")
    spool = Spool(directory, SMALL, flash, monotonic=clock)
    take(spool, 1, 2, 3, 4)
    clock.now += 300
    spool.checkpoint_if_due()
    take(spool, *range(5, 101))
    held = spans(spool)
    clock.now += 1
    spool.close()

    reopened = Spool(directory, SMALL, flash, monotonic=clock)
    assert held == spans(reopened)
    assert 0 == reopened.merged == reopened.lost == reopened.corrupt
    reopened.close()


def test_a_copy_larger_than_the_limit_is_merged_into_it(tmp_path: Path) -> None:
    """The limit was lowered between two starts."""
    big = Router(tmp_path)
    big.live(range(1, 201))
    big.spool.close()

    small = Router(tmp_path, SMALL)
    assert small.spool.used_bytes <= SMALL
    assert 0 == small.spool.lost
    assert {RUN: (1, 200)} == small.spool.held()


@pytest.mark.parametrize("cut", [0, 1, 300, 5000])
def test_a_damaged_copy_is_read_as_far_as_it_is_whole(
    cut: int, router: Router, caplog: pytest.LogCaptureFixture
) -> None:
    """And never keeps the agent from starting."""
    router.live(range(1, 12))
    path = router.flash / "spool.checkpoint"
    os.truncate(path, cut)
    router.cut_power()

    assert int(cut > 0) == router.spool.corrupt
    assert cut // 500 - 1 <= router.spool.spooled <= cut // 400
    assert [] == caplog.messages


def test_flash_that_cannot_be_used_is_reported_and_survived(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A file in the way of the directory; the next try is 15 minutes later."""
    (tmp_path / "flash").write_text("in the way")
    router = Router(tmp_path)
    router.live(range(1, 51))

    assert 50 == router.spool.spooled
    assert ["checkpoint cannot be read", "checkpoint cannot be written"] == [
        line.split(",")[0].split(" reason")[0] for line in caplog.messages
    ]


def test_what_a_power_cut_left_half_written_is_removed(router: Router) -> None:
    """The copy before it is still whole, because the new one is renamed only when synced."""
    router.live(range(1, 12))
    aside = router.flash / "spool.checkpoint.tmp"
    aside.write_bytes(b"half")
    router.cut_power()

    assert not aside.exists()
    assert 11 == router.spool.spooled


def test_a_spool_that_cannot_be_read_leaves_the_copy_as_it_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A copy without what could not be read would pass for a whole one."""
    clock, disk = Clock(), Disk()
    directories = str(tmp_path / "ram"), 1 << 20, str(tmp_path / "flash")
    spool = Spool(*directories, monotonic=clock, open_segments=disk.open)
    take(spool, 1, 2)
    clock.now += 300
    spool.checkpoint_if_due()
    take(spool, 3)
    disk.short = True
    clock.now += 900
    spool.checkpoint_if_due()

    after = Spool(None, 1 << 20, str(tmp_path / "flash"), monotonic=clock)
    assert [(1, 1), (2, 2)] == spans(after)
    assert ["spool cannot be read", "checkpoint cannot be written"] == [
        line.split(",")[0].split(" reason")[0] for line in caplog.messages
    ]
    spool.close()


def test_a_copy_that_cannot_be_read_for_a_shortage_is_read_later(
    router: Router, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Till then the spool is not complete, and the copy is not written over."""
    router.live(range(1, 12))

    def exhausted(*_: object) -> bytes:
        raise OSError(errno.ENFILE, os.strerror(errno.ENFILE))

    with monkeypatch.context() as patched:
        patched.setattr(Checkpoint, "load", exhausted)
        router.cut_power()
        router.live(range(1, 41), run=OTHER_RUN)
        assert (40, False) == (router.spool.spooled, router.spool.complete)
    router.spool.checkpoint_if_due()

    assert (51, True) == (router.spool.spooled, router.spool.complete)
    assert ["checkpoint cannot be read"] == [line[:25] for line in caplog.messages]
