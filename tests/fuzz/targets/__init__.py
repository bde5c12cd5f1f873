"""One module for each reader of bytes that others write: `one(data)` raises only on a finding.

Rule: a target knows no engine; the same function is driven by atheris, hypothesis and the corpus.
Rule: `seeds()` are real inputs: captures of devices and the contract's examples.
"""

import importlib
import os
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple, cast

NAMES = (
    "wire",
    "ubus",
    "ctrl",
    "leases",
    "spool",
    "agent_config",
    "collector_config",
    "ingest",
)
HERE = Path(__file__).parent
CAPTURES = HERE.parents[1] / "captures"


class Target(NamedTuple):
    """A module of this package."""

    name: str
    one: Callable[[bytes], None]
    seeds: Callable[[], Sequence[bytes]]


def load(name: str) -> Target:
    """By its name; imported now, because an engine instruments what is imported after it."""
    module = importlib.import_module(f"{__name__}.{name}")
    one = cast(Callable[[bytes], None], module.one)
    return Target(name, one, cast(Callable[[], Sequence[bytes]], module.seeds))


@cache
def folder(name: str) -> Path:
    """Of a target's own, in memory where there is such a place, until the process ends."""
    made = tempfile.TemporaryDirectory(
        prefix=f"titik-fuzz-{name}-", dir=_MEMORY if os.path.isdir(_MEMORY) else None
    )
    _KEPT.append(made)
    return Path(made.name)


_MEMORY = "/dev/shm"  # a fuzzer that waits for disks is slow
_KEPT: list[tempfile.TemporaryDirectory[str]] = []
