"""What `titik backup verify` found last, in a small file beside the backups.

Rule: anybody may read it, for it holds no secret; `titik status` and the collector do.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from titik_collector.files.replace import Owner, replace_file
from titik_collector.limits import MAX_PROBLEM, MAX_STATE

FILE = "verified.json"
_READABLE = Owner(-1, -1, 0o644)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """The last look into a backup; times are milliseconds since 1970."""

    at_ms: int
    backup: str  # the name of its file
    problem: str | None = None  # what was wrong first; None: it would bring the city back


def write(folder: Path, found: Verified) -> None:
    """Replace the file; OSError."""
    plain = asdict(found)
    plain["problem"] = plain["problem"] and plain["problem"][:MAX_PROBLEM]
    replace_file(folder / FILE, json.dumps(plain, ensure_ascii=False) + "\n", _READABLE)


def read(folder: Path) -> Verified | None:
    """None: there was no look yet, or the file says nothing. OSError if it may not be read."""
    try:
        with (folder / FILE).open("rb") as opened:
            plain = json.loads(opened.read(2 * MAX_STATE))
    except (FileNotFoundError, ValueError, RecursionError):
        return None
    return _checked(plain) if isinstance(plain, dict) else None


def _checked(plain: dict[str, Any]) -> Verified | None:
    """The fields, if each is of its type; a later version may write more."""
    at_ms, backup, problem = plain.get("at_ms"), plain.get("backup"), plain.get("problem")
    if type(at_ms) is not int or not isinstance(backup, str):
        return None
    if problem is not None and not isinstance(problem, str):
        return None
    return Verified(at_ms=at_ms, backup=backup, problem=problem)
