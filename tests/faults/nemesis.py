"""Faults by a seed: the same seed and count give the same schedule.

Rule: a schedule is made whole before the first fault, so that what happens changes none of it.
"""

import hashlib
import json
import os
import random
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from tests.system.netns import ip

HUB = "10.99.0.1"
TABLE = """
table inet t {
  chain in { type filter hook input priority 0; }
  chain out { type filter hook output priority 0; }
}
"""
RULES = {
    "cut": ("in drop", "out drop"),
    "half-open": ("in drop",),  # what the router sends arrives; no answer does
    "deaf-broker": ("out drop",),
    "reset": ("out meta l4proto tcp reject with tcp reset",),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """Begins `after_s` seconds after the one before, or after the start in a swizzle."""

    after_s: float
    kind: str
    target: str
    lasts_s: float


def schedule(
    rand: random.Random,
    count: int,
    kinds: Sequence[str],
    targets: Sequence[str],
    after_s: tuple[float, float],
    lasts_s: tuple[float, float] = (0.0, 0.0),
) -> list[Fault]:
    """So many faults; of each kind as many as of another, or one more."""
    of_kind = [kinds[number % len(kinds)] for number in range(count)]
    rand.shuffle(of_kind)
    return [
        Fault(
            round(rand.uniform(*after_s), 3),
            kind,
            rand.choice(targets),
            round(rand.uniform(*lasts_s), 3),
        )
        for kind in of_kind
    ]


def as_json(faults: Sequence[Fault]) -> list[dict[str, object]]:
    """For a result file."""
    return [asdict(one) for one in faults]


def digest(faults: Sequence[Fault]) -> str:
    """Distinguishes schedules."""
    return hashlib.sha256(json.dumps(as_json(faults)).encode()).hexdigest()[:16]


class Spaces:
    """A namespace for each router, wired to the bridge of this process's own namespace."""

    def __init__(self, routers: Sequence[str]) -> None:
        self._names = {router: f"tf{os.getpid()}-{router}" for router in routers}

    def build(self) -> None:
        """Also the bridge, at which the broker listens."""
        ip("link", "add", "hub", "type", "bridge")
        ip("address", "add", f"{HUB}/16", "dev", "hub")
        ip("link", "set", "hub", "up")
        for router, space in self._names.items():
            ip("netns", "add", space)
            ip("-n", space, "link", "set", "lo", "up")
            self._wire(router)
            self._nft(space, TABLE)

    def rewire(self, router: str) -> None:
        """Its uplink goes and comes as another interface of the same name."""
        ip("-n", self._names[router], "link", "del", "eth0")
        self._wire(router)

    def passed(self, router: str) -> list[int]:
        """Bytes that its uplink has received and sent."""
        return [
            int(
                subprocess.run(
                    (*self.inside(router), "cat", f"/sys/class/net/eth0/statistics/{way}_bytes"),
                    check=True,
                    capture_output=True,
                ).stdout
            )
            for way in ("rx", "tx")
        ]

    def _wire(self, router: str) -> None:
        number, space = list(self._names).index(router), self._names[router]
        near = f"port{number}"
        ip("link", "add", near, "type", "veth", "peer", "name", "eth0", "netns", space)
        ip("link", "set", near, "master", "hub", "up")
        address = f"10.99.{1 + number // 200}.{1 + number % 200}/16"
        ip("-n", space, "address", "add", address, "dev", "eth0")
        ip("-n", space, "link", "set", "eth0", "up")

    def remove(self) -> None:
        """Everything that `build` made."""
        for space in self._names.values():
            ip("netns", "del", space, check=False)
        ip("link", "del", "hub", check=False)

    def inside(self, router: str) -> tuple[str, ...]:
        """The words before a command that is to run there."""
        return ("ip", "netns", "exec", self._names[router])

    def renew_radio(self, router: str) -> None:
        """Its access point is an interface that was made again, as `wifi reload` makes it."""
        inside = ("-n", self._names[router], "link")
        ip(*inside, "del", "phy0-ap0", check=False)
        ip(*inside, "add", "phy0-ap0", "type", "veth", "peer", "name", "air")
        for name in ("air", "phy0-ap0"):
            ip(*inside, "set", name, "up")

    def break_uplink(self, router: str, how: str) -> None:
        """Until `mend_uplink`; `how` is one of RULES."""
        rules = [f"add rule inet t {one}\n" for one in RULES[how]]
        self._nft(self._names[router], "".join(rules))

    def mend_uplink(self, router: str) -> None:
        """Everything passes again."""
        self._nft(self._names[router], "flush table inet t")

    def _nft(self, space: str, commands: str) -> None:
        subprocess.run(
            ("ip", "netns", "exec", space, "nft", "-f", "-"),
            input=commands,
            text=True,
            check=True,
            capture_output=True,
        )
