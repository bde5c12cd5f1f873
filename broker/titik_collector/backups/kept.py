"""Which backups a folder holds, by the names that `titik backup --keep` gives them.

Rule: one that lacks something is no whole one, however new it is.
"""

import os
import time
from pathlib import Path

_NAME = "titik-%Y%m%dT%H%M%SZ"  # sorts by time
WHOLE, PART = ".tar.gz", "-part.tar.gz"  # PART: something was left out


def name(at_s: float) -> str:
    """Of a backup that is made now, without its end."""
    return time.strftime(_NAME, time.gmtime(at_s))


def newest(folder: Path) -> Path | None:
    """The whole backup that was made last; None: there is none. OSError."""
    found = [
        (one.stat().st_mtime_ns, folder / one.name)
        for one in os.scandir(folder)
        if one.name.endswith(WHOLE) and not one.name.endswith(PART)
    ]
    return max(found)[1] if found else None


def newest_ms(folder: Path) -> int | None:
    """When that was; None: there is none. OSError."""
    found = newest(folder)
    return None if found is None else round(found.stat().st_mtime * 1000)


def drop_oldest(folder: Path, kind: str, keep: int) -> None:
    """Of those that have such a name; nothing else in the folder is ours."""
    for old in sorted(folder.glob(f"titik-*T*Z{kind}"))[:-keep]:
        old.unlink()
