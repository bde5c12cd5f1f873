"""Routes, rules and neighbours from the kernel's own messages."""

import errno
import os
import random
import socket
import struct
import subprocess
import sys

import pytest

from tests.system.netns import AGENT, hotspot, ip
from titik_agent.sources.rtnetlink import (
    AF_BRIDGE,
    DefaultRoute,
    Routes,
    parse_addressed,
    parse_default_routes,
    parse_neighbours,
    parse_ports,
    parse_tables,
    read_routes,
    read_tables,
)

GATEWAY = socket.inet_aton("192.0.2.1")
IPV6_GATEWAY = socket.inet_pton(socket.AF_INET6, "fe80::1")
MAC = bytes.fromhex("020000000001")


def number(value: int) -> bytes:
    return struct.pack("=I", value)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def attribute(kind: int, data: bytes) -> bytes:
    return padded(struct.pack("=HH", 4 + len(data), kind) + data)


def message(body: bytes) -> bytes:
    return padded(struct.pack("=IHHII", 16 + len(body), 24, 2, 1, 0) + body)


def route(
    *attributes: bytes, family: int = socket.AF_INET, to_bits: int = 0, source_bits: int = 0,
    table: int = 254, kind: int = 1, flags: int = 0,
) -> bytes:  # fmt: skip
    """One message of an answer to RTM_GETROUTE, or to RTM_GETRULE where `kind` is its action."""
    head = struct.pack("=8BI", family, to_bits, source_bits, 0, table, 0, 0, kind, flags)
    return message(head + b"".join(attributes))


TO_WAN = attribute(4, number(2))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"", []),
        (route(TO_WAN), [DefaultRoute(0, 2)]),
        (
            route(TO_WAN, attribute(5, GATEWAY), attribute(6, number(10))),
            [DefaultRoute(10, 2, "192.0.2.1")],
        ),
        (route(TO_WAN, table=252, kind=1), [DefaultRoute(0, 2, table=252)]),
        (route(TO_WAN, attribute(15, number(1001)), table=252), [DefaultRoute(0, 2, table=1001)]),
        (
            route(TO_WAN, attribute(5, IPV6_GATEWAY), family=socket.AF_INET6, source_bits=56),
            [DefaultRoute(0, 2, "fe80::1", has_source=True)],
        ),
        (
            route(TO_WAN, attribute(18, b"\x0a\0" + IPV6_GATEWAY)),  # IPv4 over an IPv6 hop
            [DefaultRoute(0, 2, "fe80::1")],
        ),
        (
            route(
                attribute(
                    9,
                    struct.pack("=HBBi", 16, 0, 0, 2)
                    + attribute(5, GATEWAY)
                    + struct.pack("=HBBi", 8, 0, 0, 3),
                )
            ),
            [DefaultRoute(0, 2, "192.0.2.1"), DefaultRoute(0, 3)],
        ),
        (route(TO_WAN, to_bits=1), []),  # half of everywhere, as VPNs have it
        (route(TO_WAN, kind=7), []),  # unreachable
        (route(TO_WAN, flags=0x200), []),  # a cached one
        (route(TO_WAN, family=128), []),  # multicast
    ],
)
def test_default_routes_are_read(answer: bytes, expected: list[DefaultRoute]) -> None:
    """Every hop, of every table, with a source prefix or without."""
    assert expected == list(parse_default_routes(answer))


def test_addressed_interfaces_are_those_with_a_local_route() -> None:
    """A link-local address is on every interface that is up."""
    home = attribute(1, GATEWAY)
    ipv6 = attribute(1, IPV6_GATEWAY)
    answer = route(home, TO_WAN, to_bits=32, table=255, kind=2)
    answer += route(ipv6, attribute(4, number(3)), family=socket.AF_INET6, table=255, kind=2)
    answer += route(home, attribute(4, number(4)), to_bits=24)
    assert [2] == list(parse_addressed(answer))


def test_rules_name_their_tables() -> None:
    """Those that look up; one that forbids has no table."""
    answer = route(table=254) + route(attribute(15, number(1001)), table=252)
    assert [254, 1001] == list(parse_tables(answer + route(table=7, kind=6)))


def test_a_kernel_without_rules_has_the_usual_tables() -> None:
    """One that is made small knows no other."""

    def refuse(kind: int, family: int) -> bytes:
        raise OSError(errno.EOPNOTSUPP, f"{kind} {family}")

    assert frozenset({253, 254, 255}) == read_tables(refuse)


