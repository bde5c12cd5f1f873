"""What only rtnetlink shows: default routes of every table, and behind which port a gateway is.

/proc/net/route lists one table of IPv4 and one hop of a route. Rule: anybody may ask, so no right
is needed. Rule: parsing is pure; an answer is bounded, and one that makes no sense ends there.
Rule: a machine whose routes stay as they are is not asked again; see `RouteChanges`.
"""

import errno
import os
import socket
import struct
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from titik_agent.limits import MAX_NETLINK_ANSWER

WAIT_S: Final = 1.0  # the kernel answers in the call itself
RTM_GETROUTE, RTM_GETNEIGH, RTM_GETRULE = 26, 30, 34
AF_BRIDGE = 7
LOCAL_TABLE = 255
USUAL_TABLES: Final = frozenset({253, 254, 255})  # default, main, local
# What is published when it changes: links, and of both families addresses, routes and rules.
_CHANGE_GROUPS = sum(1 << group - 1 for group in (1, 5, 7, 8, 9, 11, 19))
_DUMP = 0x301  # NLM_F_REQUEST and NLM_F_DUMP
_ERROR, _DONE = 2, 3
_CLONED = 0x200
_TO_TABLE = 1  # a rule's action
_UNICAST, _LOCAL = 1, 2  # a route's type
_ADDRESS_BYTES = {socket.AF_INET: 4, socket.AF_INET6: 16}

_HEAD: Final = struct.Struct("=IHHII")  # length, type, flags, sequence, sender
_ATTRIBUTE: Final = struct.Struct("=HH")  # length and type
_ROUTE: Final = struct.Struct("=8BI")  # of a rule too; the table and the type are of the bytes
_HOP: Final = struct.Struct("=HBBi")  # length, flags, weight, ifindex
_NEIGHBOUR: Final = struct.Struct("=B3xiHBB")  # family, ifindex, state, flags, type
_NUMBER: Final = struct.Struct("=I")


class DefaultRoute(NamedTuple):
    """One hop of a route to everywhere."""

    metric: int
    ifindex: int
    gateway: str | None = None  # None: it names none, as on PPP
    table: int = 254  # main
    has_source: bool = False  # only for packets of one IPv6 prefix, as netifd makes them


class Routes(NamedTuple):
    """What the kernel would do with a packet to anywhere."""

    defaults: tuple[DefaultRoute, ...]  # of every table that a rule leads to
    addressed: frozenset[int]  # ifindexes that have an IPv4 address or a global IPv6 one


class RouteChanges:
    """Whether links, addresses, routes or rules have changed. Nothing waits for it, so no change
    wakes the agent: the kernel keeps what it published, or that it was too much to keep.
    """

    def __init__(self) -> None:
        self._socket: socket.socket | None = None

    def any(self) -> bool:
        """Since the last call; True at the first, and where it cannot be known."""
        if self._socket is not None:
            try:
                self._socket.recv(1)
            except BlockingIOError:
                return False
            except OSError:
                pass  # more than it keeps
            self._socket.close()  # with all else that it keeps
        self._socket = _open_socket()
        return True

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None


def _open_socket() -> socket.socket | None:
    """None: there is no room for another socket."""
    try:
        kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK
        sock = socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE)
    except OSError:
        return None
    try:
        # Room for one message, which says as much as a hundred.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        sock.bind((0, _CHANGE_GROUPS))
    except OSError:
        sock.close()
        return None
    return sock


def read_routes() -> Routes:
    """The machine's routes; OSError if the kernel does not answer."""
    tables = read_tables()
    defaults: list[DefaultRoute] = []
    addressed: set[int] = set()
    for family in _ADDRESS_BYTES:
        answer = _ask(RTM_GETROUTE, family)
        defaults += [one for one in parse_default_routes(answer) if one.table in tables]
        addressed |= set(parse_addressed(answer))
    return Routes(tuple(dict.fromkeys(defaults)), frozenset(addressed))


def read_tables(ask: Callable[[int, int], bytes] | None = None) -> frozenset[int]:
    """The routing tables that a rule leads to; the usual ones where a kernel has no rules."""
    try:
        return frozenset(parse_tables((ask or _ask)(RTM_GETRULE, socket.AF_UNSPEC)))
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise
        return USUAL_TABLES


def ports_towards(gateways: Iterable[str]) -> frozenset[int]:
    """Ifindexes of the bridge ports behind which these addresses were seen; none if unknown."""
    addresses = {socket.inet_pton(_family(one), one) for one in gateways}
    try:
        macs = set(parse_neighbours(_ask(RTM_GETNEIGH, socket.AF_UNSPEC), addresses))
        return frozenset(parse_ports(_ask(RTM_GETNEIGH, AF_BRIDGE), macs))
    except OSError:
        return frozenset()


def parse_default_routes(answer: bytes) -> Iterator[DefaultRoute]:
    """The default routes of an answer, each hop of one that has several."""
    for body in _messages(answer):
        route = _route(body)
        if route is None or route.to_bits or route.kind != _UNICAST:
            continue
        metric = _number(route.attributes.get(6)) or 0
        table = _number(route.attributes.get(15)) or route.table
        for ifindex, gateway in _hops(route.attributes):
            yield DefaultRoute(metric, ifindex, gateway, table, bool(route.source_bits))


