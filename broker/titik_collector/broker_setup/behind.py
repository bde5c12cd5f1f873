"""Which twins lack something, for `titik status`: what the newest command found, in one small file.

Rule: it is readable by mosquitto's group, as the broker's address is.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from titik_collector.files.replace import Owner, replace_file

FILE = "twins.json"


class LaggingTwin(NamedTuple):
    """A twin that lacks something, for all that is known."""

    twin: str
    since_ms: int
    why: str


def read(folder: Path) -> tuple[LaggingTwin, ...]:
    """None where the file cannot be read: a city without a twin has none."""
    try:
        rows = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return tuple(LaggingTwin(str(twin), int(since), str(why)) for twin, since, why in rows)
    except (OSError, ValueError, TypeError):
        return ()


def write(folder: Path, left: Sequence[LaggingTwin], group: int) -> None:
    """In place of what was found before."""
    replace_file(folder / FILE, json.dumps(left, indent=1) + "\n", Owner(-1, group, 0o640))
