"""The byte counters of a sample as one small blob of its row.

Rule: `pack` and `unpack` are inverses. Interfaces are in the order of their ids, so that equal
counters are equal bytes. One width serves all numbers of a blob: counters of one router are alike,
and slices of one width are what Python reads fastest.
"""

from collections.abc import Mapping

Bytes = tuple[int, int]  # received and sent


def pack(counters: Mapping[int, Bytes]) -> bytes:
    """Counters by interface row, each below 2**56; nothing is the empty blob."""
    if not counters:
        return b""
    bits = 0  # those of any number: as long as the largest
    for received, sent in counters.values():
        bits |= received | sent
    width, ids = _width(bits), _width(max(counters))
    shift, size = 8 * width, ids + 2 * width
    rows = [
        ((interface << shift | received) << shift | sent).to_bytes(size, "big")
        for interface, (received, sent) in sorted(counters.items())
    ]
    return b"".join((bytes((ids << 4 | width,)), *rows))


def unpack(blob: bytes) -> dict[int, Bytes]:
    """Counters by interface row."""
    if not blob:
        return {}
    ids, width = blob[0] >> 4, blob[0] & 15
    number = int.from_bytes
    return {
        number(blob[at : at + ids], "big"): (
            number(blob[at + ids : at + ids + width], "big"),
            number(blob[at + ids + width : at + ids + 2 * width], "big"),
        )
        for at in range(1, len(blob), ids + 2 * width)
    }


def _width(value: int) -> int:
    return max(1, (value.bit_length() + 7) // 8)
