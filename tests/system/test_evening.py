"""An evening at a hotspot: what the city's store says of it, held against what was true.

The real agent runs in the machine, on the real hostapd; mosquitto and the collector run here. The
machine's own clock judges the times. It counts the machine's instructions, so that what else runs
here makes the evening longer and nothing in it late.
"""

import compileall
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.lab.air import BSSES
from tests.system.city import City, bytes_of
from titik_collector.store.body import unpack
from titik_wire import codec, topics
from titik_wire.messages import Bss, Sample

pytestmark = [pytest.mark.system, pytest.mark.long]

LAB = Path(__file__).parent.parent / "lab"
ROUTER = "tirosa-1"
MEMORY_MIB = 128
PATIENCE_S = 1800  # the evening takes some 300 s where nothing else runs, and longer elsewhere

INTERVAL_S = 10.0
# No slack is added for the emulation: what is promised to take a second sleeps for most of it, and
# the work that is left fits. Both ends are read on the machine's clock, and a change counts from
# the first moment at which it may have been true.
PROMISE_S = 1.2  # for a join or leave that has APART_S to itself
APART_S = 5.0
EARLY_S = 1.2  # hostapd lets go of a station a second before the kernel does
ALIKE = 0.01
ETHERNET, AIR = 42, 62  # bytes of a datagram's headers, as received and as sent by mac80211


class Change(NamedTuple):
    """As tests/lab/truth.py wrote it."""

    ifname: str
    at: float
    by: float
    clients: int


@dataclass(frozen=True)
class Evening:
    """What happened, and what the store holds of it."""

    record: Mapping[str, Any]
    samples: list[Sample]
    arrived_ms: dict[int, int]  # by seq, on the clock outside, as are `mended_ms`
    mended_ms: dict[str, float]  # just before the uplink was
    books: dict[str, tuple[int, int, int, int, int]]
    rolled: tuple[int, int, int, int]

    @property
    def changes(self) -> list[Change]:
        return [Change(**each) for each in self.record["changes"]]

    def is_restarting(self, at: float) -> bool:
        start, end = self.record["restart"]
        return bool(start <= at <= end)

    def last_before(self, at: float) -> Sample:
        return [sample for sample in self.samples if taken_s(sample) <= at][-1]

    def first_after(self, at: float) -> Sample:
        return next(sample for sample in self.samples if taken_s(sample) >= at)


def taken_s(sample: Sample) -> float:
    return sample.uptime_ms / 1000


def bss(sample: Sample, ifname: str) -> Bss | None:
    return next((one for one in sample.bss or () if one.ifname == ifname), None)


def clients(sample: Sample, ifname: str) -> int | None:
    found = bss(sample, ifname)
    return None if found is None else found.clients


@pytest.fixture(scope="module")
def evening(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evening]:
    """One evening serves all tests."""
    folder = tmp_path_factory.mktemp("evening")
    subprocess.run([LAB / "lab.sh", "setup"], check=True)
    # What is compiled here need not be compiled, and kept, in the machine's memory.
    compileall.compile_dir(LAB.parents[1] / "agent", quiet=2)
    with City(folder, ROUTER) as city:
        city.collect()
        record = spend(city, folder / "out")
        held = {run: last - first + 1 for run, (first, last) in record["spool"].items()}
        city.until(
            lambda: {run: row[4] for run, row in city.books().items() if row[4]} == held,
            "what the agent published is stored",
        )
        books = city.close_books()
        with city.reader() as db:
            rolled = bytes_of(db, ROUTER)
        found = samples(city)
        arrived = {
            int(str(seq)): int(str(ms)) for seq, ms in city.ask("SELECT seq, arrived_ms FROM body")
        }
        mended = {
            name: (folder / "out" / name).stat().st_mtime * 1000
            for name in ("mended", "plugged in")
        }
        yield Evening(record, found, arrived, mended, books, rolled)


