"""A file is replaced whole or not at all, also when the power fails."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose a file is and what others may do with it; -1 leaves it to the process that writes."""

    uid: int
    gid: int
    mode: int


def replace_file(file: Path, text: str, owner: Owner) -> None:
    """Write the file beside its place, then put it there."""
    beside = file.with_name(f".{file.name}.new")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        opened.write(text)
        opened.flush()
        os.fchown(opened.fileno(), owner.uid, owner.gid)
        os.fchmod(opened.fileno(), owner.mode)
        os.fsync(opened.fileno())
    beside.replace(file)


def sync(file: Path) -> None:
    """Have what another program wrote into a file survive a power cut."""
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
