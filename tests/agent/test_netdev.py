"""Interfaces: which they are, what they counted, and when their counters restarted."""

import socket
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from tests.system.netns import hotspot, ip
from titik_agent.sampling.source import SourceError
from titik_agent.sources.netdev import LOOK_S, Interfaces, identify
from titik_agent.sources.rtnetlink import DefaultRoute, Routes
from titik_agent.sources.since import Since
from titik_agent.sources.traffic import Traffic, read_traffic
from titik_agent.sources.wiring import Wiring
from titik_wire.messages import Net

CAPTURES = Path(__file__).parents[1] / "captures"
SILENT = Traffic(0, 0, 0, 0, 0, 0, 0, 0)


class Router:
    """A router's kernel, as far as the source looks at it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.now_s = 0.0
        self.ifindexes: dict[str, int] = {}
        self.traffic: dict[str, Traffic] = {}
        self.defaults: tuple[DefaultRoute, ...] = (DefaultRoute(0, 2),)
        self.memory: str | None = None
        self.is_changed = True
        self.looks = 0  # at the routes
        self.refusal: OSError | None = None

    def add(self, ifname: str, ifindex: int, *, bridge: bool = False, carrier: str = "1") -> None:
        folder = self.root / "sys" / ifname
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "carrier").write_text(carrier + "\n")
        (folder / "address").write_text(f"02:00:00:00:00:{ifindex:02x}\n")
        if bridge:
            (folder / "bridge").mkdir(exist_ok=True)
        self.ifindexes[ifname] = ifindex
        self.traffic[ifname] = SILENT

    def add_child(self, ifname: str, ifindex: int, bss: str) -> None:
        """An AP_VLAN, which has its BSS's address."""
        self.add(ifname, ifindex)
        address = (self.root / "sys" / bss / "address").read_text()
        (self.root / "sys" / ifname / "address").write_text(address)

    def count(self, ifname: str, rx_bytes: int, tx_bytes: int) -> None:
        self.traffic[ifname] = SILENT._replace(rx_bytes=rx_bytes, tx_bytes=tx_bytes)

    def remove(self, ifname: str) -> None:
        del self.ifindexes[ifname], self.traffic[ifname]
        for file in (self.root / "sys" / ifname).iterdir():
            file.rmdir() if file.is_dir() else file.unlink()
        (self.root / "sys" / ifname).rmdir()

    def routes(self, *ifnames: str) -> None:
        """The default routes lead there, the best first."""
        self.defaults = tuple(
            DefaultRoute(metric, self.ifindexes[one]) for metric, one in enumerate(ifnames)
        )

    def look(self) -> Routes:
        self.looks += 1
        if self.refusal is not None:
            raise self.refusal
        return Routes(self.defaults, frozenset())

    def interfaces(
        self, uplink: str | None = None, lan: tuple[str, ...] | None = None, keep_s: float = 0.0
    ) -> Interfaces:
        return Interfaces(
            uplink,
            lan,
            "b0",
            memory=self.memory,
            traffic=lambda: dict(self.traffic),
            ifindexes=lambda: dict(self.ifindexes),
            routes=self.look,
            changed=lambda: self.is_changed,
            towards=lambda _: frozenset(),
            wiring=Wiring(str(self.root / "sys"), str(self.root / "proc")),
            keep_s=keep_s,
            monotonic=lambda: self.now_s,
        )


@pytest.fixture
def router(tmp_path: Path) -> Router:
    """An OpenWrt router with one bridge and one BSS."""
    made = Router(tmp_path)
    made.add("lo", 1)
    made.add("wan", 2)
    made.add("br-lan", 3, bridge=True)
    made.add("phy0-ap0", 4)
    return made


def ifnames(nets: tuple[Net, ...]) -> list[tuple[str, str]]:
    """What was found, without its counters."""
    return [(net.ifname, net.role) for net in nets]


def test_uplink_and_lan_are_found(router: Router) -> None:
    """The default route's interface, and the bridge."""
    assert ifnames(router.interfaces().net()) == [("wan", "uplink"), ("br-lan", "lan")]


def test_what_is_configured_is_not_looked_for(router: Router) -> None:
    """Though a LAN that does not exist is left out, and an uplink that does not is down."""
    router.add("wanb", 9)
    found = router.interfaces("wwan0 wanb", ("phy0-ap0", "eth9")).net()
    assert ifnames(found) == [("wwan0", "uplink"), ("wanb", "uplink"), ("phy0-ap0", "lan")]
    assert [net.up for net in found] == [False, True, True]


