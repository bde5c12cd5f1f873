"""Which inputs are worth keeping: the fewest, and of those the shortest, that reach every line.

Rule: it asks the interpreter which lines ran, so the choice needs no engine and is the same twice.
"""

import hashlib
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from tests.fuzz.targets import Target

PACKAGES = ("titik_wire", "titik_agent", "titik_collector")
MOST = 50
Line = tuple[str, int, int]  # file, line, and the line before it


def trim(target: Target, corpus: Path, found: Path) -> str:
    """Choose among both folders and the seeds, and leave in `corpus` what is chosen."""
    files = [*corpus.glob("*"), *found.glob("*")]
    inputs = {file.read_bytes() for file in files} - set(target.seeds())
    reached = {
        data: lines(target, data) for data in sorted(inputs, key=lambda one: (len(one), one))
    }
    known: set[Line] = set().union(*(lines(target, data) for data in target.seeds()))
    chosen = choose(reached, known)
    for file in corpus.glob("*"):
        file.unlink()
    corpus.mkdir(parents=True, exist_ok=True)
    for data in chosen:
        (corpus / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
    return f"{target.name}: {len(chosen)} of {len(inputs)} inputs, {sum(map(len, chosen))} bytes"


def choose(reached: dict[bytes, set[Line]], known: Iterable[Line]) -> Sequence[bytes]:
    """Always the one that reaches most of what nobody reached, the shortest of equals."""
    left = {data: some - set(known) for data, some in reached.items()}
    chosen: list[bytes] = []
    while len(chosen) < MOST:
        best = max(left, key=lambda data: (len(left[data]), -len(data)), default=None)
        if best is None or not left[best]:
            break
        chosen.append(best)
        new = left[best]
        left = {data: some - new for data, some in left.items() if data != best}
    return chosen


def lines(target: Target, data: bytes) -> set[Line]:
    """The steps from line to line of our packages that an input takes."""
    found: set[Line] = set()

    def enter(frame: FrameType, event: str, argument: Any) -> Any:  # noqa: ARG001
        if not frame.f_globals.get("__name__", "").startswith(PACKAGES):
            return None
        name = frame.f_code.co_filename
        last = 0

        def step(frame: FrameType, event: str, argument: Any) -> Any:  # noqa: ARG001
            nonlocal last
            if event == "line":
                found.add((name, frame.f_lineno, last))
                last = frame.f_lineno
            return step

        return step

    sys.settrace(enter)
    try:
        target.one(data)
    finally:
        sys.settrace(None)
    return found
