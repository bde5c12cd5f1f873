"""One round of the probe: ARP to the gateway, echo to the targets, ARP to the whole LAN.

The only file that imports scapy. Rule: its sockets are bound to one protocol, so that the kernel
and not Python drops the visitors' packets.
"""

import ipaddress
import logging
import os
import socket
import time
from collections.abc import Iterator
from typing import Any

import psutil
from scapy.config import conf
from scapy.data import ETH_P_ARP, MTU
from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet
from scapy.sendrecv import sndrcv, srp
from scapy.supersocket import SuperSocket

from titik_agent.limits import MAX_SWEEP, MAX_TARGETS
from titik_agent.probe.process import ProbeSettings
from titik_agent.sources.netdev import Interfaces
from titik_agent.sources.reach import median_ms
from titik_wire.messages import Probe

log = logging.getLogger(__name__)

ECHOES = 5  # to each target
ECHO_PACE_S = 0.04
ECHO_WAIT_S = 2.0
SWEEP_PACE_S = 0.002
SWEEP_WAIT_S = 1.5  # a phone that saves power wakes several times a second
EVERYBODY = "ff:ff:ff:ff:ff:ff"
ARPHRD_ETHER = 1
IFF_NOARP = 0x80


def measure(settings: ProbeSettings, at_uptime_ms: int) -> Probe:
    """Everything a round finds out; takes some 10 s where nothing answers."""
    conf.verb = 0
    logging.getLogger("scapy").setLevel(logging.CRITICAL)  # it would name addresses
    interfaces = Interfaces(settings.uplink, settings.lan, "")
    icmp_ms, icmp_loss = echo(settings.targets[:MAX_TARGETS])
    return Probe(
        at_uptime_ms=at_uptime_ms,
        gateway_up=gateway_up(interfaces.uplink(), interfaces.gateway()),
        icmp_ms=icmp_ms,
        icmp_loss_ratio=icmp_loss,
        lan_devices=count_devices(interfaces.lan()),
    )


def gateway_up(uplink: str | None, gateway: str | None) -> bool:
    """The gateway answers ARP; where the uplink has no ARP (PPPoE, a tunnel), its link is up."""
    if uplink is None or not os.path.isdir(f"/sys/class/net/{uplink}"):
        return False
    if not has_arp(uplink):
        return psutil.net_if_stats()[uplink].isup
    if gateway is None:
        return False
    return bool(ask_arp(uplink, [gateway], retry=2))


def has_arp(ifname: str) -> bool:
    """It is an Ethernet, or passes for one."""
    with (
        open(f"/sys/class/net/{ifname}/type") as kind,
        open(f"/sys/class/net/{ifname}/flags") as flags,
    ):
        return int(kind.read()) == ARPHRD_ETHER and not int(flags.read(), 16) & IFF_NOARP


def count_devices(lan: tuple[str, ...]) -> int | None:
    """Devices that answer ARP in the IPv4 networks of these interfaces; None: no such network.

    None also if there are too many addresses to ask: a part of them would be a smaller number.
    """
    networks = [(ifname, network) for ifname in lan for network in ipv4_networks(ifname)]
    asked = sum(network.num_addresses for _, network in networks)
    if asked > MAX_SWEEP:
        log.warning("lan not swept addresses=%d limit=%d", asked, MAX_SWEEP)
        return None
    if not networks:
        return None
    found: set[str] = set()
    for ifname, network in networks:
        found |= ask_arp(ifname, [str(address) for address in network.hosts()], retry=1)
    return len(found)


def ipv4_networks(ifname: str) -> set[ipaddress.IPv4Network]:
    """The networks that the interface is in; a single address is none."""
    addresses = psutil.net_if_addrs().get(ifname, [])
    networks = {
        ipaddress.IPv4Network((one.address, one.netmask or 32), strict=False)
        for one in addresses
        if one.family == socket.AF_INET
    }
    return {network for network in networks if network.prefixlen < 31}


def ask_arp(ifname: str, addresses: list[str], retry: int) -> set[str]:
    """The hardware addresses that answer ARP for these addresses."""
    mine = psutil.net_if_addrs().get(ifname, [])
    hardware = next((one.address for one in mine if one.family == psutil.AF_LINK), None)
    source = next((one.address for one in mine if one.family == socket.AF_INET), None)
    if hardware is None or source is None:
        return set()
    request = Ether(src=hardware, dst=EVERYBODY) / ARP(
        hwsrc=hardware, psrc=source, pdst=[one for one in addresses if one != source]
    )
    answers, _ = srp(
        request,
        iface=ifname,
        type=ETH_P_ARP,
        promisc=False,
        nofilter=1,
        timeout=SWEEP_WAIT_S,
        inter=SWEEP_PACE_S,
        retry=retry,
    )
    return {answer[ARP].hwsrc for _, answer in answers}


def echo(targets: tuple[str, ...]) -> tuple[float | None, float | None]:
    """Median round trip in milliseconds and share of loss; None, None: there is no one to ask."""
    addresses = [address for target in targets for address in resolve(target)]
    if not addresses:
        return None, None
    ident = int.from_bytes(os.urandom(2), "big")
    requests = [
        IP(dst=address) / ICMP(id=ident, seq=turn * MAX_TARGETS + index) / bytes(32)
        for turn in range(ECHOES)
        for index, address in enumerate(addresses)
    ]
    sock = EchoSocket()
    try:
        answers, _ = sndrcv(sock, requests, timeout=ECHO_WAIT_S, inter=ECHO_PACE_S)
    finally:
        sock.close()
    echoed = [
        float(answer.time) - float(request.sent_time or 0)
        for request, answer in answers
        if answer[ICMP].type == 0  # an error that a router on the way sent is an answer to scapy
    ]
    return median_ms(list(echoed)), round(1 - len(echoed) / len(requests), 3)


def resolve(target: str) -> Iterator[str]:
    """The target's IPv4 address; nothing while it has none, as then nothing can be lost."""
    try:
        yield socket.gethostbyname(target)
    except (OSError, UnicodeError):
        return


class EchoSocket(SuperSocket):
    """Scapy's view of a raw ICMP socket: the kernel routes, and hands over nothing but ICMP."""

    def __init__(self) -> None:
        self._raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        self._raw.setsockopt(socket.SOL_IP, socket.IP_HDRINCL, 1)
        self.ins = self.outs = self._raw  # what scapy waits for and closes

    def send(self, x: Packet) -> int:
        x.sent_time = time.time()
        try:
            return self._raw.sendto(bytes(x), (x[IP].dst, 0))
        except OSError:
            return 0  # unreachable: as good as lost

    def recv(self, x: int = MTU, **_: Any) -> Packet | None:
        packet = IP(self._raw.recv(x))
        packet.time = time.time()
        return packet
