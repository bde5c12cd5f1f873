"""What was sent through a hotspot of each topology is what its agent counts.

Rows that this machine's kernel lacks the links for are played in the lab's machine.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import first
from tests.lab.play_topologies import PAYLOAD
from tests.lab.topologies import TOPOLOGIES, Topology

pytestmark = [pytest.mark.system, pytest.mark.long]

LAB = Path(__file__).parent.parent / "lab"
SCRIPT = LAB / "play_topologies.py"
# Ethernet, VLAN, PPPoE, IPv6 and UDP on a datagram; ARP and the like besides.
OVERHEAD, BESIDES = 1.1, 5000

Report = dict[str, Any]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Report]:
    """What every row reported, by its name."""
    here = tmp_path_factory.mktemp("here")
    rows = run([sys.executable, SCRIPT, here / "report.json"], here)
    if len(rows) < len(TOPOLOGIES):
        out = tmp_path_factory.mktemp("lab")
        subprocess.run([LAB / "lab.sh", "setup"], check=True)
        machine: list[str | Path] = [LAB / "lab.sh", "-t", "600", "-o", out]
        left = [str(number) for number, row in enumerate(TOPOLOGIES) if row.name not in rows]
        rows |= run([*machine, sys.executable, SCRIPT, "/lab-out/report.json", *left], out)
    return rows


def run(command: list[str | Path], out: Path) -> dict[str, Report]:
    """The report of one kernel."""
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert 0 == done.returncode, done.stdout + done.stderr
    return {row["name"]: row for row in json.loads((out / "report.json").read_text())}


EVERY = pytest.mark.parametrize("row", TOPOLOGIES, ids=lambda row: row.name)


def moments(played: dict[str, Report], row: Topology) -> dict[str, dict[str, Any]]:
    """The row's samples; it fails where no kernel could play it."""
    assert row.name in played, "played nowhere: neither here nor in the lab"
    assert "error" not in played[row.name], played[row.name]["error"]
    found: dict[str, dict[str, Any]] = played[row.name]["moments"]
    return found


def uplinks(sample: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The uplinks of a sample, by name."""
    return {net["ifname"]: net for net in sample["net"] if net["role"] == "uplink"}


@EVERY
def test_the_uplinks_are_those_and_no_other(played: dict[str, Report], row: Topology) -> None:
    """At every moment, the cut included; nothing is counted twice and nothing is absent."""
    found = {name: sorted(uplinks(one)) for name, one in moments(played, row).items()}
    assert dict.fromkeys(found, row.uplinks) == found


@EVERY
def test_what_was_sent_is_counted(played: dict[str, Report], row: Topology) -> None:
    """In both directions, by each uplink."""
    samples = moments(played, row)
    assert [send.count for send in row.sends] == played[row.name]["arrived"]
    for ifname in row.uplinks:
        for field, is_down in (("rx_bytes", True), ("tx_bytes", False)):
            sends = [one for one in row.sends if one.by == ifname and one.is_down is is_down]
            counted = grown(samples["before"], samples["sent"], ifname, field)
            assert holds(sum(one.count for one in sends), counted), (ifname, field, counted)


@EVERY
def test_a_line_that_is_cut_is_down_and_counts_on_once_it_is_mended(
    played: dict[str, Report], row: Topology
) -> None:
    """Only that line; and no byte is counted while it is down."""
    samples = moments(played, row)
    expected = {ifname: ifname not in row.down_after for ifname in row.uplinks}
    assert expected == {ifname: one["up"] for ifname, one in uplinks(samples["cut"]).items()}
    assert all(one["up"] for one in uplinks(samples["mended"]).values())
    again = next(send for send in row.sends if not send.is_down)
    counted = grown(samples["mended"], samples["sent again"], again.by, "tx_bytes")
    assert holds(again.count, counted), counted


@EVERY
def test_a_collector_of_the_first_contract_reads_it(
    played: dict[str, Report], row: Topology
) -> None:
    """Each of its samples."""
    for sample in moments(played, row).values():
        first.contract()["codec"].decode("titik/v1/router/r/sample", json.dumps(sample).encode())


def grown(before: dict[str, Any], after: dict[str, Any], ifname: str, field: str) -> int:
    """Between two samples, which must be of one counter."""
    was, is_now = uplinks(before)[ifname], uplinks(after)[ifname]
    assert was["since"] == is_now["since"]
    return int(is_now[field]) - int(was[field])


def holds(datagrams: int, counted: int) -> bool:
    """The bytes of these datagrams, and hardly more."""
    return datagrams * PAYLOAD <= counted <= datagrams * PAYLOAD * OVERHEAD + BESIDES
