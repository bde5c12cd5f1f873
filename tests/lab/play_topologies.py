"""Plays the topologies that this machine's kernel can, with real interfaces.

    python tests/lab/play_topologies.py REPORT [NUMBER...]

Rule: a sample is what `titik-agent once` prints, in a process of its own each time; it is judged
outside. The report says which rows were played.
"""

import ctypes
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from fcntl import ioctl
from typing import Any

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
sys.path.insert(1, os.path.join(sys.path[0], "agent"))

from tests.lab.topologies import INTERNET, INTERNET6, TOPOLOGIES, Send, Topology
from titik_agent import assemble

MODULES = ("8021q", "bonding", "wireguard", "pppoe", "ppp_generic", "macvlan", "tun", "veth")
PAYLOAD = 1000  # bytes of a datagram
PATIENCE_S = 30.0  # emulated, on a machine that has other things to do
_NEWNS, _NEWNET = 0x20000, 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


class World:
    """The namespaces of one row."""

    def __init__(self, tag: str) -> None:
        self._names = {letter: f"{tag}-{letter}" for letter in "RGC"}
        self._calls = ExitStack()  # PPPoE sessions
        self._folder = tempfile.mkdtemp(prefix="titik-topology")
        for name in self._names.values():
            _run("ip", "netns", "add", name)
        self.do(f"""
R link set lo up
G link set lo up
C link set lo up
R link add eth0 type veth peer name eth0 netns {self._names["G"]}
R link add eth1 type veth peer name eth1 netns {self._names["G"]}
R link add lan1 type veth peer name eth0 netns {self._names["C"]}
R link set eth0 up
R link set eth1 up
R link set lan1 up
G link set eth0 up
G link set eth1 up
C link set eth0 up
G address add {INTERNET}/32 dev lo
G address add {INTERNET6}/128 dev lo nodad
""")
        for letter in "RG":
            with self.inside(letter):
                for name in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
                    _write(f"/proc/sys/net/{name}", "1")
                for name in ("all", "eth0", "eth1"):
                    _write(f"/proc/sys/net/ipv4/conf/{name}/rp_filter", "0")
        self._config = _write(
            f"{self._folder}/agent.toml",
            f'router = "r"\nsources.hostapd = "off"\nspool.directory = "{self._folder}"\n',
        )

    def do(self, commands: str) -> None:
        for line in commands.strip().splitlines():
            match line.split():
                case ["dial", device, ifname]:
                    self._dial(device, ifname)
                case ["hang-up"]:
                    self._calls.close()
                case [letter, *words]:
                    _run("ip", "-n", self._names[letter], *words)

    @contextmanager
    def inside(self, letter: str) -> Iterator[None]:
        """Sockets that are made here are of that namespace."""
        with open("/proc/self/ns/net") as home, open(f"/run/netns/{self._names[letter]}") as there:
            _check(_libc.setns(there.fileno(), _NEWNET))
            try:
                yield
            finally:
                _check(_libc.setns(home.fileno(), _NEWNET))

    def once(self) -> dict[str, Any]:
        """What `titik-agent once` prints in the router."""
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.dup2(writer, 1)
                with self.inside("R"):
                    _check(_libc.unshare(_NEWNS))
                    _check(_libc.mount(b"none", b"/", None, 0x44000, None))  # private, all below
                    _check(_libc.mount(b"sysfs", b"/sys", b"sysfs", 0, None))
                    assemble.once(self._config, None, None)
                    sys.stdout.flush()
                    os._exit(0)
            finally:
                os._exit(1)
        os.close(writer)
        with open(reader, encoding="utf-8") as file:
            text = file.read()
        _, status = os.waitpid(child, 0)
        if status:
            raise RuntimeError("titik-agent once failed")
        found: dict[str, Any] = json.loads(text)
        return found

    def send(self, send: Send, count: int) -> int:
        """How many of the datagrams arrived."""
        with self._ends(send) as (near, far):
            arrived = 0
            for _ in range(count):
                near.sendto(bytes(PAYLOAD), (send.to, 9))
                arrived += len(far.recv(2 * PAYLOAD)) == PAYLOAD
            return arrived

    def reach(self, send: Send) -> None:
        """Until a datagram arrives: a new link may take a second, and each hop its neighbour."""
        with self._ends(send) as (near, far):
            far.settimeout(0.5)
            end = time.monotonic() + PATIENCE_S
            while time.monotonic() < end:
                with suppress(TimeoutError):
                    near.sendto(b"", (send.to, 9))
                    far.recv(1)
                    return
        raise RuntimeError(f"nothing arrives at {send.to} from {send.source}")

    @contextmanager
    def _ends(self, send: Send) -> Iterator[tuple[socket.socket, socket.socket]]:
        family = socket.AF_INET6 if ":" in send.to else socket.AF_INET
        with ExitStack() as stack:
            with self.inside("C" if send.is_down else "G"):
                far = stack.enter_context(socket.socket(family, socket.SOCK_DGRAM))
                far.bind((send.to, 9))
            with self.inside(send.sender):
                near = stack.enter_context(socket.socket(family, socket.SOCK_DGRAM))
                near.bind((send.source, 0))
            far.settimeout(PATIENCE_S)
            yield near, far

    def remove(self) -> None:
        self._calls.close()
        for name in self._names.values():
            subprocess.run(("ip", "netns", "del", name), check=False)
        shutil.rmtree(self._folder)

    def _dial(self, device: str, ifname: str) -> None:
        """A PPPoE session from the router to the internet, both ends without negotiation."""
        ends = (("R", "G", ifname), ("G", "R", "ppp-far"))
        for letter, other, name in ends:
            with self.inside(other):
                mac = _mac(device)
            with self.inside(letter):
                self._calls.callback(_close, session(device, mac))
            self.do(f"{letter} link set ppp0 name {name}\n{letter} link set {name} up")