def spend(city: City, out: Path) -> dict[str, Any]:
    """Run the machine; what it wrote."""
    config = city.folder / "agent.toml"
    config.write_text(f"""
router = "{ROUTER}"
interval_s = {INTERVAL_S:.0f}
clock = "trusted"
[broker]
host = "10.0.2.2"
port = {city.directory.ports.router}
password_file = "{city.directory.password_file(ROUTER)}"
[spool]
directory = "/run/titik"
[sources]
hostapd = "control"
control_dir = "/run/hostapd"
lease_files = ["/run/leases"]
""")
    machine: list[str | Path] = [LAB / "lab.sh", "-n", "-c", "-m", str(MEMORY_MIB)]
    machine += ["-t", str(PATIENCE_S), "-o", out]
    script: list[str | Path] = [sys.executable, LAB / "evening.py", config, "/lab-out/record.json"]
    done = subprocess.run([*machine, *script], check=False, text=True, capture_output=True)
    output = out / "agent.log"
    agent_output = output.read_text() if output.exists() else ""
    assert 0 == done.returncode, done.stdout + done.stderr + agent_output
    result: dict[str, Any] = json.loads((out / "record.json").read_text())
    return result


def samples(city: City) -> list[Sample]:
    """Every sample in the store, in order."""
    found = []
    for (packed,) in city.ask("SELECT packed FROM body ORDER BY seq"):
        assert isinstance(packed, bytes)
        sample = codec.decode(topics.sample(ROUTER), unpack(packed))
        assert isinstance(sample, Sample)
        found.append(sample)
    return found


def test_the_machine_is_as_small_as_a_router(evening: Evening) -> None:
    """Kernel, hostapd, phones and agent had 128 MiB, and the agent ended well."""
    total_kb = int(evening.record["meminfo"][0].split()[1])
    assert total_kb < MEMORY_MIB * 1024
    assert 0 == evening.record["status"]


def test_counts_are_never_wrong(evening: Evening) -> None:
    """Every sample counts, on each BSS, what iw listed as authorized at that moment."""
    wrong = [
        (taken_s(sample), ifname, clients(sample, ifname))
        for sample in evening.samples
        if not evening.is_restarting(taken_s(sample))
        for ifname in BSSES
        if clients(sample, ifname) not in true_counts(evening, ifname, taken_s(sample))
    ]
    assert [] == wrong
    assert len(evening.samples) > 20


def true_counts(evening: Evening, ifname: str, at: float) -> set[int]:
    """What may have been true there while a sample of that moment was read."""
    changes = [change for change in evening.changes if change.ifname == ifname]
    ends = [change.by for change in changes[1:]] + [float("inf")]
    return {
        change.clients
        for change, end in zip(changes, ends, strict=True)
        if change.at <= at + EARLY_S and at <= end
    }


def test_a_total_is_the_sum_or_absent(evening: Evening) -> None:
    """While hostapd is started again there may be no count, and never a smaller one."""
    for sample in evening.samples:
        each = [one.clients for one in sample.bss or () if not one.off_air]
        known = [count for count in each if count is not None]
        expected = sum(known) if each and len(known) == len(each) else None
        assert expected == sample.clients


def test_a_lone_join_or_leave_is_seen_at_once(evening: Evening) -> None:
    """Those that nothing else is near are in a sample within 1.2 s."""
    lone = lone_changes(evening)
    late = [change for change in lone if not is_seen(evening, change, change.at + PROMISE_S)]
    assert [] == late
    assert len(lone) >= 10


def lone_changes(evening: Evening) -> list[Change]:
    """Joins and leaves that have the seconds before them, and after, to themselves."""
    first, last = taken_s(evening.samples[0]), evening.record["stopped_s"] - PROMISE_S
    every = sorted(evening.changes[len(BSSES) :], key=lambda change: change.at)
    return [
        change
        for change in every
        if first < change.at < last and not evening.is_restarting(change.at)
        if not any(
            other is not change and change.at - APART_S < other.by and other.at < change.by + 2
            for other in every
        )
    ]


def is_seen(evening: Evening, change: Change, end: float) -> bool:
    return any(
        change.at - EARLY_S <= taken_s(sample) <= end
        and clients(sample, change.ifname) == change.clients
        for sample in evening.samples
    )


