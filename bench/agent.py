"""What the agent costs a router, packed and plain, in one run with collectd and the
floor: a process that has its libraries and a connection with TLS, and nothing of ours.

python -m bench.agent --seconds 600 --json
"""

import argparse
import itertools
import json
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from bench import procfs
from bench.agent_lab import PLAIN, ROUTER, Lab, agent_python, environment, install, lab
from bench.counting import Relay, Traffic
from bench.results import Length, Result

COMMAND = "python -m bench.agent"
INTERVAL_S = 30  # the agent's default
QUICK_INTERVAL_S = 2
GROWN = 10_000
PIECES = 5  # a window is cut into so many runs
MB = 1_000_000
MAX_ABOVE_FLOOR_MB = 2.3
MAX_PRIVATE_MB = 12.0
MAX_CPU = 2.3  # of collectd's
MAX_BYTES = 0.2


class Reading(NamedTuple):
    """One process at one instant."""

    cpu_s: float
    wakeups: int
    traffic: Traffic


class Memory(NamedTuple):
    """Of one process, in MB."""

    rss: float
    pss: float
    private: float


class Usage(NamedTuple):
    """Of one process, run by run."""

    cpu_ms: tuple[float, ...]  # per interval
    wakeups: tuple[float, ...]  # per interval
    wire: tuple[float, ...]  # bytes per interval
    payload: tuple[float, ...]


def run(length: Length) -> list[Result]:
    """All of it; quick shows that it works."""
    if length == "quick":
        return measure(20, QUICK_INTERVAL_S, 500, None)
    return measure(600, INTERVAL_S, GROWN, None)


def measure(seconds: int, interval_s: int, samples: int, libraries: Path | None) -> list[Result]:
    """Everything, with the libraries of that folder."""
    with tempfile.TemporaryDirectory(prefix="titik-bench-") as name:
        folder = Path(name)
        results = beside_collectd(folder / "beside", seconds, interval_s, libraries)
        results += growth(folder / "growth", samples, libraries)
        site = install(folder, libraries)
        results += [import_time(site), *sizes(site)]
    return results


def beside_collectd(
    folder: Path, seconds: int, interval_s: int, libraries: Path | None
) -> list[Result]:
    """Memory, CPU and bytes of the agent and of collectd over the same period."""
    command = f"{COMMAND} --seconds {seconds} --interval {interval_s}"
    with lab(folder, libraries) as made:
        ways = [made.relay() for _ in range(3)]
        pids = [
            made.agent(ways[0], interval_s),
            made.collectd(ways[1], interval_s),
            made.agent(ways[2], interval_s, PLAIN),
        ]
        floor_pid = made.floor()
        time.sleep(interval_s * 1.2)  # first samples, acks, and collectd's first round
        ours, theirs, plain = watch(pids, ways, seconds, interval_s)
        memory = [_memory(pid) for pid in (*pids, floor_pid)]
    per = f"per {interval_s} s"
    what = f"mqtt (QoS 1, TLS), network, load, memory, interface; {per}"
    wire = "TCP payload with TLS, plus 52 bytes for each segment, also of bare ACKs, both ways"
    share, share_plain = (_shares(one.wire, theirs.wire) for one in (ours, plain))
    unpacked = "with `broker.compress = false`"
    slept = "what slept and was woken: threads, and each wait for ubus"
    return [
        *_memories(memory, command, f"after {seconds} s, {agent_python()}"),
        Result("CPU per sample", "ms", ours.cpu_ms, None, command, f"all threads, {per}"),
        Result("CPU per interval of collectd", "ms", theirs.cpu_ms, None, command, what),
        Result("CPU, as a multiple of collectd's", "times", _shares(ours.cpu_ms, theirs.cpu_ms),
               f"<= {MAX_CPU}", command, per),
        Result("wake-ups per sample", "times", ours.wakeups, None, command, f"{slept}; {per}"),
        Result("wake-ups per interval of collectd", "times", theirs.wakeups, None, command),
        Result("bytes per sample", "bytes", ours.wire, None, command, wire),
        Result("bytes per interval of collectd", "bytes", theirs.wire, None, command, wire),
        Result("payload per sample", "bytes", ours.payload, None, command, "TCP payload only"),
        Result("payload per interval of collectd", "bytes", theirs.payload, None, command),
        Result("bytes, as a share of collectd's", "ratio", share, f"<= {MAX_BYTES}", command, wire),
        Result(f"RSS with TLS, {unpacked}", "MB", (memory[2].rss,), None, command),
        Result(f"CPU per sample, {unpacked}", "ms", plain.cpu_ms, None, command, per),
        Result(f"bytes per sample, {unpacked}", "bytes", plain.wire, None, command, wire),
        Result(f"payload per sample, {unpacked}", "bytes", plain.payload, None, command),
        Result(f"bytes {unpacked}, as a share of collectd's", "ratio", share_plain, None, command,
               wire),
    ]  # fmt: skip


