"""`[backup]`: where the nights' backups are, and who opens them."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from titik_collector.config.schema import FILE, Kind, Setting

BACKUPS = Path("/var/lib/titik-backups")  # of `titik-backup.timer`
_PUBLIC = re.compile(r"age1[02-9ac-hj-np-z]{58}")  # bech32


def _read_public(value: object, _base: Path) -> str:
    if not isinstance(value, str) or _PUBLIC.fullmatch(value) is None:
        raise ValueError("that is no public key of age")
    return value


RECIPIENT = Kind('what `titik backup key` prints, such as `"age1..."`', _read_public)


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
    recipient: Annotated[
        str | None,
        Setting(
            RECIPIENT, "the public key that backups are sealed to", "none; they are not sealed"
        ),
    ] = None
