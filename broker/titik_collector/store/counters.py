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
    width = _width(max(map(max, counters.values())))
    ids, bits = _width(max(counters)), 8 * width
    parts = [bytes((ids << 4 | width,))]
    for interface, (received, sent) in sorted(counters.items()):
        row = (interface << bits | received) << bits | sent
        parts.append(row.to_bytes(ids + 2 * width, "big"))
    return b"".join(parts)


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
