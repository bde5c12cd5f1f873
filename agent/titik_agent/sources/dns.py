"""One DNS question of `reach` over UDP: getaddrinfo can be given no deadline, this can.

Rule: an answer is one that the asked server could give only to this question; all else is noise.
"""

import socket
import struct
from collections.abc import Iterator

from titik_agent.limits import MAX_DNS_NAME, MAX_RECORDS, MAX_SERVERS
from titik_mqtt.endpoint import LOOPBACK

HEADER = struct.Struct("!HHHHHH")  # id, flags, then how many of each of four sections
QUESTION = struct.Struct("!HH")  # type, class
RECORD = struct.Struct("!HHIH")  # type, class, time to live, length
POINTER = 0xC0
A, AAAA, IN = 1, 28, 1
ADDRESS_BYTES = {A: 4, AAAA: 16}
RESPONSE, RECURSE = 0x8000, 0x0100
# The name exists, and it does not exist: either says that the question travelled. A resolver that
# is cut off says SERVFAIL or, as dnsmasq without a server upstream, REFUSED.
ANSWERED = (0, 3)


def nameservers(resolv_conf: str) -> tuple[str, ...]:
    """The resolver's addresses; the machine itself where none is named, as in the C library."""
    rows = (line.split() for line in resolv_conf.splitlines())
    named = [row[1] for row in rows if row[:1] == ["nameserver"] and len(row) > 1]
    return tuple([server for server in named if is_address(server)])[:MAX_SERVERS] or (LOOPBACK,)


def is_address(host: str) -> bool:
    """True for an IP address, False for a name."""
    try:
        socket.inet_pton(family(host), host)
    except (OSError, ValueError):
        return False
    return True


def family(address: str) -> int:
    """The address family of an IP address."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def encode_query(ident: int, name: str, kind: int = A) -> bytes:
    """A question for the addresses of `name`, of IPv4 or IPv6 (AAAA).

    ValueError: no host can be called that.
    """
    labels = name.rstrip(".").encode("ascii").split(b".")
    if not all(0 < len(label) < 64 for label in labels) or len(name) > MAX_DNS_NAME:
        raise ValueError(f"not a host name: {name}")
    question = b"".join(bytes((len(label),)) + label for label in labels)
    return HEADER.pack(ident, RECURSE, 1, 0, 0, 0) + question + b"\0" + QUESTION.pack(kind, IN)


def decode_answer(query: bytes, packet: bytes) -> tuple[bool, tuple[str, ...]] | None:
    """Whether the question was answered, and the addresses; None: not an answer to `query`."""
    if len(packet) < len(query):
        return None
    ident, flags, questions, records, _, _ = HEADER.unpack_from(packet)
    asked = query[HEADER.size :].lower() == packet[HEADER.size : len(query)].lower()
    if ident != HEADER.unpack_from(query)[0] or not flags & RESPONSE or questions != 1 or not asked:
        return None
    (wanted, _) = QUESTION.unpack_from(query, len(query) - QUESTION.size)
    return flags & 0xF in ANSWERED, tuple(_addresses(packet, len(query), records, wanted))


def _addresses(packet: bytes, at: int, records: int, wanted: int) -> Iterator[str]:
    """The addresses of that kind among the records from `at` on; none from where it is damaged."""
    for _ in range(min(records, MAX_RECORDS)):
        at = _after_name(packet, at)
        if at + RECORD.size > len(packet):
            return
        kind, class_, _, size = RECORD.unpack_from(packet, at)
        at += RECORD.size
        if (kind, class_, size) == (wanted, IN, ADDRESS_BYTES[wanted]) and at + size <= len(packet):
            family_ = socket.AF_INET if kind == A else socket.AF_INET6
            yield socket.inet_ntop(family_, packet[at : at + size])
        at += size


def _after_name(packet: bytes, at: int) -> int:
    """Where the name at `at` ends: at its empty label, or at a pointer into the packet."""
    while at < len(packet) and packet[at]:
        if packet[at] >= POINTER:
            return at + 2
        at += 1 + packet[at]
    return at + 1
