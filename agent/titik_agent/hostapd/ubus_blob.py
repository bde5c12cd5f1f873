"""The binary format of ubus, for hostapd over ubus, the survey and the watchdog.

Attributes are nested, padded to 4 bytes, big-endian on every CPU.
Rule: any bytes give values or a UbusError, never another exception.
Rule: nothing is decoded before it is asked for: of a client's forty members we need three.
Numbers come out unsigned; `signed` turns those that are not.
"""

import struct
from collections.abc import Iterator

from titik_agent.hostapd.bss_status import printable

ARRAY, TABLE, STRING, INT64, INT32, INT16, INT8, DOUBLE = range(1, 9)

_LENGTH = 0xFF_FFFF
_NAMED = 0x8000_0000  # the attribute starts with its name
_HEAD = struct.Struct(">I")
_NAMED_HEAD = struct.Struct(">IH")
_NUMBERS = {
    INT64: struct.Struct(">Q"),
    INT32: struct.Struct(">I"),
    INT16: struct.Struct(">H"),
    INT8: struct.Struct(">B"),
    DOUBLE: struct.Struct(">d"),
}


class UbusError(Exception):
    """ubusd, or what is behind it, did not answer, or not in a way we understand."""


class BlobTable:
    """The members of a blobmsg table or array: a window on the message's bytes."""

    __slots__ = ("_data", "_end", "_start")

    def __init__(self, data: bytes, start: int = 0, end: int | None = None) -> None:
        self._data = data
        self._start = start
        self._end = len(data) if end is None else end

    def items(self) -> Iterator[tuple[str, "Value"]]:
        """Every member, in the order sent; an array's names are empty."""
        for kind, name, start, end in self._members():
            yield to_text(name), self._value(kind, start, end)

    def pick(self, *names: bytes) -> tuple["Value | None", ...]:
        """The values of these members, None for those not there. Of equal names the first wins."""
        found: dict[bytes, Value] = {}
        for kind, name, start, end in self._members(names):
            if name not in found:
                found[name] = self._value(kind, start, end)
                if len(found) == len(names):
                    break
        return tuple([found.get(name) for name in names])

    def _members(self, wanted: tuple[bytes, ...] = ()) -> Iterator[tuple[int, bytes, int, int]]:
        """Type, name, and where the value lies, of each member, or of those with these names.

        A third of a sample's time is spent here: 40 members of each client.
        """
        data, position, table_end = self._data, self._start, self._end
        unpack, everything = _NAMED_HEAD.unpack_from, not wanted
        while position < table_end:
            if position + 6 > table_end:
                raise UbusError("a blob member is cut off")
            head, name_length = unpack(data, position)
            length = head & _LENGTH
            end = position + length
            start = position + 4 + (name_length + 6 & ~3)  # u16, name and NUL, padded
            if not head & _NAMED or start > end or end > table_end:
                raise UbusError("a blob member does not fit its table")
            name = data[position + 6 : position + 6 + name_length]
            if everything or name in wanted:
                yield head >> 24 & 0x7F, name, start, end
            position += length + 3 & ~3

    def _value(self, kind: int, start: int, end: int) -> "Value":
        if kind in (TABLE, ARRAY):
            return BlobTable(self._data, start, end)
        if kind == STRING:
            return to_text(self._data[start:end])
        number = _NUMBERS.get(kind)
        if number is None or end - start != number.size:
            raise UbusError(f"a blob value of type {kind} has {end - start} bytes")
        value: int | float = number.unpack_from(self._data, start)[0]
        return value


Value = int | float | str | BlobTable


def attributes(data: bytes, start: int, end: int) -> dict[int, tuple[int, int]]:
    """Where the value of each unnamed attribute lies, by its id."""
    found: dict[int, tuple[int, int]] = {}
    while start < end:
        if start + 4 > end:
            raise UbusError("a blob attribute is cut off")
        (head,) = _HEAD.unpack_from(data, start)
        length = head & _LENGTH
        if length < 4 or start + length > end:
            raise UbusError("a blob attribute does not fit its message")
        found[head >> 24 & 0x7F] = (start + 4, start + length)
        start += length + 3 & ~3
    return found


def to_text(raw: bytes) -> str:
    """Text up to the first NUL; bytes that are no UTF-8 and control characters become U+FFFD."""
    return printable(raw.split(b"\0", 1)[0])


def signed(value: int, bits: int = 32) -> int:
    """The number that these bits mean if the first is a sign: 4294967243 is -53."""
    return value - (1 << bits) if value >> (bits - 1) else value


def attribute(identity: int, value: bytes) -> bytes:
    """An unnamed attribute; `attribute(0, ...)` around others is the body of a message."""
    return _padded(_HEAD.pack(identity << 24 | 4 + len(value)) + value)


def number_attribute(identity: int, value: int) -> bytes:
    return attribute(identity, _HEAD.pack(value))


def text_attribute(identity: int, value: str) -> bytes:
    return attribute(identity, value.encode() + b"\0")


def member(kind: int, name: bytes, value: bytes) -> bytes:
    """A named member of a table."""
    start = 4 + (len(name) + 6 & ~3)
    head = _NAMED_HEAD.pack(_NAMED | kind << 24 | start + len(value), len(name)) + name
    return _padded(head.ljust(start, b"\0") + value)


def number_member(name: bytes, value: int) -> bytes:
    return member(INT32, name, _HEAD.pack(value))


def text_member(name: bytes, value: str) -> bytes:
    return member(STRING, name, value.encode() + b"\0")


def _padded(raw: bytes) -> bytes:
    return raw + b"\0" * (-len(raw) % 4)
