"""Records in append-only files of a directory; a file in which nothing is needed may go.

Rule: a record is never changed in place; what is dead goes with its file. A file goes when its
room is needed: what is dead can still be read until then, and may be deflated.
Rule: every trouble with the disk is an OSError, and what was written before stays readable.
Rule: one process at a time; the lock goes with the process, however it ends.
"""

import errno
import fcntl
import os
import re
import zlib
from collections.abc import Callable, Container, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, NamedTuple

from titik_agent.limits import MAX_SEGMENT
from titik_agent.spool.record import FoundRecord, Key, scan

NO_FILE: Final = (errno.ENOENT, errno.EIO)  # a file that is gone, or that no medium gives back
SHORTAGES: Final = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)  # that pass
# `.kept` is deflated; an older version leaves it alone.
_NAME: Final = re.compile(r"([0-9]{10})\.(seg|kept)")
_PAGE: Final = 4096  # a RAM disk gives files whole pages, so that no number of them is small
# Records resemble each other, so a window of a few is enough, in 64 kB of memory.
_WINDOW: Final = 13
_MEMORY: Final = 6


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
    is_deflated: bool = False


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
        for number, is_deflated in sorted(self._numbers().items()):
            self._newest = number
            self.retire()
            try:
                data = self._contents(number, is_deflated)
            except OSError as error:
                if error.errno in SHORTAGES:
                    raise
                if error.errno in NO_FILE:
                    yield None
                else:
                    self.complete = False  # the file stays: another process may have better luck
                continue
            size = os.path.getsize(self._path(number, True)) if is_deflated else len(data)
            self._add(number, size, is_deflated)
            whole = bool(data) or not is_deflated
            if not whole:
                yield None
            for found in scan(data):
                whole = found is not None
                yield found and (Position(number, found.offset, found.size), found)
            if whole and not is_deflated and len(data) < self._segment_bytes:
                self._go_on_with(number)

    def keep(self, position: Position) -> None:
        """A record that `read_all` gave is needed."""
        self._segments[position.segment].needed += position.size

    def sweep(self, whole: Container[int]) -> None:
        """Delete every segment but these: nothing in it can be read."""
        for number in [n for n in self._segments if n not in whole]:
            self.delete(number)

    def records(self, number: int) -> Iterator[tuple[Key, bytes]]:
        """The whole records of a segment, needed or not; OSError if it cannot be read."""
        data = self._contents(number, self.is_deflated(number))
        for found in scan(data):
            if found is not None:
                yield found.key, data[found.offset : found.offset + found.size]

    def is_deflated(self, number: int) -> bool:
        """Nothing of a segment is needed, and it is small."""
        return self._segments[number].is_deflated

    def to_deflate(self) -> list[int]:
        """Those in which nothing is needed, besides the one that is appended to."""
        return [
            number
            for number, one in self._segments.items()
            if not (one.needed or one.is_deflated) and number != self._active
        ]

    def deflate(self, number: int) -> None:
        """Make a segment small; OSError if it cannot be read or written, then it is as before."""
        if not self._segments[number].size:
            return self.delete(number)
        deflate = zlib.compressobj(9, zlib.DEFLATED, _WINDOW, _MEMORY)
        data = deflate.compress(self._contents(number, False)) + deflate.flush()
        fd = os.open(self._path(number, True), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            if self._write(fd, data, 0) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            os.unlink(self._path(number, True))
            raise
        finally:
            os.close(fd)
        self.delete(number)
        self._add(number, len(data), True)

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
        """A record is no longer needed; it can be read until its room is."""
        self._segments[position.segment].needed -= position.size

    def oldest_dead(self) -> int | None:
        """The first segment in which nothing is needed, besides the one that is appended to."""
        dead = (n for n, one in self._segments.items() if not one.needed and n != self._active)
        return min(dead, default=None)

    def most_dead(self) -> int | None:
        """The segment with most dead bytes, closed for appending; None if all bytes are needed."""
        dead = {n: one.size - one.needed for n, one in self._segments.items()}
        number = max(dead, key=dead.__getitem__, default=None)
        if number is None or not dead[number]:
            return None
        if number == self._active:
            self.retire()
        return number

    def delete(self, number: int) -> None:
        """Drop a segment, whatever is in it."""
        if number == self._active:
            self.retire()
        segment = self._segments.pop(number, None)
        if segment is None:
            return
        self.used_bytes -= segment.size
        with suppress(OSError):  # read-only by now: what it holds will be sent twice, no harm
            os.unlink(self._path(number, segment.is_deflated))

    def close(self) -> None:
        """Let another process have the directory; nothing more can be appended."""
        self.retire()
        os.close(self._lock)

    def _with_room_for(self, size: int) -> int:
        """The active segment, which is a new one if the last is full."""
        if self._active is not None:
            used = self._segments[self._active].size
            if not used or used + size <= self._segment_bytes:
                return self._active
        fd = os.open(self._path(self._newest + 1), os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        self.retire()
        self._newest += 1
        self._active, self._fd = self._newest, fd
        self._segments[self._newest] = _Segment(0, 0)
        return self._newest

    def _go_on_with(self, number: int) -> None:
        """Append to what an earlier process began, so that restarts do not multiply files."""
        self.retire()
        with suppress(OSError):  # read-only: the first append will say so
            self._fd = os.open(self._path(number), os.O_RDWR)
            self._active = number

    def retire(self) -> None:
        """Append to no segment that is there."""
        if self._active is not None:
            os.close(self._fd)
        self._active = None

    def _add(self, number: int, size: int, is_deflated: bool) -> None:
        if is_deflated:
            size = -(-size // _PAGE) * _PAGE
        self._segments[number] = _Segment(size, 0, is_deflated)
        self.used_bytes += size

    def _numbers(self) -> dict[int, bool]:
        """Of each segment whether it is deflated; of two files of one number the plain counts."""
        names = [_NAME.fullmatch(name) for name in os.listdir(self._directory)]
        found = sorted([(int(name[1]), name[2] == "seg") for name in names if name is not None])
        numbers: dict[int, bool] = {}
        for number, is_plain in found:
            if number in numbers:  # a process ended between the two
                with suppress(OSError):
                    os.unlink(self._path(number, True))
            numbers[number] = not is_plain
        return numbers

    def _contents(self, number: int, is_deflated: bool) -> bytes:
        with open(self._path(number, is_deflated), "rb") as file:
            data = file.read()
        if not is_deflated:
            return data
        try:
            return zlib.decompressobj().decompress(data, MAX_SEGMENT)
        except zlib.error:
            return b""  # damaged

    def _path(self, number: int, is_deflated: bool = False) -> str:
        end = "kept" if is_deflated else "seg"
        return os.path.join(self._directory, f"{number:010d}.{end}")


def delete_deflated(directory: str) -> None:
    """Delete what was acknowledged, before anything opens the directory."""
    for name in os.listdir(directory):
        found = _NAME.fullmatch(name)
        if found is not None and found[2] == "kept":
            with suppress(OSError):
                os.unlink(os.path.join(directory, name))