def test_an_interface_of_both_roles_is_the_uplink(router: Router) -> None:
    """Each is reported once."""
    assert ifnames(router.interfaces("wan", ("wan",)).net()) == [("wan", "uplink")]


def test_routes_are_read_when_something_has_changed_and_now_and_then(router: Router) -> None:
    """A small router reads them slowly, and nearly always they are as they were."""
    interfaces = router.interfaces()
    looks = []
    for is_changed, passed_s in ((True, 0), (False, 30), (False, 30), (True, 30), (False, LOOK_S)):
        router.is_changed = is_changed
        router.now_s += passed_s
        assert ifnames(interfaces.net()) == [("wan", "uplink"), ("br-lan", "lan")]
        looks.append(router.looks)
    assert looks == [1, 1, 1, 2, 3]


def test_routes_that_could_not_be_read_are_read_the_next_time(router: Router) -> None:
    """Though nothing has changed since."""
    interfaces = router.interfaces()
    router.refusal = OSError("no answer")
    with pytest.raises(SourceError):
        interfaces.net()
    router.refusal, router.is_changed = None, False
    assert ifnames(interfaces.net()) == [("wan", "uplink"), ("br-lan", "lan")]


def test_a_change_after_the_counters_were_read_is_of_the_next_reading(router: Router) -> None:
    """Routes that name an interface made just now find nothing among those that were read."""
    interfaces = router.interfaces(keep_s=0.2)
    interfaces.bss_counters("phy0-ap0")
    router.add("pppoe-wan", 9)
    router.routes("pppoe-wan")
    interfaces.net()
    router.now_s += 30
    assert ifnames(interfaces.net())[0] == ("pppoe-wan", "uplink")


def test_an_uplink_that_lost_its_route_is_down_and_not_absent(router: Router) -> None:
    """Otherwise an outage would look like a router that has no uplink."""
    interfaces = router.interfaces()
    interfaces.net()
    router.routes()
    router.add("wan", 2, carrier="0")
    net = interfaces.net()[0]
    assert (net.ifname, net.up) == ("wan", False)


def test_an_uplink_that_is_gone_is_down_and_not_absent(router: Router) -> None:
    """A PPPoE interface exists only while its session does; its bytes are of nobody meanwhile."""
    router.add("pppoe-wan", 9)
    router.routes("pppoe-wan")
    interfaces = router.interfaces()
    assert interfaces.net()[0].up
    router.remove("pppoe-wan")
    router.routes()
    assert interfaces.net()[0] == Net("pppoe-wan", "uplink", False, "b0/0", 0, 0)


def test_the_next_life_of_the_agent_knows_an_uplink_that_is_gone(router: Router) -> None:
    """From a file on the RAM disk, which a reboot clears."""
    router.memory = str(router.root / "uplink")
    router.interfaces().net()
    router.routes()
    router.remove("wan")
    assert router.interfaces().net()[0] == Net("wan", "uplink", False, "b0/0", 0, 0)


@pytest.mark.parametrize("content", [b"", b"wan\n", b"\xff", b"a b c\n"])
def test_a_damaged_memory_of_uplinks_is_forgotten(router: Router, content: bytes) -> None:
    """It may be anything after a power cut."""
    router.memory = str(router.root / "uplink")
    Path(router.memory).write_bytes(content)
    router.routes()
    assert router.interfaces().uplink() is None


def test_the_uplink_follows_the_default_route(router: Router) -> None:
    """A modem takes over when the cable is cut."""
    router.add("wwan0", 9)
    interfaces = router.interfaces()
    assert interfaces.uplink() == "wan"
    router.routes("wwan0")
    assert ifnames(interfaces.net())[0] == ("wwan0", "uplink")


def test_the_gateway_is_of_the_uplink_s_best_default_route(router: Router) -> None:
    """The one that the probe asks, which speaks ARP."""
    router.defaults = (
        DefaultRoute(9, 2, "192.0.2.9"), DefaultRoute(5, 2, "192.0.2.1"),
        DefaultRoute(1, 2, "fe80::1"), DefaultRoute(7, 3, "192.0.2.7"),
    )  # fmt: skip
    assert router.interfaces().gateway() == "192.0.2.1"
    assert router.interfaces("phy0-ap0").gateway() is None