def _memories(memory: Sequence[Memory], command: str, note: str) -> list[Result]:
    """Of the agent, of collectd, of an agent that does not pack and of the floor."""
    ours, theirs, _, floor = memory
    has = "slim paho, psutil, one connection with TLS"
    alone = "written, and shared with nobody"
    return [
        Result("RSS with TLS", "MB", (ours.rss,), None, command, note),
        Result("RSS of the floor", "MB", (floor.rss,), None, command, has),
        Result("RSS above the floor", "MB", (ours.rss - floor.rss,), f"<= {MAX_ABOVE_FLOOR_MB}",
               command),
        Result("private memory with TLS", "MB", (ours.private,), f"<= {MAX_PRIVATE_MB}", command,
               alone),
        Result("private memory of the floor", "MB", (floor.private,), None, command, alone),
        Result("PSS with TLS", "MB", (ours.pss,), None, command),
        Result("PSS of the floor", "MB", (floor.pss,), None, command),
        Result("RSS of collectd", "MB", (theirs.rss,), None, command),
        Result("private memory of collectd", "MB", (theirs.private,), None, command, alone),
        Result("PSS of collectd", "MB", (theirs.pss,), None, command),
    ]  # fmt: skip


def _memory(pid: int) -> Memory:
    return Memory(procfs.rss(pid) / MB, procfs.pss(pid) / MB, procfs.private(pid) / MB)


def _shares(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, ...]:
    return tuple(a / b for a, b in zip(ours, theirs, strict=True))


def watch(pids: Sequence[int], ways: Sequence[Relay], seconds: int, interval_s: int) -> list[Usage]:
    """All processes over the same period, cut into runs of whole intervals."""
    pieces = max(1, min(PIECES, seconds // interval_s))
    length = max(1, seconds // pieces // interval_s)  # intervals
    readings = [_read(pids, ways)]
    begun = time.monotonic()
    for piece in range(1, pieces + 1):
        time.sleep(max(0.0, begun + piece * length * interval_s - time.monotonic()))
        readings.append(_read(pids, ways))
    time.sleep(max(0.0, begun + seconds - time.monotonic()))
    return [_usage([one[which] for one in readings], length) for which in range(len(pids))]


def _read(pids: Sequence[int], ways: Sequence[Relay]) -> list[Reading]:
    return [
        Reading(procfs.cpu_s(pid), procfs.wakeups(pid), way.traffic())
        for pid, way in zip(pids, ways, strict=True)
    ]


def _usage(readings: list[Reading], intervals: int) -> Usage:
    pairs = list(itertools.pairwise(readings))
    traffic = [after.traffic.since(before.traffic) for before, after in pairs]
    return Usage(
        tuple((after.cpu_s - before.cpu_s) * 1000 / intervals for before, after in pairs),
        tuple((after.wakeups - before.wakeups) / intervals for before, after in pairs),
        tuple(one.wire / intervals for one in traffic),
        tuple(one.payload / intervals for one in traffic),
    )


# The command itself, in its order of imports, at an interval that its configuration refuses.
_FAST = """
from titik_agent.__main__ import main
from titik_agent import config
from dataclasses import replace
load = config.load
config.load = lambda *given: replace(load(*given), interval_s=0.02)
main()
"""


def growth(folder: Path, samples: int, libraries: Path | None) -> list[Result]:
    """What resident memory gains from a tenth of the samples to all of them."""
    with lab(folder, libraries) as made:
        way = made.relay()
        config = made.write_config(way, INTERVAL_S)
        pid = made.spawn_agent("-c", _FAST, "run", "--config", str(config))
        _until_stored(made, samples // 10)
        before = procfs.rss(pid)
        _until_stored(made, samples)
        after = procfs.rss(pid)
    note = f"every 20 ms over TLS, stored and acked; {before / MB:.2f} to {after / MB:.2f} MB"
    gained = (after - before) / 1000
    command = f"{COMMAND} --samples {samples}"
    name = f"growth from {samples // 10} to {samples} samples"
    return [Result(name, "kB", (gained,), "<= 100", command, note)]


def _until_stored(made: Lab, seq: int) -> None:
    deadline = time.monotonic() + 60 + seq * 0.1
    while made.stored() < seq:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{made.stored()} of {seq} samples of {ROUTER} are stored")
        time.sleep(0.5)


def import_time(site: Path, runs: int = 10) -> Result:
    """What `-X importtime` says of the whole of the agent."""
    took = []
    for _ in range(runs):
        done = subprocess.run(
            [agent_python(), "-X", "importtime", "-c", "import titik_agent.assemble"],
            env=environment(site), capture_output=True, text=True, check=True,
        )  # fmt: skip
        took.append(int(done.stderr.splitlines()[-1].split("|")[1]) / 1000)
    command = "python3 -X importtime -c 'import titik_agent.assemble'"
    return Result("import time", "ms", tuple(took), None, command, agent_python())


def sizes(site: Path) -> list[Result]:
    """Installed bytes of each package."""
    results = []
    for package in sorted(one for one in site.iterdir() if one.is_dir()):
        files = [one for one in package.rglob("*") if one.is_file()]
        compiled = sum(one.stat().st_size for one in files if one.suffix in (".pyc", ".so"))
        source = sum(one.stat().st_size for one in files if one.suffix == ".py")
        note = f"bytecode and libraries, as OpenWrt ships; source is another {source / 1000:.0f} kB"
        name = f"installed size of {package.name}"
        results.append(Result(name, "kB", (compiled / 1000,), None, COMMAND, note))
    return results


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--interval", type=int, default=INTERVAL_S)
    parser.add_argument("--samples", type=int, default=GROWN, help="for growth")
    parser.add_argument("--libraries", type=Path, help="site-packages with another paho")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    results = measure(args.seconds, args.interval, args.samples, args.libraries)
    if args.json:
        print(json.dumps([asdict(one) for one in results], indent=1))
        return
    for one in results:
        print(f"{one.name}: {one.median:.4g} {one.unit} {one.target or ''} {one.note}")


if __name__ == "__main__":
    main()
