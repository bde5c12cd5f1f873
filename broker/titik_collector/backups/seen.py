"""What a look into the folder of backups shows, without opening any.

Rule: a folder that is not there has no backup; one that may not be read is not known.
"""

import contextlib
import threading
from pathlib import Path
from typing import NamedTuple

from titik_collector.backups import kept, verified
from titik_collector.backups.verified import Verified


class SeenBackup(NamedTuple):
    """Of one folder."""

    newest_ms: int | None  # when the newest whole one was made; None: there is none
    verified: Verified | None  # None: none was looked into

    @property
    def verified_ms(self) -> int | None:
        """When one was looked into last."""
        return None if self.verified is None else self.verified.at_ms

    @property
    def verified_well(self) -> bool:
        """Nothing is known to be wrong with it."""
        return self.verified is None or self.verified.problem is None


NOTHING = SeenBackup(None, None)


def look(folder: Path) -> SeenBackup:
    """OSError if the folder may not be read."""
    try:
        return SeenBackup(kept.newest_ms(folder), verified.read(folder))
    except FileNotFoundError:
        return NOTHING


def look_for(folder: Path, timeout_s: float) -> SeenBackup | None:
    """The same, of a folder that may be on another machine; None: it cannot be known."""
    found: list[SeenBackup] = []

    def ask() -> None:
        with contextlib.suppress(OSError):
            found.append(look(folder))

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(timeout_s)
    return found[0] if found else None
