"""Who uses the hotspot on the privacy day, and every way in which one of them could be written.

Rule: what is looked for is drawn at random, so that the odds of finding it by chance are known. An
octet of a MAC address has a letter, so that no time of day and no plain number looks like three of
them; IP addresses are of 198.18.0.0/15, and nothing else here uses those.
"""

import base64
import hashlib
import ipaddress
import math
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

VISITORS = 10_000
OCTET_BITS = math.log2(156)  # of the 256, those written with a letter
IP_BITS = 17.0
LETTER_BITS = math.log2(26)
NAME_LETTERS = 10
NAME_END = "-hp"  # which no word that is written has at such a place by chance
CUT_LETTERS = 8

ALGORITHMS = ("md5", "sha1", "sha256")


class Visitor(NamedTuple):
    """One device."""

    mac: str
    ip: str
    host: str


@dataclass(frozen=True, slots=True)
class Kind:
    """One way to write an identifier; each pattern of it is at least four bytes long.

    `bits`: how many of a pattern are random. `among`: which windows of a text could be taken for
    one, see `leaks.windows`. `folded`: upper and lower case are the same.
    """

    bits: float
    among: str
    folded: bool = False


def _kinds() -> dict[str, Kind]:
    three, four, five, mac = (number * OCTET_BITS for number in (3, 4, 5, 6))
    name, cut = (NAME_LETTERS + len(NAME_END)) * LETTER_BITS, CUT_LETTERS * LETTER_BITS
    fixed = 7 * 8  # the characters that all addresses begin with, or the marks between octets
    kinds = {
        "MAC": Kind(mac + fixed, "bytes", True),
        "MAC, 3 octets or more": Kind(three, "pairs", True),
        "MAC, 4 octets together": Kind(four, "octets", True),
        "MAC, by pairs of octets": Kind(four, "quads", True),
        "MAC, without zeros": Kind(mac + fixed, "bytes", True),
        "MAC, from its end": Kind(mac, "hex", True),
        "MAC, escaped": Kind(mac + fixed, "bytes", True),
        "MAC in an IPv6 address": Kind(three, "groups", True),
        "MAC, 6 bytes": Kind(mac, "lettered"),
        "MAC, 5 bytes": Kind(five, "lettered"),
        "MAC, 4 bytes": Kind(four, "lettered"),
        "MAC, a number": Kind(mac, "hex"),
        "MAC in base64": Kind(mac, "word"),
        "MAC in base64, cut": Kind(five, "bytes"),
        "MAC in base32": Kind(five, "word", True),
        "MAC in base85": Kind(mac, "bytes"),
        "MAC, its text in hex": Kind(mac, "hex", True),
        "IP": Kind(IP_BITS + fixed, "bytes"),
        "IP, its first half": Kind(fixed, "bytes"),
        "IP, from its end": Kind(IP_BITS + fixed, "bytes"),
        "IP in hex": Kind(32.0, "hex", True),
        "IP, 4 bytes": Kind(32.0, "bytes"),
        "IP, a number": Kind(32.0, "hex"),
        "IP, its text in base64": Kind(IP_BITS + fixed, "bytes"),
        "IP, its text in hex": Kind(IP_BITS + fixed, "bytes", True),
        "name": Kind(name, "word", True),
        "name, cut": Kind(cut, "word", True),
        "name in base64": Kind(name, "word"),
        "name in hex": Kind(name, "hex", True),
        "name, from its end": Kind(name, "word", True),
    }
    for algorithm in ALGORITHMS:
        for what in Visitor._fields:
            hashed = f"{algorithm} of the {what}"
            kinds |= {
                f"{hashed}, 16 digits": Kind(64.0, "hex", True),
                f"{hashed}, 8 digits": Kind(32.0, "hex", True),
                f"{hashed}, base64": Kind(60.0, "word"),
                f"{hashed}, 8 bytes": Kind(64.0, "bytes"),
            }
    return kinds


KINDS = _kinds()


@cache
def visitors() -> list[Visitor]:
    """All of them, the same every time."""
    rand = random.Random("visitors")
    octets = [f"{one:02x}" for one in range(256) if re.search("[a-f]", f"{one:02x}")]
    assert round(2**OCTET_BITS) == len(octets)
    addresses = rand.sample(range(1 << 17), VISITORS)
    return [
        Visitor(
            ":".join(rand.choices(octets, k=6)),
            str(ipaddress.IPv4Address("198.18.0.0") + address),
            "".join(rand.choices("abcdefghijklmnopqrstuvwxyz", k=NAME_LETTERS)) + NAME_END,
        )
        for address in addresses
    ]


def patterns(visitor: Visitor) -> Iterator[tuple[str, bytes]]:
    """Every kind's patterns of one visitor; those of a folded kind in lower case."""
    yield from _of_mac(visitor.mac)
    yield from _of_ip(visitor.ip)
    yield from _of_name(visitor.host)
    yield from _hashed(visitor)


