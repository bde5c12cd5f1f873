"""`titik drill`: a city's machine is lost, and another one takes over."""

import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner, Result

from tests.until import until
from titik_collector.cli import titik
from titik_collector.simulation import drill_machines

pytestmark = pytest.mark.system

NOT_SHIPPED = 20  # samples of two seconds; a backup would lack 50
QUICK = ("--routers", "2", "--for", "2", "--interval", "0.2", "--first-wait", "0.5")


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another drill of this machine is none of ours."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def played(*words: str) -> Result:
    """A drill of a few seconds."""
    return CliRunner().invoke(titik, ["drill", *QUICK, *words])


def number(name: str, output: str) -> int:
    """What the summary says of it."""
    (found,) = re.findall(rf"{name}:? (\d+)", output)
    return int(found)


def test_what_was_acknowledged_after_the_backup_comes_back_from_routers(tmp_path: Path) -> None:
    """The backup is two seconds old, and no sample is lost or counted twice."""
    done = played()
    output = [number(one, done.output) for one in ("lost", "counted twice", "in spool")]
    assert ([0, 0, 0], 0) == (output, done.exit_code), done.output
    assert number("what was shipped", done.output) > 0
    assert [] == left(tmp_path)


@pytest.mark.long
def test_what_was_not_shipped_and_is_on_no_router_is_lost(tmp_path: Path) -> None:
    """The backup is two seconds old, and these routers forget: the drill reports it."""
    done = played("--forgetting")
    assert "every router is acknowledged again" in done.output, done.output
    lost, behind = number("lost", done.output), number("what was shipped", done.output)
    assert (1, True, True) == (done.exit_code, lost > 0, behind > 0)
    assert (0, 0) == (number("counted twice", done.output), number("in spool", done.output))
    assert [] == left(tmp_path)


@pytest.mark.long
def test_what_is_shipped_all_the_time_comes_back(tmp_path: Path) -> None:
    """By Litestream; its logs are there to be read."""
    done = played("--from", "litestream", "--for", "5", "--logs", str(tmp_path / "logs"))
    assert "litestream restore" in done.output, done.output
    assert (0, 0) == (number("lost", done.output), done.exit_code)
    assert number("what was shipped", done.output) < NOT_SHIPPED
    assert "replicating to" in (tmp_path / "logs/machine-A-litestream.log").read_text()


def test_a_drill_without_rights_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is made."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    done = played()
    assert (1, "Error: machines in namespaces need root: sudo titik drill\n") == (
        done.exit_code,
        done.output,
    )


def test_a_program_that_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the package that has it."""
    monkeypatch.setattr(drill_machines, "_path", list)
    assert "Error: ip is missing: apt-get install iproute2\n" == played().output


def test_a_drill_that_is_killed_takes_its_machines_with_it(tmp_path: Path) -> None:
    """Its processes run in namespaces, where nobody looks for them; its folder stays."""
    with begun(tmp_path) as drill:
        assert drill.stdout is not None
        lines = iter(drill.stdout)
        assert any("collector run" in line for line in lines)
        assert [] != left(tmp_path)
        os.kill(drill.pid, signal.SIGKILL)
        drill.wait()
        assert 0 == until(lambda: len(left(tmp_path)), 0)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_whoever_ends_a_drill_reads_that_nothing_is_left(
    how: signal.Signals, tmp_path: Path
) -> None:
    """No process, and no folder."""
    with begun(tmp_path) as drill:
        assert drill.stdout is not None
        assert "has a city" in next(iter(drill.stdout))
        os.kill(drill.pid, how)
        output = drill.stdout.read()
    assert (1, True) == (drill.returncode, "no city was touched" in output), output
    assert 0 == until(lambda: len(left(tmp_path)), 0)
    assert [] == list(tmp_path.glob("titik-drill-*"))


def begun(folder: Path) -> "subprocess.Popen[str]":
    """A drill in a process of its own, with all that it writes."""
    code = "from titik_collector.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-uc", code, "drill", *QUICK],
        env={**os.environ, "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def left(folder: Path) -> list[str]:
    """Processes of a drill in this folder that go on."""
    return [
        " ".join(one.info["cmdline"])
        for one in psutil.process_iter(["cmdline"])
        if any(f"{folder}/titik-drill-" in word for word in one.info["cmdline"] or ())
    ]
