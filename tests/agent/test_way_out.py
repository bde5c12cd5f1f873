"""Which interfaces lead to the internet, from what /sys/class/net and the routes say."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from titik_agent.sources.rtnetlink import DefaultRoute, Routes
from titik_agent.sources.way_out import WaysOut
from titik_agent.sources.wiring import Wiring

ETHER, PPP, NONE = 1, 512, 65534
GATEWAY = "192.0.2.1"


class Machine:
    """A router's interfaces as sysfs shows them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.ifindexes: dict[str, int] = {}
        self.counts: dict[str, tuple[int | None, int | None]] = {}
        self.addressed: set[str] = set()
        self.gateway_ports: set[str] = set()
        self.defaults: list[DefaultRoute] = []
        self.wiring = Wiring(str(root / "sys"), str(root / "proc"))
        self.ways_out = WaysOut(self.wiring, self.towards, {})

    def add(self, ifname: str, kind: int = ETHER, *, on: Iterable[str] = (), has: str = "") -> None:
        """`on`: its lower interfaces; `has`: files that it has besides."""
        folder = self.root / "sys" / ifname
        folder.mkdir(parents=True)
        (folder / "type").write_text(f"{kind}\n")
        for name in has.split():
            (folder / name).mkdir()
        for lower in on:
            (folder / f"lower_{lower}").symlink_to(f"../{lower}")
            (self.root / "sys" / lower / f"upper_{ifname}").symlink_to(f"../{ifname}")
        self.ifindexes[ifname] = len(self.ifindexes) + 1
        self.counts[ifname] = (0, 0)

    def bridge(self, ifname: str, *ports: str) -> None:
        self.add(ifname, on=ports, has="bridge brif")
        for port in ports:
            (self.root / "sys" / ifname / "brif" / port).mkdir()

    def sessions(self, *devices: str) -> None:
        """/proc/net/pppoe."""
        rows = "".join(f"{n:08X} 02:00:00:00:00:01 {one:>8}\n" for n, one in enumerate(devices))
        (self.root / "proc").mkdir(exist_ok=True)
        (self.root / "proc" / "pppoe").write_text("Id       Address              Device\n" + rows)

    def route(self, ifname: str, metric: int = 0, table: int = 254, source: bool = False) -> None:
        route = DefaultRoute(metric, self.ifindexes[ifname], GATEWAY, table, source)
        self.defaults.append(route)

    def towards(self, gateways: Iterable[str]) -> frozenset[int]:
        assert GATEWAY in list(gateways)
        return frozenset(self.ifindexes[one] for one in self.gateway_ports)

    def ways(self) -> list[tuple[str, str]]:
        """What is counted, and what has the route."""
        addressed = frozenset(self.ifindexes[one] for one in self.addressed)
        routes = Routes(tuple(self.defaults), addressed)
        self.found = self.ways_out.find(routes, self.ifindexes, self.counts)
        return [(way.ifname, way.route) for way in self.found]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """eth0 and the access point phy0-ap0."""
    made = Machine(tmp_path)
    made.add("lo", 772)
    made.add("eth0", has="device")
    made.add("phy0-ap0", has="phy80211")
    return made


def test_a_bridged_access_point_leaves_by_its_port(machine: Machine) -> None:
    """The bridge itself counts only what is for the access point."""
    machine.bridge("br-lan", "eth0", "phy0-ap0")
    machine.route("br-lan")
    assert machine.ways() == [("eth0", "br-lan")]
    assert machine.found[0].why == "br-lan has a default route, by eth0"


def test_of_several_ports_the_gateway_s_is_the_way_out(machine: Machine) -> None:
    """It is remembered when the bridge forgets the gateway; an unknown one is reported as such."""
    machine.add("lan1")
    machine.bridge("br-lan", "eth0", "lan1", "phy0-ap0")
    machine.route("br-lan")
    assert machine.ways() == [("br-lan", "br-lan")]
    assert "eth0, lan1, phy0-ap0" in (machine.found[0].doubt or "")
    machine.gateway_ports = {"lan1"}
    assert machine.ways() == [("lan1", "br-lan")]
    machine.gateway_ports = set()
    assert machine.ways() == [("lan1", "br-lan")]
    assert machine.found[0].doubt is None
    machine.ways_out = WaysOut(machine.wiring, machine.towards, {"br-lan": "eth0", "x": "y"})
    assert machine.ways() == [("eth0", "br-lan")]


