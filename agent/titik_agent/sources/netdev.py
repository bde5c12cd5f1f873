"""Byte counters and link state of the uplink, the LAN and each BSS.

Rule: counters are the kernel's own, raw: psutil's `nowrap` would add the old value to the new one
whenever an interface is re-created, which is every `wifi reload`.
Rule: a counter belongs to an ifindex, and both are read so that they cannot be of two interfaces.
"""

import logging
import os
import re
import socket
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from itertools import islice
from typing import Literal, NamedTuple, TypeVar

import psutil

from titik_agent.sources import SourceError
from titik_agent.sources.since import Since
from titik_wire.messages import Net

log = logging.getLogger(__name__)

T = TypeVar("T")

MAX_NETS = 32  # the contract's limit
BOOT_CHARS = 8  # of the boot's random id in a token: 32 bits, for 2 of a router's boots to differ
MAX_SUFFIX = 100  # characters of ifindexes in a token, which may have 200
MAX_ROUTES = 8192  # rows of a routing table; the default route is near the top
READS = 3  # tries to read counters between two equal lists of interfaces
RTF_UP = 0x1
RTF_REJECT = 0x200
# Bridges that container and virtual machine tools make: not a LAN that visitors are on.
NOT_LAN = re.compile(r"docker|podman|virbr|lxc|lxd|cni|br-[0-9a-f]{12}$")


class Traffic(NamedTuple):
    """The counters of one interface, in its own point of view, since it was created."""

    rx_bytes: int
    tx_bytes: int
    rx_packets: int
    tx_packets: int
    rx_errors: int
    tx_errors: int
    rx_drops: int
    tx_drops: int


class Seen(NamedTuple):
    """One interface at one instant."""

    ifindex: int
    traffic: Traffic


def read_traffic() -> dict[str, Traffic]:
    """Every interface's counters, from /proc/net/dev; 64 bits wide where the driver's are."""
    return {
        ifname: Traffic(
            io.bytes_recv, io.bytes_sent, io.packets_recv, io.packets_sent,
            io.errin, io.errout, io.dropin, io.dropout,
        )
        for ifname, io in psutil.net_io_counters(pernic=True, nowrap=False).items()
    }  # fmt: skip


def read_ifindexes() -> dict[str, int]:
    """Every interface's ifindex."""
    return {ifname: ifindex for ifindex, ifname in socket.if_nameindex()}


def read_or_fail(read: Callable[[], T]) -> T:
    """What `read` gives; SourceError if the kernel has no answer that it understands."""
    try:
        return read()
    except (OSError, ValueError, IndexError, AttributeError) as error:
        # The last three: psutil at a /proc/net/dev that it cannot parse.
        raise SourceError(f"interfaces: {error}") from error