def test_a_bridge_under_the_uplink_is_no_lan(router: Router) -> None:
    """It carries both sides; nor are container bridges, on a machine that has them."""
    router.add("switch0", 10, bridge=True)
    router.add("switch0.1", 11)
    router.add("docker0", 12, bridge=True)
    router.add("br-0a1b2c3d4e5f", 13, bridge=True)
    router.add("br-guest", 14, bridge=True)
    router.routes("switch0.1")
    assert router.interfaces().lan() == ("br-guest", "br-lan")


def test_a_machine_with_neither_has_no_section(router: Router) -> None:
    """None is no failure."""
    router.routes()
    router.remove("br-lan")
    assert router.interfaces().read() is None


def test_counters_are_reported_as_they_are(router: Router) -> None:
    """Every one, and above 32 bits."""
    router.traffic["wan"] = Traffic(2**40, 2, 3, 4, 5, 6, 7, 8)
    expected = Net("wan", "uplink", True, "b0/2", 2**40, 2, 3, 4, 5, 6, 7, 8)
    assert expected == router.interfaces().net()[0]


def test_a_created_again_interface_is_a_new_counter(router: Router) -> None:
    """Even if it has counted past the old one by then."""
    interfaces = router.interfaces()
    router.count("wan", 100, 100)
    first = interfaces.net()[0]
    router.add("wan", 7)
    router.count("wan", 500, 500)
    second = interfaces.net()[0]
    assert (first.since, second.since, second.rx_bytes) == ("b0/2", "b0/7", 500)


def test_a_fall_is_a_new_counter_whatever_the_kernel_says(router: Router) -> None:
    """Some 32-bit drivers wrap at 4 GiB under the same ifindex."""
    interfaces = router.interfaces()
    router.count("wan", 2**32 - 1, 5)
    interfaces.net()
    router.count("wan", 10, 5)
    assert (interfaces.net()[0].since, interfaces.net()[0].rx_bytes) == ("b0/2#1", 10)


def test_an_interface_that_goes_while_it_is_read_is_left_out(router: Router) -> None:
    """Between its counters and its link state."""
    traffic = dict(router.traffic), dict(router.ifindexes)
    router.remove("br-lan")
    router.traffic, router.ifindexes = traffic
    assert ifnames(router.interfaces().net()) == [("wan", "uplink")]


def test_a_switched_off_interface_is_down(router: Router) -> None:
    """The kernel answers EINVAL for its carrier; a directory answers as badly."""
    carrier = router.root / "sys" / "wan" / "carrier"
    carrier.unlink()
    carrier.mkdir()
    assert router.interfaces().net()[0].up is False


def reading(router: Router, looks: list[dict[str, int]], rx_bytes: list[int]) -> Interfaces:
    """Interfaces that are others at every look."""
    ifindexes, counted = iter(looks), iter(rx_bytes)
    return Interfaces(
        "wan",
        (),
        "b0",
        traffic=lambda: {"wan": SILENT._replace(rx_bytes=next(counted))},
        ifindexes=lambda: next(ifindexes),
        wiring=Wiring(str(router.root / "sys")),
    )


def test_counters_and_ifindex_are_of_the_same_interface(router: Router) -> None:
    """Created again while it was read: it is read again, so old bytes get no new token."""
    old, new = {"wan": 2}, {"wan": 7}
    net = reading(router, [old, new, new, new], [5000, 100]).net()[0]
    assert (net.since, net.rx_bytes) == ("b0/7", 100)


def test_interfaces_that_never_stand_still_are_an_error(router: Router) -> None:
    """Three looks, and then the section is left out."""
    looks = [{"wan": number} for number in range(6)]
    with pytest.raises(SourceError, match="come and go"):
        reading(router, looks, [0, 0, 0]).net()


@pytest.mark.parametrize("error", [OSError("gone"), ValueError("text"), IndexError("short")])
def test_a_kernel_that_is_not_understood_is_a_source_error(error: Exception) -> None:
    """psutil parses /proc/net/dev with bare indexing; a BSS is then unread, not an error."""

    def fail() -> dict[str, Traffic]:
        raise error

    interfaces = Interfaces("wan", (), "b0", traffic=fail)
    with pytest.raises(SourceError, match="interfaces: "):
        interfaces.net()
    assert interfaces.bss_counters("wlan0") is None