def test_a_port_that_an_earlier_life_counted_is_known_through_its_vlan(machine: Machine) -> None:
    """It has no more than the name of what was counted."""
    machine.add("lan1")
    machine.add("eth0.7", on=["eth0"])
    machine.bridge("br-lan", "eth0.7", "lan1")
    machine.route("br-lan")
    machine.ways_out = WaysOut(machine.wiring, machine.towards, {"br-lan": "eth0"})
    assert machine.ways() == [("eth0", "br-lan")]


def test_a_repeater_s_way_out_is_its_radio(machine: Machine) -> None:
    """Though there is one wired port, which somebody's computer is on."""
    machine.add("phy0-sta0", has="phy80211")
    machine.bridge("br-lan", "eth0", "phy0-ap0", "phy0-sta0")
    machine.route("br-lan")
    machine.gateway_ports = {"phy0-sta0"}
    assert machine.ways() == [("phy0-sta0", "br-lan")]


def test_a_repeater_s_radio_stays_the_way_out_while_it_is_gone(machine: Machine) -> None:
    """Wi-Fi that is loaded again makes it again; the wired port did not lead out meanwhile."""
    machine.add("phy0-sta0", has="phy80211")
    machine.bridge("br-lan", "eth0", "phy0-sta0")
    machine.route("br-lan")
    machine.gateway_ports = {"phy0-sta0"}
    assert machine.ways() == [("phy0-sta0", "br-lan")]
    machine.gateway_ports = set()
    (machine.root / "sys/br-lan/brif/phy0-sta0").rmdir()
    assert machine.ways() == [("phy0-sta0", "br-lan")]
    assert not machine.ways_out.is_sure
    machine.gateway_ports = {"eth0"}  # somebody laid a cable instead
    assert machine.ways() == [("eth0", "br-lan")]
    assert machine.ways_out.is_sure


def test_of_two_ports_with_a_gateway_the_one_that_was_counted_stays(machine: Machine) -> None:
    """A network may have another gateway for IPv6, and the kernel forgets them one by one."""
    machine.add("lan1")
    machine.bridge("br-lan", "eth0", "lan1")
    machine.route("br-lan")
    found = []
    for ports in ({"lan1"}, {"eth0", "lan1"}, set(), {"eth0", "lan1"}):
        machine.gateway_ports = ports
        found += machine.ways()
    assert found == [("lan1", "br-lan")] * 4


def test_a_visitors_bridge_stays_one_while_wi_fi_is_off(machine: Machine) -> None:
    """Else the uplink would become another at each reload of Wi-Fi."""
    machine.add("eth0.1", on=["eth0"])
    machine.add("eth0.10", on=["eth0"])
    machine.bridge("br-lan", "eth0.1")
    machine.bridge("br-guest", "eth0.10", "phy0-ap0")
    machine.addressed = {"br-lan"}
    machine.route("br-lan")
    assert machine.ways() == [("eth0", "br-lan")]
    (machine.root / "sys/br-guest/brif/phy0-ap0").rmdir()
    assert machine.ways() == [("eth0", "br-lan")]


def test_a_visitors_vlan_that_is_bridged_through_is_counted(machine: Machine) -> None:
    """The router has its own address on another VLAN; both leave by one port."""
    machine.add("eth0.1", on=["eth0"])
    machine.add("eth0.10", on=["eth0"])
    machine.bridge("br-lan", "eth0.1")
    machine.bridge("br-guest", "eth0.10", "phy0-ap0")
    machine.addressed = {"br-lan"}
    machine.route("br-lan")
    assert machine.ways() == [("eth0", "br-lan")]


