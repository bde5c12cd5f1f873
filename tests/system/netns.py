"""A hotspot made of network namespaces: a gateway, a router and LAN hosts, all of one kernel.

Everything is private: namespaces have names of this process, and nothing is wired to the machine.
"""

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

AGENT = Path(__file__).parents[2] / "agent"
GATEWAY = "198.51.100.1"
ROUTER = "198.51.100.2"
CLONE_NEWNET = 0x40000000  # of setns(2)
NOBODY = "198.51.100.9"  # beyond the gateway, which knows no such host


def ip(*words: str, check: bool = True) -> None:
    """`ip`, which must succeed unless asked."""
    subprocess.run(("ip", *words), check=check, capture_output=True, text=True, timeout=60)


class Hotspot:
    """`router` has `wan` to the gateway, and `br-lan` (192.0.2.1/24) with the hosts on it."""

    def __init__(self, tag: str) -> None:
        self.router, self.gateway = f"{tag}-router", f"{tag}-gateway"
        self._tag = tag
        self._spaces: list[str] = []

    def build(self, hosts: int) -> None:
        self._add(self.router)
        self._add(self.gateway)
        self._wire("wan", self.router, self.gateway)
        self._address(self.router, "wan", f"{ROUTER}/30")
        self._address(self.gateway, "eth0", f"{GATEWAY}/30")
        ip("-n", self.router, "route", "add", "default", "via", GATEWAY)
        ip("-n", self.router, "link", "add", "br-lan", "type", "bridge")
        self._address(self.router, "br-lan", "192.0.2.1/24")
        for number in range(1, hosts + 1):
            self.add_host(number)

    def host(self, number: int) -> str:
        """The namespace of a host."""
        return f"{self._tag}-host{number}"

    def add_host(self, number: int) -> None:
        """A host that gets 192.0.2.(100 + number)."""
        space = self.host(number)
        self._add(space)
        self._wire(f"lan{number}", self.router, space)
        ip("-n", self.router, "link", "set", f"lan{number}", "master", "br-lan")
        self._address(space, "eth0", f"192.0.2.{100 + number}/24")

    def python(self, code: str, *, space: str | None = None) -> str:
        """What the code prints when it runs inside a namespace, with the agent importable."""
        done = subprocess.run(
            ("ip", "netns", "exec", space or self.router, sys.executable, "-c", code),
            env=os.environ | {"PYTHONPATH": os.pathsep.join((str(AGENT), *sys.path))},
            capture_output=True,
            text=True,
            timeout=600,  # a round of the probe on a busy machine
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def remove(self) -> None:
        for space in self._spaces:
            ip("netns", "del", space, check=False)

    def _add(self, space: str) -> None:
        self._spaces.append(space)
        ip("netns", "add", space)
        ip("-n", space, "link", "set", "lo", "up")

    def _wire(self, ifname: str, near: str, far: str) -> None:
        ip("-n", near, "link", "add", ifname, "type", "veth", "peer", "name", "eth0", "netns", far)
        ip("-n", near, "link", "set", ifname, "up")
        ip("-n", far, "link", "set", "eth0", "up")

    def _address(self, space: str, ifname: str, address: str) -> None:
        ip("-n", space, "address", "add", address, "dev", ifname)
        ip("-n", space, "link", "set", ifname, "up")


@contextmanager
def entered(space: str) -> Iterator[None]:
    """This thread is in the namespace, and whatever it starts there."""
    libc = ctypes.CDLL(None, use_errno=True)

    def enter(namespace: int) -> None:
        if libc.setns(namespace, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), space)

    with open("/proc/thread-self/ns/net") as ours, open(f"/run/netns/{space}") as theirs:
        enter(theirs.fileno())
        try:
            yield
        finally:
            enter(ours.fileno())


@contextmanager
def hotspot(hosts: int) -> Iterator[Hotspot]:
    """A hotspot for the time of a test."""
    made = Hotspot(f"titik{os.getpid()}")
    try:
        made.build(hosts)
        yield made
    finally:
        made.remove()
