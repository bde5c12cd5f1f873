"""Going back to an older version: its agent reports what the newer one has kept."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests import first
from titik_agent.spool.spool import Spool
from titik_wire.messages import Ack, AckedRun

RUN = "0123456789abcdef"
# Of a version that is not there yet: a contract, a field and a section that nobody knows here.
LATER = b'{"v":9,"router":"tirosa-1","later":{"new":1}}'
READ = """
import json, sys
from titik_agent.spool import Spool
spool = Spool(sys.argv[1], 1 << 20, sys.argv[2])
print(json.dumps([[*key, spool.payload(key).decode()] for key in spool.keys()]))
print(json.dumps([spool.corrupt, spool.lost]))
"""


def kept(spool: Spool) -> list[list[object]]:
    """Every sample that waits, with the run and the seqs that name it."""
    waiting = spool.keys()
    return [[*key, (spool.payload(key) or b"").decode()] for key in waiting]


def read_by_first(tmp_path: Path, folder: Path, flash: Path) -> list[list[object]]:
    """What the first version finds to be sent, and what it counts as damaged and lost."""
    first.unpack(tmp_path / "first")
    done = subprocess.run(
        [sys.executable, "-c", READ, str(folder), str(flash)],
        env={"PYTHONPATH": str(tmp_path / "first/agent")},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.thorough
@pytest.mark.parametrize("stopped", [True, False], ids=["flash", "memory"])
def test_the_first_version_reads_todays_spool(tmp_path: Path, stopped: bool) -> None:
    """From flash after a stop, or from the RAM disk; a sample of a later contract too."""
    folder, flash = tmp_path / "spool", tmp_path / "flash"
    spool = Spool(str(folder), persist_dir=str(flash))
    for seq, payload in enumerate((b'{"v":1}', LATER), 1):
        spool.append(RUN, seq, payload)
    waiting = kept(spool)
    spool.close()
    unread = tmp_path / ("empty" if stopped else "spool"), flash if stopped else tmp_path / "none"
    assert [waiting, [0, 0]] == read_by_first(tmp_path, *unread)
    assert 2 == len(waiting)


@pytest.mark.thorough
def test_the_first_version_leaves_alone_what_was_acknowledged(tmp_path: Path) -> None:
    """It reads the file with what waits, and today's version finds the rest when it is back."""
    folder = tmp_path / "spool"
    spool = Spool(str(folder), 1 << 16)
    for seq in range(1, 41):
        spool.append(RUN, seq, b'{"v":1,"text":"%0999d"}' % seq)
        assert spool.settle(Ack("tirosa-1", (AckedRun(RUN, min(seq, 37)),)))
    waiting = kept(spool)
    spool.close()
    found, counts = read_by_first(tmp_path, folder, tmp_path / "none")
    assert (waiting, 3, [0, 0]) == (found[-3:], len(waiting), counts)
    assert len(found) < 3 + 4  # of a file with four
    again = Spool(str(folder), 1 << 16)
    assert again.settle(Ack("tirosa-1", (AckedRun(RUN, 40),)))
    assert {RUN: (1, 40)} == again.kept()
    again.close()


def test_a_sample_of_a_later_version_is_kept_as_it_is(tmp_path: Path) -> None:
    """It is no damaged record, and nothing of it is lost."""
    spool = Spool(str(tmp_path / "spool"), persist_dir=str(tmp_path / "flash"))
    spool.append(RUN, 1, LATER)
    spool.close()
    again = Spool(str(tmp_path / "spool"), persist_dir=str(tmp_path / "flash"))
    assert [[RUN, 1, 1, LATER.decode()]] == kept(again)
    assert (0, 0) == (again.corrupt, again.lost)
    again.close()
