"""A file is replaced whole or not at all, also when the power fails."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose a file is and what others may do with it; -1 leaves it to the process that writes."""

    uid: int
    gid: int
    mode: int


OURS = Owner(-1, -1, 0o600)


def replace_file(file: Path, text: str, owner: Owner = OURS) -> None:
    """Write the file beside its place, then put it there."""
    with replacing(file, owner) as raw:
        raw.write(text.encode())


@contextmanager
def replacing(file: Path, owner: Owner = OURS) -> Iterator[BinaryIO]:
    """The same piece by piece; its owner's alone from its first byte, gone if it fails."""
    beside = file.with_name(f".{file.name}.new")
    beside.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as raw:
            yield raw
            raw.flush()
            os.fchown(raw.fileno(), owner.uid, owner.gid)
            os.fchmod(raw.fileno(), owner.mode)
            os.fsync(raw.fileno())
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)


def sync(file: Path) -> None:
    """Have what another program wrote into a file survive a power cut."""
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
