"""What was acknowledged stays while there is room, and is sent again to a store that lacks it."""

import errno
import os
import random
import re
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from tests.agent.spooled import OTHER_RUN, Clock, Disk, ack, read, spans, take, typical
from tests.wire.examples import BARE_SAMPLE, FULL_SAMPLE, RUN
from titik_agent import assemble
from titik_agent.limits import ASKED_S, MAX_ASKED
from titik_agent.spool.spans import joined, overlap, without
from titik_agent.spool.spool import CHECKPOINT_S, Key, Spool
from titik_wire.codec import encode
from titik_wire.messages import Ack, AckedRun, Sample, Span

SMALL = 32 * 1024  # its segments have 2 KiB, which is four bare samples
STORE = "5b1f0c9e116b3c52"


def lacking(upto: int, *lacks: Span, run: str = RUN, epoch: int = 7, store: str = STORE) -> Ack:
    """The word of a store that lacks these."""
    return Ack(BARE_SAMPLE.router, (AckedRun(run, upto, lacks=lacks),), store, epoch)


def acked_one_by_one(spool: Spool, *seqs: int, run: str = RUN) -> None:
    """As on a healthy router."""
    for seq in seqs:
        take(spool, seq, run=run)
        assert spool.settle(ack(seq, run=run))


def sent_again(spool: Spool, lacks: tuple[Span, ...], upto: int = 0) -> list[int]:
    """The last seqs of what goes to a store that then has it, and says so, in that order."""
    missing = [n for first, last in lacks for n in range(first, last + 1)]
    found = []
    while missing:
        spool.settle(lacking(upto, *joined([(n, n) for n in missing])))
        keys = spool.again()
        if not keys:
            break
        for key in keys:
            assert read(spool, key).seq == key.seq
            found.append(key.seq)
            missing = [n for n in missing if not key.first_seq <= n <= key.seq]
    spool.settle(ack(upto))
    return found


def test_what_was_acknowledged_stays_on_disk(tmp_path: Path) -> None:
    """It is no longer held, and can be sent again, oldest first."""
    spool = Spool(str(tmp_path), SMALL)
    acked_one_by_one(spool, *range(1, 11))

    assert ([], 0, {RUN: (1, 10)}) == (spool.keys(), spool.spooled, spool.kept())
    assert [*range(3, 9)] == sent_again(spool, ((3, 8),))
    spool.close()


def test_what_was_acknowledged_goes_first_and_oldest_first(tmp_path: Path) -> None:
    """An outage then has all the room that it had before; only then is anything merged."""
    spool, before = Spool(str(tmp_path / "a"), SMALL), Spool(str(tmp_path / "b"), SMALL)
    acked_one_by_one(spool, *range(1, 201))
    first, last = spool.kept()[RUN]
    assert (200, 0, 0) == (last, spool.merged, spool.spooled)
    assert 25 < last - first < 200
    merged = []
    for seq in range(201, 301):
        take(spool, seq)
        take(before, seq)
        merged.append((spool.merged, before.merged))
        assert spool.used_bytes <= SMALL
    assert (merged[-1][0], 0) == (merged[-1][1], spool.lost)
    assert [one for one, _ in merged] == [two for _, two in merged]
    spool.close()
    before.close()


def test_the_next_process_knows_what_was_acknowledged(tmp_path: Path) -> None:
    """It sends little of that on its own, and all of it to a store that lacks it."""
    spool = Spool(str(tmp_path), SMALL)
    acked_one_by_one(spool, *range(1, 11))
    take(spool, 11, 12)
    spool.close()
    again = Spool(str(tmp_path), SMALL)
    take(again, 1, run=OTHER_RUN)

    assert {RUN: (9, 12), OTHER_RUN: (1, 1)} == again.held()  # what was acked is in their file
    assert {RUN: (1, 8)} == again.kept()
    assert [*range(1, 9)] == sent_again(again, ((1, 12),))  # the others are on their way
    again.close()