def _of_mac(mac: str) -> Iterator[tuple[str, bytes]]:
    pairs, octets = mac.split(":"), bytes.fromhex(mac.replace(":", ""))
    plain = "".join(pairs)
    for gap in (":", "-", ".", "_", " ", "%3a", ", "):
        yield "MAC", gap.join(pairs).encode()
        for at in range(4):
            yield "MAC, 3 octets or more", gap.join(pairs[at : at + 3]).encode()
    for at in range(0, 6, 2):
        yield "MAC, 4 octets together", plain[at : at + 8].encode()
    for gap in (".", ":", "-"):
        yield "MAC, by pairs of octets", f"{plain[:4]}{gap}{plain[4:8]}".encode()
        yield "MAC, by pairs of octets", f"{plain[4:8]}{gap}{plain[8:]}".encode()
    yield "MAC, without zeros", ":".join(pair.lstrip("0") for pair in pairs).encode()
    for text in (":".join(pairs[::-1]), "".join(pairs[::-1]), mac[::-1], plain[::-1]):
        yield "MAC, from its end", text.encode()
    for mark in ("\\x", "%", "0x", "\\u00"):
        yield "MAC, escaped", "".join(mark + pair for pair in pairs).encode()
    yield from _of_eui64(octets)
    for raw in (octets, octets[::-1]):
        yield "MAC, 6 bytes", raw
        yield "MAC, 5 bytes", raw[:5]
        yield "MAC, 5 bytes", raw[1:]
        yield "MAC, 4 bytes", raw[:4]
        yield "MAC, 4 bytes", raw[2:]
        yield "MAC, a number", str(int.from_bytes(raw, "big")).encode()
        yield "MAC in base32", base64.b32encode(raw).rstrip(b"=").lower()[:9]
        yield "MAC in base85", base64.a85encode(raw)
        yield "MAC in base85", base64.b85encode(raw)
    for raw in (octets, *(text.encode() for text in (mac, mac.upper(), mac.replace(":", "-")))):
        for url, pattern in _in_base64(raw):
            yield "MAC in base64" if len(pattern) > 7 else "MAC in base64, cut", pattern
            yield "MAC in base64" if len(pattern) > 7 else "MAC in base64, cut", url
    for text in (mac, mac.upper(), plain, plain.upper()):
        yield "MAC, its text in hex", text.encode().hex().encode()


def _of_eui64(octets: bytes) -> Iterator[tuple[str, bytes]]:
    """As a device makes its own IPv6 addresses from it."""
    eui64 = bytes([octets[0] ^ 2]) + octets[1:3] + b"\xff\xfe" + octets[3:]
    for network in ("fe80::", "2001:db8::"):
        address = ipaddress.IPv6Address(int(ipaddress.IPv6Address(network)))
        address += int.from_bytes(eui64, "big")
        yield "MAC in an IPv6 address", str(address).split("::")[1].encode()
    low = eui64[5:].hex()
    yield "MAC in an IPv6 address", f"fe{low[:2]}:{low[2:]}".encode()
    yield "MAC in an IPv6 address", f"ff{low[:2]}:{low[2:].lstrip('0')}".encode()
    yield "MAC, 4 octets together", eui64.hex()[:8].encode()
    yield "MAC, 5 bytes", eui64


def _of_ip(ip: str) -> Iterator[tuple[str, bytes]]:
    raw = ipaddress.IPv4Address(ip).packed
    parts = ip.split(".")
    padded = [part.zfill(3) for part in parts]
    for gap in (".", "-", "_"):
        yield "IP", gap.join(parts).encode()
        yield "IP", gap.join(padded).encode()
        yield "IP, its first half", gap.join([*parts[:2], ""]).encode()
        yield "IP, from its end", gap.join(parts[::-1]).encode()
    yield "IP in hex", raw.hex().encode()
    yield "IP in hex", raw[::-1].hex().encode()
    yield "IP in hex", f"{raw[:2].hex()}:{raw[2:].hex().lstrip('0')}".encode()
    for one in (raw, raw[::-1]):
        yield "IP, 4 bytes", one
        yield "IP, a number", str(int.from_bytes(one, "big")).encode()
    for url, pattern in _in_base64(ip.encode()):
        yield "IP, its text in base64", pattern
        yield "IP, its text in base64", url
    yield "IP, its text in hex", ip.encode().hex().encode()


def _of_name(host: str) -> Iterator[tuple[str, bytes]]:
    yield "name", host.encode()
    yield "name, cut", host[:CUT_LETTERS].encode()
    yield "name, from its end", host[::-1].encode()
    for text in (host, host.upper()):
        for url, pattern in _in_base64(text.encode()):
            yield "name in base64", pattern
            yield "name in base64", url
        yield "name in hex", text.encode().hex().encode()


def _in_base64(raw: bytes) -> Iterator[tuple[bytes, bytes]]:
    """For URLs and plain; at the beginning of what is encoded and inside of it."""
    for before in range(3):
        whole = base64.b64encode(bytes(before) + raw)
        # Letters that the neighbours have a part in are left out.
        first = (before * 8 + 5) // 6
        text = whole[first : (before + len(raw)) * 8 // 6]
        yield text.replace(b"+", b"-").replace(b"/", b"_"), text


def _hashed(visitor: Visitor) -> Iterator[tuple[str, bytes]]:
    octets = bytes.fromhex(visitor.mac.replace(":", ""))
    forms = {
        "mac": [octets, *_cases(visitor.mac, visitor.mac.replace(":", "-"), octets.hex())],
        "ip": [visitor.ip.encode(), ipaddress.IPv4Address(visitor.ip).packed],
        "host": _cases(visitor.host),
    }
    forms = {what: [*texts, texts[-2] + b"\n"] for what, texts in forms.items()}  # as of `echo`
    for algorithm in ALGORITHMS:
        for what, texts in forms.items():
            kind = f"{algorithm} of the {what}"
            for text in texts:
                digest = hashlib.new(algorithm, text, usedforsecurity=False)
                raw, digits = digest.digest(), digest.hexdigest().encode()
                yield f"{kind}, 16 digits", digits[:16]
                yield f"{kind}, 16 digits", digits[-16:]
                yield f"{kind}, 8 digits", digits[:8]
                yield f"{kind}, base64", base64.b64encode(raw)[:10]
                yield f"{kind}, 8 bytes", raw[:8]


def _cases(*texts: str) -> list[bytes]:
    return [one for text in texts for one in (text.encode(), text.upper().encode())]
