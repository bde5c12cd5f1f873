"""Which backups a folder holds, by the names that `titik backup --keep` gives them.

Rule: one that lacks something is no whole one, however new it is.
"""

import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from titik_collector.backups import seals

_NAME = "titik-%Y%m%dT%H%M%SZ"  # sorts by time
PART = "-part"  # in the name, where something was left out
WHOLE = ".tar.gz"
_ENDS = (WHOLE, seals.SEALS)  # of what stands for a backup; `SEALS` for a sealed one
_OURS = re.compile(
    r"(titik-\d{8}T\d{6}Z)(-part)?(?:\.tar\.gz|\.json|-(?:keys|store)\.tar\.gz\.age)"
)

# What a backup was made of: a copy of the store or the desk, or a file that is not whole yet.
_LEFT = re.compile(r"\.(titik-\d{8}T\d{6}Z)[-.].+")
LONGEST_S = 12 * 3600  # no backup takes so long


def name(at_s: float) -> str:
    """Of a backup that is made now, without its end."""
    return time.strftime(_NAME, time.gmtime(at_s))


def newest(folder: Path) -> Path | None:
    """The whole backup that was made last; None: there is none. OSError."""
    found = _newest(folder)
    return None if found is None else found[1]


def newest_ms(folder: Path) -> int | None:
    """When that was; None: there is none. OSError."""
    found = _newest(folder)
    return None if found is None else round(found[0] / 1e6)


def _newest(folder: Path) -> tuple[int, Path] | None:
    """With its nanoseconds."""
    found = []
    for one in os.scandir(folder):
        if _is_whole(one.name):
            with suppress(FileNotFoundError):  # an old one, which goes at this moment
                found.append((one.stat().st_mtime_ns, folder / one.name))
    return max(found, default=None)


def _is_whole(name: str) -> bool:
    end = next((one for one in _ENDS if name.endswith(one)), None)
    if end is None or name.removesuffix(end).endswith(PART):
        return False
    return end != seals.SEALS or _OURS.fullmatch(name) is not None


def drop_oldest(folder: Path, is_part: bool, keep: int) -> None:
    """Of those that have such a name, with all their files; nothing else in the folder is ours."""
    files = list(_files(folder, is_part))
    kept = sorted({name for name, file in files if not _is_sealed(file)})[-keep:]
    for name, file in files:
        if kept and name < kept[0]:
            file.unlink()


def drop_left(folder: Path, at_s: float) -> None:
    """What backups left that a power cut ended: it is not sealed, and as large as the store."""
    before = name(at_s - LONGEST_S)
    for file in folder.glob(".titik-*"):
        found = _LEFT.fullmatch(file.name)
        if found is not None and found[1] < before:
            file.unlink(missing_ok=True)


def _is_sealed(file: Path) -> bool:
    """It is a backup with the file that lists it, and without it nothing."""
    return file.name.endswith((seals.KEYS, seals.STORE))


def _files(folder: Path, is_part: bool) -> Iterator[tuple[str, Path]]:
    for file in folder.iterdir():
        found = _OURS.fullmatch(file.name)
        if found is not None and (found[2] is not None) is is_part:
            yield found[1], file
