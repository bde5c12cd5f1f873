"""What the agent costs a router, plain and with `broker.compress`, beside collectd on the same
machine and broker in the same run.

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
from bench.agent_lab import PACKING, ROUTER, Lab, agent_python, environment, install, lab
from bench.counting import Relay, Traffic
from bench.results import Length, Result

COMMAND = "python -m bench.agent"
INTERVAL_S = 30  # the agent's default
QUICK_INTERVAL_S = 2
GROWN = 10_000
PIECES = 5  # a window is cut into so many runs
MB = 1_000_000
MAX_RSS_MB = 21


class Reading(NamedTuple):
    """One process at one instant."""

    cpu_s: float
    traffic: Traffic


class Usage(NamedTuple):
    """Of one process, run by run."""

    cpu_ms: tuple[float, ...]  # per interval
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
            made.agent(ways[2], interval_s, PACKING),
        ]
        time.sleep(interval_s * 1.2)  # first samples, acks, and collectd's first round
        ours, theirs, packing = watch(pids, ways, seconds, interval_s)
        memory = [float(read(pid)) for pid in pids for read in (procfs.rss, procfs.pss)]
    per = f"per {interval_s} s"
    what = f"mqtt (QoS 1, TLS), network, load, memory, interface; {per}"
    wire = "TCP payload with TLS, plus 52 bytes for each segment, also of bare ACKs, both ways"
    limit = f"<= {sorted(theirs.cpu_ms)[len(theirs.cpu_ms) // 2]:.3g}"
    share, share_packing = (
        tuple(a / b for a, b in zip(one.wire, theirs.wire, strict=True)) for one in (ours, packing)
    )
    packs = "with `broker.compress`"
    return [
        Result("RSS with TLS", "MB", (memory[0] / MB,), f"<= {MAX_RSS_MB}", command,
               f"after {seconds} s, {agent_python()}"),
        Result("PSS with TLS", "MB", (memory[1] / MB,), None, command),
        Result("RSS of collectd", "MB", (memory[2] / MB,), None, command),
        Result("PSS of collectd", "MB", (memory[3] / MB,), None, command),
        Result("CPU per sample", "ms", ours.cpu_ms, limit, command, f"all threads, {per}"),
        Result("CPU per interval of collectd", "ms", theirs.cpu_ms, None, command, what),
        Result("bytes per sample", "bytes", ours.wire, None, command, wire),
        Result("bytes per interval of collectd", "bytes", theirs.wire, None, command, wire),
        Result("payload per sample", "bytes", ours.payload, None, command, "TCP payload only"),
        Result("payload per interval of collectd", "bytes", theirs.payload, None, command),
        Result("bytes, as a share of collectd's", "ratio", share, "<= 0.25", command, wire),
        Result(f"RSS with TLS, {packs}", "MB", (memory[4] / MB,), None, command),
        Result(f"CPU per sample, {packs}", "ms", packing.cpu_ms, None, command, per),
        Result(f"bytes per sample, {packs}", "bytes", packing.wire, None, command, wire),
        Result(f"payload per sample, {packs}", "bytes", packing.payload, None, command),
        Result(f"bytes {packs}, as a share of collectd's", "ratio", share_packing, "<= 0.25",
               command, wire),
    ]  # fmt: skip


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
    return [Reading(procfs.cpu_s(pid), way.traffic()) for pid, way in zip(pids, ways, strict=True)]


def _usage(readings: list[Reading], intervals: int) -> Usage:
    pairs = list(itertools.pairwise(readings))
    traffic = [after.traffic.since(before.traffic) for before, after in pairs]
    return Usage(
        tuple((after.cpu_s - before.cpu_s) * 1000 / intervals for before, after in pairs),
        tuple(one.wire / intervals for one in traffic),
        tuple(one.payload / intervals for one in traffic),
    )


# The command's own parts at an interval that its configuration refuses.
_FAST = """
import dataclasses, logging, sys
from titik_agent import assemble, config
logging.basicConfig(level=logging.INFO)
settings = dataclasses.replace(config.load(sys.argv[1]), interval_s=0.02)
assemble._run(settings, assemble._endpoint(settings))
"""


def growth(folder: Path, samples: int, libraries: Path | None) -> list[Result]:
    """What resident memory gains from a tenth of the samples to all of them."""
    with lab(folder, libraries) as made:
        way = made.relay()
        config = made.write_config(way, INTERVAL_S)
        pid = made.spawn_agent("-c", _FAST, str(config))
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
