"""A router whose spool disk is full, at the start and while it runs."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ports import free_port
from tests.system.test_spool_kill import fill, mounted
from titik_agent import check

pytestmark = pytest.mark.system


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    """A directory on a disk without a free byte."""
    with mounted(tmp_path / "disk", "size=256k"):
        spool = tmp_path / "disk" / "spool"
        spool.mkdir()
        fill(tmp_path / "disk" / "filler")
        yield spool


def settings(spool: Path) -> Path:
    """An agent whose broker is not there."""
    file = spool.parent.parent / "agent.toml"
    file.write_text(
        f"""router = "tirosa-1"
interval_s = 10
broker = {{ host = "127.0.0.1", port = {free_port()} }}
sources.hostapd = "off"
spool.directory = "{spool}"
"""
    )
    return file


def wait_for(text: str, log: Path, agent: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + 60
    while text not in log.read_text():
        assert agent.poll() is None, log.read_text()
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.05)


def test_an_agent_runs_and_ends_well_on_a_full_disk(full: Path) -> None:
    """It keeps samples in memory, logs why, and says goodbye without a traceback."""
    log = full.parent.parent / "agent.log"
    command = [
        sys.executable,
        "-c",
        "from titik_agent.__main__ import main; main()",
        "run",
        "--config",
    ]
    with log.open("wb") as stderr, subprocess.Popen(
        [*command, settings(full)], stderr=stderr, cwd=Path(__file__).parents[2] / "agent"
    ) as agent:  # fmt: skip
        try:
            wait_for("keeping samples in memory", log, agent)
            agent.send_signal(signal.SIGTERM)
            assert 0 == agent.wait(30)
        finally:
            agent.kill()
    output = log.read_text()
    assert "spool not locked, going on" in output
    assert "No space left on device" in output
    assert "Traceback" not in output


def test_the_check_sees_that_the_disk_is_full(full: Path, tmp_path: Path) -> None:
    """With the remedy; once there is room it is content."""
    output: list[str] = []
    assert not check.spool_folder(str(full), output.append)
    assert "the disk is full (0 KiB are free)" in output[0]
    (tmp_path / "disk" / "filler").unlink()
    assert check.spool_folder(str(full), output.append)


def test_the_check_sees_a_disk_without_room_for_a_file(tmp_path: Path) -> None:
    """Bytes are not all that a disk runs out of."""
    output: list[str] = []
    with mounted(tmp_path / "disk", "size=1m,nr_inodes=2"):
        (tmp_path / "disk" / "file").touch()
        assert not check.spool_folder(str(tmp_path / "disk"), output.append)
    assert "it takes no more files" in output[0]
