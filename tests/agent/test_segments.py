"""Segment files: what was written whole is found again, whatever happened to the rest."""

import errno
import os
import random
from pathlib import Path

import pytest

from tests.agent.spooled import OTHER_RUN, Clock, Disk, sample, spans, take
from tests.wire.examples import RUN
from titik_agent.spool.record import DamagedRecord, Key, pack, scan, unpack
from titik_agent.spool.segments import Segments
from titik_agent.spool.spool import Spool
from titik_wire.codec import encode
from titik_wire.limits import MAX_PAYLOAD


def record(seq: int) -> bytes:
    """The record of one bare sample."""
    return pack(1, Key(RUN, seq, seq), encode(sample(seq)))


def found(data: bytes) -> tuple[list[int], int]:
    """The seqs that a reader finds, and the damaged stretches it counts."""
    every = list(scan(data))
    return [one.key.seq for one in every if one], every.count(None)


def test_a_record_holds_its_identity_and_its_sample() -> None:
    """Opening a spool needs no JSON."""
    data = pack(7, Key(RUN, 5, 8), b"{}")
    [one] = scan(data)

    assert one is not None
    assert (0, len(data), 7, Key(RUN, 5, 8)) == one
    assert b"{}" == unpack(data, Key(RUN, 5, 8))


@pytest.mark.parametrize("key", [Key(RUN, 2, 3), Key(RUN, 0, 0), Key(RUN, 1, 3), Key("ab", 1, 1)])
def test_a_key_that_no_run_can_have_is_refused(key: Key) -> None:
    """Unaligned ranges, seq 0, and a run that is not 16 hex digits."""
    with pytest.raises(ValueError, match="cannot be spooled"):
        pack(1, key, b"{}")


def test_a_sample_above_the_packet_limit_is_refused() -> None:
    """It could never be sent."""
    with pytest.raises(ValueError, match="cannot be spooled"):
        pack(1, Key(RUN, 1, 1), b" " * (MAX_PAYLOAD + 1))


def test_a_record_of_another_key_is_damaged() -> None:
    """Bytes that are whole but not what was asked for."""
    with pytest.raises(DamagedRecord):
        unpack(record(1), Key(RUN, 2, 2))


@pytest.mark.thorough
def test_a_file_torn_at_any_byte_keeps_what_lies_before(tmp_path: Path) -> None:
    """Cut at each of the last 4096 bytes: all whole records are found, a torn one counts once."""
    records = [record(seq) for seq in range(1, 21)]
    ends = [sum(len(one) for one in records[:n]) for n in range(21)]
    path = tmp_path / "0000000001.seg"
    path.write_bytes(b"".join(records))

    for cut in range(ends[-1], ends[-1] - 4096, -1):
        os.truncate(path, cut)
        whole = sum(end <= cut for end in ends) - 1
        disk = Segments(str(tmp_path), 1 << 16)
        every = list(disk.read_all())
        disk.close()
        assert whole == len(every) - every.count(None)
        assert int(cut not in ends) == every.count(None)


def test_a_flipped_bit_costs_at_most_one_record() -> None:
    """1000 flips, seeded: never an error, never a wrong record, the loss is counted."""
    rand = random.Random(2026)
    data = b"".join(record(seq) for seq in range(1, 21))
    whole = [one for one in scan(data) if one]
    for _ in range(1000):
        at = rand.randrange(len(data))
        flipped = bytearray(data)
        flipped[at] ^= 1 << rand.randrange(8)
        hit = next(one for one in whole if at < one.offset + one.size)
        left = [one.key.seq for one in whole if one is not hit]
        assert (left, 1) == found(bytes(flipped))