def test_a_visitors_bridge_with_an_address_is_no_way_out(machine: Machine) -> None:
    """The router routes for it."""
    machine.add("lan1")
    machine.bridge("br-lan", "lan1", "phy0-ap0")
    machine.addressed = {"br-lan", "eth0"}
    machine.route("eth0")
    assert machine.ways() == [("eth0", "eth0")]


def test_a_vlan_alone_on_its_port_is_counted_at_the_port(machine: Machine) -> None:
    """Offload passes the VLAN by."""
    machine.add("eth0.35", on=["eth0"])
    machine.route("eth0.35")
    assert machine.ways() == [("eth0", "eth0.35")]


@pytest.mark.parametrize("other", ["vlan", "address"])
def test_a_port_that_carries_the_lan_too_is_not_counted(machine: Machine, other: str) -> None:
    """A router on a stick."""
    machine.add("eth0.2", on=["eth0"])
    if other == "vlan":
        machine.add("eth0.1", on=["eth0"])
    else:
        machine.addressed = {"eth0"}
    machine.route("eth0.2")
    assert machine.ways() == [("eth0.2", "eth0.2")]


def test_a_vlan_of_a_bridge_is_counted_itself(machine: Machine) -> None:
    """The bridge below it has the LAN's ports too."""
    machine.bridge("br-lan", "eth0", "phy0-ap0")
    machine.add("br-lan.99", on=["br-lan"])
    machine.addressed = {"br-lan"}
    machine.route("br-lan.99")
    assert machine.ways() == [("br-lan.99", "br-lan.99")]


def test_a_bond_is_one_way_out(machine: Machine) -> None:
    """It counts for all its ports."""
    machine.add("eth1", has="device")
    machine.add("bond0", on=["eth0", "eth1"], has="bonding")
    machine.route("bond0")
    assert machine.ways() == [("bond0", "bond0")]


def test_a_session_is_counted_at_the_port_below_it(machine: Machine) -> None:
    """Hardware that translates addresses passes the session by: 1.7 of 65.6 GB were counted."""
    machine.add("pppoe-wan", PPP)
    machine.sessions("eth0")
    machine.counts |= {"eth0": (65_641_111_334, 9), "pppoe-wan": (1_697_111_580, 9)}
    machine.route("pppoe-wan")
    assert machine.ways() == [("eth0", "pppoe-wan")]


@pytest.mark.parametrize("below", [(2_000_000, 60_000_000), (None, 60_000_000)])
def test_a_port_that_counts_less_is_passed_over(
    machine: Machine, below: tuple[int | None, int]
) -> None:
    """Its 32 bits wrapped, or it does not count at all."""
    machine.add("pppoe-wan", PPP)
    machine.sessions("eth0")
    machine.counts |= {"eth0": below, "pppoe-wan": (50_000_000, 50_000_000)}
    machine.route("pppoe-wan")
    assert machine.ways() == [("pppoe-wan", "pppoe-wan")]


def test_two_sessions_on_one_port_are_one_way_out(machine: Machine) -> None:
    """The port has the bytes of both."""
    machine.add("pppoe-wan", PPP)
    machine.add("pppoe-wanb", PPP)
    machine.sessions("eth0", "eth0")
    machine.counts |= {"eth0": (9**9, 9**9), "pppoe-wan": (9**8, 9**8), "pppoe-wanb": (9**8, 0)}
    machine.route("pppoe-wan")
    machine.route("pppoe-wanb", 1)
    assert machine.ways() == [("eth0", "pppoe-wan")]


def test_two_sessions_on_two_ports_are_two_ways_out(machine: Machine) -> None:
    """Which session is on which port need not be known."""
    machine.add("eth1")
    machine.add("pppoe-wan", PPP)
    machine.add("pppoe-wanb", PPP)
    machine.sessions("eth1", "eth0")
    machine.route("pppoe-wan")
    machine.route("pppoe-wanb", 1)
    assert {ifname for ifname, _ in machine.ways()} == {"eth0", "eth1"}


