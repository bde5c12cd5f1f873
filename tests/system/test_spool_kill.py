"""The spool against SIGKILL, a real full disk and a real read-only one."""

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.agent.spooled import Clock, ack, read, spans, take
from titik_agent.spool.spool import Spool

pytestmark = pytest.mark.system

ROOT = Path(__file__).parent.parent.parent
LIMIT = 128 * 1024

# Appends for ever to a run of its own and says each seq once `append` has returned.
CHILD = """
import itertools, sys
from tests.agent.spooled import take
from titik_agent.spool.spool import Spool

directory, limit, run = sys.argv[1], int(sys.argv[2]), sys.argv[3]
spool = Spool(directory, limit)
for seq in itertools.count(1):
    take(spool, seq, run=run)
    print(seq, flush=True)
"""


def append_until_killed(directory: Path, run: str, after_s: float) -> int:
    """The last seq that a child reported before SIGKILL hit it."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(directory), str(LIMIT), run],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'agent'}"},
    )
    assert child.stdout is not None
    with child, child.stdout:
        output = child.stdout.readline()  # it has opened the spool
        with suppress(subprocess.TimeoutExpired):
            child.wait(after_s)
        child.kill()
        whole = (output + child.stdout.read()).split(b"\n")[:-1]
    return int(whole[-1])


def test_sigkill_loses_no_sample(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """20 kills at random instants, over one spool that is soon full and merges all the time."""
    rand = random.Random(20261123)
    appended: dict[str, int] = {}
    lost = 0
    for kill in range(20):
        run = f"{kill:016x}"
        appended[run] = append_until_killed(tmp_path, run, rand.uniform(0.0, 0.3))
        spool = Spool(str(tmp_path), LIMIT)
        held = spool.held()
        lost += spool.lost
        assert spool.corrupt <= 1  # a record torn by the kill, which was never reported
        for one, last in appended.items():
            covered = [seq for first, end in spans(spool, one) for seq in range(first, end + 1)]
            assert [*range(1, held[one][1] + 1)] == covered
            assert last <= held[one][1] <= last + 1
        spool.close()

    assert 0 == lost
    assert {"titik_agent.spool.storage"} >= {line.name for line in caplog.records}


@contextmanager
def mounted(directory: Path, options: str) -> Iterator[None]:
    """A tmpfs of its own."""
    directory.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "titik", str(directory)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(directory)], check=True)


def test_a_really_full_disk_costs_no_sample(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """256 KiB for a spool of 1 MiB: memory holds the rest, and gives it back as acks free space."""
    clock = Clock()
    with mounted(tmp_path / "disk", "size=256k"):
        spool = Spool(str(tmp_path / "disk" / "spool"), monotonic=clock)
        for seq in range(1, 1001):
            clock.now += 30
            take(spool, seq)
        assert 0 == spool.lost
        assert [(seq, seq) for seq in range(1, 1001)] == spans(spool)
        keys = spool.keys()
        assert [*range(1, 1001)] == [read(spool, key).seq for key in keys]

        assert spool.settle(ack(900))
        for seq in range(1001, 1011):
            clock.now += 60
            take(spool, seq)
        spool.close()
        reopened = Spool(str(tmp_path / "disk" / "spool"))
        assert [(seq, seq) for seq in range(901, 1011)] == spans(reopened)[-110:]
        assert 0 == reopened.corrupt
        reopened.close()
    assert ["spool disk failed"] == [line[:17] for line in caplog.messages]


def test_a_disk_filled_by_others_costs_no_sample(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody else's file takes all the room, and goes again."""
    clock = Clock()
    with mounted(tmp_path / "disk", "size=256k"):
        spool = Spool(str(tmp_path / "disk" / "spool"), 64 * 1024, monotonic=clock)
        take(spool, *range(1, 51))
        filler = tmp_path / "disk" / "filler"
        fill(filler)
        for seq in range(51, 1001):
            clock.now += 30
            take(spool, seq)
            assert spool.used_bytes <= 64 * 1024
        filler.unlink()
        for seq in range(1001, 1101):
            clock.now += 30
            take(spool, seq)
        spool.close()

        reopened = Spool(str(tmp_path / "disk" / "spool"), 64 * 1024)
        covered = [seq for first, last in spans(reopened) for seq in range(first, last + 1)]
        assert [*range(1, 1101)] == covered
        assert 0 == spool.lost == reopened.corrupt
        reopened.close()
    assert ["spool disk failed"] == [line[:17] for line in caplog.messages]


def fill(path: Path) -> None:
    """Write until there is no room."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 4096)


def test_a_disk_that_turns_read_only_costs_no_sample(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Appending, merging and acks go on in memory; what is on the disk can still be read."""
    clock = Clock()
    with mounted(tmp_path / "disk", "size=1m"):
        directory = str(tmp_path / "disk" / "spool")
        spool = Spool(directory, 64 * 1024, monotonic=clock)
        take(spool, *range(1, 51))
        spool.close()
        remount(tmp_path / "disk", "ro")
        spool = Spool(directory, 64 * 1024, monotonic=clock)
        for seq in range(51, 1001):
            clock.now += 30
            take(spool, seq)
        covered = [seq for first, last in spans(spool) for seq in range(first, last + 1)]
        assert [*range(1, 1001)] == covered
        assert 0 == spool.lost == spool.corrupt
        assert spool.settle(ack(1000))
        assert {} == spool.held()

        remount(tmp_path / "disk", "rw")
        clock.now += 60
        take(spool, 1001)
        spool.close()
        reopened = Spool(directory, 64 * 1024)
        assert (1001, 1001) == spans(reopened)[-1]
        reopened.close()
    assert 1 == len(caplog.messages)


def remount(directory: Path, mode: str) -> None:
    """Read-only or writable; root ignores a file's mode, but not the mount's."""
    subprocess.run(["mount", "-o", f"remount,{mode}", str(directory)], check=True)


def test_a_spool_copied_between_any_two_writes_opens(tmp_path: Path) -> None:
    """Every state that the files pass through holds every seq that was appended before."""
    directory, copy = tmp_path / "spool", tmp_path / "copy"
    spool = Spool(str(directory), 16 * 1024)
    for seq in range(1, 301):
        take(spool, seq)
        shutil.copytree(directory, copy)
        copied = Spool(str(copy), 16 * 1024)
        assert [*range(1, seq + 1)] == [
            one for first, last in spans(copied) for one in range(first, last + 1)
        ]
        copied.close()
        shutil.rmtree(copy)
    spool.close()