def parse_addressed(answer: bytes) -> Iterator[int]:
    """The interfaces with an address of the machine, except those that only link-locals are on."""
    for body in _messages(answer):
        route = _route(body)
        if route is None or route.kind != _LOCAL or route.table != LOCAL_TABLE:
            continue
        ifindex, to = _number(route.attributes.get(4)), route.attributes.get(1, b"")
        if ifindex is not None and to[:2] != b"\xfe\x80":
            yield ifindex


def parse_tables(answer: bytes) -> Iterator[int]:
    """The tables that the rules of an answer lead to."""
    for body in _messages(answer):
        if len(body) >= _ROUTE.size and body[7] == _TO_TABLE:
            yield _number(_attributes(body[_ROUTE.size :]).get(15)) or body[4]


def parse_neighbours(answer: bytes, addresses: set[bytes]) -> Iterator[bytes]:
    """The link addresses of these neighbours."""
    for body in _messages(answer):
        if not any([one in body for one in addresses]):
            continue  # as nearly all, and a hotspot has hundreds
        found = _attributes(body[_NEIGHBOUR.size :])
        if found.get(1) in addresses and found.get(2):
            yield found[2]


def parse_ports(answer: bytes, macs: set[bytes]) -> Iterator[int]:
    """The ports of a bridge's forwarding table that lead to these link addresses."""
    for body in _messages(answer):
        if not any([one in body for one in macs]):
            continue
        mac = _attributes(body[_NEIGHBOUR.size :]).get(2)
        if mac in macs and body[0] == AF_BRIDGE:
            yield _NEIGHBOUR.unpack_from(body)[1]


class _Route(NamedTuple):
    family: int
    to_bits: int
    source_bits: int
    table: int
    kind: int
    attributes: dict[int, bytes]


def _route(body: bytes) -> _Route | None:
    if len(body) < _ROUTE.size:
        return None
    family, to_bits, source_bits, _, table, _, _, kind, flags = _ROUTE.unpack_from(body)
    if family not in _ADDRESS_BYTES or flags & _CLONED:
        return None
    return _Route(family, to_bits, source_bits, table, kind, _attributes(body[_ROUTE.size :]))


def _hops(found: dict[int, bytes]) -> Iterator[tuple[int, str | None]]:
    """Ifindex and gateway of each hop."""
    ifindex = _number(found.get(4))
    if ifindex is not None:
        yield ifindex, _gateway(found)
    rest = found.get(9, b"")
    while len(rest) >= _HOP.size:
        length, _, _, ifindex = _HOP.unpack_from(rest)
        if length < _HOP.size:
            return
        yield ifindex, _gateway(_attributes(rest[_HOP.size : length]))
        rest = rest[_padded(length) :]


def _gateway(found: dict[int, bytes]) -> str | None:
    """RTA_GATEWAY, or RTA_VIA where an IPv4 route leads over IPv6."""
    address = found.get(5) or found.get(18, b"")[2:]
    for family, length in _ADDRESS_BYTES.items():
        if len(address) == length:
            return socket.inet_ntop(family, address)
    return None


def _family(address: str) -> int:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _number(value: bytes | None) -> int | None:
    return _NUMBER.unpack(value)[0] if value is not None and len(value) == 4 else None


def _ask(kind: int, family: int) -> bytes:
    """The kernel's answer, a row of messages."""
    request = _HEAD.pack(_HEAD.size + 12, kind, _DUMP, 1, 0) + bytes((family,)) + bytes(11)
    answer = b""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as sock:
        sock.settimeout(WAIT_S)
        sock.sendto(request, (0, 0))
        while len(answer) < MAX_NETLINK_ANSWER:
            part = sock.recv(1 << 16)
            answer += part
            if not part or _is_last(part):
                break
    return answer


def _is_last(part: bytes) -> bool:
    """The answer is complete; OSError if it is a refusal."""
    for kind, body in _framed(part):
        if kind == _ERROR and len(body) >= 4:
            code = -struct.unpack_from("=i", body)[0]
            if code:
                raise OSError(code, os.strerror(code))
        if kind in (_ERROR, _DONE):
            return True
    return False


def _messages(answer: bytes) -> Iterator[bytes]:
    for kind, body in _framed(answer):
        if kind not in (_ERROR, _DONE):
            yield body


def _framed(answer: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _HEAD.size <= len(answer):
        length, kind, *_ = _HEAD.unpack_from(answer, at)
        if length < _HEAD.size:
            return
        yield kind, answer[at + _HEAD.size : at + length]
        at += _padded(length)


def _attributes(rest: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    while len(rest) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(rest)
        if length < _ATTRIBUTE.size:
            break
        found[kind & 0x3FFF] = rest[_ATTRIBUTE.size : length]
        rest = rest[_padded(length) :]
    return found


def _padded(length: int) -> int:
    return (length + 3) & ~3