def test_a_name_that_no_message_can_hold_is_left_out(router: Router) -> None:
    """The kernel allows control characters and bytes of no encoding."""
    for ifindex, ifname in enumerate(("br\x07", "br\udcff"), 20):
        router.add(ifname, ifindex, bridge=True)
    assert ifnames(router.interfaces().net()) == [("wan", "uplink"), ("br-lan", "lan")]


def test_a_bss_counts_what_its_ap_vlans_grow_by(router: Router) -> None:
    """Its own interface no longer counts a station that has one of its own.

    OpenWrt names them with a dot, or with a hyphen where `config wifi-vlan` asks for them.
    """
    for ifindex, ifname in enumerate(("phy0-ap0.4097", "phy0-ap0.sta1", "phy0-ap0-gst"), 20):
        router.add_child(ifname, ifindex, "phy0-ap0")
    router.add("phy0-ap0-1", 30)  # a BSS of its own has another address
    router.add_child("phy0-ap01", 31, "phy0-ap0")
    interfaces = router.interfaces()
    first = interfaces.bss_counters("phy0-ap0")
    router.count("phy0-ap0", 10, 20)
    for ifname in router.ifindexes.keys() - {"phy0-ap0"}:
        router.count(ifname, 1000, 2000)
    assert first == ("b0/4+0", 0, 0)
    assert interfaces.bss_counters("phy0-ap0") == ("b0/4+0", 3010, 6020)


def test_a_vlan_on_top_of_a_bss_is_not_counted_twice(router: Router) -> None:
    """Its bytes went through the BSS's interface."""
    router.add_child("phy0-ap0.5", 20, "phy0-ap0")
    (router.root / "sys" / "phy0-ap0.5" / "lower_phy0-ap0").symlink_to("../phy0-ap0")
    interfaces = router.interfaces()
    interfaces.bss_counters("phy0-ap0")
    router.count("phy0-ap0", 10, 20)
    router.count("phy0-ap0.5", 1000, 2000)
    assert interfaces.bss_counters("phy0-ap0") == ("b0/4", 10, 20)


def test_stations_that_come_and_go_cost_no_bytes_of_the_others(router: Router) -> None:
    """One token from the first station on, and never a fall; a new interface grew from zero."""
    interfaces = router.interfaces()
    reported = [interfaces.bss_counters("phy0-ap0")]
    for second in range(1, 6):
        router.count("phy0-ap0", second, second)
        router.add_child(f"phy0-ap0.sta{second}", 20 + second, "phy0-ap0")
        router.count(f"phy0-ap0.sta{second}", 100, 200)
        if second > 1:
            router.remove(f"phy0-ap0.sta{second - 1}")
        reported.append(interfaces.bss_counters("phy0-ap0"))
    assert reported == [
        ("b0/4", 0, 0),
        *[("b0/4+0", 101 * second, 201 * second) for second in range(1, 6)],
    ]


def test_a_station_s_counters_that_restart_count_from_there(router: Router) -> None:
    """The seconds of its restart are missing; nothing is invented."""
    interfaces = router.interfaces()
    router.add_child("phy0-ap0.sta1", 20, "phy0-ap0")
    reported = []
    for rx_bytes in (100, 150, 10, 30):
        router.count("phy0-ap0.sta1", rx_bytes, 0)
        reported.append(interfaces.bss_counters("phy0-ap0"))
    assert [one and one[1] for one in reported] == [0, 50, 50, 70]


def test_two_lives_of_the_agent_never_share_a_sum_s_token(router: Router) -> None:
    """What the first had added up is gone with it."""
    router.add_child("phy0-ap0.sta1", 20, "phy0-ap0")
    first = router.interfaces().bss_counters("phy0-ap0")
    router.now_s = 10.0
    second = router.interfaces().bss_counters("phy0-ap0")
    assert (first, second) == (("b0/4+0", 0, 0), ("b0/4+2710", 0, 0))


@pytest.mark.parametrize(
    "rubbish", [{"rx_drops": 2**64 - 1}, {"rx_errors": 2**64 - 7}, {"tx_errors": 2**53}]
)
def test_an_impossible_number_is_unknown_alone(router: Router, rubbish: dict[str, int]) -> None:
    """What stands beside it is reported."""
    router.traffic["wan"] = Traffic(1, 2, 3, 4, 5, 6, 7, 8)._replace(**rubbish)
    net = router.interfaces().net()[0]
    assert (net.rx_bytes, net.tx_bytes, net.rx_packets, net.tx_drops) == (1, 2, 3, 8)
    assert [getattr(net, name) for name in rubbish] == [None]


