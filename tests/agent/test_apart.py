"""Work in a child process."""

import subprocess
import sys

from tests.project.sources import ROOT


def printed_by(work: str, first: str = "pass") -> str:
    """What a fresh process prints of `work` in a child; pytest has threads, so it may not fork."""
    code = (
        f"import os, signal; {first}; from titik_agent.lazy_imports import apart;"
        f" print(apart.call({work}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "agent", capture_output=True, check=True, text=True
    )
    return done.stdout.strip()


def test_what_a_child_returns_comes_back() -> None:
    """More than a pipe holds, too."""
    assert "[1, None, 'a']" == printed_by("lambda: [1, None, 'a']")
    assert "x" * 100_000 == printed_by("lambda: 'x' * 100_000")


def test_a_child_that_dies_has_no_answer() -> None:
    """Neither killed nor by a bug of its own."""
    assert "None" == printed_by("lambda: os.kill(os.getpid(), 9)")
    assert "None" == printed_by("lambda: 1 / 0")


def test_an_answer_counts_where_nobody_can_wait_for_a_child() -> None:
    """SIGCHLD is ignored in what some supervisors start."""
    ignored = "signal.signal(signal.SIGCHLD, signal.SIG_IGN)"
    assert "[1, 2]" == printed_by("lambda: [1, 2]", ignored)
