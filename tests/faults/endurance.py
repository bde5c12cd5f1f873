"""`python -m tests.faults.endurance`: a city under gentle faults, for long; does anything grow?

Rule: everything happens in namespaces of this process, which end with it.
Rule: a quiet time after the warm-up, in which all is healed, is compared with one at the end.
Rule: the collector, the broker and eight of the ten agents are never killed, so that their memory
is a line and not a saw; two agents are, to keep runs and spools changing.
"""

import argparse
import json
import logging
import os
import random
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import psutil

from tests.faults.nemesis import RULES, Fault, digest, schedule
from tests.faults.pulse import QUIET, Pulse, Trend, trend
from tests.faults.size import DEFAULT, predict
from tests.faults.swizzle import play
from tests.faults.trial import Trial
from tests.faults.world import World, commit
from tests.system.city import Process

INSIDE = "TITIK_FAULTS_INSIDE"
AGENTS = 10
MORTAL = 2  # agents that are killed now and then
GENTLE = (*RULES, "stop agent", "stop broker", "stop collector", "lock store")
EVERY_S = 4.0  # a fault, on average
LASTS_S = (0.3, 4.0)

BSS = 1  # of an agent here
DAY_S = 86_400.0
TOLERANCE_RATIO = 0.2  # of the predicted size

WARM_RATIO = 1 / 3  # of the time: allocators and caches settle
LONG_S = 1500.0  # of slope; in less time one page more is a percent an hour
MOST_PER_HOUR = 0.01


def main() -> int:
    """The exit status: 1 if anything was lost or grew."""
    options = _options()
    if INSIDE not in os.environ:
        words = ("unshare", "--net", "--mount", sys.executable, "-m", "tests.faults.endurance")
        os.execvpe("unshare", (*words, *sys.argv[1:]), os.environ | {INSIDE: "1"})
    subprocess.run(("ip", "link", "set", "lo", "up"), check=True)
    logging.disable(logging.WARNING)  # the faults are the nemesis's own
    options.results.mkdir(parents=True, exist_ok=True)
    result = endure(options.minutes, options.seed, options.results)
    (options.results / "endurance.json").write_text(json.dumps(result, indent=1) + "\n")
    print(line(result), flush=True)
    return 1 if result["wrong"] else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.endurance")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=20261125)
    parser.add_argument("--results", type=Path, required=True, metavar="DIR")
    return parser.parse_args()


def endure(minutes: float, seed: int, results: Path) -> dict[str, Any]:
    """Play, and what it came to; what was read of the processes is left in `results` too."""
    lasts_s = minutes * 60
    plan = faults(random.Random(f"endurance {seed}"), lasts_s)
    trends: dict[str, Trend] = {}
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="te-", ignore_cleanup_errors=True) as folder:
        trial = Trial(Path(folder), random.Random(seed), len(plan), faults=plan)
        try:
            trends = _live(trial, lasts_s, figures, results / "endurance-readings.jsonl")
        except Exception:
            # What cannot end is a red result.
            trial.wrong.append(traceback.format_exc())
    trial.wrong += grown(trends, lasts_s)
    if "database_bytes" in figures and lasts_s >= LONG_S:
        trial.wrong += misjudged(figures)
    verdict = asdict(trial.verdict) if trial.verdict else {}
    return {
        "minutes": minutes,
        "agents": AGENTS,
        "faults": len(plan),
        "schedule_digest": digest(plan),
        "samples": verdict.get("generated", 0),
        "verdict": {name: value for name, value in verdict.items() if name != "processes"},
        "processes": {name: one.as_json() for name, one in trends.items()},
        **figures,
        "wrong": trial.wrong,
        "seed": seed,
        "commit": commit(),
    }


