"""Three lengths of tests, and none falls between them."""

import re
import signal
import subprocess
from functools import partial
from pathlib import Path

import psutil
import pytest

from tests.project.sources import ROOT
from tests.until import until

BESIDE = ("sh", str(ROOT / "tools" / "beside.sh"))
MAKEFILE = (ROOT / "Makefile").read_text()
ENDS_S = 120.0  # a busy machine is no failure


def selected(target: str) -> list[str]:
    """The markers that the pytest runs of a target ask for."""
    (recipe,) = re.findall(rf"^{target}:.*\n((?:\t.*\n)+)", MAKEFILE, re.M)
    return [one.strip('"') for one in re.findall(r'/pytest .*-m ("[^"]+"|\S+)', recipe)]


def test_a_test_is_in_one_of_the_two_lengths_that_are_all() -> None:
    """`make test` and `make test-long` choose the opposite of each other."""
    assert [["not long"], ["long"]] == [selected("test"), selected("test-long")]


def test_the_fast_tests_are_part_of_make_test() -> None:
    """So `make check` shows nothing that `make test` would not."""
    (fast,) = selected("check")
    assert {"not system", "not thorough", "not long"} == set(fast.split(" and "))


def test_continuous_integration_runs_both() -> None:
    """The line that pytest closes with comes last, and it is of the most tests."""
    lines = (ROOT / ".ci/run").read_text().splitlines()
    assert ["make test-long", "exec make test"] == lines[-2:]
    assert re.search(r"\n\t[^\n]*/pytest [^\n]* -m \"not long\"\n\n", MAKEFILE)


@pytest.mark.parametrize(("behind", "front", "status"), [(0, 0, 0), (3, 0, 3), (0, 4, 4)])
def test_two_at_a_time_fail_if_one_fails(
    tmp_path: Path, behind: int, front: int, status: int
) -> None:
    """And what the one behind printed comes last, whole."""
    commands = (f"echo behind; exit {behind}", f"echo front; exit {front}")
    done = subprocess.run([*BESIDE, "60", str(tmp_path / "log"), *commands], stdout=subprocess.PIPE)
    assert (status, b"front\nbehind\n") == (done.returncode, done.stdout)


@pytest.mark.thorough
def test_what_hangs_behind_has_an_end(tmp_path: Path) -> None:
    """It is named."""
    words = [*BESIDE, "1", str(tmp_path / "log"), "sleep 1000", "true"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert (124, "ended after 1 s: sleep 1000\n") == (done.returncode, done.stderr)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_both_and_what_they_started(tmp_path: Path, sent: signal.Signals) -> None:
    """Else brokers and databases stay behind."""
    files = [tmp_path / "behind", tmp_path / "front"]
    # Not in the background of its shell, which would ignore the signal; nor are the tests, perhaps.
    commands = [f"sh -c 'echo $$ > {file}; exec sleep 1000'; true" for file in files]
    words = ["env", "--default-signal=INT", *BESIDE, "1000", str(tmp_path / "log"), *commands]
    both = subprocess.Popen(words)
    try:
        assert until(lambda: all(_sleeps(one) for one in files), True)
        both.send_signal(sent)
        assert 130 == both.wait(ENDS_S)
    finally:
        both.kill()
    assert [False, False] == [until(partial(_runs, one), False) for one in files]


def _sleeps(file: Path) -> bool:
    """So do all that wait for it: a signal that comes earlier is lost.

    `timeout` that has not come back from its fork knows no child, and ends without a word to it.
    """
    text = file.read_text() if file.exists() else ""
    if text == "":
        return False
    one = psutil.Process(int(text))
    waiting = [one, *one.parents()[:3]]  # of a shell, of timeout, of beside.sh
    return one.name() == "sleep" and all(p.status() == psutil.STATUS_SLEEPING for p in waiting)


def _runs(file: Path) -> bool:
    """Whether a process goes on."""
    try:
        return psutil.Process(int(file.read_text())).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
