"""What every router took, as the launchers wrote it down."""

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(slots=True)
class Taken:
    """One sample; `kept` once the spool had it, so that from then on nothing may lose it."""

    true_ms: int
    sha: str
    payload: dict[str, Any]
    kept: bool = False


Runs = dict[tuple[str, str], dict[int, Taken]]  # by router and run, then by seq


def read(folder: Path) -> Runs:
    """Everything under `folder`, which has one folder for each router."""
    runs: Runs = defaultdict(dict)
    for file in sorted(folder.glob("*/*.log")):
        for line in file.read_text().split("\n")[:-1]:  # a torn last line was never appended
            output = json.loads(line)
            run = runs[file.parent.name, output["run"]]
            if output["kind"] == "taken":
                payload = json.loads(output["payload"])
                run[output["seq"]] = Taken(output["true_ms"], output["sha"], payload)
            else:
                run[output["seq"]].kept = True
    return runs
