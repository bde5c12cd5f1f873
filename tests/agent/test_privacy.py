"""Nothing that a visitor could be identified by leaves the router or touches its flash."""

import base64
import hashlib
import logging
import os
import random
import socket
import struct
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.fake_hostapd import FakeBss, FakeHostapd, station
from tests.agent.fake_ubusd import FakeUbusd, answer
from tests.agent.test_connector import ABOUT, dialler
from tests.agent.test_hostapd_ubus import Counters
from tests.agent.test_netdev import SILENT
from tests.agent.test_publisher import FakeLink
from tests.agent.test_reach import reach, resolver
from tests.agent.test_rtnetlink import attribute, message, route
from tests.agent.test_sampler import FakeClock
from tests.until import PATIENCE_S
from titik_agent import config
from titik_agent.broker_link.backoff import Backoff
from titik_agent.broker_link.connector import Connector
from titik_agent.broker_link.publisher import Publisher
from titik_agent.hostapd.control_socket import Addresses
from titik_agent.looking.concealing import Concealing
from titik_agent.looking.log_tail import LogTail
from titik_agent.looking.looker import Looker
from titik_agent.sampling.sampler import Sampler
from titik_agent.sampling.schedule import Schedule
from titik_agent.sampling.stations import Tracker
from titik_agent.sources import rtnetlink
from titik_agent.sources.flow_offload import FlowOffload
from titik_agent.sources.hostapd_control import HostapdControl
from titik_agent.sources.hostapd_ubus import HostapdUbus
from titik_agent.sources.leases import LeasesSource
from titik_agent.sources.netdev import Interfaces
from titik_agent.sources.reach import Targets
from titik_agent.sources.rtnetlink import AF_BRIDGE, RTM_GETROUTE, RTM_GETRULE
from titik_agent.sources.since import Since
from titik_agent.sources.survey import Survey
from titik_agent.sources.visitors import Sketch
from titik_agent.sources.wiring import Wiring
from titik_agent.spool.spool import Spool
from titik_agent.state_file import StateWriter
from titik_agent.wishes.dispatch import Dispatch
from titik_agent.wishes.kept_settings import KeptSettings
from titik_agent.wishes.levers import AgentSetup, Levers
from titik_agent.wishes.settings import SettingsHandler
from titik_agent.wishes.wish_handler import WishDesk
from titik_wire import topics
from titik_wire.codec import encode
from titik_wire.fleet_messages import Question, RouterSettings

VISITORS = 300
GATEWAY = (
    VISITORS  # the number after the last visitor's; a server has no need of its address either
)


def mac(number: int) -> str:
    """A client's address; none of it looks like a number that a sample contains."""
    return ":".join(f"{byte:02x}" for byte in hashlib.sha256(b"visitor %d" % number).digest()[:6])


def ip(number: int) -> str:
    return f"198.51.{100 + number // 250}.{number % 250 + 1}"


def hostname(number: int) -> str:
    return f"hp-si-budi-{number:03}"


def identifiers() -> Iterator[bytes]:
    """Everything known of the visitors: plain, spelled otherwise, cut, and hashed without a key."""
    for number in range(VISITORS + 1):
        plain = mac(number)
        octets = bytes.fromhex(plain.replace(":", ""))
        spellings = [plain, plain.replace(":", ""), plain.replace(":", "-"), hostname(number)]
        spellings += [spelling.upper() for spelling in spellings]
        yield from (spelling.encode() for spelling in spellings)
        yield ip(number).encode()
        yield socket.inet_aton(ip(number))
        yield octets
        yield octets[2:]  # without what the manufacturer's part shows
        yield plain[6:].encode()
        yield base64.b64encode(octets)
        for algorithm in ("md5", "sha1", "sha256"):
            for text in (octets, plain.encode(), plain.upper().encode(), hostname(number).encode()):
                digest = hashlib.new(algorithm, text).digest()
                yield digest[:8]
                yield digest.hex()[:16].encode()


