"""`python -m tests.faults run`: play the faults, check, and write a file for each scenario.

Rule: everything happens in namespaces of this process, which end with it.
Rule: a scenario whose result is there, of this commit, length and seed, is not played again.
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
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.faults.nemesis import as_json, digest
from tests.faults.scenarios import SCENARIOS
from tests.faults.trial import Trial
from tests.faults.world import commit

INSIDE = "TITIK_FAULTS_INSIDE"


def main() -> int:
    """The exit status: 1 if anything was lost, doubled, invented or altered, or did not end."""
    options = _options()
    if INSIDE not in os.environ:
        words = ("unshare", "--net", "--mount", sys.executable, "-m", "tests.faults", *sys.argv[1:])
        os.execvpe("unshare", words, os.environ | {INSIDE: "1"})
    subprocess.run(("ip", "link", "set", "lo", "up"), check=True)
    logging.disable(logging.WARNING)  # the faults are the nemesis's own
    length = "full" if options.full else "quick"
    options.results.mkdir(parents=True, exist_ok=True)
    red = 0
    for name in options.only or SCENARIOS:
        file = options.results / f"{name}.json"
        result = _kept(file, length, options.seed)
        if result is None:
            result = _play(name, length, options.seed, options.count)
            file.write_text(json.dumps(result, indent=1) + "\n")
        red += not result["ok"]
        print(_line(result), flush=True)
    return 1 if red else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    command = parser.add_subparsers(required=True).add_parser("run")
    command.add_argument("--quick", action="store_true", help="small counts (the default)")
    command.add_argument("--full", action="store_true", help="the whole campaign")
    command.add_argument("--only", action="append", choices=SCENARIOS, metavar="NAME")
    command.add_argument("--seed", type=int, default=20261124)
    command.add_argument("--count", type=int, help="over the scenario's own")
    command.add_argument("--results", type=Path, required=True, metavar="DIR")
    return parser.parse_args()


def _kept(file: Path, length: str, seed: int) -> dict[str, Any] | None:
    """The result of an earlier call; one that was red is played again."""
    if not file.exists():
        return None
    result: dict[str, Any] = json.loads(file.read_text())
    asked = (commit(), length, seed, True)
    have = (result["commit"], result["length"], result["seed"], result["ok"])
    return result if asked == have and not asked[0].endswith("-changed") else None


def _play(name: str, length: str, seed: int, count: int | None) -> dict[str, Any]:
    scenario = SCENARIOS[name]
    many = count or (scenario.full if length == "full" else scenario.quick)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tf-", ignore_cleanup_errors=True) as folder:
        trial = Trial(Path(folder), random.Random(f"{name} {seed}"), many)
        try:
            scenario.play(trial)
        except Exception:
            # A scenario that cannot end is a red result, and the next ones are still played.
            trial.wrong.append(traceback.format_exc())
    cycles = trial.figures.pop("cycles", len(trial.faults))
    return {
        "scenario": name,
        "ok": not trial.wrong,
        "wrong": trial.wrong,
        "commit": commit(),
        "length": length,
        "seed": seed,
        "count": many,
        "cycles": cycles,
        "bound_95": round(3 / cycles, 5) if cycles else None,
        "seconds": round(time.monotonic() - began, 1),
        "figures": trial.figures,
        "verdict": asdict(trial.verdict) if trial.verdict else None,
        "schedule_digest": digest(trial.faults),
        "schedule": as_json(trial.faults),
    }


def _line(result: dict[str, Any]) -> str:
    words = [
        f"{'ok ' if result['ok'] else 'RED'} {result['scenario']:16}",
        f"seed={result['seed']} schedule={result['schedule_digest']}",
        f"cycles={result['cycles']} (no failure bounds the rate at {result['bound_95']})",
        f"seconds={result['seconds']}",
    ]
    verdict = result["verdict"]
    if verdict:
        shown: tuple[str, ...] = ("generated", "stored", "merged", "declared", "spooled", "torn")
        shown += ("lost", "duplicated", "phantom", "altered", "time_error_ms", "acks")
        words.append(" ".join(f"{name}={verdict[name]}" for name in shown))
    words += [f"\n    {one}" for one in result["wrong"]]
    words += [f"\n    {one}" for one in (verdict or {}).get("examples", [])]
    return " ".join(words)


if __name__ == "__main__":
    sys.exit(main())