@pytest.mark.parametrize("rubbish", [1571379713472972500, 2**63, -1])
def test_impossible_bytes_are_unknown_once(router: Router, rubbish: int) -> None:
    """The other interfaces stand, and the next reading has all that passed meanwhile."""
    interfaces = router.interfaces()
    reported = []
    for rx_bytes in (1000, rubbish, 3000):
        router.count("wan", rx_bytes, 7)
        reported.append([(net.ifname, net.since, net.rx_bytes) for net in interfaces.net()])
    lan = ("br-lan", "b0/3", 0)
    assert reported == [[("wan", "b0/2", 1000), lan], [lan], [("wan", "b0/2", 3000), lan]]
    router.count("phy0-ap0", rubbish, 7)
    assert interfaces.bss_counters("phy0-ap0") is None


def test_a_drop_counter_that_flutters_costs_no_bytes(router: Router) -> None:
    """Only the bytes say whether the bytes restarted."""
    interfaces = router.interfaces()
    reported = []
    for number, drops in enumerate((100, 97, 100, 97)):
        router.traffic["wan"] = SILENT._replace(rx_bytes=number, rx_drops=drops)
        reported.append(interfaces.net()[0].since)
    assert reported == ["b0/2"] * 4


def test_a_bss_that_is_gone_has_no_counters(router: Router) -> None:
    """`wifi reload` removes it while hostapd may still list it."""
    assert router.interfaces().bss_counters("phy1-ap0") is None


def test_a_sample_has_one_reading_of_the_counters(router: Router) -> None:
    """For its BSSes and its interfaces; the next sample reads them again."""
    interfaces = router.interfaces(keep_s=0.2)
    interfaces.net()
    router.count("phy0-ap0", 7, 8)
    router.now_s = 0.1
    assert interfaces.bss_counters("phy0-ap0") == ("b0/4", 0, 0)
    router.now_s = 0.2
    assert interfaces.bss_counters("phy0-ap0") == ("b0/4", 7, 8)


def test_a_token_is_short_and_distinguishes_boots() -> None:
    """It is sent for every interface in every sample."""
    assert identify("6b0f3c52-1f0a-4c55-9a57-2f3f1c0d9e11", 4) == "6b0f3c52/4"
    assert identify("6b0f3c53-1f0a-4c55-9a57-2f3f1c0d9e11", 4) == "6b0f3c53/4"


@pytest.mark.parametrize(
    ("capture", "ifname", "rx_bytes", "tx_bytes"),
    [
        ("s-proc-net-dev-mt7621-hwnat.txt", "pppoe-telecom", 1_697_111_580, 19_921_111_891),
        ("s-proc-net-dev-vendor.txt", "eth1", 24_111_742, 17_011_883),
        ("hwsim/proc_net_dev_after.txt", "wlan0-1", 3386, 544_028),
    ],
)
def test_real_routers_counters_are_understood(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capture: str, ifname: str,
    rx_bytes: int, tx_bytes: int,
) -> None:  # fmt: skip
    """psutil reads the captured /proc/net/dev; long names and 64-bit values included."""
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "dev").write_bytes((CAPTURES / capture).read_bytes())
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path))
    traffic = read_traffic()[ifname]
    assert (traffic.rx_bytes, traffic.tx_bytes) == (rx_bytes, tx_bytes)


