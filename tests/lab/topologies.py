"""Hotspots of every topology: how each is made, what is sent, and what must be counted.

Rule: one table. `play_topologies.py` plays it with real interfaces, a test judges what the agent
counted, and docs/routers.md is written from it.

Each row has three namespaces: `R`, the router, has eth0 and eth1 to `G`, the internet, and lan1 to
`C`, a visitor.
"""

from dataclasses import dataclass

INTERNET, INTERNET6 = "203.0.113.1", "2001:db8:ffff::1"


@dataclass(frozen=True)
class Send:
    """Datagrams that pass a way out."""

    count: int
    by: str  # the uplink that they pass
    source: str  # the sender's address: it is in `R` or `C`, or down from `G`
    to: str = INTERNET
    sender: str = "C"

    @property
    def is_down(self) -> bool:
        """From the internet."""
        return self.sender == "G"


@dataclass(frozen=True)
class Topology:
    """One row. Commands are `ip`'s, a line each, behind the namespace's letter."""

    name: str
    counted: str  # for docs/routers.md
    build: str
    sends: tuple[Send, ...]
    cut: str = "G link set eth0 down"
    mend: str = "G link set eth0 up"
    down_after: tuple[str, ...] = ("eth0",)  # uplinks that are down once it is cut
    needs: tuple[str, ...] = ()  # kinds of link that this kernel must have
    agent: tuple[Send, ...] = ()  # what the agent sends itself, so that its gateway is known

    @property
    def uplinks(self) -> list[str]:
        """The interfaces that must be counted, and no other."""
        return sorted({send.by for send in self.sends})


VISITORS = """
R link add br-lan type bridge
R link set lan1 master br-lan
R address add 192.0.2.1/24 dev br-lan
R link set br-lan up
C address add 192.0.2.100/24 dev eth0
C route add default via 192.0.2.1
"""
WAN = """
R address add 198.51.100.2/24 dev eth0
R route add default via 198.51.100.1
G address add 198.51.100.1/24 dev eth0
G route add 192.0.2.0/24 via 198.51.100.2
"""
IPV6 = """
R link add br-lan type bridge
R link set lan1 master br-lan
R address add 2001:db8:1:1::1/64 dev br-lan nodad
R link set br-lan up
R address add 2001:db8:0::2/64 dev eth0 nodad
R route add default from 2001:db8:1::/48 via 2001:db8:0::1 dev eth0
G address add 2001:db8:0::1/64 dev eth0 nodad
G route add 2001:db8:1::/48 via 2001:db8:0::2
C address add 2001:db8:1:1::64/64 dev eth0 nodad
C route add default via 2001:db8:1:1::1
"""
IPV6_MEND = "G link set eth0 up\nG address add 2001:db8:0::1/64 dev eth0 nodad"
IPV6_SENDS = (
    Send(200, "eth0", "2001:db8:1:1::64", INTERNET6),
    Send(300, "eth0", INTERNET6, "2001:db8:1:1::64", "G"),
)
SECOND = """
R address add 198.51.101.2/24 dev eth1
G address add 198.51.101.1/24 dev eth1
C address add 192.0.2.101/24 dev eth0
"""
UP, DOWN = Send(200, "eth0", "192.0.2.100"), Send(300, "eth0", INTERNET, "192.0.2.100", "G")
AGENT = (Send(1, "eth0", "198.51.100.2", sender="R"),)
BRIDGED = """
R link add br-lan type bridge
R link set eth0 master br-lan
R link set lan1 master br-lan
R address add 198.51.100.2/24 dev br-lan
R link set br-lan up
R route add default via 198.51.100.1
G address add 198.51.100.1/24 dev eth0
C address add 198.51.100.100/24 dev eth0
C route add default via 198.51.100.1
"""


