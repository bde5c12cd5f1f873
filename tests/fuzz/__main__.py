"""`python -m tests.fuzz`: look for inputs that break a reader, and write a file for each target.

    run --seconds N --results DIR   every target in a process of its own, two at a time
    trim --results DIR              the fewest inputs that reach every line reached, as the corpus

Rule: what a run found by itself starts the next run that has the same results folder.
"""

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.faults.world import commit
from tests.fuzz import engine, targets, trim

CORPUS = Path(__file__).parent / "corpus"
LANES = 2
SLACK_S = 120  # over the time asked for, to load and to end


def main() -> int:
    """The exit status: 1 if anything was found."""
    options = _options()
    names = options.only or targets.NAMES
    if options.command == "trim":
        logging.disable(logging.CRITICAL)
        for name in names:
            pool = _work(options.results, name)
            print(trim.trim(targets.load(name), CORPUS / name, pool), flush=True)
        return 0
    options.results.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(LANES) as lanes:
        results = list(lanes.map(lambda name: _run(name, options), names))
    return 1 if any(one["crashes"] for one in results) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    commands = parser.add_subparsers(required=True, dest="command")
    run = commands.add_parser("run")
    run.add_argument("--seconds", type=int, default=20, help="of each target")
    run.add_argument("--seed", type=int, default=20261125)
    for one in (run, commands.add_parser("trim")):
        one.add_argument("--only", action="append", choices=targets.NAMES, metavar="TARGET")
        one.add_argument("--results", type=Path, required=True, metavar="DIR")
    return parser.parse_args()


def _work(results: Path, name: str) -> Path:
    """Where a target's run keeps the inputs that reached something new."""
    return results / "corpus" / name


def _run(name: str, options: argparse.Namespace) -> dict[str, Any]:
    found = options.results / "crashes" / name
    work = _work(options.results, name)
    for one in (found, work, CORPUS / name):
        one.mkdir(parents=True, exist_ok=True)
    (found / "executions.json").write_text("0")
    _forget_fixed(name, found)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="titik-seeds-") as seeds:
        for number, data in enumerate(targets.load(name).seeds()):
            (Path(seeds) / str(number)).write_bytes(data)
        status = _search(name, options, found, (work, CORPUS / name, Path(seeds)))
    crashes = sorted(_crashes(found))
    if status and not crashes:
        crashes = [f"the engine ended with {status}, see {name}.log"]
    result = {
        "target": name,
        "engine": engine.ENGINE,
        "seconds": round(time.monotonic() - began, 1),
        "executions": json.loads((found / "executions.json").read_text()),
        "crashes": crashes,
        "seed": options.seed,
        "corpus": len(list((CORPUS / name).iterdir())),
        "commit": commit(),
    }
    (options.results / f"fuzz-{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    print(_line(result), flush=True)
    return result


def _search(name: str, options: argparse.Namespace, found: Path, corpus: Sequence[Path]) -> int:
    words = [sys.executable, "-m", "tests.fuzz.engine", name, "--seconds", str(options.seconds)]
    words += ["--seed", str(options.seed), "--found", str(found), "--corpus", *map(str, corpus)]
    # A set or a dict may be walked in another order by the next process, and reach other lines.
    environment = os.environ | {"PYTHONHASHSEED": "0"}
    with (options.results / f"{name}.log").open("w") as log:
        return subprocess.run(
            words,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            timeout=options.seconds + SLACK_S,
            check=False,
        ).returncode


def _crashes(found: Path) -> Iterator[str]:
    """The inputs, without what was noted about them."""
    return (file.name for file in found.glob("crash-*") if file.suffix != ".txt")


def _forget_fixed(name: str, found: Path) -> None:
    """Earlier findings that no longer are; the others stay red until somebody mends them."""
    one = targets.load(name).one
    for file in [found / crash for crash in _crashes(found)]:
        with suppress(Exception):  # it is still a finding
            one(file.read_bytes())
            file.unlink()


def _line(result: dict[str, Any]) -> str:
    crashes = result["crashes"]
    return (
        f"{'RED' if crashes else 'ok '} {result['target']:16} {result['engine']}"
        f" seconds={result['seconds']} executions={result['executions']} seed={result['seed']}"
        f" crashes={len(crashes)}" + "".join(f"\n    {one}" for one in crashes)
    )


if __name__ == "__main__":
    sys.exit(main())
