"""`make ha-demo` as a newcomer plays it: three machines, and the one that writes is killed."""

import re
import subprocess
import sys

import pytest

from tests.project.sources import ROOT

pytestmark = [pytest.mark.system, pytest.mark.long]

# The first has its machines some time later, and one that writes later still.
PLAYED = f"""
ip link set lo up
{sys.executable} -m tools.cell.demo --for 45 &
for _ in $(seq 30); do
    sleep 1
    {sys.executable} -m tools.cell.demo --kill primary | grep "is off" && break
done
wait %1
"""


def test_a_machine_is_killed_and_nothing_is_lost() -> None:
    """Routers get their acks again from another one, and each sample is there once."""
    done = subprocess.run(
        ("unshare", "--net", "--mount", "bash", "-c", PLAYED),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"m\d is off", done.stdout)
    (acked, stored) = re.findall(
        r"samples, (\d+) .*stored (\d+), lost 0, counted twice 0", done.stdout
    )[0]
    assert 0 < int(acked) <= int(stored)