def test_every_change_is_followed_by_a_sample_within_an_interval(evening: Evening) -> None:
    """Bursts and roaming too: with counts that are never wrong, none is unseen for longer."""
    taken = [taken_s(sample) for sample in evening.samples]
    assert taken[0] < evening.record["steps"][0][0]
    waits = [
        min(at - change.by for at in [*taken, evening.record["stopped_s"]] if at >= change.at)
        for change in evening.changes[len(BSSES) :]  # those were true before the agent was
    ]
    assert max(waits) <= INTERVAL_S + PROMISE_S


def test_a_phone_that_died_is_a_client_until_hostapd_misses_it(evening: Evening) -> None:
    """It stops being active after a minute, and is gone when iw no longer lists it."""
    died_s = evening.record["died_s"]
    after = [one for one in evening.samples if died_s < taken_s(one) < evening.record["buried_s"]]
    found = [(one.clients, one.active) for one in (bss(one, "wlan1") for one in after) if one]
    assert [(2, 2), (2, 1), (1, 1)] == sorted(set(found), key=found.index)[:2] + found[-1:]


def test_leases_are_counted(evening: Evening) -> None:
    """All six asked for an address; it stays theirs when they leave."""
    assert 6 == evening.record["leases"] == evening.samples[-1].leases


def test_visitors_are_the_phones(evening: Evening) -> None:
    """Six, however often they joined."""
    visitors = evening.samples[-1].visitors
    assert visitors is not None
    assert 6 == visitors.count


@pytest.mark.parametrize("number", range(6))
def test_bytes_are_the_kernels(evening: Evening, number: int) -> None:
    """Between the samples around a transfer, within 1 % of what the kernel counted."""
    moved = evening.record["traffic"][number]
    before = bss(evening.last_before(moved["from_s"]), moved["ifname"])
    after = bss(evening.first_after(moved["to_s"]), moved["ifname"])
    assert before is not None
    assert after is not None
    assert before.since == after.since
    counter = f"{moved['direction']}_bytes"
    reported = getattr(after, counter) - getattr(before, counter)
    assert moved["kernel_bytes"] == pytest.approx(reported, rel=ALIKE)
    assert moved["arrived"] >= 500


@pytest.mark.parametrize("number", range(6))
def test_bytes_are_those_that_were_sent(evening: Evening, number: int) -> None:
    """Each datagram with its headers; and what iw says of that station, 802.11 taken off."""
    moved = evening.record["traffic"][number]
    header = ETHERNET if moved["direction"] == "rx" else AIR
    really = moved["arrived"] * (1000 + header)
    assert really == pytest.approx(moved["kernel_bytes"], rel=ALIKE)
    off = AIR - header
    of_station = moved["station_bytes"] - off * moved["station_packets"]
    assert really == pytest.approx(of_station, rel=2 * ALIKE)


def test_the_evenings_bytes_are_the_kernels(evening: Evening) -> None:
    """Down and up, hostapd's new interfaces included, in the minutes that engineers read."""
    kernel = evening.record["kernel"].values()
    down, up = sum(tx for _, tx in kernel), sum(rx for rx, _ in kernel)
    assert (down, up) == pytest.approx(evening.rolled[:2], rel=ALIKE)


def test_nothing_is_lost_on_a_lossy_uplink(evening: Evening) -> None:
    """Taken is stored plus spool: loss, delay, a cut and a pulled cable cost no sample."""
    (run,) = evening.books
    last = max(evening.samples[-1].seq, evening.record["spool"].get(run, (0, 0))[1])
    spooled = last - evening.samples[-1].seq
    assert {run: (last, last - spooled, 0, 0, spooled)} == evening.books
    assert evening.record["stopped_s"] - taken_s(evening.samples[-1]) < 2 * INTERVAL_S
    assert 0 == evening.samples[-1].agent.merged


def test_the_cuts_were_real(evening: Evening) -> None:
    """Samples were taken while nothing could leave, and came when it could again."""
    steps = {name: at for at, name in evening.record["steps"]}
    for began, ended in (("cut", "mended"), ("unplugged", "plugged in")):
        cut_s, mended_s = steps[f"uplink: {began}"], steps[f"uplink: {ended}"]
        stuck = [one for one in evening.samples if cut_s < taken_s(one) < mended_s]
        assert stuck
        early = [one.seq for one in stuck if evening.arrived_ms[one.seq] < evening.mended_ms[ended]]
        assert [] == early