def session(device: str, mac: bytes) -> tuple[int, ...]:
    """The descriptors that keep `ppp0` alive, whose far end is this address."""
    pppox, stream, oe = 24, socket.SOCK_STREAM, 0
    sock = _check(_libc.socket(pppox, stream, oe))
    address = struct.pack("=HI2s6s16s", pppox, oe, b"\0\1", mac, device.encode())
    _check(_libc.connect(sock, address, len(address)))
    number = struct.unpack("i", ioctl(sock, 0x80047437, bytes(4)))[0]  # PPPIOCGCHAN
    channel = os.open("/dev/ppp", os.O_RDWR)
    ioctl(channel, 0x40047438, struct.pack("i", number))  # PPPIOCATTCHAN
    unit = os.open("/dev/ppp", os.O_RDWR)
    made = ioctl(unit, 0xC004743E, struct.pack("i", -1))  # PPPIOCNEWUNIT
    ioctl(channel, 0x4004743A, made)  # PPPIOCCONNECT
    for protocol in (0x21, 0x57):  # IPv4 and IPv6 pass
        ioctl(unit, 0x4008744B, struct.pack("ii", protocol, 0))  # PPPIOCSNPMODE
    return unit, channel, sock


def can(kind: str) -> bool:
    """This kernel has such links."""
    if kind == "pppoe":
        try:
            os.close(os.open("/dev/ppp", os.O_RDWR))
            os.close(_check(_libc.socket(24, socket.SOCK_STREAM, 0)))
        except OSError:
            return False
        return True
    done = subprocess.run(
        ("ip", "link", "add", "probe0", "type", kind), check=False, capture_output=True, text=True
    )
    subprocess.run(("ip", "link", "del", "probe0"), check=False, capture_output=True)
    return "Unknown device type" not in done.stderr


def play(row: Topology, number: int) -> dict[str, Any]:
    """The samples of every moment, and how many datagrams of each kind arrived between."""
    world = World(f"titik{os.getpid()}-{number}")
    try:
        world.do(row.build)
        for send in (*row.agent, *row.sends):
            world.reach(send)
        moments = {"before": world.once()}
        arrived = [world.send(send, send.count) for send in row.sends]
        moments["sent"] = world.once()
        world.do(row.cut)
        moments["cut"] = settled(world, row.down_after)
        world.do(row.mend)
        again = next(send for send in row.sends if not send.is_down)
        world.reach(again)
        moments["mended"] = settled(world, ())
        world.send(again, again.count)
        moments["sent again"] = world.once()
    finally:
        world.remove()
    return {"name": row.name, "arrived": arrived, "moments": moments}


def settled(world: World, down: tuple[str, ...]) -> dict[str, Any]:
    """The first sample that lists these uplinks as down, or the last before patience ends.

    The kernel reports a VLAN of its port's link a second later.
    """
    end = time.monotonic() + PATIENCE_S
    while True:
        sample = world.once()
        uplinks = [net for net in sample.get("net", ()) if net["role"] == "uplink"]
        is_so = sorted(down) == sorted(net["ifname"] for net in uplinks if not net["up"])
        if is_so or time.monotonic() > end:
            return sample
        time.sleep(0.1)


def main(report: str, *wanted: str) -> None:
    """Play what this kernel can, of the wanted rows or of all; a failure ends only its own row."""
    if shutil.which("modprobe"):
        for module in MODULES:
            subprocess.run(("modprobe", module), check=False, capture_output=True)
    rows = []
    for number, row in enumerate(TOPOLOGIES):
        if (wanted and str(number) not in wanted) or not all(map(can, row.needs)):
            continue
        try:
            rows.append(play(row, number))
        except Exception as error:  # judged outside, by name
            rows.append({"name": row.name, "error": f"{type(error).__name__}: {error}"})
        print(rows[-1].get("error", "played"), row.name, flush=True)
    _write(report, json.dumps(rows))


def _run(*words: str) -> None:
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip()}")


def _write(path: str, text: str) -> str:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def _mac(device: str) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        answer = ioctl(sock, 0x8927, struct.pack("256s", device.encode()))  # SIOCGIFHWADDR
    return answer[18:24]


def _close(descriptors: tuple[int, ...]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _check(result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


if __name__ == "__main__":
    main(*sys.argv[1:])
