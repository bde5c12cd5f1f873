"""`titik simulate`, and the hotspots of `titik demo`: many routers in one process, one event loop.

Rule: sampler, schedule, spool, publisher, link and back-off are the agent's own code; only the
radio and the uplink's counters are made up (see `world`). This file and demo.py are the only ones
here that import the agent.
"""

import heapq
import itertools
import os
import random
import select
import socket
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from titik_agent.broker_link.backoff import CAP_S, FIRST_S, Backoff
from titik_agent.broker_link.connector import Connector
from titik_agent.broker_link.lanes import Pace
from titik_agent.broker_link.link import Link
from titik_agent.broker_link.publisher import Publisher
from titik_agent.clock import Clock
from titik_agent.config import Reach
from titik_agent.sampling.sampler import Sampler
from titik_agent.sampling.schedule import Schedule
from titik_agent.spool.record import pack
from titik_agent.spool.spool import Key, Spool
from titik_agent.wishes.dispatch import Dispatch
from titik_agent.wishes.kept_settings import KeptSettings
from titik_agent.wishes.levers import AgentSetup, Levers
from titik_agent.wishes.settings import SettingsHandler
from titik_agent.wishes.upgrade import UpgradeHandler
from titik_agent.wishes.wish_handler import WishDesk, WishHandler
from titik_collector.simulation.simulated_look import SimulatedLook
from titik_collector.simulation.world import DAY_MINUTES, Crowd
from titik_mqtt.connection import Events, Will
from titik_mqtt.endpoint import Endpoint, Tls
from titik_mqtt.failures import LinkDown
from titik_wire import __version__
from titik_wire.instant import DAY_MS
from titik_wire.limits import MAX_WHOLE
from titik_wire.messages import Bss, Host, Net, Status

LONGEST_S = 0.5
DRAIN_S = 5.0  # for the last acks at the end
STOP_S = 3.0  # and for goodbyes
MEMORY_BYTES = 256 * 1024**2  # of a simulated router
_OLDEST = 0  # age of a run; the agent's own begin at 1


class WorldTime:
    """The local minute of the simulated day, which may run faster than the real one."""

    def __init__(self, zone: ZoneInfo, speed: float, started: datetime | None = None) -> None:
        self.speed = speed
        start = (started or datetime.now(zone)).astimezone(zone)
        self._minute = start.hour * 60 + start.minute + start.second / 60
        self._began = time.monotonic()

    def minute(self) -> float:
        """Minutes since midnight."""
        return (self._minute + (time.monotonic() - self._began) / 60 * self.speed) % DAY_MINUTES

    def text(self) -> str:
        """`18:42`."""
        minute = int(self.minute())
        return f"{minute // 60:02}:{minute % 60:02}"


class SimulatedClock:
    """A router that booted a while before this process; its clock is this machine's."""

    def __init__(self, rand: random.Random) -> None:
        self.boot = str(uuid.uuid4())  # never from the seed: a second fleet is not the first
        self._offset_ms = rand.randrange(300_000, DAY_MS)

    def monotonic(self) -> float:
        return time.monotonic()

    def uptime_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000 + self._offset_ms

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def quality(self) -> Literal["ntp", "guess"]:
        return "ntp"


class SimulatedRadio:
    """The made-up access point: a source for `bss`, and the crowd behind it."""

    name = "hostapd"
    field = "bss"

    def __init__(self, crowd: Crowd, world: WorldTime, token: str) -> None:
        self.crowd = crowd
        self._world = world
        self._token = token
        self._at = time.monotonic()

    def advance(self) -> bool:
        """Let time pass; True if a client joined or left."""
        now = time.monotonic()
        elapsed, self._at = now - self._at, now
        return self.crowd.advance(self._world.minute(), elapsed * self._world.speed, elapsed)

    def read(self) -> tuple[Bss, ...]:
        crowd = self.crowd
        return (
            Bss(
                ifname="phy0-ap0",
                ssid="Kupang Smart City",
                band="2g",
                channel=6,
                clients=crowd.clients,
                active=crowd.active(),
                weak=crowd.weak(),
                since=f"{self._token}/12",
                rx_bytes=crowd.rx_bytes,
                tx_bytes=crowd.tx_bytes,
            ),
        )


class LeftSpool(Spool):
    """A spool in which samples of the past can be put, as if an earlier run had left them."""

    @property
    def spooled(self) -> int:
        """Records of the present: what was left is no backlog of this router."""
        with self._lock:
            left = [run for run in self._blocks.runs() if self._blocks.age(run) == _OLDEST]
            of_left = [len([*self._blocks.within(run, 1, MAX_WHOLE)]) for run in left]
            return len(self._blocks) - sum(of_left)

    def leave(self, run: str, first_seq: int, seq: int, payload: bytes) -> None:
        """Such a run is older than all others, so the present stays the newest."""
        key = Key(run, first_seq, seq)
        with self._lock:
            record = pack(_OLDEST, key, payload)
            self._make_room(len(record))
            self._keep(key, _OLDEST, record, self._monotonic())


