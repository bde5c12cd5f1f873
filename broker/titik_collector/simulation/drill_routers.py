"""The routers of a drill, as a process of their own: they note when acks come, and what they took.

Rule: what a router took is counted here, apart from every collector and store.
Rule: SIGTERM ends the sampling; the process goes when every spool is empty or the patience is over.
"""

import random
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from titik_collector.files.replace import replace_file
from titik_collector.simulation.fleet import Fleet, Node, Plan, WorldTime, pace_of, spool_of
from titik_mqtt.endpoint import Tls
from titik_wire.messages import AckedRun

WRITE_S = 0.2  # between two states
CAPACITY = 60
UP_S = 3600.0  # when the city begins
KEYS = "etc/titik"  # where the bundle puts them, below a router's root


@dataclass(frozen=True, slots=True)
class DrillFleet:
    """What the process is started with."""

    names: tuple[str, ...]
    roots: str  # a folder: of each router's root file system, which its bundle has written into
    host: str
    port: int
    interval_s: float
    first_wait_s: float
    forgets: bool  # the spool is in memory, and what was acknowledged is gone
    state: str  # the file for it


@dataclass(frozen=True, slots=True)
class RouterState:
    """One router: what it took, and how it went with acks; times are of the monotonic clock."""

    name: str
    run: str
    taken: int = 0
    acked: int = 0  # so many of them from the first on
    held: int = 0  # not acknowledged
    acked_s: float = 0.0  # when the last ack came; 0: none yet
    longest_s: float = 0.0  # the longest time between two acks


@dataclass(frozen=True, slots=True)
class RoutersState:
    """All of them, as the file has it."""

    routers: tuple[RouterState, ...] = ()


class _RouterAcks:
    """A router whose acks are noted."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self._last: AckedRun | None = None
        self._acked_s = 0.0
        self._longest_s = 0.0

    def look(self, now_s: float) -> None:
        """An ack is new if it says something else of this run."""
        acked = self.node.publisher.unacked.acked.get(self.node.run)
        if acked is None or acked == self._last:
            return
        if self._acked_s:
            self._longest_s = max(self._longest_s, now_s - self._acked_s)
        self._last, self._acked_s = acked, now_s

    def state(self) -> RouterState:
        return RouterState(
            self.node.name,
            self.node.run,
            self.node.sampler.seq,
            0 if self._last is None else self._last.upto,
            self.node.spool.spooled,
            self._acked_s,
            self._longest_s,
        )


def read(file: Path) -> RoutersState:
    """What they wrote last; nobody if nothing is there yet."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=RoutersState)
    except FileNotFoundError:
        return RoutersState()


def encode(plan: DrillFleet) -> str:
    """As the argument of the process."""
    return msgspec.json.encode(plan).decode()


def run(plan: DrillFleet) -> None:
    """Until SIGTERM."""
    world = WorldTime(ZoneInfo("UTC"), 1.0)
    fleet = Fleet([_node(plan, name, world) for name in plan.names])
    routers = [_RouterAcks(node) for node in fleet.nodes]
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: stopped.append(number))
    next_s = 0.0

    def note() -> None:
        nonlocal next_s
        now_s = time.monotonic()
        for one in routers:
            one.look(now_s)
        if now_s >= next_s:
            next_s = now_s + WRITE_S
            _write(Path(plan.state), routers)

    while not stopped:
        fleet.run(time.monotonic() + WRITE_S, note)
    fleet.stop()
    for one in routers:
        one.look(time.monotonic())
    _write(Path(plan.state), routers)


def _write(file: Path, routers: list[_RouterAcks]) -> None:
    states = RoutersState(tuple([one.state() for one in routers]))
    replace_file(file, msgspec.json.encode(states).decode())


def _node(plan: DrillFleet, name: str, world: WorldTime) -> Node:
    root = Path(plan.roots, name)
    keys = root / KEYS
    return Node(
        Plan(name, name, CAPACITY, None),
        plan.host,
        plan.port,
        plan.interval_s,
        world,
        random.Random(name),
        plan.first_wait_s,
        pace=pace_of(plan.first_wait_s),
        spool=spool_of(None if plan.forgets else root / "spool"),
        tls=Tls(str(keys / "ca.crt"), str(keys / "router.crt"), str(keys / "router.key")),
        has_host=True,
        up_s=UP_S,
    )


if __name__ == "__main__":
    run(msgspec.json.decode(sys.argv[1], type=DrillFleet))
