"""Measured figures, the machine they are of, and the file that keeps them."""

import json
import os
import platform
import sqlite3
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any, Literal

ROOT = Path(__file__).parents[1]
FILE = ROOT / "bench" / "results.json"
Length = Literal["quick", "usual", "full"]


@dataclass(frozen=True, slots=True)
class Result:
    """One figure: `runs` are single measurements; `target` is such as `<= 21`, or None."""

    name: str
    unit: str
    runs: tuple[float, ...]
    target: str | None
    command: str
    note: str = ""
    server: tuple[float, ...] = ()  # the same of the database's own processes; empty: it has none

    @property
    def median(self) -> float:
        """The middle of the runs."""
        return median(self.runs)

    def reached(self) -> bool | None:
        """Whether the median is within the target; None if there is no target."""
        if self.target is None:
            return None
        sign, limit = self.target.split()
        return self.median <= float(limit) if sign == "<=" else self.median >= float(limit)


def machine() -> dict[str, str]:
    """What the figures depend on."""
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "commit": commit(),
        "load at the end": f"{os.getloadavg()[0]:.1f}",
        "processor": f"{os.cpu_count()} x {model}",
        "kernel": platform.release(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "mosquitto": _output("mosquitto", "-h").splitlines()[0].removeprefix("mosquitto version "),
        **{name: metadata.version(name) for name in ("paho-mqtt", "psutil", "click", "rich")},
    }


def commit() -> str:
    """Of what is measured."""
    return _output("git", "rev-parse", "--short=12", "HEAD")


def save(path: Path, parts: dict[str, list[Result]]) -> None:
    """Parts that were measured replace those in the file; the others stay, with their machine."""
    old = json.loads(path.read_text()) if path.exists() else {}
    new = {
        name: {"machine": machine(), "results": [asdict(one) for one in results]}
        for name, results in parts.items()
    }
    path.write_text(json.dumps(old | new, indent=1, ensure_ascii=False) + "\n")


def load(path: Path = FILE) -> dict[str, tuple[dict[str, str], list[Result]]]:
    """The machine that measured it, and its results, by part."""
    return {
        name: (
            part["machine"],
            [_result(**one) for one in part["results"]],
        )
        for name, part in json.loads(path.read_text()).items()
    }


def _result(runs: list[float], server: Sequence[float] = (), **rest: Any) -> Result:
    return Result(runs=tuple(runs), server=tuple(server), **rest)


def _output(*command: str) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()