class Wan:
    """The made-up uplink: it carries what the radio does, and some overhead."""

    name = "netdev"
    field = "net"

    def __init__(self, crowd: Crowd, token: str) -> None:
        self._crowd = crowd
        self._token = token

    def read(self) -> tuple[Net, ...]:
        down, up = self._crowd.tx_bytes, self._crowd.rx_bytes
        return (Net("wan", "uplink", True, f"{self._token}/3", down * 21 // 20, up * 21 // 20),)


class SimulatedHost:
    """The made-up computer: the more visitors, the busier, warmer and fuller it is."""

    name = "host"
    field = "host"

    def __init__(self, crowd: Crowd, capacity: int, clock: Clock) -> None:
        self._crowd = crowd
        self._capacity = capacity
        self._clock = clock

    def read(self) -> Host:
        share = min(1.0, self._crowd.clients / max(1, self._capacity))
        return Host(
            uptime_s=self._clock.uptime_ms() // 1000,
            load_1m=round(0.05 + 0.9 * share, 2),
            cpu_busy_ratio=round(0.04 + 0.5 * share, 3),
            mem_total_bytes=MEMORY_BYTES,
            mem_available_bytes=int(MEMORY_BYTES * (0.62 - 0.2 * share)),
            disk_free_bytes=MEMORY_BYTES // 4,
            temp_c=round(46 + 14 * share, 1),
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """One router to simulate."""

    name: str
    site: str
    capacity: int
    password: str | None


class Node:
    """One simulated router: the agent's objects, put together."""

    def __init__(
        self,
        plan: Plan,
        host: str,
        port: int,
        interval_s: float,
        world: WorldTime,
        rand: random.Random,
        first_wait_s: float,
        *,
        pace: Pace | None = None,
        spool: Spool | None = None,
        clock: Clock | None = None,
        tls: Tls | None = None,
        has_host: bool = False,
        up_s: float = 0.0,
        version: str = __version__,
        helper: str | None = None,
    ) -> None:
        """`up_s`: for how long it is up; one that has just booted waits before it connects.

        `version`: of the agent. `helper`: the folder of what upgrades it; None: not offered.
        """
        self.name = plan.name
        self.site = plan.site
        self.version = version
        self.cut_until = 0.0  # the uplink carries nothing until then
        self.is_sampling = True
        clock = clock or SimulatedClock(rand)
        crowd = Crowd(plan.site, plan.capacity, rand, world.minute())
        self.radio = SimulatedRadio(crowd, world, clock.boot)
        self.spool = Spool(None) if spool is None else spool
        self.run = os.urandom(8).hex()
        about = Status(
            plan.name, "online", self.run, 1, clock.boot,
            version, "Simulated router",
            "Simulated OpenWrt" if has_host else None,
        )  # fmt: skip
        self.publisher = Publisher(about, self.spool, clock.monotonic, pace)
        self._broker = Endpoint(host, port, plan.name, plan.password, tls)
        cap_s = first_wait_s * CAP_S / FIRST_S
        backoff = Backoff(rand, first_s=first_wait_s, cap_s=cap_s)
        wait_s = backoff.at_start(up_s, time.monotonic())
        self.connector = Connector(self.publisher, self._dial, backoff, wait_s=wait_s)
        self.sampler = Sampler(
            plan.name,
            self.run,
            clock,
            self.spool,
            (
                self.radio,
                Wan(crowd, clock.boot),
                *([SimulatedHost(crowd, plan.capacity, clock)] if has_host else []),
            ),
            lambda: self.publisher.unacked.acked,
            rss_bytes=lambda: 0,
            store=lambda: self.publisher.collectors.store,
        )
        self._clock = clock
        self._helper = helper
        self._schedule = Schedule(interval_s, clock.monotonic(), rand)
        self._file = AgentSetup(max(1, int(interval_s)), Reach())
        self.publisher.wishes.load = self._wishes

    def turn(self) -> float:
        """Do what is due; seconds until there is more to do."""
        if not self.is_sampling:
            return self.connector.step()
        now = time.monotonic()
        if self.radio.advance():
            self._schedule.changed(now)
        if self._schedule.take(now):
            self.take()
        wait_s = min(self.connector.step(), self._schedule.wait_s(time.monotonic()))
        return max(0.0, wait_s)

    def take(self) -> None:
        """One sample, now."""
        sample, payload = self.sampler.take()
        self.spool.append(sample.run, sample.seq, payload)
        self.connector.wake()

    def _wishes(self) -> Dispatch:
        return Dispatch(self.publisher.wishes, self._clock, self._handler)

    def _handler(self, kind: str, desk: WishDesk) -> WishHandler | None:
        """The agent's own, but it reaches nothing, and the log is of all nodes."""
        if kind == "request":
            return SimulatedLook(desk, lambda: self.spool.spooled)
        if kind == "upgrade" and self._helper is not None:
            return UpgradeHandler(desk, self._helper)
        if kind != "settings":
            return None
        levers = Levers(self._file, self._schedule, self.sampler, self.publisher, lambda *_: None)
        return SettingsHandler(desk, levers, KeptSettings(None, self.name), self._clock.boot)

    def cut(self, seconds: float) -> None:
        """The uplink is gone for a while: the connection breaks and none can be made."""
        self.cut_until = time.monotonic() + seconds
        fd = self.connector.fileno()
        if fd >= 0:
            with socket.socket(fileno=os.dup(fd)) as same:
                same.shutdown(socket.SHUT_RDWR)

    def _dial(self, will: Will, events: Events) -> Link:
        if time.monotonic() < self.cut_until:
            raise LinkDown("no route to the broker", "tcp")
        return Link(self._broker, will, events)


class Fleet:
    """All nodes on one epoll loop."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.nodes = nodes
        self._poll = select.epoll()
        self._watched: dict[Node, int] = {}
        self._owners: dict[int, Node] = {}
        self._serial = itertools.count()
        self._due: list[tuple[float, int, Node]] = []
        self._when: dict[Node, float] = {}
        for node in nodes:
            self._plan(node, 0.0)

    def run(self, until: float, also: Callable[[], None] = lambda: None) -> None:
        """Until that moment of the monotonic clock; `also` is called every half second or so."""
        while time.monotonic() < until:
            self._turn()
            also()

    def stop(self) -> None:
        """No more samples; every router waits a little for its last acks and says goodbye."""
        for node in self.nodes:
            node.is_sampling = False
            self._plan(node, 0.0)
        until = time.monotonic() + DRAIN_S
        while time.monotonic() < until and any(node.spool.spooled for node in self.nodes):
            self._turn()
        for node in self.nodes:
            node.connector.stop_soon()
            self._plan(node, 0.0)
        until = time.monotonic() + STOP_S
        while time.monotonic() < until and not all(node.connector.is_over for node in self.nodes):
            self._turn()
        for node in self.nodes:
            node.spool.close()
        self._poll.close()

    def _turn(self) -> None:
        now = time.monotonic()
        while self._due and self._due[0][0] <= now:
            at, _, node = heapq.heappop(self._due)
            if self._when.get(node) == at:
                self._run(node)
        wait_s = self._due[0][0] - time.monotonic() if self._due else LONGEST_S
        for fd, event in self._poll.poll(max(0.0, min(LONGEST_S, wait_s))):
            owner = self._owners.get(fd)
            if owner is not None:
                self._hear(owner, event)
                self._run(owner)

    def _hear(self, node: Node, event: int) -> None:
        if event & ~select.EPOLLOUT:
            node.connector.on_readable()
        if event & select.EPOLLOUT:
            node.connector.on_writable()

    def _run(self, node: Node) -> None:
        wait_s = LONGEST_S if node.connector.is_over else node.turn()
        self._watch(node)
        self._plan(node, wait_s)

    def _plan(self, node: Node, wait_s: float) -> None:
        at = time.monotonic() + wait_s
        self._when[node] = at
        heapq.heappush(self._due, (at, next(self._serial), node))

    def _watch(self, node: Node) -> None:
        """Keep epoll at what the connector wants; a closed descriptor leaves epoll by itself."""
        fd = node.connector.fileno()
        old_fd = self._watched.get(node, -1)
        if fd != old_fd and self._owners.get(old_fd) is node:
            del self._owners[old_fd]
        if fd >= 0:
            self._owners[fd] = node
            mask = select.EPOLLIN | (select.EPOLLOUT if node.connector.want_write() else 0)
            try:
                self._poll.modify(fd, mask)
            except FileNotFoundError:  # new, perhaps under the number of the one before
                self._poll.register(fd, mask)
        self._watched[node] = fd


def pace_of(first_wait_s: float) -> Pace:
    """An agent's, quicker by as much as its first wait is shorter."""
    pace, part = Pace(), min(1.0, first_wait_s / FIRST_S)
    return pace._replace(resend_s=pace.resend_s * part, resend_cap_s=pace.resend_cap_s * part)


def spool_of(directory: Path | None) -> Spool:
    """A router's own; None: in memory, where nothing is kept that was acknowledged."""
    return Spool(None if directory is None else str(directory))


def build(
    plans: Sequence[Plan],
    host: str,
    port: int,
    interval_s: float,
    world: WorldTime,
    seed: int,
    first_wait_s: float,
    spools: Path | None = None,
) -> Fleet:
    """A fleet of these routers; the same seed gives the same people.

    `spools` is where routers keep what is not acked, each in a folder of its name; None: in RAM.
    """
    return Fleet(
        [
            Node(
                plan,
                host,
                port,
                interval_s,
                world,
                random.Random(f"{seed}/{plan.name}"),
                first_wait_s,
                spool=LeftSpool(None if spools is None else str(spools / plan.name)),
                has_host=True,
            )
            for plan in plans
        ]
    )