def test_scattered_flips_cost_at_most_one_record_each(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A spool opens whatever its files look like, and says how many stretches are damaged."""
    rand = random.Random(7)
    spool = Spool(str(tmp_path))
    take(spool, *range(1, 101))
    spool.close()
    [path] = tmp_path.glob("*.seg")
    data = bytearray(path.read_bytes())
    for _ in range(10):
        data[rand.randrange(len(data))] ^= 1 << rand.randrange(8)
    path.write_bytes(data)

    reopened = Spool(str(tmp_path))
    assert 90 <= reopened.spooled < 100
    assert 0 < reopened.corrupt <= 10
    assert [f"spool has damaged records, skipped stretches={reopened.corrupt}"] == caplog.messages
    take(reopened, 101)
    assert (101, 101) == spans(reopened)[-1]
    reopened.close()


@pytest.mark.parametrize(
    "garbage",
    [
        b"?",
        b"\0" * 7,
        b"\0" * 5000,
        b"\xff" * 5000,
        b"{}\n" * 1000,
        random.Random(1).randbytes(5000),
    ],
)
def test_garbage_between_records_is_one_damaged_stretch(garbage: bytes) -> None:
    """Reading goes on behind it."""
    assert ([1, 2], 1) == found(record(1) + garbage + record(2))
    assert ([1], 1) == found(record(1) + garbage)
    assert ([1], 1) == found(garbage + record(1))


def test_a_torn_file_is_not_appended_to(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """New records go to a new file, so that a tear never swallows one."""
    (tmp_path / "0000000003.seg").write_bytes(record(1) + record(2)[:-1])
    spool = Spool(str(tmp_path))
    take(spool, 3)
    spool.close()

    assert (record(1) + record(2)[:-1]) == (tmp_path / "0000000003.seg").read_bytes()
    assert [(1, 1), (3, 3)] == _spans_of(tmp_path)
    assert 2 == len(caplog.messages)


def test_an_older_file_is_not_appended_to(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Not even when the last one is torn: a file's records stay in the order of its number."""
    (tmp_path / "0000000003.seg").write_bytes(record(1))
    (tmp_path / "0000000004.seg").write_bytes(record(2)[:-1])
    spool = Spool(str(tmp_path))
    take(spool, 3)
    spool.close()

    assert record(1) == (tmp_path / "0000000003.seg").read_bytes()
    assert "0000000005.seg" in os.listdir(tmp_path)
    assert 1 == len(caplog.messages)


def test_opening_deletes_files_that_hold_only_duplicates(tmp_path: Path) -> None:
    """A kill came between the copy of a segment and its deletion."""
    (tmp_path / "0000000003.seg").write_bytes(record(1) + record(2))
    (tmp_path / "0000000004.seg").write_bytes(record(1) + record(2))
    spool = Spool(str(tmp_path))

    assert ["0000000003.seg"] == os.listdir(tmp_path)
    assert [(1, 1), (2, 2)] == spans(spool)
    assert 2 == sum(spool.payload(key) is not None for key in list(spool.keys()))
    spool.close()


def _spans_of(directory: Path) -> list[tuple[int, int]]:
    spool = Spool(str(directory))
    held = spans(spool)
    spool.close()
    return held


def test_files_that_are_not_segments_are_left_alone(tmp_path: Path) -> None:
    """The directory may hold a lock file."""
    (tmp_path / "agent.lock").write_text("1")
    (tmp_path / "1.seg").write_text("not ours")
    spool = Spool(str(tmp_path))
    take(spool, 1)
    assert spool.spooled == 1
    spool.close()

    assert {"agent.lock", "1.seg", "0000000001.seg"} == set(os.listdir(tmp_path))


def test_a_segment_in_which_nothing_is_needed_can_go_first(tmp_path: Path) -> None:
    """It stays until it is deleted; the others stay as they are."""
    disk = Segments(str(tmp_path), 3 * len(record(9)) + 60)
    places = [disk.append(record(seq)) for seq in range(1, 6)]
    assert [1, 1, 1, 2, 2] == [place.segment for place in places]

    for place in (*places[:3], places[4]):
        disk.forget(place)
    assert (1, record(2)) == (disk.oldest_dead(), disk.read(places[1]))
    disk.delete(1)
    assert {"0000000002.seg"} == set(os.listdir(tmp_path))
    assert (None, record(5)) == (disk.oldest_dead(), disk.read(places[4]))
    disk.close()


def test_numbers_of_segments_are_not_used_twice(tmp_path: Path) -> None:
    """A file that could not be deleted is never written over."""
    disk = Segments(str(tmp_path), 1)
    first = disk.append(record(1))
    second = disk.append(record(2))
    disk.forget(first)
    third = disk.append(record(3))

    assert [1, 2, 3] == [place.segment for place in (first, second, third)]
    disk.close()


def test_the_most_wasteful_segment_is_rewritten_first(tmp_path: Path) -> None:
    """And none while all bytes are live."""
    disk = Segments(str(tmp_path), 3 * len(record(9)) + 60)
    places = [disk.append(record(seq)) for seq in range(1, 10)]
    assert [1, 1, 1, 2, 2, 2, 3, 3, 3] == [place.segment for place in places]
    assert disk.most_dead() is None

    for place in (places[0], places[3], places[4]):
        disk.forget(place)
    assert places[3].segment == places[4].segment == disk.most_dead()
    disk.close()


def _beside_one_unread(directory: Path, error: int, clock: Clock) -> tuple[Spool, Disk]:
    """A spool whose first file of two cannot be read at the start."""
    (directory / "0000000003.seg").write_bytes(record(1))
    (directory / "0000000004.seg").write_bytes(record(2))
    disk = Disk()
    disk.unread["0000000003.seg"] = error
    return Spool(str(directory), monotonic=clock, open_segments=disk.open), disk


def test_a_shortage_at_the_start_is_waited_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Until all has been read nothing of it is held, and the spool says that it is not complete."""
    clock = Clock()
    spool, disk = _beside_one_unread(tmp_path, errno.ENFILE, clock)
    take(spool, 1, run=OTHER_RUN)
    assert ({OTHER_RUN: (1, 1)}, False) == (spool.held(), spool.complete)

    disk.unread.clear()
    clock.now += 60
    take(spool, 2, run=OTHER_RUN)
    assert ({RUN: (1, 2), OTHER_RUN: (1, 2)}, True) == (spool.held(), spool.complete)
    assert 0 == spool.corrupt
    assert ["spool disk failed"] == [line[:17] for line in caplog.messages]
    spool.close()


@pytest.mark.usefixtures("caplog")
def test_a_file_of_somebody_else_is_left_to_a_process_that_may_read_it(tmp_path: Path) -> None:
    """The disk is used all the same, but what this process holds is not all there is."""
    spool, _ = _beside_one_unread(tmp_path, errno.EACCES, Clock())
    take(spool, 1, run=OTHER_RUN)
    assert ({RUN: (2, 2), OTHER_RUN: (1, 1)}, False) == (spool.held(), spool.complete)
    spool.close()

    other = Spool(str(tmp_path))
    assert ({RUN: (1, 2), OTHER_RUN: (1, 1)}, True) == (other.held(), other.complete)
    other.close()


@pytest.mark.usefixtures("caplog")
def test_a_file_that_no_medium_gives_back_is_damaged(tmp_path: Path) -> None:
    """Nobody waits for it."""
    spool, _ = _beside_one_unread(tmp_path, errno.EIO, Clock())

    assert ({RUN: (2, 2)}, True, 1) == (spool.held(), spool.complete, spool.corrupt)
    spool.close()