class _Everything(logging.Handler):
    """Keeps every log line of any level."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


def clients() -> dict[str, object]:
    return {
        mac(number): {
            "authorized": True,
            "assoc": True,
            "aid": number + 1,
            "bytes": {"rx": 1, "tx": 1},
            "packets": {"rx": number, "tx": number},
            "signal": -50,
        }
        for number in range(VISITORS)
    }


class Kernel:
    """Answers rtnetlink as a bridge that knows the gateway and every visitor."""

    def __init__(self, root: Path) -> None:
        self.wiring = Wiring(str(root / "sys"), str(root / "proc"))
        for ifname in ("br-lan", "lan1", "phy0-ap0"):
            (root / "sys" / ifname).mkdir(parents=True)
            (root / "sys" / ifname / "carrier").write_text("1\n")
        for folder in ("br-lan/bridge", "br-lan/brif/lan1", "br-lan/brif/phy0-ap0"):
            (root / "sys" / folder).mkdir(parents=True)
        (root / "sys" / "phy0-ap0" / "phy80211").mkdir()

    def ask(self, kind: int, family: int) -> bytes:
        to_bridge, via = (
            attribute(4, struct.pack("=I", 1)),
            attribute(5, socket.inet_aton(ip(GATEWAY))),
        )
        if kind == RTM_GETRULE:
            return route()
        if kind == RTM_GETROUTE:
            return route(to_bridge, via) if family == socket.AF_INET else b""
        everybody = range(VISITORS + 1)
        if family == AF_BRIDGE:
            return b"".join(
                self._row(AF_BRIDGE, 2 if one == GATEWAY else 3, one) for one in everybody
            )
        return b"".join(
            self._row(socket.AF_INET, 1, one, attribute(1, socket.inet_aton(ip(one))))
            for one in everybody
        )

    def _row(self, family: int, ifindex: int, whose: int, *more: bytes) -> bytes:
        octets = bytes.fromhex(mac(whose).replace(":", ""))
        head = struct.pack("=B3xiHBB", family, ifindex, 2, 0, 0)
        return message(head + b"".join((attribute(2, octets), *more)))

    def interfaces(self, memory: str) -> Interfaces:
        return Interfaces(
            None, None, "b0", since=Since(f"{memory}.since"), memory=memory,
            traffic=lambda: {"br-lan": SILENT, "lan1": SILENT, "phy0-ap0": SILENT},
            ifindexes=lambda: {"br-lan": 1, "lan1": 2, "phy0-ap0": 3}, wiring=self.wiring,
        )  # fmt: skip


class Broken:
    """A source with a bug that a visitor brings about."""

    name = "broken"
    field = "probe"

    def read(self) -> None:
        raise KeyError(mac(0))


def shown_on(path: Path, clock: FakeClock, spool: Spool, sampler: Sampler) -> StateWriter:
    """What the router's own page shows, of an agent that has no connection."""
    publisher = Publisher(ABOUT, spool, clock.monotonic)
    connector = Connector(publisher, dialler(1883), Backoff(random.Random()))
    return StateWriter(
        str(path), "mqtt.example:1883", clock, spool, sampler, connector,
        publisher.collectors, "a", 30,
    )  # fmt: skip


def reported(clock: FakeClock, spool: Spool, sampler: Sampler) -> bytes:
    """What it publishes of two wishes: it applied one and refused the other."""
    publisher, link = Publisher(ABOUT, spool, clock.monotonic), FakeLink()
    schedule = Schedule(30, 0, random.Random(1))

    def handler(_: str, desk: WishDesk) -> SettingsHandler:
        file = AgentSetup(30, config.Reach())
        levers = Levers(file, schedule, sampler, publisher, lambda *_: None)
        return SettingsHandler(desk, levers, KeptSettings(None, "r1"), clock.boot)

    publisher.wishes.load = lambda: Dispatch(publisher.wishes, clock, handler)
    publisher.life.dialled()
    publisher.connected(link)
    topic = topics.settings("r1")
    publisher.received(topic, encode(RouterSettings("r1", 1, log_level="debug", probe=False)))
    publisher.published(len(link.sent), None)
    publisher.received(topic, b'{"v":1,"router":"r1","revision":2,"interval_s":0}')
    found = [payload for topic, payload, _ in link.sent if topic == topics.running("r1")]
    assert 2 == len(found)
    return b"".join(found)


def answered(folder: Path, tail: LogTail) -> bytes:
    """What the router answers to its city; a child checks, which asks the same ubusd."""
    file = folder / "agent.toml"
    file.write_text(
        'router = "a"\nbroker = { host = "127.0.0.1", port = 1, tls = false }\n'
        f'[spool]\ndirectory = "{folder}/spool"\n[sources]\nhostapd = "ubus"\n'
        f'ubus_socket = "{folder}/ubus.sock"\nlease_files = ["{folder}/dhcp.leases"]\n'
    )
    came = threading.Event()
    command = [sys.executable, "-P", "-m", "titik_agent", "check", "--beside", "--config"]
    looker = Looker("a", [*command, str(file)], tail.lines, tuple, Concealing(), came.set)
    looker.ask(Question("a", "0" * 16, "check"))
    assert came.wait(PATIENCE_S)
    reply = looker.take()
    assert reply is not None
    assert {"ok    source hostapd: phy0-ap0", f"ok    source leases: {VISITORS}"} < {*reply.checks}
    assert "source failed" in reply.log[-1]
    return encode(reply)


