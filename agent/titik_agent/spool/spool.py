"""Samples the collector has not committed, oldest first, within a limit.

Rule: nothing leaves before the collector's ack covers it, except by merging when the spool is
full. Only when nothing can merge is the oldest dropped and counted as lost.
Rule: what an ack covers is held no longer, and stays on disk while there is room.
Rule: a disk that fails costs no sample and stops nothing.
Rule: what waited five minutes for its ack is also kept on flash, written at most every 15 minutes.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

from titik_agent.config import SPOOL_BYTES
from titik_agent.spool.checkpoint import Checkpoint
from titik_agent.spool.index import Block, Blocks
from titik_agent.spool.merge import CannotMerge, merge_encoded
from titik_agent.spool.record import OVERHEAD, Key, pack, scan
from titik_agent.spool.segments import SHORTAGES, Segments
from titik_agent.spool.spans import joined
from titik_agent.spool.storage import Storage
from titik_wire.messages import Ack, Span

__all__ = ["Key", "Spool"]

log = logging.getLogger(__name__)

PATIENCE_S: Final = 5 * 60.0  # an ack normally takes seconds
CHECKPOINT_S: Final = 15 * 60.0  # what a power cut may cost; flash wears with every write


class Spool:
    """Thread-safe. `directory` None: memory only. `persist_dir` None: no copy on flash."""

    def __init__(
        self,
        directory: str | None,
        limit_bytes: int = SPOOL_BYTES,
        persist_dir: str | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        open_segments: Callable[[str, int], Segments] = Segments,
    ) -> None:
        self._lock = threading.Lock()
        self._monotonic = monotonic
        self._blocks = Blocks()
        self._storage = Storage(self._blocks, directory, limit_bytes, monotonic, open_segments)
        self._checkpoint = Checkpoint(persist_dir) if persist_dir else None
        self._checkpointed_at: float | None = None
        self._unrestored = False  # the copy on flash is still to be read
        self._current: Key | None = None  # the last that was appended
        self._age = 0  # of its run
        self._merged = 0
        self._lost = 0
        self._settled_at: float | None = None
        self._dropping = False
        self._distrusts_acks = False
        self._flash_fails = False
        self._closed = False
        self._restore()

    @property
    def spooled(self) -> int:
        """Records held."""
        return len(self._blocks)

    @property
    def merged(self) -> int:
        """Times two records became one, by this process."""
        return self._merged

    @property
    def lost(self) -> int:
        """Samples dropped or given up, by this process."""
        return self._lost

    @property
    def corrupt(self) -> int:
        """Damaged records skipped, by this process."""
        return self._storage.corrupt

    @property
    def complete(self) -> bool:
        """What earlier processes left has been read, so that what is not held is gone."""
        return self._storage.complete and not self._unrestored

    @property
    def used_bytes(self) -> int:
        """Used on disk and in memory."""
        return self._storage.used_bytes

    @property
    def held_bytes(self) -> int:
        """Of the records that wait."""
        return self._storage.held_bytes

    @property
    def settled_at(self) -> float | None:
        """When an ack last took something out, by the monotonic clock."""
        return self._settled_at

    @property
    def waits_since(self) -> float | None:
        """Since when the oldest has waited, or was read from an earlier process; None if empty."""
        with self._lock:
            oldest = self._blocks.oldest()
            return None if oldest is None else oldest.since

    def append(self, run: str, seq: int, payload: bytes) -> None:
        """Take an encoded sample; its run is the current one from now on."""
        key = Key(run, seq, seq)
        with self._lock:
            held = self._blocks.span(run)
            if seq <= max(held[1] if held else 0, self._highest(run)):
                raise ValueError(f"seq {seq} of run {run} was appended before")
            self._age = self._age_of(run)
            record = pack(self._age, key, payload)
            self._make_room(len(record))
            self._current = key
            self._keep(key, self._age, record, self._monotonic())

    def keys(self) -> list[Key]:
        """What is held, oldest run first, then by seq."""
        with self._lock:
            return [block.key for block in self._blocks]

    def payload(self, key: Key) -> bytes | None:
        """The encoded sample of a key; None if it was acked, merged or damaged since, or
        cannot be read now."""
        with self._lock:
            block = self._blocks.get(key)
            try:
                record = self._storage.read(block) if block else self._storage.kept.again.get(key)
            except OSError:
                return None
            return record[OVERHEAD:] if record else None

    def held(self) -> dict[str, tuple[int, int]]:
        """Lowest and highest seq held of each run, oldest run first."""
        with self._lock:
            spans = ((run, self._blocks.span(run)) for run in self._blocks.runs())
            return {run: span for run, span in spans if span}

    def kept(self) -> dict[str, Span]:
        """Of each run the newest stretch without a hole that is on disk, up to what is held."""
        with self._lock:
            found = {}
            for run, (first, last) in self._storage.kept.stretches().items():
                held = self._blocks.span(run)
                last = min(last, held[0] - 1) if held else last
                if first <= last:
                    found[run] = (first, last)
            return found

    @property
    def is_asked(self) -> bool:
        """The collector lacks something that was acknowledged."""
        return self._storage.kept.is_asked

    def again(self) -> list[Key]:
        """Acknowledged records that the collector lacks: some of them, oldest first."""
        with self._lock:
            self._storage.find_again()
            return [*self._storage.kept.again]

    def settle(self, ack: Ack) -> bool:
        """Let go of what the ack covers; False if it claims seqs not taken yet: then of nothing.

        What is let go of is kept on disk while there is room.
        """
        with self._lock:
            if not self._is_believable(ack):
                return False
            for acked in ack.runs:
                for first, last in joined([(1, acked.upto), *acked.also]):
                    for block in self._blocks.within(acked.run, first, last):
                        self._storage.settle(block)
                        self._settled_at = self._monotonic()
            self._storage.deflate_kept()
            self._storage.kept.heed(ack)
            self._tidy_checkpoint()
            return True

    def discard(self, key: Key) -> None:
        """Give up a record that is never acked: it is lost."""
        with self._lock:
            block = self._blocks.get(key)
            if block:
                self._lose(block)
                self._tidy_checkpoint()
            else:
                self._storage.kept.lost(key)

    def checkpoint_if_due(self) -> None:
        """Copy everything to flash if something has waited long and is not there yet."""
        with self._lock:
            now = self._monotonic()
            last = self._checkpointed_at
            if last is None or now - last >= CHECKPOINT_S:
                self._write_checkpoint(now, waiting_since=now - PATIENCE_S)

    def close(self) -> None:
        """Copy to flash what is unacked, however new, and let go of the directory."""
        with self._lock:
            if not self._closed:
                self._closed = True
                now = self._monotonic()
                self._write_checkpoint(now, waiting_since=now)
                self._storage.close()

    def _highest(self, run: str) -> int:
        return self._current.seq if self._current and self._current.run == run else 0

    def _age_of(self, run: str) -> int:
        """The run appended to is the newest by definition, whatever turns up later."""
        others = max(
            (self._blocks.age(one) for one in self._blocks.runs() if one != run), default=0
        )
        own = max(self._blocks.age(run), self._age if self._highest(run) else 0)
        return own if own > others else others + 1

    def _keep(self, key: Key, age: int, record: bytes, since: float) -> None:
        if len(record) > self._storage.held_limit:
            self._lost += key.span
            return
        self._storage.put(key, age, record, since)

    def _make_room(self, size: int) -> None:
        """Merge, or failing that drop, until there is room for a record of `size` bytes."""
        self._fit_limit(size)
        while in_the_way := self._storage.in_the_way(size):
            log.warning("spool is full and cannot be read, dropped records=%d", len(in_the_way))
            for block in in_the_way:
                self._lose(block)

    def _fit_limit(self, size: int) -> None:
        if self._storage.held_bytes + size <= self._storage.held_limit:
            self._dropping = False
            return
        while self._storage.held_bytes + size > self._storage.held_limit:
            try:
                if self._merge_next():
                    continue
                unread = False
            except OSError:
                if self._storage.held_bytes + size <= self._storage.stretched_limit:
                    return  # it can merge when it can be read
                unread = True
            oldest = self._blocks.oldest()
            if oldest is None:
                return
            if not self._dropping and unread:
                log.warning("spool is full and cannot be read, dropping the oldest")
            elif not self._dropping:
                log.warning("spool is full and nothing can merge, dropping the oldest")
            self._dropping = True
            self._lose(oldest)

    def _merge_next(self) -> bool:
        """Merge the pair with the shortest span; False if none can be merged, OSError if that pair
        cannot be read now."""
        while (pair := self._blocks.next_pair(spare=self._current)) is not None:
            older, newer = pair
            try:
                records = self._storage.read(older), self._storage.read(newer)
            except OSError:
                self._blocks.offer_again(newer)
                raise
            if records[0] is None or records[1] is None:
                continue  # damaged, so no longer a pair
            try:
                merged = merge_encoded(records[0][OVERHEAD:], records[1][OVERHEAD:])
            except CannotMerge as error:
                log.debug("records stay apart key=%s reason=%s", older.key, error)
                older.stuck = True
                continue
            key = Key(older.key.run, older.key.first_seq, newer.key.seq)
            age = self._blocks.age(key.run)
            self._storage.put(key, age, pack(age, key, merged), min(older.since, newer.since))
            self._merged += 1
            return True
        return False

    def _lose(self, block: Block) -> None:
        self._lost += block.key.span
        self._storage.remove(block)

    def _is_believable(self, ack: Ack) -> bool:
        """What was not taken cannot be committed: such an ack is forged or misrouted."""
        for acked in ack.runs:
            top = max(acked.upto, *[last for _, last in acked.also], 0)
            if self._current and acked.run == self._current.run and top > self._current.seq:
                if not self._distrusts_acks:
                    log.warning(
                        "ack ignored, it is above what was taken run=%s acked=%d taken=%d",
                        acked.run,
                        top,
                        self._current.seq,
                    )
                self._distrusts_acks = True
                return False
        self._distrusts_acks = False
        return True

    def _restore(self) -> None:
        """Add what only the copy on flash has: a power cut emptied the directory."""
        if self._checkpoint is None:
            return
        try:
            data = self._checkpoint.load()
        except OSError as error:
            if not self._unrestored:
                log.warning("checkpoint cannot be read, going on without it reason=%s", error)
            self._unrestored = error.errno in SHORTAGES
            return
        self._unrestored = False
        now = self._monotonic()
        for found in scan(data):
            if found is None:
                self._storage.corrupt += 1
                continue
            self._checkpoint.note(found.key)
            self._checkpointed_at = now
            if not self._blocks.contains(found.key):
                self._make_room(found.size)
                record = data[found.offset : found.offset + found.size]
                self._keep(found.key, found.age, record, now)

    def _write_checkpoint(self, now: float, waiting_since: float) -> None:
        checkpoint = self._checkpoint
        if checkpoint is None:
            return
        if self._unrestored:
            self._restore()
        if self._unrestored:
            return
        waiting = (block for block in self._blocks if block.since <= waiting_since)
        if all(checkpoint.has(block.key) for block in waiting):
            return
        self._checkpointed_at = now
        try:
            checkpoint.write(self._records())
        except OSError as error:
            if not self._flash_fails:
                log.warning("checkpoint cannot be written reason=%s", error)
            self._flash_fails = True
        else:
            self._flash_fails = False

    def _records(self) -> Iterator[tuple[Key, bytes]]:
        for block in list(self._blocks):
            record = self._storage.read(block)
            if record is not None:
                yield block.key, record

    def _tidy_checkpoint(self) -> None:
        """Remove the copy once nothing in it is held."""
        checkpoint = self._checkpoint
        if checkpoint is None or not checkpoint.runs():
            return
        for run, highest in checkpoint.runs().items():
            span = self._blocks.span(run)
            if span and span[0] <= highest:
                return
        try:
            checkpoint.remove()
        except OSError as error:
            log.warning("checkpoint cannot be removed reason=%s", error)