class Interfaces:
    """This machine's interfaces, and which of them are uplink and LAN.

    `uplink` and `lan` are the configured names; None: found by looking, anew at every reading.
    Counters younger than `keep_s` are not read again: a sample has them for its every BSS.
    """

    def __init__(
        self,
        uplink: str | None,
        lan: tuple[str, ...] | None,
        boot: str,
        *,
        since: Since | None = None,
        traffic: Callable[[], Mapping[str, Traffic]] = read_traffic,
        ifindexes: Callable[[], Mapping[str, int]] = read_ifindexes,
        sysfs: str = "/sys/class/net",
        proc: str = "/proc/net",
        keep_s: float = 0.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._uplink = uplink
        self._lan = lan
        self._boot = boot
        self._since = since or Since()
        self._read_traffic = traffic
        self._read_ifindexes = ifindexes
        self._sysfs = sysfs
        self._proc = proc
        self._keep_s = keep_s
        self._monotonic = monotonic
        self._last: tuple[float, dict[str, Seen]] | None = None  # when it was read, and what
        self._found: str | None = None  # the uplink last found

    def uplink(self) -> str | None:
        """The interface towards the internet: the configured one, or the default route's.

        Without a default route it is the one that last had it, so that a dead uplink shows as
        down and not as absent.
        """
        if self._uplink is not None:
            return self._uplink
        found = default_route(self._text("route"), self._text("ipv6_route"))
        if found is not None and found != self._found:
            log.info("uplink found ifname=%s", found)
            self._found = found
        return self._found

    def gateway(self) -> str | None:
        """The IPv4 address that the uplink's default route leads to."""
        uplink = self.uplink()
        return gateway(self._text("route"), uplink) if uplink is not None else None

    def lan(self) -> tuple[str, ...]:
        """The interfaces towards the visitors: the configured ones, or the bridges."""
        return self._lan_among(read_or_fail(self._read_ifindexes), self.uplink())

    def _lan_among(self, ifnames: Iterable[str], uplink: str | None) -> tuple[str, ...]:
        if self._lan is not None:
            return self._lan
        # A bridge that the uplink is a VLAN of carries both sides, so it measures neither.
        under_uplink = (uplink or "").split(".")[0]
        return tuple(
            [
                ifname
                for ifname in sorted(ifnames)
                if ifname not in (uplink, under_uplink) and not NOT_LAN.match(ifname)
                if os.path.isdir(os.path.join(self._sysfs, ifname, "bridge"))
            ]
        )

    def net(self) -> tuple[Net, ...]:
        """Uplink and LAN as they are now; one that does not exist now is left out."""
        seen = self._read()
        uplink = self.uplink()
        roles: dict[str, Literal["uplink", "lan"]] = {} if uplink is None else {uplink: "uplink"}
        for ifname in self._lan_among(seen, uplink):
            roles.setdefault(ifname, "lan")
        present = [ifname for ifname in roles if ifname in seen][:MAX_NETS]
        nets = (self._net(ifname, roles[ifname], seen[ifname]) for ifname in present)
        return tuple([net for net in nets if net is not None])

    def bss_counters(self, ifname: str) -> tuple[str, int, int] | None:
        """`(since, rx_bytes, tx_bytes)` of a BSS with its AP_VLANs; None: could not be read."""
        try:
            seen = self._read()
        except SourceError:
            return None
        if ifname not in seen:
            return None
        children = [name for name in seen if self._is_ap_vlan(name, ifname)]
        parts = [seen[ifname], *sorted(seen[name] for name in children)]
        traffic = Traffic(
            *[sum(one) for one in zip(*[part.traffic for part in parts], strict=True)]
        )
        identity = identify(self._boot, tuple([part.ifindex for part in parts]))
        return self._since.token(identity, traffic), traffic.rx_bytes, traffic.tx_bytes

    def _read(self) -> dict[str, Seen]:
        """Every interface, read now or just before."""
        now = self._monotonic()
        if self._last is None or now - self._last[0] >= self._keep_s:
            self._last = None
            self._last = (now, self._read_anew())
        return self._last[1]

    def _read_anew(self) -> dict[str, Seen]:
        """Every interface; its ifindex was the same before and after its counters were read."""
        for _ in range(READS):
            before = read_or_fail(self._read_ifindexes)
            traffic = read_or_fail(self._read_traffic)
            after = read_or_fail(self._read_ifindexes)
            if before == after:
                return {
                    ifname: Seen(ifindex, traffic[ifname])
                    for ifname, ifindex in after.items()
                    # The kernel allows control characters and bytes of no encoding in a name.
                    if ifname in traffic and ifname.isprintable()
                }
        raise SourceError("interfaces come and go faster than they can be read")

    def _net(self, ifname: str, role: Literal["uplink", "lan"], seen: Seen) -> Net | None:
        try:
            with open(os.path.join(self._sysfs, ifname, "carrier")) as file:
                up = file.read().strip() == "1"
        except FileNotFoundError:
            return None  # it vanished just now
        except OSError:
            up = False  # EINVAL: the interface is administratively down
        since = self._since.token(identify(self._boot, (seen.ifindex,)), seen.traffic)
        return Net(ifname=ifname, role=role, up=up, since=since, **seen.traffic._asdict())

    def _is_ap_vlan(self, ifname: str, bss: str) -> bool:
        """`wlan0.sta1` and `phy1-ap0.4097` are; a VLAN on top of the BSS is counted in it already.

        hostapd hands a station of an AP_VLAN (4-address, dynamic VLAN, per-station interface) to
        an interface of its own, and the BSS's interface no longer counts that station's bytes.
        """
        lower = os.path.join(self._sysfs, ifname, f"lower_{bss}")
        return ifname.startswith(bss + ".") and not os.path.lexists(lower)

    def _text(self, table: str) -> str:
        try:
            with open(os.path.join(self._proc, table), errors="surrogateescape") as file:
                return "".join(islice(file, MAX_ROUTES))  # read(n) would allocate n
        except OSError:
            return ""  # a kernel without IPv6 has no such file


class NetdevSource:
    """Uplink and LAN in a sample."""

    name = "netdev"
    field = "net"

    def __init__(self, interfaces: Interfaces) -> None:
        self._interfaces = interfaces

    def read(self) -> tuple[Net, ...] | None:
        """None: this machine has neither an uplink nor a LAN that we could find."""
        return self._interfaces.net() or None


def identify(boot: str, ifindexes: tuple[int, ...]) -> str:
    """What the kernel says the counter is: it counts from zero when any of this changes.

    It is sent for every interface in every sample, so it is short.
    """
    suffix = "+".join(map(str, ifindexes))
    if len(suffix) > MAX_SUFFIX:
        import hashlib  # 0.8 MB, and hardly any router comes here

        suffix = f"{ifindexes[0]}+{hashlib.sha256(suffix.encode()).hexdigest()[:32]}"
    return f"{boot[:BOOT_CHARS]}/{suffix}"


def default_route(ipv4: str, ipv6: str) -> str | None:
    """The interface of the best default route in /proc/net/route, else in /proc/net/ipv6_route."""
    route = _best(_ipv4_defaults(ipv4.splitlines())) or _best(_ipv6_defaults(ipv6.splitlines()))
    return route and route.ifname


def gateway(ipv4: str, ifname: str) -> str | None:
    """The address that the interface's best IPv4 default route leads to; None: it names none."""
    route = _best(route for route in _ipv4_defaults(ipv4.splitlines()) if route.ifname == ifname)
    if route is None or not route.gateway:
        return None
    # The kernel prints the address's bytes as one number of its own byte order.
    return socket.inet_ntoa(route.gateway.to_bytes(4, sys.byteorder))


class _Route(NamedTuple):
    metric: int
    ifname: str
    gateway: int


def _ipv4_defaults(rows: Iterable[str]) -> Iterable[_Route]:
    for row in rows:
        match row.split():
            case [ifname, "00000000", address, flags, _, _, metric, "00000000", *_]:
                with suppress(ValueError):
                    if int(flags, 16) & (RTF_UP | RTF_REJECT) == RTF_UP:
                        yield _Route(int(metric), ifname, int(address, 16) & 0xFFFFFFFF)


def _ipv6_defaults(rows: Iterable[str]) -> Iterable[_Route]:
    anywhere = "0" * 32
    for row in rows:
        match row.split():
            case [to, "00", source, "00", _, metric, _, _, flags, ifname] if (
                to == source == anywhere and ifname != "lo"
            ):
                with suppress(ValueError):
                    if int(flags, 16) & (RTF_UP | RTF_REJECT) == RTF_UP:
                        yield _Route(int(metric, 16), ifname, 0)


def _best(routes: Iterable[_Route]) -> _Route | None:
    """The one of the lowest metric; of equals the first."""
    return min(routes, key=lambda route: route.metric, default=None)