def what_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """All that is sent, kept, shown and logged of a router with these visitors."""
    everything, tail = _Everything(), LogTail()
    root = logging.getLogger()
    root.addHandler(everything)
    root.addHandler(tail)
    monkeypatch.setattr(root, "level", logging.DEBUG)
    leases = tmp_path / "dhcp.leases"
    leases.write_text(
        "".join(f"0 {mac(n)} {ip(n)} {hostname(n)} 01:{mac(n)}\n" for n in range(VISITORS))
    )
    clock, sketch = FakeClock(), Sketch(FakeClock())
    spool = Spool(str(tmp_path / "spool"), 1 << 16, str(tmp_path / "flash"))
    gathered = [b""]
    with FakeUbusd(str(tmp_path / "ubus.sock")) as ubusd:
        ubusd.add(
            "hostapd.phy0-ap0",
            {
                "get_clients": answer({"freq": 2437, "clients": clients()}),
                "get_status": answer({"ssid": "Kota", "freq": 2437, "channel": 6, "phy": "phy0"}),
            },
        )
        hostapd = HostapdUbus(
            Counters(phy0_ap0=("boot/12", 11, 22)), Tracker(), sketch, [str(tmp_path / "ubus.sock")]
        )
        leased = LeasesSource(clock, (str(leases),))
        modules = tmp_path / "modules"
        modules.write_text(f"nft_flow_offload 16384 1 {mac(0)},{ip(0)}, Live {mac(1)}\n")
        kernel = Kernel(tmp_path / "kernel")
        monkeypatch.setattr(rtnetlink, "_ask", kernel.ask)
        interfaces = kernel.interfaces(str(tmp_path / "spool" / "uplink"))
        sources = (
            hostapd, Survey(hostapd), leased, sketch, interfaces,
            FlowOffload(str(modules)), Broken(),
        )  # fmt: skip
        sampler = Sampler("a", "0" * 16, clock, spool, sources, rss_bytes=lambda: 1)
        state_file = tmp_path / "state.json"
        state = shown_on(state_file, clock, spool, sampler)
        for turn in range(60):
            ubusd.notify("hostapd.phy0-ap0", "sta-authorized", {"address": mac(turn)})
            hostapd.pump()
            sample, payload = sampler.take()
            assert (VISITORS, VISITORS) == (sample.clients, sample.leases)
            assert (["lan1"], True) == (
                [net.ifname for net in sample.net or ()], sample.flow_offload,
            )  # fmt: skip
            spool.append(sample.run, sample.seq, payload)
            state.sampled()
            gathered += [payload, state_file.read_bytes()]
            clock.now_ms += 30_000
        gathered += [answered(tmp_path, tail), reported(clock, spool, sampler)]
        hostapd.close()
    spool.close()
    root.removeHandler(everything)
    root.removeHandler(tail)
    for folder in ("spool", "flash"):
        files = [os.path.join(tmp_path, folder, name) for name in os.listdir(tmp_path / folder)]
        gathered += [Path(file).read_bytes() for file in files]
    assert (tmp_path / "flash").exists()
    return b"\n".join([*gathered, *(line.encode() for line in everything.lines)])


@pytest.mark.thorough
@pytest.mark.usefixtures("caplog")
def test_no_identifier_of_a_visitor_leaves_the_router(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not in a message, the spool, checkpoint, state, log or an answer; plain, coded or hashed."""
    gone = what_leaves(tmp_path, monkeypatch)

    assert len(gone) > 60 * 500
    assert [] == [known for known in identifiers() if known in gone]


def test_no_address_of_a_link_leaves_the_router(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A visitor of an access point with several links has an address on each, and events too."""
    caplog.set_level(logging.DEBUG)
    folder = str(tmp_path / "hostapd")
    links = (mac(1), mac(2))
    peers = {f"peer_addr[{number}]": one for number, one in enumerate(links)}
    bss = FakeBss("wlan0", stations=[station(mac(0), **peers)])
    with FakeHostapd(folder, bss):
        source = HostapdControl(
            Counters(wlan0=("boot/12", 11, 22)), Tracker(), Sketch(FakeClock()), folder, Addresses()
        )
        sampler = Sampler("a", "0" * 16, FakeClock(), Spool(None), (source,), rss_bytes=lambda: 1)
        sample, payload = sampler.take()
        bss.stations[0] = "an answer about " + mac(0) + "\n"
        again = sampler.take()[1]
        source.close()
    assert 1 == sample.clients
    gone = b"\n".join((payload, again, caplog.text.encode()))
    assert b"no station" in gone
    assert [] == [known for known in identifiers() if known in gone]


def test_no_made_up_name_stays_on_the_router(caplog: pytest.LogCaptureFixture) -> None:
    """A resolver's log and the agent's would show who asked what, and when."""
    caplog.set_level(logging.DEBUG)
    with resolver() as server, reach(Targets(("*.titik.example.org",)), server.address) as source:
        found = source.round()
        server.flags = None
        source._timeout_s = 0.05
        source.round()
    labels = [asked[1 : 1 + asked[0]].decode() for asked in server.asked + server.nowhere_asked]
    assert 2 <= len(labels)
    assert [] == [label for label in labels if label in f"{found} {caplog.text}"]