def test_sessions_of_somebody_else_are_left_alone(machine: Machine) -> None:
    """A server of PPPoE, or one session more than there are default routes."""
    machine.add("pppoe-wan", PPP)
    machine.sessions("eth0", "br-lan")
    machine.route("pppoe-wan")
    assert machine.ways() == [("pppoe-wan", "pppoe-wan")]


def test_all_uplinks_of_a_balancing_router_count(machine: Machine) -> None:
    """Of whatever metric and table; the best of the main table first."""
    machine.add("eth1", has="device")
    machine.add("wwan0", NONE, has="device")
    machine.route("wwan0", 5, table=3)
    machine.route("eth1", 20)
    machine.route("eth0", 10)
    machine.route("eth0", 10, table=1)
    assert [ifname for ifname, _ in machine.ways()] == ["eth0", "eth1", "wwan0"]


def test_a_lan_whose_settings_name_a_gateway_is_no_second_uplink(machine: Machine) -> None:
    """A common mistake, which must not count the visitors' bytes twice."""
    machine.add("lan1")
    machine.bridge("br-lan", "lan1", "phy0-ap0")
    machine.route("eth0", 0)
    machine.route("br-lan", 10)
    assert [ifname for ifname, _ in machine.ways()] == ["eth0"]


@pytest.mark.parametrize("tunnel", ["wg0", "tun0", "464-wan6_4", "6in4-wan6", "l2tp-vpn"])
def test_a_tunnel_over_another_uplink_is_not_counted_twice(machine: Machine, tunnel: str) -> None:
    """Though its default route is the better one."""
    machine.add(tunnel, {"6in4-wan6": 776, "l2tp-vpn": PPP}.get(tunnel, NONE))
    machine.route(tunnel, 0)
    machine.route("eth0", 10, source=True)
    assert machine.ways() == [("eth0", "eth0")]
    assert machine.found[0].why == "eth0 has a default route for its own prefix"


@pytest.mark.parametrize("kind", ["", "vxlan", "l2tpeth"])
def test_a_layer_2_tunnel_is_not_counted_twice(machine: Machine, kind: str) -> None:
    """Neither as a default route, nor as the port that all visitors are sent through."""
    machine.add("tunnel0", on=["eth0"] if kind == "vxlan" else ())
    (machine.root / "sys" / "tunnel0" / "uevent").write_text(f"DEVTYPE={kind}\nIFINDEX=7\n")
    machine.add("tunnel1")
    machine.bridge("br-guest", "tunnel1", "phy0-ap0")
    machine.route("tunnel0", 0)
    machine.route("eth0", 10)
    assert machine.ways() == [("eth0", "eth0")]


def test_a_modem_s_session_is_no_tunnel(machine: Machine) -> None:
    """Its serial line is no network interface."""
    machine.add("3g-wwan", PPP)
    machine.route("3g-wwan", 5)
    machine.route("eth0", 10)
    assert machine.ways() == [("3g-wwan", "3g-wwan"), ("eth0", "eth0")]


def test_a_tunnel_alone_is_the_uplink(machine: Machine) -> None:
    """Better than none; and several may lie in each other."""
    machine.add("wg0", NONE)
    machine.add("tap0", has="tun_flags")
    machine.route("tap0", 5, table=7)
    machine.route("wg0", 0)
    assert machine.ways() == [("wg0", "wg0")]


def test_two_macvlans_on_one_port_are_one_way_out(machine: Machine) -> None:
    """Two addresses of the provider's on one cable."""
    machine.add("wan1", on=["eth0"])
    machine.add("wan2", on=["eth0"])
    machine.route("wan1", 1)
    machine.route("wan2", 2)
    assert machine.ways() == [("eth0", "wan1")]


def test_a_route_of_an_interface_that_is_gone_leads_nowhere(machine: Machine) -> None:
    """It went between two questions."""
    machine.defaults = [DefaultRoute(0, 99)]
    assert machine.ways() == []