def on_wan(ifname: str) -> str:
    """The plain router, whose wan is this interface above eth0."""
    return WAN.replace(
        "R address add 198.51.100.2/24 dev eth0",
        f"""
R address add 198.51.100.2/24 dev {ifname}
R link set {ifname} up""",
    )


CALL = """
dial {} pppoe-wan
R address add 198.51.100.2 peer 198.51.100.1 dev pppoe-wan
R route add default dev pppoe-wan
G address add 198.51.100.1 peer 198.51.100.2 dev ppp-far
G route add 192.0.2.0/24 dev ppp-far
"""
VLAN_AT_G = """
G link add link eth0 name line type vlan id {}
G link set line up
"""

TOPOLOGIES = (
    Topology("router, cable to the modem", "the port", VISITORS + WAN, (UP, DOWN)),
    Topology(
        "access point in bridge mode",
        "the port of the bridge behind which its gateway is",
        BRIDGED,
        (
            Send(200, "eth0", "198.51.100.100"),
            Send(300, "eth0", INTERNET, "198.51.100.100", "G"),
        ),
        agent=AGENT,
    ),
    Topology(
        "IPv6 only, routes with a source prefix", "the port", IPV6, IPV6_SENDS, mend=IPV6_MEND
    ),
    Topology(
        "IPv6 only, IPv4 by a translator (464XLAT, DS-Lite)",
        "the port, which carries both",
        IPV6 + """
R tuntap add 464-wan6_4 mode tun
R link set 464-wan6_4 up
R address add 192.0.0.1/32 dev 464-wan6_4
R route add default dev 464-wan6_4 metric 2048
""",
        IPV6_SENDS,
        mend=IPV6_MEND,
    ),
    Topology(
        "two lines at once, shared out by rules (mwan3)",
        "both ports, summed",
        VISITORS + WAN + SECOND + """
R route add default via 198.51.101.1 metric 20
R route add default via 198.51.101.1 table 2
R rule add from 192.0.2.101 table 2
""",
        (UP, DOWN, Send(400, "eth1", "192.0.2.101")),
        cut="G link set eth1 down",
        mend="G link set eth1 up",
        down_after=("eth1",),
    ),
    Topology(
        "two lines in one route of two hops",
        "both ports, summed",
        VISITORS + WAN + SECOND + """
R route del default
R route add default nexthop via 198.51.100.1 nexthop via 198.51.101.1
R rule add from 192.0.2.100 table 1
R rule add from 192.0.2.101 table 2
R route add 203.0.113.0/24 via 198.51.100.1 table 1
R route add 203.0.113.0/24 via 198.51.101.1 table 2
""",
        (UP, DOWN, Send(400, "eth1", "192.0.2.101")),
    ),
    Topology(
        "default route in another table (policy routing)",
        "the port",
        VISITORS + WAN + """
R route del default
R route add 192.0.2.0/24 dev br-lan table 1
R route add default via 198.51.100.1 table 1
R rule add pref 1000 table 1
""",
        (UP, DOWN),
    ),
    Topology(
        "two addresses of one provider on one cable (macvlan)",
        "the port, once",
        VISITORS + """
R link add link eth0 name wan1 type macvlan mode bridge
R link add link eth0 name wan2 type macvlan mode bridge
""" + on_wan("wan1") + """
R address add 198.51.101.2/24 dev wan2
R link set wan2 up
R route add default via 198.51.101.1 metric 20
R rule add from 192.0.2.101 table 2
R route add default via 198.51.101.1 table 2
G address add 198.51.101.1/24 dev eth0
C address add 192.0.2.101/24 dev eth0
""",
        (UP, DOWN, Send(100, "eth0", "192.0.2.101")),
    ),
    Topology(
        "VPN for everything (tun)",
        "the port below the tunnel",
        VISITORS + WAN + """
R tuntap add tun0 mode tun
R link set tun0 up
R route del default
R route add default via 198.51.100.1 metric 10
R route add default dev tun0
R route add 203.0.113.0/24 via 198.51.100.1
""",
        (UP, DOWN),
    ),
    Topology(
        "VPN for everything (WireGuard)",
        "the port below the tunnel",
        VISITORS + WAN + """
R link add wg0 type wireguard
R link set wg0 up
R route del default
R route add default via 198.51.100.1 metric 10
R route add default dev wg0
R route add 203.0.113.0/24 via 198.51.100.1
""",
        (UP, DOWN),
        needs=("wireguard",),
    ),
    Topology(
        "provider's VLAN on the port",
        "the port",
        VISITORS + "R link add link eth0 name eth0.35 type vlan id 35\n"
        + VLAN_AT_G.format(35)
        + on_wan("eth0.35").replace("G address add 198.51.100.1/24 dev eth0", """
G address add 198.51.100.1/24 dev line"""),
        (UP, DOWN),
        needs=("vlan",),
    ),
    Topology(
        "LAN and uplink as VLANs of one port (switch, router on a stick)",
        "the uplink's VLAN",
        VISITORS + """
R link add link eth0 name eth0.1 type vlan id 1
R link set eth0.1 master br-lan
R link set eth0.1 up
R link add link eth0 name eth0.2 type vlan id 2
""" + VLAN_AT_G.format(2)
        + on_wan("eth0.2").replace("G address add 198.51.100.1/24 dev eth0", """
G address add 198.51.100.1/24 dev line"""),
        (Send(200, "eth0.2", "192.0.2.100"), Send(300, "eth0.2", INTERNET, "192.0.2.100", "G")),
        down_after=("eth0.2",),
        needs=("vlan",),
    ),
    Topology(
        "access point in bridge mode, on a VLAN of its port",
        "the port",
        """
R link add link eth0 name eth0.7 type vlan id 7
R link set eth0.7 up
""" + VLAN_AT_G.format(7)
        + BRIDGED.replace("R link set eth0 master", "R link set eth0.7 master").replace(
            "G address add 198.51.100.1/24 dev eth0", "G address add 198.51.100.1/24 dev line"
        ),
        (
            Send(200, "eth0", "198.51.100.100"),
            Send(300, "eth0", INTERNET, "198.51.100.100", "G"),
        ),
        needs=("vlan",),
        agent=AGENT,
    ),
    Topology(
        "two cables as one line (bond)",
        "the bond",
        VISITORS + """
R link add bond0 type bond mode active-backup miimon 50
R link set eth0 down
R link set eth1 down
R link set eth0 master bond0
R link set eth1 master bond0
R link set bond0 up
G link add br-up type bridge
G link set eth0 master br-up
G link set eth1 master br-up
G link set br-up up
""" + on_wan("bond0").replace("G address add 198.51.100.1/24 dev eth0", """
G address add 198.51.100.1/24 dev br-up"""),
        (Send(200, "bond0", "192.0.2.100"), Send(300, "bond0", INTERNET, "192.0.2.100", "G")),
        cut="G link set eth0 down\nG link set eth1 down",
        mend="G link set eth0 up\nG link set eth1 up",
        down_after=("bond0",),
        needs=("bond",),
    ),
    Topology(
        "PPPoE",
        "the port below the session, down while the session is",
        VISITORS + CALL.format("eth0"),
        (UP, DOWN),
        cut="hang-up",
        mend=CALL.format("eth0"),
        needs=("pppoe",),
    ),
    Topology(
        "PPPoE on the provider's VLAN",
        "the port below both",
        VISITORS + """
R link add link eth0 name eth0.35 type vlan id 35
R link set eth0.35 up
G link add link eth0 name eth0.35 type vlan id 35
G link set eth0.35 up
""" + CALL.format("eth0.35"),
        (UP, DOWN),
        cut="hang-up",
        mend=CALL.format("eth0.35"),
        needs=("pppoe", "vlan"),
    ),
)  # fmt: skip
