"""`[backup]`: where the nights' backups are."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from titik_collector.config.schema import FILE, Setting

BACKUPS = Path("/var/lib/titik-backups")  # of `titik-backup.timer`


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """[backup]"""

    folder: Annotated[
        Path | None,
        Setting(
            FILE,
            "the folder of `titik backup --keep`; a message comes if its newest backup is old or"
            " was not verified, and `titik status` warns",
            f"`backup` of `[alerts]`, else `{BACKUPS}` for a city in `/etc/titik`, else none",
        ),
    ] = None
