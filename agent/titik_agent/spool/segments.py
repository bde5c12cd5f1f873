"""Records in append-only files of a directory, each file deleted when nothing in it is needed.

Rule: a record is never changed in place; what is dead goes with its file.
Rule: every trouble with the disk is an OSError, and what was written before stays readable.
Rule: one process at a time; the lock goes with the process, however it ends.
"""

import errno
import fcntl
import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, NamedTuple

from titik_agent.spool.record import FoundRecord, scan

NO_FILE: Final = (errno.ENOENT, errno.EIO)  # a file that is gone, or that no medium gives back
SHORTAGES: Final = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)  # that pass
_NAME: Final = re.compile(r"([0-9]{10})\.seg")


class Position(NamedTuple):
    """Where a record lies."""

    segment: int
    offset: int
    size: int


@dataclass(slots=True)
class _Segment:
    """One file of the spool."""

    size: int  # of the file
    needed: int  # bytes of records that are still needed


class Segments:
    """The files under `directory`; `segment_bytes` is when to begin a new one."""

    def __init__(
        self,
        directory: str,
        segment_bytes: int,
        write: Callable[[int, bytes, int], int] = os.pwrite,
    ) -> None:
        self._directory = directory
        self._segment_bytes = segment_bytes
        self._write = write
        self._segments: dict[int, _Segment] = {}
        self._active: int | None = None  # the segment that is appended to
        self._fd = -1  # of the active segment
        self._newest = 0  # numbers are not used twice
        self.used_bytes = 0  # of all segments
        self.complete = True  # `read_all` left no file to another process
        os.makedirs(directory, mode=0o700, exist_ok=True)
        self._lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            # On the directory itself, which can be locked on a read-only file system too.
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise

    def read_all(self) -> Iterator[tuple[Position, FoundRecord] | None]:
        """What earlier processes left, in the order written; None for each damaged stretch.

        OSError if there is a shortage just now.
        Nothing of it is needed until `keep`; `sweep` then deletes the files without any.
        """
        for number in sorted(self._numbers()):
            self._newest = number
            self._retire()
            try:
                data = self._contents(number)
            except OSError as error:
                if error.errno in SHORTAGES:
                    raise
                if error.errno in NO_FILE:
                    yield None
                else:
                    self.complete = False  # the file stays: another process may have better luck
                continue
            self._segments[number] = _Segment(len(data), 0)
            self.used_bytes += len(data)
            whole = True
            for found in scan(data):
                whole = found is not None
                yield found and (Position(number, found.offset, found.size), found)
            if whole and len(data) < self._segment_bytes:
                self._go_on_with(number)

    def keep(self, position: Position) -> None:
        """A record that `read_all` gave is needed."""
        self._segments[position.segment].needed += position.size

    def sweep(self) -> None:
        """Delete every segment in which nothing is needed."""
        for number in [n for n, segment in self._segments.items() if not segment.needed]:
            self.delete(number)

    def append(self, record: bytes) -> Position:
        """Write one record; after an OSError nothing of it is there."""
        number = self._with_room_for(len(record))
        segment = self._segments[number]
        offset = segment.size
        try:
            if self._write(self._fd, record, offset) != len(record):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            with suppress(OSError):  # else the next record overwrites it, or its CRC shows it
                os.ftruncate(self._fd, offset)
            raise
        segment.size += len(record)
        segment.needed += len(record)
        self.used_bytes += len(record)
        return Position(number, offset, len(record))

    def read(self, position: Position) -> bytes:
        """The bytes at a position, perhaps fewer than written."""
        if position.segment == self._active:
            return os.pread(self._fd, position.size, position.offset)
        fd = os.open(self._path(position.segment), os.O_RDONLY)
        try:
            return os.pread(fd, position.size, position.offset)
        finally:
            os.close(fd)

    def forget(self, position: Position) -> None:
        """A record is no longer needed."""
        segment = self._segments[position.segment]
        segment.needed -= position.size
        if segment.needed:
            return
        if position.segment != self._active:
            self.delete(position.segment)
            return
        with suppress(OSError):  # then its dead bytes stay counted
            os.ftruncate(self._fd, 0)
            self.used_bytes -= segment.size
            segment.size = 0

    def most_dead(self) -> int | None:
        """The segment with most dead bytes, closed for appending; None if all bytes are needed."""
        dead = {n: one.size - one.needed for n, one in self._segments.items()}
        number = max(dead, key=dead.__getitem__, default=None)
        if number is None or not dead[number]:
            return None
        if number == self._active:
            self._retire()
        return number

    def delete(self, number: int) -> None:
        """Drop a segment, whatever is in it."""
        if number == self._active:
            self._retire()
        segment = self._segments.pop(number, None)
        if segment is None:
            return
        self.used_bytes -= segment.size
        with suppress(OSError):  # read-only by now: what it holds will be sent twice, no harm
            os.unlink(self._path(number))

    def close(self) -> None:
        """Let another process have the directory; nothing more can be appended."""
        self._retire()
        os.close(self._lock)

    def _with_room_for(self, size: int) -> int:
        """The active segment, which is a new one if the last is full."""
        if self._active is not None:
            used = self._segments[self._active].size
            if not used or used + size <= self._segment_bytes:
                return self._active
        fd = os.open(self._path(self._newest + 1), os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        self._retire()
        self._newest += 1
        self._active, self._fd = self._newest, fd
        self._segments[self._newest] = _Segment(0, 0)
        return self._newest

    def _go_on_with(self, number: int) -> None:
        """Append to what an earlier process began, so that restarts do not multiply files."""
        self._retire()
        with suppress(OSError):  # read-only: the first append will say so
            self._fd = os.open(self._path(number), os.O_RDWR)
            self._active = number

    def _retire(self) -> None:
        if self._active is not None:
            os.close(self._fd)
        self._active = None

    def _numbers(self) -> list[int]:
        names = (_NAME.fullmatch(name) for name in os.listdir(self._directory))
        return [int(name[1]) for name in names if name is not None]

    def _contents(self, number: int) -> bytes:
        with open(self._path(number), "rb") as file:
            return file.read()

    def _path(self, number: int) -> str:
        return os.path.join(self._directory, f"{number:010d}.seg")
