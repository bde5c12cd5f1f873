"""A copy of the unacked samples on flash, for power cuts during a long outage.

Rule: the file is whole or the one before it: written aside, synced, renamed.
Rule: it goes when nothing in it is held, so a healthy router writes no flash at all.
"""

import os
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from titik_agent.shared_files import open_new
from titik_agent.spool.record import Key

FILE: Final = "spool.checkpoint"
_ASIDE: Final = FILE + ".tmp"


class Checkpoint:
    """The file in `directory`, which is created when it is first needed."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._highest: dict[str, int] = {}  # seq per run in the file

    def load(self) -> bytes:
        """What the file holds; OSError if it is there and cannot be read."""
        with suppress(OSError):  # of a power cut while it was written
            os.unlink(self._path(_ASIDE))
        try:
            with open(self._path(FILE), "rb") as file:
                return file.read()
        except FileNotFoundError:
            return b""

    def note(self, key: Key) -> None:
        """The file has this record."""
        self._highest[key.run] = max(key.seq, self._highest.get(key.run, 0))

    def has(self, key: Key) -> bool:
        """A record with these seqs was unacked when the file was written, or settled before."""
        return key.seq <= self._highest.get(key.run, 0)

    def runs(self) -> dict[str, int]:
        """The highest seq in the file, per run; empty if there is no file."""
        return self._highest

    def write(self, records: Iterable[tuple[Key, bytes]]) -> None:
        """Replace the file; after an OSError the old one is still there."""
        os.makedirs(self._directory, mode=0o700, exist_ok=True)
        highest: dict[str, int] = {}
        fd = open_new(self._path(_ASIDE))
        try:
            with open(fd, "wb") as file:
                for key, record in records:
                    file.write(record)
                    highest[key.run] = max(key.seq, highest.get(key.run, 0))
                file.flush()
                os.fsync(file.fileno())
            os.rename(self._path(_ASIDE), self._path(FILE))
        except OSError:
            with suppress(OSError):
                os.unlink(self._path(_ASIDE))
            raise
        self._highest = highest
        self._sync_directory()

    def remove(self) -> None:
        """Everything in the file is acked."""
        self._highest = {}
        with suppress(FileNotFoundError):
            os.unlink(self._path(FILE))
            self._sync_directory()

    def _sync_directory(self) -> None:
        fd = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def _path(self, name: str) -> str:
        return os.path.join(self._directory, name)