def test_psutil_s_inflation_does_not_reach_us(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An interface that starts from zero again is read as zero, not as a counter that wrapped."""
    (tmp_path / "net").mkdir()
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path))
    read = []
    for rx_bytes in (5000, 100):
        row = f"wan: {rx_bytes} 1 0 0 0 0 0 0 7 1 0 0 0 0 0 0\n"
        (tmp_path / "net" / "dev").write_text(f"Inter-|\n face |\n{row}")
        read.append(read_traffic()["wan"].rx_bytes)
    assert read == [5000, 100]


def test_this_machine_can_be_read() -> None:
    """Every machine has a loopback interface, whose counters can be asked for by name."""
    counters = Interfaces(None, None, "b0").bss_counters("lo")
    assert counters is not None
    assert counters[0] == f"b0/{socket.if_nametoindex('lo')}"


def test_a_fall_is_remembered_by_the_next_agent(router: Router, tmp_path: Path) -> None:
    """Through the file that it is given to remember it in."""
    tokens = []
    for rx_bytes in (5, 4, 9):
        interfaces = Interfaces(
            "wan", (), "b0", since=Since(str(tmp_path / "since")),
            traffic=lambda: dict(router.traffic), ifindexes=lambda: dict(router.ifindexes),
            wiring=Wiring(str(tmp_path / "sys")),
        )  # fmt: skip
        router.count("wan", 5, 0)
        interfaces.net()
        router.count("wan", rx_bytes, 0)
        tokens.append(interfaces.net()[0].since)
    assert tokens == ["b0/2", "b0/2#1", "b0/2#1"]


RECREATED = """
import psutil, subprocess
from titik_agent.sources.netdev import Interfaces

def ip(*words): subprocess.run(("ip", *words), check=True)
def make():
    ip("link", "add", "wan1", "type", "veth", "peer", "name", "wan2")
    ip("link", "set", "wan1", "up"); ip("link", "set", "wan2", "up")
    ip("address", "add", "203.0.113.1/24", "dev", "wan1")

import socket
def send(count):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    ip("neigh", "replace", "203.0.113.2", "lladdr", "02:00:00:00:00:01", "dev", "wan1")
    for _ in range(count): sock.sendto(bytes(1000), ("203.0.113.2", 9))
    sock.close()

interfaces = Interfaces("wan1", (), "b0")
make(); send(50)
first = interfaces.net()[0]
psutil.net_io_counters(pernic=True, nowrap=True)
ip("link", "del", "wan1"); make(); send(3)
second = interfaces.net()[0]
inflated = psutil.net_io_counters(pernic=True, nowrap=True)["wan1"].bytes_sent
print(first.since != second.since, first.tx_bytes > 50_000, second.tx_bytes < 20_000,
      inflated > 50_000, second.up)
"""


@pytest.mark.system
def test_a_real_interface_created_again_is_a_new_counter() -> None:
    """Where psutil's `nowrap` would add the old interface's bytes to the new one's."""
    with hotspot(0) as place:
        assert place.python(RECREATED).split() == ["True"] * 5


@pytest.mark.system
def test_a_real_router_s_interfaces_are_found() -> None:
    """Default route and bridge of a namespace; the link state follows the gateway's end."""
    found = (
        "from titik_agent.sources.netdev import Interfaces\n"
        "print(*((n.ifname, n.role, n.up) for n in Interfaces(None, None, 'b0').net()))\n"
        "print(Interfaces(None, None, 'b0').gateway())"
    )
    with hotspot(1) as place:
        expected = "('wan', 'uplink', True) ('br-lan', 'lan', True)\n198.51.100.1\n"
        assert place.python(found) == expected
        ip("-n", place.gateway, "link", "set", "eth0", "down")
        assert place.python(found).startswith("('wan', 'uplink', False)")


STATIONS = """
import subprocess
from titik_agent.sources.netdev import Interfaces

def ip(*words): subprocess.run(("ip", *words), check=True)
def make(name):
    ip("link", "add", name, "address", "02:00:00:00:00:07", "type", "veth", "peer", "name", "far")
    ip("link", "set", name, "up"); ip("link", "set", "far", "up")
    ip("address", "add", "203.0.113.1/24", "dev", name)
    ip("neigh", "replace", "203.0.113.2", "lladdr", "02:00:00:00:00:01", "dev", name)

import socket
def send(count):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for _ in range(count): sock.sendto(bytes(1000), ("203.0.113.2", 9))
    sock.close()

ip("link", "add", "wlan7", "address", "02:00:00:00:00:07", "type", "veth", "peer", "name", "far7")
interfaces = Interfaces("wan", (), "b0")
read = [interfaces.bss_counters("wlan7")]
for number in range(3):
    make(f"wlan7.sta{number}"); send(50)
    read.append(interfaces.bss_counters("wlan7"))
    send(50)
    read.append(interfaces.bss_counters("wlan7"))
    ip("link", "del", f"wlan7.sta{number}")
print(*(one[2] for one in read)); print(len({one[0] for one in read[1:]}))
"""


@pytest.mark.system
def test_real_stations_interfaces_that_come_and_go_are_counted() -> None:
    """From the second on under one token: a new interface is known to have begun at zero."""
    with hotspot(0) as place:
        counted, tokens = place.python(STATIONS).splitlines()
    sums = [int(one) for one in counted.split()]
    grown = [after - before for before, after in pairwise(sums)]
    assert tokens == "1"
    assert [True] * 6 == [50_000 <= one <= 60_000 for one in grown], grown