def test_a_spool_in_memory_keeps_nothing() -> None:
    """As before: there is no disk, or it fails."""
    spool = Spool(None, SMALL)
    acked_one_by_one(spool, 1, 2, 3)
    spool.settle(lacking(0, (1, 3)))

    assert ({}, [], 0) == (spool.kept(), spool.again(), spool.used_bytes)


def test_a_stretch_ends_at_what_is_lost(tmp_path: Path) -> None:
    """So the collector hears at once that nobody has it, and not when the rest is gone."""
    spool = Spool(str(tmp_path), SMALL)
    take(spool, *range(1, 11))
    spool.discard(Key(RUN, 4, 4))
    assert (1, {}) == (spool.lost, spool.kept())
    spool.settle(ack(8))
    assert {RUN: (5, 8)} == spool.kept()
    spool.settle(ack(10))

    assert {RUN: (5, 10)} == spool.kept()
    spool.close()


def test_what_is_lacked_is_looked_up_one_segment_at_a_time(tmp_path: Path) -> None:
    """Of thousands of samples a router with little memory loads a few."""
    spool = Spool(str(tmp_path), SMALL)
    acked_one_by_one(spool, *range(1, 31))
    spool.settle(lacking(0, (2, 30)))

    assert [Key(RUN, n, n) for n in (2, 3, 4)] == spool.again() == spool.again()
    spool.settle(lacking(3, (4, 30)))
    assert [Key(RUN, 4, 4)] == spool.again()
    spool.settle(lacking(4, (5, 30)))
    assert [Key(RUN, n, n) for n in (5, 6, 7, 8)] == spool.again()
    assert spool.is_asked
    spool.settle(ack(30))
    assert ([], False) == (spool.again(), spool.is_asked)
    spool.close()


def test_a_merged_record_goes_where_a_part_of_it_is_lacked(tmp_path: Path) -> None:
    """A store takes the range that contains what it has."""
    spool = Spool(str(tmp_path), 16 * 1024)
    take(spool, *range(1, 100))
    assert (1, 4) == spans(spool)[0]
    spool.settle(ack(99))
    spool.settle(lacking(2, (3, 3)))

    assert (1, 4) in [key[1:] for key in spool.again()]
    spool.close()


def test_whoever_asks_for_ever_gets_each_a_few_times(tmp_path: Path) -> None:
    """A collector that acks and lacks in turn costs a bounded number of bytes."""
    spool = Spool(str(tmp_path), SMALL)
    acked_one_by_one(spool, *range(1, 31))
    sent: dict[int, int] = {}
    for _ in range(1000):
        spool.settle(lacking(0, (1, 30)))
        for key in spool.again():
            sent[key.seq] = sent.get(key.seq, 0) + 1
        spool.settle(ack(30))

    assert ({*range(1, 31)}, {MAX_ASKED}) == ({*sent}, {*sent.values()})
    spool.close()


def test_what_was_asked_for_often_comes_again_after_an_hour(tmp_path: Path) -> None:
    """A drill restores a store many times, and the restore that matters may be the next."""
    clock = Clock()
    spool = Spool(str(tmp_path), SMALL, monotonic=clock)
    acked_one_by_one(spool, *range(1, 11))
    found = []
    for wait_s in (0, 0, 0, 0, ASKED_S - 1, 1, 0):
        clock.now += wait_s
        found.append(len(sent_again(spool, ((1, 10),))))

    assert [10, 10, 10, 10, 0, 10, 10] == found
    spool.close()


def test_what_an_ack_covers_is_not_sent_again(tmp_path: Path) -> None:
    """Also where it says that it lacks it: such an ack would settle and ask at once."""
    spool = Spool(str(tmp_path), SMALL)
    acked_one_by_one(spool, *range(1, 11))
    spool.settle(lacking(10, (1, 10)))
    assert ([], False) == (spool.again(), spool.is_asked)
    torn = AckedRun(RUN, 1, ((3, 4), (6, 10)), ((1, 10),))
    spool.settle(Ack(BARE_SAMPLE.router, (torn,), STORE, 8))

    assert [2] == [key.seq for key in spool.again()]
    spool.close()