def faults(rand: random.Random, lasts_s: float) -> list[Fault]:
    """Gentle ones everywhere, and kills of the mortal agents."""
    routers = [f"r-{number}" for number in range(1, AGENTS + 1)]
    many = max(4, int(lasts_s / EVERY_S))
    when = (0.0, lasts_s)
    gentle = schedule(rand, many, GENTLE, routers, when, LASTS_S)
    kills = schedule(rand, max(1, many // 20), ("kill agent",), routers[-MORTAL:], when, LASTS_S)
    return gentle + kills


def _live(trial: Trial, lasts_s: float, figures: dict[str, Any], file: Path) -> dict[str, Trend]:
    with World(trial.folder, AGENTS) as world:
        _collect(world)
        world.start_agents()
        world.until_taken(2)
        pulse = Pulse(_immortal(world), 1.0 if lasts_s < 600 else 5.0, file)
        pulse.start()
        began = time.monotonic()
        warm_s = lasts_s * WARM_RATIO
        _play(world, trial.faults, 0.0, warm_s)
        warm_at_s = _quiet(world, pulse.every_s)
        _play(world, trial.faults, warm_s, lasts_s)
        _quiet(world, pulse.every_s)
        pulse.stop()
        trial.wrong += [f"{name} ended" for name in sorted(pulse.ended)]
        verdict = trial.settle(world)
        days = (time.monotonic() - began) / DAY_S
        a_day = verdict.stored / AGENTS / days
        figures["database_predicted_bytes"] = predict(DEFAULT, AGENTS, 1, a_day, BSS, days)
        figures["database_bytes"] = world.city.store.stat().st_size
    return {
        name: trend([one for one in rows if one.at_s >= warm_at_s])
        for name, rows in pulse.readings.items()
    }


def _play(world: World, plan: Sequence[Fault], from_s: float, to_s: float) -> None:
    """What the plan has between these seconds, as long as that lasts."""
    began = time.monotonic()
    some = [replace(one, after_s=one.after_s - from_s) for one in plan]
    play(world, [one for one in some if 0 <= one.after_s < to_s - from_s])
    world.sleep(max(0.0, to_s - from_s - (time.monotonic() - began)))


def _quiet(world: World, every_s: float) -> float:
    """Heal, wait until all is settled, and let so many readings be taken; when those began."""
    world.heal()
    world.until_taken(2)
    world.until_settled(world.routers)
    began = time.monotonic()
    world.sleep((QUIET + 1) * every_s)
    return began


def _collect(world: World) -> None:
    world.city.collector = Process(
        world.city.folder / "collector.log",
        "-m",
        "tests.faults.collector_in_little",
        "collect",
        "--config",
        str(world.city.file),
    )


def _immortal(world: World) -> Mapping[str, psutil.Process]:
    """The processes that no fault of ours ends."""
    assert world.city.collector is not None
    ours = {"collector": world.city.collector}
    ours |= {router: world.agents[router] for router in world.routers[:-MORTAL]}
    found = {name: psutil.Process(one.popen.pid) for name, one in ours.items()}
    return {**found, "broker": world.broker_process()}


def grown(trends: Mapping[str, Trend], lasts_s: float) -> list[str]:
    """In words, what grew; memory is judged where the time is long enough to see."""
    found = [f"{name}: {leak}" for name, one in trends.items() for leak in one.leaks()]
    if lasts_s * (1 - WARM_RATIO) >= LONG_S:
        found += [
            f"{name}: memory grows by {one.rss_slope_ratio_per_hour:.2%} an hour"
            for name, one in trends.items()
            if one.rss_slope_ratio_per_hour > MOST_PER_HOUR
        ]
    return found


def misjudged(figures: Mapping[str, Any]) -> list[str]:
    """In words, if the file is not as large as docs/operating.md predicts."""
    size, predicted = figures["database_bytes"], figures["database_predicted_bytes"]
    if abs(size - predicted) <= TOLERANCE_RATIO * predicted:
        return []
    return [f"the database has {size} bytes, predicted are {predicted}"]


def line(result: Mapping[str, Any]) -> str:
    """For people."""
    verdict = result["verdict"]
    shown = ("lost", "duplicated", "phantom", "altered", "acks_ahead", "rollups_differ")
    words = [
        f"{'RED' if result['wrong'] else 'ok '} endurance minutes={result['minutes']}",
        f"seed={result['seed']} schedule={result['schedule_digest']} faults={result['faults']}",
        f"samples={result['samples']}",
        *(f"{name}={verdict.get(name)}" for name in shown),
    ]
    words += [
        f"\n    {name}: rss {one['rss_bytes'][0]} to {one['rss_bytes'][1]}"
        f" ({one['rss_slope_ratio_per_hour']:+.2%} an hour), fds {one['fds']},"
        f" threads {one['threads']}"
        for name, one in result["processes"].items()
    ]
    return " ".join(words + [f"\n    {one}" for one in result["wrong"]])


if __name__ == "__main__":
    sys.exit(main())
