"""`python -m tests.faults run`: play the faults, check, and write a file for each scenario.

Rule: each scenario is a process in namespaces of its own; so many lanes run side by side.
Rule: a scenario whose result is there, of the same tested code, length and seed, is kept.
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
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.faults import baseline, mutations
from tests.faults.engines import Engine, Sqlite
from tests.faults.nemesis import as_json, digest
from tests.faults.scenarios import ELSEWHERE, SCENARIOS, played
from tests.faults.server import Server
from tests.faults.three_machines import ThreeMachines
from tests.faults.trial import Trial
from tests.faults.world import commit, tested
from tools import write_reliability

INSIDE = "TITIK_FAULTS_INSIDE"
ENGINES: Mapping[str, Callable[[], Engine]] = {
    "sqlite": Sqlite,
    "postgresql": Server,
    "cell": ThreeMachines,
}
COMMANDS: Mapping[str, Callable[[list[str]], int]] = {
    "mutate": mutations.main,
    "baseline": baseline.main,
    "report": write_reliability.main,
    "code": lambda _: _say_code(),
}  # beside `run`


def main() -> int:
    """The exit status: 1 if anything was lost, doubled, invented or altered, or did not end."""
    command = COMMANDS.get(sys.argv[1] if len(sys.argv) > 1 else "")
    if command is not None:
        return command(sys.argv[2:])
    options = _options()
    options.results.mkdir(parents=True, exist_ok=True)
    if INSIDE in os.environ:
        return _inside(options)
    asked = options.only or played(options.engine)
    if elsewhere := [name for name in asked if (name, options.engine) in ELSEWHERE]:
        raise SystemExit(f"not on {options.engine}: {', '.join(elsewhere)}")
    with ThreadPoolExecutor(options.lanes) as lanes:
        results = lanes.map(lambda name: _result(name, options), asked)
        red = [result["scenario"] for result in results if not result["ok"]]
    if red:
        print(f"RED: {', '.join(red)}")
    return 1 if red else 0


def _say_code() -> int:
    """What results of this clone are known by."""
    print(tested())
    return 0


def _inside(options: argparse.Namespace) -> int:
    """Play the one scenario that this process was made for."""
    subprocess.run(("ip", "link", "set", "lo", "up"), check=True)
    logging.disable(logging.WARNING)  # the faults are the nemesis's own
    (name,) = options.only
    result = _play(name, options)
    _file(name, options).write_text(json.dumps(result, indent=1) + "\n")
    return 0


def _result(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Of a scenario: kept, or played in a process of its own."""
    file = _file(name, options)
    result = _kept(file, _many(name, options), options)
    if result is None:
        file.unlink(missing_ok=True)
        words = ["unshare", "--net", "--mount", sys.executable, "-m", "tests.faults", "run"]
        words += ["--full" if options.full else "--quick", "--only", name]
        words += ["--engine", options.engine]
        words += ["--seed", str(options.seed), "--results", str(options.results)]
        words += ["--count", str(options.count)] if options.count else []
        done = subprocess.run(words, env=os.environ | {INSIDE: "1"}, check=False)
        if not file.exists():
            raise SystemExit(f"{name}: no result, status {done.returncode}")
        result = json.loads(file.read_text())
    print(_line(result), flush=True)
    return result


def _file(name: str, options: argparse.Namespace) -> Path:
    """Where a result is kept; each engine has its own."""
    folder: Path = options.results
    return folder / f"{name}{'' if options.engine == 'sqlite' else f'-{options.engine}'}.json"


def _length(options: argparse.Namespace) -> str:
    return "full" if options.full else "quick"


def _many(name: str, options: argparse.Namespace) -> int:
    scenario = SCENARIOS[name]
    return options.count or (scenario.full if options.full else scenario.quick)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    command = parser.add_subparsers(required=True).add_parser("run")
    command.add_argument("--quick", action="store_true", help="small counts (the default)")
    command.add_argument("--full", action="store_true", help="the whole campaign")
    command.add_argument("--engine", choices=ENGINES, default="sqlite", help="of the store")
    command.add_argument("--only", action="extend", nargs="+", choices=SCENARIOS, metavar="NAME")
    command.add_argument("--seed", type=int, default=20261124)
    command.add_argument("--count", type=int, help="over the scenario's own")
    command.add_argument("--lanes", type=int, default=1, help="scenarios at a time")
    command.add_argument("--results", type=Path, required=True, metavar="DIR")
    return parser.parse_args()


def _kept(file: Path, many: int, options: argparse.Namespace) -> dict[str, Any] | None:
    """The result of an earlier call; one that was red is played again."""
    if not file.exists():
        return None
    result: dict[str, Any] = json.loads(file.read_text())
    asked = (tested(), _length(options), many, options.seed, True)
    have = tuple(result.get(one) for one in ("tested", "length", "count", "seed", "ok"))
    return result if asked == have else None


def _play(name: str, options: argparse.Namespace) -> dict[str, Any]:
    scenario, seed, many = SCENARIOS[name], options.seed, _many(name, options)
    code, began = tested(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tf-", ignore_cleanup_errors=True) as folder:
        trial = Trial(Path(folder), random.Random(f"{name} {seed}"), many)
        try:
            with ENGINES[options.engine]() as trial.engine:
                scenario.play(trial)
        except Exception:
            # A scenario that cannot end is a red result, and the next ones are still played.
            trial.wrong.append(traceback.format_exc())
    cycles = trial.figures.pop("cycles", len(trial.faults))
    return {
        "scenario": name,
        "engine": options.engine,
        "row": scenario.row,
        "what": scenario.what,
        "ok": not trial.wrong,
        "wrong": trial.wrong,
        "commit": commit(),
        "tested": code,
        "length": _length(options),
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
        f"{'ok ' if result['ok'] else 'RED'} {result['scenario']:18}",
        f"engine={result['engine']}",
        f"seed={result['seed']} schedule={result['schedule_digest']}",
        f"cycles={result['cycles']} (no failure bounds the rate at {result['bound_95']})",
        f"seconds={result['seconds']}",
    ]
    verdict = result["verdict"]
    if verdict:
        shown: tuple[str, ...] = (
            "generated",
            "stored",
            "merged",
            "declared",
            "spooled",
            "torn",
            "cut_off",
        )
        shown += ("lost", "duplicated", "phantom", "altered", "time_error_ms", "acks")
        words.append(" ".join(f"{name}={verdict[name]}" for name in shown))
    words += [f"\n    {one}" for one in result["wrong"]]
    words += [f"\n    {one}" for one in (verdict or {}).get("examples", [])]
    return " ".join(words)


if __name__ == "__main__":
    sys.exit(main())
