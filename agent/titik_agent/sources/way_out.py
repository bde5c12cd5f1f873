"""Which interfaces are uplinks: each way out to the internet once.

Rule: a way out is where a default route leads, of any table that a rule uses.
Rule: a tunnel is none while there is another, because its bytes leave again by that one.
Rule: what is counted is the lowest interface that carries this way out alone: the port and not
the bridge, VLAN, macvlan or PPPoE session above it. Offload to hardware passes those by.
Rule: a bond is one way out, and is counted itself. So is an interface whose port carries the LAN
too, and one whose port counts less than itself.
Rule: a bridge with an access point and without an address is the visitors': the router does not
route for them, so they leave by the bridge's port.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from titik_agent.limits import MAX_DEPTH, MAX_WAYS
from titik_agent.sources.rtnetlink import DefaultRoute, Routes
from titik_agent.sources.wiring import Wiring

MAIN = 254
_NO_PORT = re.compile("bat[0-9]")  # a mesh
_LITTLE = 1 << 20  # bytes by which counters that are read one after another may differ


class Way(NamedTuple):
    """One way out."""

    ifname: str  # is counted
    route: str  # has the default route, or is the visitors' bridge
    why: str  # for people
    doubt: str | None = None  # why it may be the wrong one, and what to do


Counts = Mapping[str, tuple[int | None, int | None]]  # received and sent bytes of each interface
Towards = Callable[[Iterable[str]], frozenset[int]]  # gateways to ifindexes of bridge ports


class WaysOut:
    """Finds them, and remembers what the kernel forgets.

    That is which port of a bridge led out, and which bridges had an access point: it is gone while
    Wi-Fi restarts.

    `ports` is what an earlier life knew of the first.
    """

    def __init__(self, wiring: Wiring, towards: Towards, ports: Mapping[str, str]) -> None:
        self.is_sure = True  # of the last answer: no port is a guess
        self._wiring = wiring
        self._towards = towards
        self._ports = {bridge: port for bridge, port in ports.items() if port != bridge}
        self._wireless: set[str] = set()

    def find(self, routes: Routes, ifindexes: Mapping[str, int], counts: Counts) -> tuple[Way, ...]:
        """Every way out, that of the best route first; none without a default route."""
        self._wireless = {one for one in ifindexes if self._has_radio(one)}
        search = _Search(
            self._wiring, self._towards, self._ports, self._wireless, routes, ifindexes, counts
        )
        ways = search.ways()
        self.is_sure = not search.guesses
        return ways

    def _has_radio(self, ifname: str) -> bool:
        """It is a bridge, and one of its ports belongs to a radio, or did."""
        return self._wiring.is_bridge(ifname) and (
            ifname in self._wireless
            or any(map(self._wiring.is_wireless, self._wiring.ports(ifname)))
        )


class _Search:
    """One look at one moment."""

    def __init__(
        self, wiring: Wiring, towards: Towards, ports: dict[str, str], wireless: set[str],
        routes: Routes, ifindexes: Mapping[str, int], counts: Counts,
    ) -> None:  # fmt: skip
        self.guesses: set[str] = set()  # bridges whose gateway was not seen yet
        self._wiring = wiring
        self._towards = towards
        self._known_ports = ports
        self._wireless = wireless
        self._counts = counts
        self._ifindexes = ifindexes
        self._names = {ifindex: ifname for ifname, ifindex in ifindexes.items()}
        self._defaults = [one for one in routes.defaults if one.ifindex in self._names]
        self._defaults.sort(key=lambda one: (one.table != MAIN, one.metric))
        self._addressed = {self._names.get(one) for one in routes.addressed}
        self._claimed: set[str] = set()  # carries nothing but ways out

    def ways(self) -> tuple[Way, ...]:
        tops = self._tops()
        if not tops:
            return ()
        chains = [[one] for one in [*tops, *self._visitors_bridges()][:MAX_WAYS]]
        below = self._below_sessions(tops)
        self._claimed = {one for chain in chains for one in chain} | set(below.values())
        doubts: dict[str, str] = {}
        # One step of all at a time: a port is alone once all VLANs on it are known to lead out.
        for _ in range(MAX_DEPTH):
            for chain in chains:
                lower = self._step(chain, below, doubts)
                if lower is not None:
                    chain.append(lower)
                    self._claimed.add(lower)
        ways: dict[str, Way] = {}
        for chain in chains:
            way = Way(chain[-1], chain[0], self._why(chain), doubts.get(chain[-1]))
            ways.setdefault(way.ifname, way)
        return tuple(ways.values())

    def _tops(self) -> list[str]:
        """Where the default routes lead, the best first."""
        names = list(dict.fromkeys(self._names[one.ifindex] for one in self._defaults))
        names = [one for one in names if one != "lo"]
        physical = [one for one in names if not self._wiring.is_tunnel(one)]
        if not physical:
            return names[:1]  # tunnels may lie in each other
        # A container has no hardware at all, so that its interfaces are no tunnels.
        first, *others = list(filter(self._wiring.is_backed, physical)) or physical
        return [first, *(one for one in others if not self._is_visitors(one))]

    def _is_visitors(self, ifname: str) -> bool:
        """A bridge with a second default route is rather the LAN, whose settings name a gateway."""
        if not self._wiring.is_bridge(ifname):
            return False
        return ifname in self._wireless or len(self._wired(ifname)) != 1

    def _visitors_bridges(self) -> list[str]:
        routed = self._addressed | {self._names[one.ifindex] for one in self._defaults}
        return [
            ifname
            for ifname in sorted(self._wireless - routed)
            if len(self._wired(ifname)) == 1
            if self._wiring.is_backed(self._wired(ifname)[0])
        ]

    def _below_sessions(self, tops: list[str]) -> dict[str, str]:
        """The interface below each PPPoE session.

        Nothing says which session is whose, so only where all of them lead out.
        """
        sessions = [one for one in tops if self._wiring.is_ppp(one)]
        devices = self._wiring.pppoe_devices() if sessions else []
        if len(sessions) != len(devices):
            return {}
        return dict(zip(sessions, devices, strict=True))

    def _step(self, chain: list[str], below: dict[str, str], doubts: dict[str, str]) -> str | None:
        """The interface below the chain's last that carries all that it does; None: stay."""
        top = chain[-1]
        if top in below:
            # All sessions together, because which is whose is not known.
            return below[top] if self._counts_more(list(below.values()), list(below)) else None
        if self._wiring.is_bridge(top):
            return self._port(top, doubts) if len(chain) == 1 or chain[0] in below else None
        lowers = [] if self._wiring.is_bond(top) else self._wiring.lowers(top)
        if len(lowers) != 1 or not self._is_alone(lowers[0]):
            return None
        return lowers[0] if self._counts_more(lowers, [top]) else None

    def _is_alone(self, ifname: str) -> bool:
        """It carries nothing but ways out."""
        if self._wiring.is_bridge(ifname) or ifname in self._addressed - self._claimed:
            return False
        return set(self._wiring.uppers(ifname)) <= self._claimed

    def _counts_more(self, lowers: list[str], uppers: list[str]) -> bool:
        """False: these ports do not count, or wrapped while what is above them went on."""
        for direction in (0, 1):
            below = [self._counts.get(one, (None, None))[direction] for one in lowers]
            above = [self._counts.get(one, (None, None))[direction] or 0 for one in uppers]
            if sum(one or 0 for one in set_of(lowers, below)) + _LITTLE < sum(above) * 0.9:
                return False
            if None in below:
                return False
        return True

    def _port(self, bridge: str, doubts: dict[str, str]) -> str | None:
        """The port of a bridge that leads out: the one where its gateway was seen."""
        ports, wired = self._wiring.ports(bridge), self._wired(bridge)
        gateways = [
            one.gateway
            for one in self._defaults
            if one.gateway is not None and self._names[one.ifindex] == bridge
        ]
        known = self._known_ports.get(bridge)
        # An earlier life of the agent knows only what it counted, which may lie below a VLAN.
        known = next((one for one in ports if known in (one, *self._wiring.lowers(one))), known)
        several = len(ports) > 1 or known not in (None, *ports)
        seen = self._towards(gateways) if several and gateways else frozenset()
        # Of several, as where each family has a gateway, the one that was counted; or else a wire.
        found = [one for one in (known, *wired, *ports) if one and self._ifindexes.get(one) in seen]
        if found:
            self._known_ports[bridge] = found[0]
            return found[0]
        if known in ports:
            return known
        if several:
            self.guesses.add(bridge)
        if known is not None and gateways:
            return known  # gone, as a repeater's radio is while Wi-Fi restarts
        if len(wired) == 1:
            return wired[0]
        doubts[bridge] = (
            f"it is not known yet which port of {bridge} ({', '.join(ports) or 'none'}) leads to"
            " the gateway; check again, or name the port as interfaces.uplink"
        )
        return None

    def _wired(self, bridge: str) -> list[str]:
        return [
            one
            for one in self._wiring.ports(bridge)
            if not self._wiring.is_wireless(one)
            if not self._wiring.is_tunnel(one)
            if not _NO_PORT.match(one)
        ]

    def _why(self, chain: list[str]) -> str:
        route = next((one for one in self._defaults if self._names[one.ifindex] == chain[0]), None)
        if route is None:
            text = f"{chain[0]} has an access point and no address, so its visitors leave"
        else:
            text = f"{chain[0]} has {_described(route)}"
            if self._wiring.is_tunnel(chain[0]):
                text += " and is a tunnel, below which none is known"
        return f"{text}, by {' and '.join(chain[1:])}" if len(chain) > 1 else text


def _described(route: DefaultRoute) -> str:
    family = "an IPv6" if route.gateway is not None and ":" in route.gateway else "a"
    source = " for its own prefix" if route.has_source else ""
    table = "" if route.table == MAIN else f" in table {route.table}"
    return f"{family} default route{source}{table}"


def set_of(names: list[str], values: list[int | None]) -> list[int | None]:
    """The values of each name once: two sessions may lie on one port."""
    return list(dict(zip(names, values, strict=True)).values())
