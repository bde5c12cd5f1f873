"""What stands beside a sealed backup: its files with their sizes and hashes, and how it was found.

    city-keys.tar.gz.age    all but the store, with every key of the city
    city-store.tar.gz.age   the store alone
    city.json               this, written last: without it the other two are no backup

Rule: it holds no secret and needs no identity, so that the server can look after sealed files.
Rule: who may write here may replace both. It shows damage, not deceit.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from titik_collector.backups import sealing
from titik_collector.files.replace import Owner, replace_file
from titik_collector.limits import MAX_PROBLEM, MAX_STATE

SEALS = ".json"
KEYS, STORE = "-keys.tar.gz.age", "-store.tar.gz.age"
_READABLE = Owner(-1, -1, 0o644)


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedFile:
    """One file as it was written."""

    name: str
    size: int  # bytes
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Seals:
    """A sealed backup; times are milliseconds since 1970."""

    recipient: str
    files: tuple[SealedFile, ...]
    newest_ms: int | None = None  # when the newest sample was taken
    problem: str | None = None  # what was wrong first, before it was sealed


def of_file(file: Path) -> SealedFile:
    """As it is now."""
    with file.open("rb") as raw:
        found = hashlib.file_digest(raw, "sha256").hexdigest()
    return SealedFile(name=file.name, size=file.stat().st_size, sha256=found)


def write(file: Path, seals: Seals) -> None:
    """Replace the file; OSError."""
    plain = asdict(seals)
    plain["problem"] = plain["problem"] and plain["problem"][:MAX_PROBLEM]
    replace_file(file, json.dumps(plain, indent=1, ensure_ascii=False) + "\n", _READABLE)


def read(file: Path) -> Seals | None:
    """None: it is damaged, or something else. OSError."""
    try:
        with file.open("rb") as opened:
            plain = json.loads(opened.read(2 * MAX_STATE))
        return _checked(plain)
    except (ValueError, RecursionError, KeyError, TypeError):
        return None


def _checked(plain: dict[str, Any]) -> Seals:
    files = [
        SealedFile(name=str(one["name"]), size=int(one["size"]), sha256=str(one["sha256"]))
        for one in plain["files"]
    ]
    if not files or any("/" in one.name for one in files):
        raise ValueError("no file beside it")
    newest_ms, problem = plain.get("newest_ms"), plain.get("problem")
    return Seals(
        recipient=str(plain["recipient"]),
        files=tuple(files),
        newest_ms=None if newest_ms is None else int(newest_ms),
        problem=None if problem is None else str(problem),
    )


def problems(folder: Path, seals: Seals) -> list[str]:
    """What is not as it was written, and what was wrong before it was sealed."""
    found = [] if seals.problem is None else [f"before it was sealed: {seals.problem}"]
    for one in seals.files:
        file = folder / one.name
        if not file.is_file():
            found.append(f"{one.name}: is missing")
        elif not sealing.is_sealed(file):
            found.append(f"{one.name}: is no file of age")
        elif of_file(file) != one:
            found.append(f"{one.name}: is not as it was written: its size or its hash differs")
    return found
