"""A sample in spool or checkpoint: `length | crc32 | identity | sample`, big-endian.

Rule: the identity stands before the JSON, so that opening a spool parses none.
Rule: a record is whole or skipped; after a damaged one, reading goes on at the next that is whole.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import Final, NamedTuple

from titik_wire.limits import MAX_PAYLOAD

_FRAME: Final = struct.Struct(">II")  # length of what follows the frame, its CRC-32
# Age of the run (1 is the oldest), run, first seq, seq. The age makes the order of runs independent
# of where in the files their records lie.
_IDENTITY: Final = struct.Struct(">I8sQQ")
OVERHEAD: Final = _FRAME.size + _IDENTITY.size
_LONGEST: Final = _IDENTITY.size + MAX_PAYLOAD


class Key(NamedTuple):
    """The run and the seqs that a record covers."""

    run: str
    first_seq: int
    seq: int

    @property
    def span(self) -> int:
        """How many seqs."""
        return self.seq - self.first_seq + 1


class FoundRecord(NamedTuple):
    """A whole record at `offset`, `size` bytes long."""

    offset: int
    size: int
    age: int
    key: Key


class DamagedRecord(Exception):
    """The bytes are not what was written."""


def pack(age: int, key: Key, sample: bytes) -> bytes:
    """The record of an encoded sample; ValueError for a key that no run can have."""
    run = bytes.fromhex(key.run)
    if len(run) != 8 or not _is_block(key) or len(sample) > MAX_PAYLOAD:
        raise ValueError(f"cannot be spooled: {key}, {len(sample)} bytes")
    body = _IDENTITY.pack(age, run, key.first_seq, key.seq) + sample
    return _FRAME.pack(len(body), zlib.crc32(body)) + body


def unpack(record: bytes, key: Key) -> bytes:
    """The sample of a record; DamagedRecord if it is not whole or not of `key`."""
    found = _whole_at(memoryview(record), 0)
    if found is None or found.size != len(record) or found.key != key:
        raise DamagedRecord(f"record of {key}")
    return record[OVERHEAD:]


def scan(data: bytes) -> Iterator[FoundRecord | None]:
    """Every whole record in order; None once for each stretch of bytes that is none."""
    view = memoryview(data)
    offset = 0
    while offset < len(data):
        found = _whole_at(view, offset)
        if found is None:
            yield None
            found = _next_whole(data, view, offset + 1)
            if found is None:
                return
        yield found
        offset = found.offset + found.size


def _next_whole(data: bytes, view: memoryview, offset: int) -> FoundRecord | None:
    # A length is below 2**16, so a record starts with two zero bytes and JSON text has none:
    # `find` passes over samples at the speed of C.
    while (offset := data.find(b"\0\0", offset)) >= 0:
        found = _whole_at(view, offset)
        if found is not None:
            return found
        offset += 1
    return None


def _whole_at(view: memoryview, offset: int) -> FoundRecord | None:
    start = offset + _FRAME.size
    if start > len(view):
        return None
    length, crc = _FRAME.unpack_from(view, offset)
    if not _IDENTITY.size <= length <= _LONGEST or start + length > len(view):
        return None
    if zlib.crc32(view[start : start + length]) != crc:
        return None
    age, run, first_seq, seq = _IDENTITY.unpack_from(view, start)
    key = Key(run.hex(), first_seq, seq)
    return FoundRecord(offset, _FRAME.size + length, age, key) if _is_block(key) else None


def _is_block(key: Key) -> bool:
    """Ranges are aligned blocks of 2**n seqs, so that any two of a run nest or are disjoint."""
    size = key.span
    return key.first_seq >= 1 and size >= 1 and not size & (size - 1) and not key.seq % size
