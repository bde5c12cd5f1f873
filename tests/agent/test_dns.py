"""One DNS question, as bytes."""

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from titik_agent.sources.dns import decode_answer, encode_query, family, is_address, nameservers

# Asked and answered by dnsmasq 2.90, whose answer points back at the question's name.
QUERY = (
    bytes.fromhex("1f2e01000001000000000000") + b"\x05titik\x04test\0" + bytes.fromhex("00010001")
)


def answer(
    query: bytes = QUERY, flags: int = 0x8180, records: bytes = b"", count: int = 0
) -> bytes:
    """What a server sends back."""
    header = query[:2] + struct.pack("!HHHHH", flags, 1, count, 0, 0)
    return header + query[12:] + records


def record(address: str, name: bytes = b"\xc0\x0c", kind: int = 1) -> bytes:
    """One resource record."""
    data = socket.inet_aton(address)
    return name + struct.pack("!HHIH", kind, 1, 60, len(data)) + data


def test_a_question_is_the_protocol_s() -> None:
    """RFC 1035, section 4.1, with recursion wanted."""
    assert encode_query(0x1F2E, "titik.test") == QUERY
    assert encode_query(0x1F2E, "titik.test.") == QUERY


@pytest.mark.parametrize("name", ["", ".", "a..b", "a" * 64, "b." * 130, "tïtik.test"])
def test_what_no_host_can_be_called_is_refused(name: str) -> None:
    """At start, where the operator still looks."""
    with pytest.raises(ValueError, match=r"not a host name|ascii"):
        encode_query(1, name)


@pytest.mark.parametrize(
    ("packet", "expected"),
    [
        (answer(), (True, ())),
        (answer(flags=0x8183), (True, ())),  # no such name: the question travelled all the same
        (answer(flags=0x8182), (False, ())),  # SERVFAIL
        (answer(flags=0x8185), (False, ())),  # REFUSED, as dnsmasq says without a server upstream
        (answer(records=record("192.0.2.1"), count=1), (True, ("192.0.2.1",))),
        (
            answer(records=record("1.1.1.1", kind=5) + record("192.0.2.1", b"\x01a\0"), count=2),
            (True, ("192.0.2.1",)),
        ),
        (answer(records=record("192.0.2.1")[:-1], count=1), (True, ())),
        (answer(records=record("192.0.2.1"), count=9), (True, ("192.0.2.1",))),
        (answer(records=b"\x3f", count=1), (True, ())),
        (answer(QUERY.replace(b"titik", b"TITIK")), (True, ())),
        (answer(b"\0\0" + QUERY[2:]), None),  # another question's
        (answer(QUERY.replace(b"titik", b"kupan")), None),
        (answer(flags=0x0100), None),  # a question
        (QUERY[:-1], None),
        (b"", None),
    ],
)
def test_only_an_answer_to_this_question_is_one(
    packet: bytes, expected: tuple[bool, tuple[str, ...]] | None
) -> None:
    """The rest is noise, and the wait goes on."""
    assert decode_answer(QUERY, packet) == expected


@given(st.binary(max_size=200))
def test_any_bytes_are_survived(noise: bytes) -> None:
    """Anybody can send anything to a port, and a server anything as an answer."""
    decode_answer(QUERY, noise)
    decode_answer(QUERY, answer(records=noise, count=65535))


@pytest.mark.parametrize(
    ("text", "servers"),
    [
        ("nameserver 192.0.2.1\n", ("192.0.2.1",)),
        ("search lan\nnameserver ::1 # local\nnameserver 192.0.2.1\n", ("::1", "192.0.2.1")),
        ("nameserver\nnameserver x\n#nameserver 192.0.2.9\n", ("127.0.0.1",)),
        ("", ("127.0.0.1",)),
        ("nameserver 192.0.2.1\n" * 9, ("192.0.2.1",) * 3),
    ],
)
def test_resolvers_are_the_c_library_s(text: str, servers: tuple[str, ...]) -> None:
    """At most three, and the machine itself where none is named."""
    assert nameservers(text) == servers


def test_addresses_are_distinguished_from_names() -> None:
    """A name is asked for, an address is not."""
    known = [is_address(host) for host in ("192.0.2.1", "::1", "titik.test", "1.2", "", "a\0")]
    assert known == [True, True, False, False, False, False]
    assert (family("::1"), family("192.0.2.1")) == (socket.AF_INET6, socket.AF_INET)