def test_what_never_arrives_is_given_up_and_is_no_loss_of_the_router(tmp_path: Path) -> None:
    """It had been acknowledged; the stretch ends there, so that the collector asks no more."""
    spool = Spool(str(tmp_path), SMALL)
    acked_one_by_one(spool, *range(1, 11))
    spool.settle(lacking(0, (1, 10)))
    spool.discard(spool.again()[0])

    assert (0, {RUN: (2, 10)}) == (spool.lost, spool.kept())
    assert Key(RUN, 1, 1) not in spool.again()
    spool.close()


def test_the_newest_ack_counts_whatever_its_epoch(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A store that was brought back twice may have a lower one; each that asks is logged once."""
    caplog.set_level("INFO")
    spool = Spool(str(tmp_path), SMALL)
    acked_one_by_one(spool, *range(1, 11))
    found = []
    for one in (lacking(9, (10, 10), epoch=8), *[lacking(8, (9, 9), epoch=2)] * 2):
        assert spool.settle(one)
        found.append([key.seq for key in spool.again()])

    assert [[10], [9], [9]] == found
    assert ["epoch=8", "epoch=2"] == [line.split()[-1] for line in caplog.messages]
    spool.close()


def test_what_is_lacked_writes_no_flash(tmp_path: Path) -> None:
    """However long it waits: it was acknowledged once."""
    clock, flash = Clock(), tmp_path / "flash"
    spool = Spool(str(tmp_path / "spool"), SMALL, str(flash), monotonic=clock)
    acked_one_by_one(spool, *range(1, 11))
    spool.settle(lacking(0, (1, 10)))
    assert spool.again()
    clock.now += 10 * CHECKPOINT_S
    spool.checkpoint_if_due()
    spool.close()

    assert not flash.exists()


@pytest.mark.parametrize(
    ("who", "kept"), [("r1 other:8883", {RUN: (1, 10)}), ("r2 broker:8883", {})]
)
def test_another_router_keeps_nothing_of_the_one_before(
    tmp_path: Path, who: str, kept: dict[str, Span]
) -> None:
    """Its name is in each sample. At another broker may be the same city, brought back there."""
    for one in ("r1 broker:8883", who):
        with assemble._alone(str(tmp_path), one):
            spool = Spool(str(tmp_path), SMALL)
            found = spool.kept()
            acked_one_by_one(spool, *range(1, 11) if one != who else ())
            spool.close()

    assert kept == found


def test_ranges_of_seqs() -> None:
    """Joined where they touch, cut where something is taken out."""
    assert [(1, 4), (6, 9)] == joined([(6, 7), (3, 4), (1, 2), (7, 9), (5, 4)])
    assert [(1, 2), (5, 9)] == without([(1, 3), (4, 9)], 3, 4)
    assert [(1, 3)] == without([(1, 3)], 4, 9)
    assert [True, False] == [overlap([(1, 3), (7, 9)], [one]) for one in ((9, 12), (4, 6))]


def redrawn(payload: bytes, rand: random.Random) -> bytes:
    """The same sample with other figures, each as long as it was."""
    digits = iter(b"%02000d" % rand.randrange(10**2000))

    def other(found: re.Match[bytes]) -> bytes:
        return bytes(islice(digits, len(found[0])))

    return re.sub(rb"(?<=[:.\[,])[0-9]+", other, payload)


def two_bands(one: Sample) -> Sample:
    """As most routers are: a BSS and a radio more."""
    bss = [replace(bss, ifname="phy1-ap0", band="5g", channel=36) for bss in one.bss or ()]
    radios = [replace(radio, name="phy1", channel=36) for radio in one.radios or ()]
    return replace(one, bss=(*(one.bss or ()), *bss), radios=(*(one.radios or ()), *radios))


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("one", "hours"),
    [(typical(1000), 30), (two_bands(FULL_SAMPLE), 19)],
    ids=["two BSSs and two interfaces", "every source and two bands"],
)
def test_the_hours_that_a_spool_keeps(tmp_path: Path, one: Sample, hours: int) -> None:
    """At a sample each 30 s, and no two share a figure; zlib's versions differ a little."""
    rand, payload = random.Random(1), encode(one)
    spool = Spool(str(tmp_path))
    for seq in range(1, 4200):
        spool.append(RUN, seq, redrawn(payload, rand))
        spool.settle(ack(seq))
    first, last = spool.kept()[RUN]
    files = [file.stat() for file in tmp_path.iterdir()]

    print(f"{len(payload)} bytes: {(last - first + 1) / 120:.1f} hours")
    assert hours * 120 < last - first + 1
    assert sum(512 * file.st_blocks for file in files) <= spool.used_bytes + 4096 <= 1 << 20
    spool.close()


def test_what_is_kept_makes_room_on_a_disk_that_is_full(tmp_path: Path) -> None:
    """A disk smaller than the limit, or one that others fill: nothing moves to memory for it."""

    class Small(Disk):
        def write(self, fd: int, data: bytes, offset: int) -> int:
            used = sum(one.stat().st_size for one in tmp_path.iterdir())
            self.error = errno.ENOSPC if used + len(data) > 8 * 1024 else None
            return super().write(fd, data, offset)

    spool = Spool(str(tmp_path), SMALL, open_segments=Small().open)
    acked_one_by_one(spool, *range(1, 101))
    first, last = spool.kept()[RUN]

    assert (100, 0) == (last, spool.lost)
    assert 5 < last - first < 50
    spool.close()


def test_a_file_that_cannot_be_made_small_is_kept_no_longer(tmp_path: Path) -> None:
    """Nothing of it is needed, and no sample waits for it."""
    disk = Disk()
    spool = Spool(str(tmp_path), SMALL, open_segments=disk.open)
    take(spool, *range(1, 8))
    disk.unread["0000000001.seg"] = errno.EIO
    spool.settle(ack(7))
    assert {RUN: (5, 7)} == spool.kept()
    disk.unread.clear()
    disk.error = errno.EIO
    spool.close()

    assert [] == os.listdir(tmp_path)


@pytest.mark.parametrize("end", ["", "half"])
def test_of_two_files_of_one_number_the_plain_one_counts(tmp_path: Path, end: str) -> None:
    """The process ended before the plain file was deleted, or before the small one was whole."""
    spool = Spool(str(tmp_path), SMALL)
    take(spool, *range(1, 9))
    plain = (tmp_path / "0000000001.seg").read_bytes()
    spool.settle(ack(8))
    spool.close()
    small = tmp_path / "0000000001.kept"
    if end:
        small.write_bytes(small.read_bytes()[:100])
    (tmp_path / "0000000001.seg").write_bytes(plain)
    again = Spool(str(tmp_path), SMALL)

    assert ({RUN: (1, 4)}, {}) == (again.held(), again.kept())
    assert not small.exists()
    again.settle(ack(4))
    assert {RUN: (1, 8)} == again.kept()
    again.close()


@pytest.mark.usefixtures("caplog")
@pytest.mark.parametrize("content", [b"", b"\0" * 5000, b"x"])
def test_what_is_kept_and_damaged_is_gone(tmp_path: Path, content: bytes) -> None:
    """It is counted, and nothing else is lost with it."""
    spool = Spool(str(tmp_path), SMALL)
    acked_one_by_one(spool, *range(1, 13))
    spool.close()
    (tmp_path / "0000000002.kept").write_bytes(content)
    again = Spool(str(tmp_path), SMALL)

    assert ({RUN: (9, 12)}, {}, 1) == (again.kept(), again.held(), again.corrupt)
    assert [*range(1, 5), *range(9, 13)] == sent_again(again, ((1, 12),))
    again.close()
