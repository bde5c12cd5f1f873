"""The spool's records: on disk while the disk works, else in memory, within one limit.

Rule: a disk that fails is tried again at most once a minute. Nothing here ever raises OSError but
`read`: the record is as good as before, and cannot be read now.
Rule: what is acknowledged stays on disk while there is room. A segment in which nothing else is is
deflated, and goes first, oldest first.
Rule: files and memory together stay within `limit_bytes`. A sixteenth of it is for the copy of a
segment that is being rewritten, two more are for dead records: when files and memory would grow
beyond, the segment with the most dead bytes is rewritten. The rest is `held_limit`.
(While two records are being merged, one can pass a limit under 64 KiB. A segment's copy can pass
any limit, after files could not be read for long.)
"""

import errno
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

from titik_agent.limits import MAX_SEGMENT
from titik_agent.spool.index import Block, Blocks
from titik_agent.spool.kept import KeptRecords
from titik_agent.spool.record import DamagedRecord, Key, unpack
from titik_agent.spool.segments import NO_FILE, Position, Segments

log = logging.getLogger(__name__)

RETRY_S: Final = 60.0
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
# Segments in a limit: more waste less on dead records, fewer make fewer files.
_SEGMENTS: Final = 16


class Storage:
    """Keeps the bytes of `blocks`; `directory` None keeps them in memory only."""

    def __init__(
        self,
        blocks: Blocks,
        directory: str | None,
        limit_bytes: int,
        monotonic: Callable[[], float],
        open_segments: Callable[[str, int], Segments] = Segments,
    ) -> None:
        self._blocks = blocks
        self._directory = directory
        self._limit = limit_bytes
        self._monotonic = monotonic
        self._open_segments = open_segments
        self._unread = False  # logged once
        self._segment_bytes = min(max(1, limit_bytes // _SEGMENTS), MAX_SEGMENT)
        self._disk: Segments | None = None  # None: never worked so far
        self._retry_at: float | None = None  # None: the last write went well
        self._failing = (
            False  # as last logged: until memory is empty again, so that it is logged once
        )
        self._in_memory = 0  # bytes
        spare = 0 if directory is None else self._segment_bytes
        self.held_limit = limit_bytes - 3 * spare
        # While some records cannot be read to be merged: a share of the dead ones.
        self.stretched_limit = self.held_limit + spare
        self.held_bytes = 0  # bytes of the blocks held
        self.corrupt = 0  # damaged records skipped
        self.kept = KeptRecords(monotonic)
        self._working_disk()

    @property
    def used_bytes(self) -> int:
        """Of all files and all records in memory."""
        return self._in_memory + (self._disk.used_bytes if self._disk else 0)

    @property
    def complete(self) -> bool:
        """All that earlier processes left has been read, or there is nothing."""
        if self._directory is None:
            return True
        if self._disk is None:
            return not os.path.lexists(self._directory)
        return self._disk.complete

    def put(self, key: Key, age: int, record: bytes, since: float) -> None:
        """Keep a record; blocks within its range are let go of once it is safe."""
        self._reclaim(len(record))
        block = Block(key, len(record), self._store(key, record), since)
        self.held_bytes += block.size
        for replaced in self._blocks.add(block, age):
            self._release(replaced)
        self._return_to_disk()

    def read(self, block: Block) -> bytes | None:
        """The whole record; None if it is damaged, then it is let go of."""
        if isinstance(block.position, bytes):
            return block.position
        try:
            record = self._read(block.position)
            unpack(record, block.key)
        except OSError as error:
            if error.errno not in NO_FILE:  # such as no free descriptor
                self._log_unread(error)
                raise
            self._give_up(block, error)
            return None
        except DamagedRecord as error:
            self._give_up(block, error)
            return None
        self._unread = False
        return record

    def find_again(self) -> None:
        """See `KeptRecords.find_again`."""
        self.kept.find_again(self._on_disk, self._blocks.contains)

    def _on_disk(self, number: int) -> Iterator[tuple[Key, bytes]]:
        with suppress(OSError):
            if self._disk:
                yield from self._disk.records(number)

    def deflate_kept(self) -> None:
        """Make what is acknowledged small; what cannot be made so is kept no longer."""
        disk = self._disk
        if disk is None:
            return
        for number in disk.to_deflate():
            try:
                disk.deflate(number)
            except OSError:
                self._delete(disk, number)

    def _log_unread(self, error: OSError) -> None:
        if not self._unread:
            log.warning("spool cannot be read, records are kept reason=%s", error)
        self._unread = True

    def _give_up(self, block: Block, error: Exception) -> None:
        log.warning("spooled record is damaged, skipped key=%s reason=%s", block.key, error)
        self.corrupt += 1
        self.remove(block)

    def remove(self, block: Block) -> None:
        """Let go of a block that nobody has, so that its seqs are a hole."""
        self.settle(block)
        self.kept.lost(block.key)

    def settle(self, block: Block) -> None:
        """Let go of a block that was acknowledged; what is on disk is kept for now."""
        self._blocks.remove(block)
        self._release(block)

    def in_the_way(self, size: int) -> list[Block]:
        """What must go before `size` bytes fit the limit, as it cannot be moved to make room."""
        victim = self._reclaim(size)
        if victim is None or self.used_bytes + size <= self._limit:
            return []
        return self._in_segment(victim)

    def close(self) -> None:
        """Leave the files for the next process, with what is in memory if the disk takes it now."""
        if self._in_memory:
            self._retry_at = None
            if self._working_disk():
                self._move_to_disk(self._in_memory)
        if self._disk:
            self._disk.retire()
            self.deflate_kept()
            self._disk.close()

    def _read(self, position: Position) -> bytes:
        assert self._disk is not None  # it gave the place
        return self._disk.read(position)

    def _release(self, block: Block) -> None:
        self.held_bytes -= block.size
        self._free(block.position)

    def _free(self, position: Position | bytes) -> None:
        if isinstance(position, bytes):
            self._in_memory -= len(position)
        elif self._disk:
            self._disk.forget(position)

    def _store(self, key: Key, record: bytes) -> Position | bytes:
        disk = self._working_disk()
        while disk:
            try:
                position = disk.append(record)
            except OSError as error:
                # A disk that is smaller than the limit: what is kept makes room there too.
                dead = disk.oldest_dead() if error.errno in _FULL else None
                if dead is None:
                    self._disk_failed(error)
                    break
                self._delete(disk, dead)
            else:
                self._retry_at = None
                self.kept.wrote(position.segment, key)
                return position
        self._in_memory += len(record)
        return record

    def _move(self, block: Block, record: bytes) -> None:
        """Store a record again, wherever records go now."""
        old, block.position = block.position, self._store(block.key, record)
        self._free(old)

    def _reclaim(self, size: int) -> int | None:
        """Delete segments in which nothing is needed until there is room to append `size`.

        Then rewrite those with the most dead bytes. The segment at which that ended, as it cannot
        be read now.
        """
        while self._disk and self.used_bytes + size > self._limit - self._segment_bytes:
            dead = self._disk.oldest_dead()
            if dead is not None:
                self._delete(self._disk, dead)
                continue
            victim = self._disk.most_dead()
            if victim is None:
                return None
            try:
                for block in self._in_segment(victim):
                    record = self.read(block)
                    if record is not None:
                        self._move(block, record)
            except OSError:
                return victim
            self._delete(self._disk, victim)
        return None

    def _delete(self, disk: Segments, number: int) -> None:
        disk.delete(number)
        self.kept.deleted(number)

    def _in_segment(self, number: int) -> list[Block]:
        return [
            block
            for block in self._blocks
            if isinstance(block.position, Position) and block.position.segment == number
        ]

    def _return_to_disk(self) -> None:
        """Once the disk works again it takes over from memory, a segment's worth at a time."""
        if self._disk is None or self._retry_at is not None:
            return
        self._move_to_disk(min(self._segment_bytes, self._in_memory))
        if self._failing and not self._in_memory:
            log.info("spool disk works again directory=%s", self._directory)
            self._failing = False

    def _move_to_disk(self, size: int) -> None:
        """What is in memory, up to so many bytes and a record, while the disk takes it."""
        for block in list(self._blocks) if size else ():
            if isinstance(block.position, bytes):
                self._move(block, block.position)
                size -= block.size
            if size <= 0 or self._retry_at is not None:
                return

    def _working_disk(self) -> Segments | None:
        """The disk, if it works or it is time to try it again."""
        if self._directory is None:
            return None
        if self._retry_at is not None and self._monotonic() < self._retry_at:
            return None
        if self._disk is None:
            try:
                self._disk = self._open(self._directory)
            except OSError as error:
                self._disk_failed(error)
        return self._disk

    def _open(self, directory: str) -> Segments:
        disk = self._open_segments(directory, self._segment_bytes)
        try:
            self._take_over(disk)
        except OSError:
            disk.close()
            raise
        return disk

    def _take_over(self, disk: Segments) -> None:
        """Hold what earlier processes left."""
        damaged = 0
        for one in list(disk.read_all()):  # all of it or none
            if one is None:
                damaged += 1
                continue
            position, found = one
            if disk.is_deflated(position.segment):
                self.kept.wrote(position.segment, found.key)
            elif not self._blocks.contains(found.key):
                self.kept.wrote(position.segment, found.key)
                block = Block(found.key, found.size, position, self._monotonic())
                for replaced in self._blocks.add(block, found.age):
                    if isinstance(replaced.position, bytes):
                        self._release(replaced)
        for block in self._blocks:
            if isinstance(block.position, Position):
                disk.keep(block.position)
                self.held_bytes += block.size
        disk.sweep(self.kept.segments())
        self.corrupt += damaged
        if not disk.complete:
            log.warning("no permission to read files of the spool directory=%s", self._directory)
        if damaged:
            log.warning("spool has damaged records, skipped stretches=%d", damaged)

    def _disk_failed(self, error: OSError) -> None:
        self._retry_at = self._monotonic() + RETRY_S
        if not self._failing:
            log.warning(
                "spool disk failed, keeping samples in memory directory=%s reason=%s",
                self._directory,
                error,
            )
        self._failing = True
