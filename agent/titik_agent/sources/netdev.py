"""The sample's sections for ways out, LAN and each BSS: their bytes and link state.

Rule: one reading of the kernel's counters serves a sample's every figure.
Rule: ways out and LAN are found again when the kernel reports a change, and now and then.
Rule: a way out that is gone is down, not absent; otherwise an outage would look like a router that
has no uplink.
"""

import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Literal

from titik_agent.limits import MAX_SMALL_FILE, MAX_SUMMED
from titik_agent.sampling.source import SourceError
from titik_agent.shared_files import open_found, replace
from titik_agent.sources import rtnetlink
from titik_agent.sources.bss_bytes import BssBytes
from titik_agent.sources.counted import Counted, CountedInterfaces
from titik_agent.sources.rtnetlink import Routes
from titik_agent.sources.since import Since
from titik_agent.sources.traffic import (
    SeenInterface,
    Traffic,
    read_all,
    read_ifindexes,
    read_or_fail,
    read_traffic,
)
from titik_agent.sources.way_out import Way, WaysOut
from titik_agent.sources.wiring import Wiring
from titik_wire.limits import MAX_NETS
from titik_wire.messages import Net

log = logging.getLogger(__name__)

BOOT_CHARS = 8  # of the boot's random id in a token: 32 bits, for 2 of a router's boots to differ
LINE_BPS = 10e9  # where the driver does not know what the line carries
# What no change shows: a port that counts less than what is above it, a gateway that moved.
LOOK_S = 300.0
# Bridges that container and virtual machine tools make: not a LAN that visitors are on.
NOT_LAN = re.compile(r"docker|podman|virbr|lxc|lxd|cni|br-[0-9a-f]{12}$")