def test_the_port_of_a_gateway_is_found_by_its_address() -> None:
    """From the neighbours to the bridge's forwarding table."""

    def neighbour(family: int, ifindex: int, *attributes: bytes) -> bytes:
        head = struct.pack("=B3xiHBB", family, ifindex, 2, 0, 0)
        return message(head + b"".join(attributes))

    neighbours = neighbour(2, 9, attribute(1, GATEWAY), attribute(2, MAC))
    neighbours += neighbour(2, 9, attribute(1, b"\xc0\0\2\7"), attribute(2, b"other!"))
    ports = neighbour(AF_BRIDGE, 5, attribute(2, b"other!")) + neighbour(
        AF_BRIDGE, 6, attribute(2, MAC)
    )
    assert [MAC] == list(parse_neighbours(neighbours, {GATEWAY}))
    assert [6] == list(parse_ports(ports, {MAC}))


@pytest.mark.parametrize("seed", range(20))
def test_any_bytes_are_survived(seed: int) -> None:
    """A processor that is emulated may translate messages wrongly."""
    rand = random.Random(seed)
    good = route(TO_WAN, attribute(5, GATEWAY)) * 3
    for _ in range(200):
        bad = bytearray(good if rand.random() < 0.8 else rand.randbytes(200))
        for _ in range(rand.randrange(6)):
            bad[rand.randrange(len(bad))] = rand.choice((0, 1, 255, rand.randrange(256)))
        answer = bytes(bad[: rand.randrange(len(bad) + 1)])
        for parse in (parse_default_routes, parse_addressed, parse_tables):
            list(parse(answer))
        list(parse_neighbours(answer, {GATEWAY}))
        list(parse_ports(answer, {MAC}))


def test_this_machine_answers() -> None:
    """Without any right; the loopback interface has an address."""
    assert socket.if_nametoindex("lo") in read_routes().addressed


@pytest.mark.system
def test_a_real_kernel_s_routes_are_found() -> None:
    """Of another table than main, if a rule leads there."""
    code = "from titik_agent.sources.rtnetlink import read_routes; print(read_routes())"
    with hotspot(0) as place:
        ip("-n", place.router, "route", "del", "default")
        ip("-n", place.router, "route", "add", "default", "via", "198.51.100.1", "table", "1001")
        lost = eval(place.python(code), {"Routes": Routes, "DefaultRoute": DefaultRoute})
        ip("-n", place.router, "rule", "add", "fwmark", "7", "table", "1001")
        found = eval(place.python(code), {"Routes": Routes, "DefaultRoute": DefaultRoute})
    assert () == lost.defaults
    assert [("198.51.100.1", 1001)] == [(one.gateway, one.table) for one in found.defaults]


# In a network of its own, where nothing changes by itself.
CHANGES = """
import subprocess
from titik_agent.sources.rtnetlink import RouteChanges
subprocess.run(("ip", "link", "set", "lo", "up"), check=True)
changes = RouteChanges()
def after(*words, rows=""):
    subprocess.run(("ip", *words), input=rows, text=True, check=True)
    return changes.any(), changes.any()
assert (changes.any(), changes.any()) == (True, False)
for words in (
    "link add br-lan type bridge",
    "address add 192.0.2.7/32 dev lo",
    "route add 198.51.100.1 dev lo",
    "-6 rule add fwmark 7 table 1001",
    "neighbour add 198.51.100.9 lladdr 02:00:00:00:00:09 dev br-lan",
):
    print(words.split()[-1], *after(*words.split()))
rows = (f"route add 203.0.{n // 250}.{n % 250} dev lo\\n" for n in range(5000))
print("many", *after("-batch", "-", rows="".join(rows)))
changes.close()
"""


@pytest.mark.system
def test_a_change_is_known_once() -> None:
    """Of links, addresses, routes and rules, and if it is more than the kernel keeps."""
    done = subprocess.run(
        ("unshare", "--net", sys.executable, "-c", CHANGES),
        env=os.environ | {"PYTHONPATH": os.pathsep.join((str(AGENT), *sys.path))},
        capture_output=True, text=True, timeout=90,
    )  # fmt: skip
    assert "" == done.stderr
    expected = ["bridge True False", "lo True False", "lo True False", "1001 True False"]
    assert [*expected, "br-lan False False", "many True False"] == done.stdout.splitlines()
