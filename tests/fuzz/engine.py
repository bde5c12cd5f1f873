"""`python -m tests.fuzz.engine TARGET`: one target in a process of its own, driven by an engine.

Rule: atheris where it is installed, and it sees the coverage of our packages only; else hypothesis.
Rule: a finding is written down once for each place it is raised at, and the search goes on.
"""

import argparse
import hashlib
import importlib.util
import json
import logging
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.fuzz import targets
from tests.fuzz.targets import Target

PACKAGES = ("titik_wire", "titik_agent", "titik_collector")
ENGINE = "atheris" if importlib.util.find_spec("atheris") else "hypothesis"
LONGEST = 1 << 14  # bytes of an input: the largest message, and more
HANGS_S = 20  # one input; the machine may be busy
MOST_RSS_MB = 2048


def main() -> None:
    """Run until the time is over; libFuzzer itself ends the process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("target", choices=targets.NAMES)
    parser.add_argument("--seconds", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--found", type=Path, required=True, help="folder of findings")
    parser.add_argument("--corpus", type=Path, nargs="+", required=True, help="first: written to")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    if ENGINE == "atheris":
        _atheris(options)
    else:
        _hypothesis(options)


class Search:
    """Runs inputs, and keeps what they find and how many there were."""

    def __init__(self, target: Target, found: Path) -> None:
        self._target = target
        self._found = found
        self._places: set[tuple[str, str, int]] = set()
        self._reported_s = 0.0
        self.executions = 0

    def one(self, data: bytes) -> None:
        """An input; nothing it raises ends the search."""
        self.executions += 1
        try:
            self._target.one(data)
        except Exception as error:
            # Whatever it is, it is what we look for.
            self._keep(data, error)
        if time.monotonic() - self._reported_s > 1.0:
            self.report()

    def report(self) -> None:
        """For the runner, which hears no more when an engine ends the process."""
        self._reported_s = time.monotonic()
        (self._found / "executions.json").write_text(json.dumps(self.executions))

    def _keep(self, data: bytes, error: Exception) -> None:
        at = traceback.extract_tb(error.__traceback__)[-1]
        place = (type(error).__name__, at.filename, at.lineno or 0)
        if place in self._places:
            return
        self._places.add(place)
        name = hashlib.sha256(data).hexdigest()[:16]
        (self._found / f"crash-{name}").write_bytes(data)
        text = "".join(traceback.format_exception(error))
        (self._found / f"crash-{name}.txt").write_text(text)


def _atheris(options: argparse.Namespace) -> None:
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=list(PACKAGES)):
        target = targets.load(options.target)
    search = Search(target, options.found)
    arguments = [
        sys.argv[0],
        f"-max_total_time={options.seconds}",
        f"-seed={options.seed % 2**31 or 1}",
        f"-max_len={LONGEST}",
        f"-timeout={HANGS_S}",
        f"-report_slow_units={HANGS_S}",
        f"-rss_limit_mb={MOST_RSS_MB}",
        f"-artifact_prefix={options.found}/crash-",
        *map(str, options.corpus),
    ]
    atheris.Setup(arguments, search.one)
    atheris.Fuzz()


def _hypothesis(options: argparse.Namespace) -> None:
    """Mutations of the corpus by hypothesis's choices; no coverage guides it."""
    from hypothesis import HealthCheck, Phase, given, seed, settings
    from hypothesis import strategies as st

    search = Search(targets.load(options.target), options.found)
    known = [file.read_bytes() for folder in options.corpus for file in folder.iterdir()]
    end = time.monotonic() + options.seconds
    inputs = st.one_of(st.binary(max_size=LONGEST), _changed(st, known))
    number = options.seed
    while time.monotonic() < end:
        number += 1
        profile = settings(
            max_examples=200,
            deadline=None,
            database=None,
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        )
        seed(number)(profile(given(inputs)(search.one)))()
    search.report()


def _changed(st: Any, known: Sequence[bytes]) -> Any:
    """An input of the corpus in which a stretch is replaced."""

    def splice(draw: Callable[[Any], Any]) -> bytes:
        whole: bytes = draw(st.sampled_from(known))
        start = draw(st.integers(0, len(whole)))
        end = draw(st.integers(start, len(whole)))
        patch: bytes = draw(st.binary(max_size=16))
        return whole[:start] + patch + whole[end:]

    return st.composite(splice)()


if __name__ == "__main__":
    main()