class Interfaces:
    """The section `net`: this machine's interfaces, and which of them are uplink and LAN.

    `uplink` (one or several, separated by spaces) and `lan` are the configured names; None: found
    by looking. `changed`: whether interfaces or routes may have changed since it was last asked;
    what was found holds for LOOK_S where they have not. Counters younger than `keep_s` are not
    read again: a sample has them for its every BSS. `memory` is a file on a RAM disk: which ways
    out were last found.
    """

    name = "netdev"
    field = "net"

    def __init__(
        self,
        uplink: str | None,
        lan: tuple[str, ...] | None,
        boot: str,
        *,
        since: Since | None = None,
        memory: str | None = None,
        traffic: Callable[[], Mapping[str, Traffic]] = read_traffic,
        ifindexes: Callable[[], Mapping[str, int]] = read_ifindexes,
        routes: Callable[[], Routes] = rtnetlink.read_routes,
        towards: Callable[[Iterable[str]], frozenset[int]] = rtnetlink.ports_towards,
        changed: Callable[[], bool] = lambda: True,
        wiring: Wiring | None = None,
        keep_s: float = 0.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._configured = [Way(one, one, "configured") for one in (uplink or "").split()]
        self._lan = lan
        self._boot = boot
        self._counting = CountedInterfaces(since or Since())
        self._memory = memory
        self._read_traffic = traffic
        self._read_ifindexes = ifindexes
        self._read_routes = routes
        self._changed = changed
        self._wiring = wiring or Wiring()
        self._keep_s = keep_s
        self._monotonic = monotonic
        self._life = f"{int(monotonic() * 1000):x}"
        # When it was read, and what.
        self._last: tuple[float, dict[str, SeenInterface]] | None = None
        self._looked_at: float | None = None  # None: ways out and LAN must be found again
        self._found: Sequence[Way] = _remembered(memory)
        self._found_lan: Sequence[str] = ()
        known_ports = {way.route: way.ifname for way in self._found}
        self._ways_out = WaysOut(self._wiring, towards, known_ports)
        self._bss: dict[str, BssBytes] = {}

    def uplink(self) -> str | None:
        """The interface with the best default route, or the first that is configured."""
        ways = self.ways()
        return ways[0].route if ways else None

    def gateway(self) -> str | None:
        """The IPv4 address that the uplink's default route leads to."""
        ifindex = read_or_fail(self._read_ifindexes).get(self.uplink() or "")
        routes = sorted(read_or_fail(self._read_routes).defaults, key=lambda one: one.metric)
        found = [one.gateway for one in routes if one.ifindex == ifindex and one.gateway]
        return next((one for one in found if ":" not in one), None)

    def lan(self) -> tuple[str, ...]:
        """The interfaces towards the visitors: the configured ones, or the bridges."""
        self._look(self._read())
        return tuple(self._found_lan)

    def ways(self) -> Sequence[Way]:
        """Every way to the internet; the last that were found while there is no default route."""
        self._look(self._read())
        return self._found

    def read(self) -> tuple[Net, ...] | None:
        """None: this machine has neither an uplink nor a LAN that we could find."""
        return self.net() or None

    def net(self) -> tuple[Net, ...]:
        """Every way out and the LAN as they are now; a LAN that does not exist is left out."""
        seen = self._read()
        self._look(seen)
        ways = self._found
        nets = [self._uplink(way, seen.get(way.ifname)) for way in ways]
        counted = {way.ifname for way in ways}
        nets += [
            self._net(ifname, "lan", self._wiring.has_carrier(ifname), seen[ifname])
            for ifname in self._found_lan
            if ifname in seen and ifname not in counted and self._wiring.exists(ifname)
        ]
        return tuple([net for net in nets if net is not None][:MAX_NETS])

    def bss_counters(self, ifname: str) -> tuple[str, int, int] | None:
        """`(since, rx_bytes, tx_bytes)` of a BSS with its AP_VLANs; None: could not be read."""
        with suppress(SourceError):
            seen = self._read()
            parent = self._counted(ifname, seen[ifname]) if ifname in seen else None
            if parent is not None:
                of_bss = self._bss_bytes(ifname)
                newest = max([one.ifindex for one in seen.values()])
                return of_bss.read(parent, self._children(ifname, seen), newest)
        return None

    def _bss_bytes(self, ifname: str) -> BssBytes:
        found = self._bss.pop(ifname, None) or BssBytes(self._life)
        self._bss[ifname] = found
        if len(self._bss) > MAX_SUMMED:
            del self._bss[next(iter(self._bss))]
        return found

    def _children(
        self, bss: str, seen: Mapping[str, SeenInterface]
    ) -> Iterator[tuple[int, Counted]]:
        for ifname, one in seen.items():
            if self._is_ap_vlan(ifname, bss):
                counted = self._counted(ifname, one)
                if counted is not None:
                    yield one.ifindex, counted

    def _is_ap_vlan(self, ifname: str, bss: str) -> bool:
        """`wlan0.sta1`, `phy1-ap0.4097` and `phy0-ap0-guest` are, and `phy0-ap0-1` is not.

        An AP_VLAN has the address of its BSS, another BSS has its own. A VLAN on top of the BSS is
        counted in it already.
        """
        if not ifname.startswith((bss + ".", bss + "-")) or ifname in self._bss:
            return False
        if bss in self._wiring.lowers(ifname):
            return False
        return self._wiring.address(ifname) == self._wiring.address(bss)

    def _read(self) -> dict[str, SeenInterface]:
        """Every interface, read now or just before."""
        now = self._monotonic()
        if self._last is None or now - self._last[0] >= self._keep_s:
            self._last = None
            if self._changed():  # asked first: what changes from now on is of the next reading
                self._looked_at = None
            self._last = (now, read_all(self._read_traffic, self._read_ifindexes))
        return self._last[1]

    def _look(self, seen: Mapping[str, SeenInterface]) -> None:
        """Find ways out and LAN, unless it is known that they are as they were."""
        now = self._monotonic()
        if self._looked_at is not None and now - self._looked_at < LOOK_S:
            return
        self._looked_at = None  # should the kernel not answer
        self._found = self._configured or self._find(seen)
        self._found_lan = self._lan_among(seen, self._found)
        self._looked_at = now if self._ways_out.is_sure else None

    def _find(self, seen: Mapping[str, SeenInterface]) -> Sequence[Way]:
        found = self._ways_out.find(
            read_or_fail(self._read_routes),
            {ifname: one.ifindex for ifname, one in seen.items()},
            {ifname: (one.traffic.rx_bytes, one.traffic.tx_bytes) for ifname, one in seen.items()},
        )
        if found and _names(found) != _names(self._found):
            for way in found:
                log.info("uplink found ifname=%s because=%s", way.ifname, way.why)
            _remember(self._memory, found)
        return found or self._found

    def _lan_among(self, ifnames: Iterable[str], ways: Sequence[Way]) -> tuple[str, ...]:
        if self._lan is not None:
            return self._lan
        # A bridge that the uplink is a VLAN of carries both sides, so it measures neither.
        outside = {
            name
            for way in ways
            for one in (way.route, way.ifname)
            for name in (one, one.split(".")[0], *self._wiring.uppers(one))
        }
        return tuple(
            [
                ifname
                for ifname in sorted(ifnames)
                if ifname not in outside and not NOT_LAN.match(ifname)
                if self._wiring.is_bridge(ifname)
            ]
        )

    def _uplink(self, way: Way, seen: SeenInterface | None) -> Net | None:
        """A way out, which is up if both its port and what has the route are."""
        up = self._wiring.has_carrier(way.route) and self._wiring.has_carrier(way.ifname)
        if seen is None or not self._wiring.exists(way.ifname):
            # No interface has ifindex 0: a counter of its own, which stands still.
            return Net(way.ifname, "uplink", False, identify(self._boot, 0), 0, 0)
        return self._net(way.ifname, "uplink", up, seen)

    def _net(
        self, ifname: str, role: Literal["uplink", "lan"], up: bool, seen: SeenInterface
    ) -> Net | None:
        """None: its bytes are impossible this time. Its next reading has them all."""
        counted = self._counted(ifname, seen)
        if counted is None:
            return None
        _, _, *others = seen.traffic
        return Net(ifname, role, up, *counted, *others)

    def _counted(self, ifname: str, seen: SeenInterface) -> Counted | None:
        return self._counting.read(
            identify(self._boot, seen.ifindex),
            seen.traffic,
            self._monotonic() if self._last is None else self._last[0],
            lambda: self._wiring.speed_bps(ifname) or LINE_BPS,
        )


def identify(boot: str, ifindex: int) -> str:
    """What the kernel says the counter is: it counts from zero when any of this changes.

    It is sent for every interface in every sample, so it is short.
    """
    return f"{boot[:BOOT_CHARS]}/{ifindex}"


def _names(ways: Sequence[Way]) -> list[tuple[str, str]]:
    return [(way.ifname, way.route) for way in ways]


def _remembered(memory: str | None) -> Sequence[Way]:
    """The ways out that an earlier life of the agent found in this boot."""
    if memory is None:
        return ()
    with suppress(OSError, ValueError):
        with open(open_found(memory), encoding="ascii") as file:
            pairs = [line.split() for line in file.read(MAX_SMALL_FILE).splitlines()]
        return [Way(ifname, route, f"{route} had a default route") for ifname, route in pairs]
    return ()


def _remember(memory: str | None, ways: Sequence[Way]) -> None:
    if memory is None:
        return
    try:
        rows = [f"{way.ifname} {way.route}\n" for way in ways]
        replace(memory, "".join(rows).encode("ascii"))
    except (OSError, UnicodeEncodeError) as error:
        log.debug("uplinks not remembered reason=%s", error)
