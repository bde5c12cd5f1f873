"""The faults that gate a release, one function each; `count` is how often the fault strikes.

Rule: a scenario makes its whole schedule first, strikes, heals, drains, and leaves the verdict to
the checker.
"""

import random
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.faults.attacks import clock_jumps, forged_acks, mac_flood
from tests.faults.databases import lost_commits, server_cuts, server_kills, stopped_collectors
from tests.faults.distance import from_a_distance
from tests.faults.fleet import fleet_return
from tests.faults.intruders import attacks
from tests.faults.memories import endless_asking, old_stores, restored_stores
from tests.faults.nemesis import RULES, Fault
from tests.faults.power import never_synced, power_cuts
from tests.faults.primaries import primary_cuts, primary_disks, primary_kills
from tests.faults.queues import collector_restarts, queued_broker_kill
from tests.faults.servers import (
    broker_restarts,
    damaged_databases,
    full_queue,
    half_open,
    second_collector,
)
from tests.faults.spools import overflow, spool_damage
from tests.faults.stores import spool_disk, store_disk, store_lock
from tests.faults.swizzle import swizzle
from tests.faults.traffic import counters, poison, replay
from tests.faults.trial import Trial
from tests.system.dying_collector import MOMENTS

UPLINK = tuple(RULES)


def agent_kills(trial: Trial) -> None:
    """SIGKILL of an agent at any instant, the next life at once."""
    with trial.world(4) as world:
        plan = trial.plan(("kill agent",), world.routers, (0.0, 1.5))
        world.city.collect()
        world.start_agents()
        world.until_taken(2)
        for fault in plan:
            world.sleep(fault.after_s)
            world.kill_agent(fault.target)
            world.start_agent(fault.target)
        trial.settle(world)


def broker_kills(trial: Trial) -> None:
    """SIGKILL of the broker; its database stays, goes, or is found damaged."""
    with trial.world(4) as world:
        plan = trial.plan(("keep", "remove", "truncate", "flip"), ("broker",), (0.5, 3.5))
        world.city.collect()
        world.start_agents()
        world.until_taken(2)
        for fault in plan:
            world.sleep(fault.after_s)
            world.city.broker.stop(signal.SIGKILL)
            damage(world.city.directory.database, fault.kind, trial.rand)
            world.city.broker.start()
        trial.settle(world)


def damage(file: Path, how: str, rand: random.Random) -> None:
    """What a power cut leaves of a file."""
    if not file.exists() or how == "keep":
        return
    if how == "remove":
        file.unlink()
        return
    data = bytearray(file.read_bytes())
    at = rand.randrange(max(1, len(data)))
    if how == "truncate":
        del data[at:]
    elif data:
        data[at] ^= 1 << rand.randrange(8)
    with file.open("r+b") as opened:
        opened.write(data)
        opened.truncate()


def collector_kills(trial: Trial) -> None:
    """SIGKILL before the commit, after it, and after the broker's acknowledgement; `count` each."""
    with trial.world(4) as world:
        plan = trial.plan(MOMENTS, ("collector",), (0.0, 0.3), count=0)
        plan += [Fault(0.0, moment, "collector", 0.0) for moment in MOMENTS * trial.count]
        world.start_agents()
        world.until_taken(2)
        for fault in plan:
            dying = world.city.collect(dies=fault.kind)
            world.until(lambda dying=dying: dying.is_over, f"dies {fault.kind}")  # type: ignore[misc]
            assert dying.popen.returncode == -signal.SIGKILL, dying.output()[-2000:]
        trial.settle(world)


def uplink_cuts(trial: Trial) -> None:
    """Nothing passes, only one direction passes, or every packet is answered by a reset."""
    longest = 3.0 if trial.count < 100 else 15.0
    with trial.world(4) as world:
        plan = trial.plan(UPLINK, world.routers, (0.0, 1.0), (0.5, longest))
        world.city.collect()
        world.start_agents()
        world.until_taken(2)
        for fault in plan:
            world.sleep(fault.after_s)
            world.spaces.break_uplink(fault.target, fault.kind)
            world.sleep(fault.lasts_s)
            world.spaces.mend_uplink(fault.target)
        trial.settle(world)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A function, how often its fault strikes in each length, and what it shows."""

    play: Callable[[Trial], None]
    quick: int
    full: int
    row: str  # of the fault plan
    what: str  # in one sentence


NO_STORE = "their point is not the store, which they hardly touch"
NO_SERVER = "a file has no server; the kernel ends its lease with its holder"
NO_STANDBY = "there is no machine that could take over"
ONE_IS_ENOUGH = "three machines are no other engine"
ON_CELL = ("primary-kills", "primary-cuts", "primary-disks")
# Why a scenario is not played on an engine.
ELSEWHERE = {
    ("spool-damage", "postgresql"): NO_STORE,
    ("fleet-return", "postgresql"): NO_STORE,
    ("from-a-distance", "postgresql"): NO_STORE,
    ("mac-flood", "postgresql"): NO_STORE,
    ("spool-disk", "postgresql"): NO_STORE,
    **{
        (name, "sqlite"): NO_SERVER
        for name in ("server-kills", "server-cuts", "lost-commits", "stopped-collectors")
    },
    **{(name, engine): NO_STANDBY for name in ON_CELL for engine in ("sqlite", "postgresql")},
}


SCENARIOS = {  # the longest first, so that none is left alone at the end
    "endless-asking": Scenario(
        endless_asking, 8, 50, "28", "A collector asks for what was acknowledged, without end."
    ),
    "from-a-distance": Scenario(
        from_a_distance, 4, 1000, "15",
        "A fleet is set, looked at, moved to another authority and upgraded while all fails.",
    ),
    "agent-kills": Scenario(
        agent_kills, 8, 200, "P0 1", "Agents are killed at any instant and start again at once."
    ),
    "collector-kills": Scenario(
        collector_kills, 2, 200, "P0 20",
        "The collector is killed before the commit, after it, and after it acknowledged.",
    ),
    "broker-kills": Scenario(
        broker_kills, 4, 200, "P0 13, 16; 26",
        "The broker is killed; its database stays, goes, is cut short or has a bit flipped.",
    ),
    "queued-broker-kill": Scenario(
        queued_broker_kill, 20, 3000, "P0 13",
        "Samples queue for a collector that is away, and the broker that holds them is killed.",
    ),
    "collector-restarts": Scenario(
        collector_restarts, 3, 100, "26",
        "What queued while the collector was away comes without the routers sending it again.",
    ),
    "uplink-cuts": Scenario(
        uplink_cuts, 5, 200, "P0 7, 8; 9",
        "Uplinks are cut, pass one direction only, or answer every packet with a reset.",
    ),
    "spool-damage": Scenario(
        spool_damage, 100, 1000, "P0 3",
        "Spools are cut short at every byte of their end, and bits are flipped.",
    ),
    "overflow": Scenario(
        overflow, 1, 72, "P0 6", "An outage that is longer than the spool, in accelerated time."
    ),
    "forged-acks": Scenario(
        forged_acks, 2, 100, "P0 29; 28",
        "Acks above what was taken, old ones, and ones that another router sends.",
    ),
    "clock-jumps": Scenario(
        clock_jumps, 6, 100, "P0 30, 32",
        "A router's clock jumps by up to years; another boots in 1970 and learns the time late.",
    ),
    "mac-flood": Scenario(
        mac_flood, 10_000, 100_000, "P0 44", "New MAC addresses at every reading, without end."
    ),
    "fleet-return": Scenario(
        fleet_return, 100, 1000, "P0 42; 43", "A fleet comes back after the broker was away."
    ),
    "power-cuts": Scenario(
        power_cuts, 3, 200, "P0 2",
        "Routers lose power during an outage; flash is as it was synced, older, or torn.",
    ),
    "never-synced": Scenario(
        never_synced, 1, 20, "31", "Boots that never learn the time and end in a power cut."
    ),
    "half-open": Scenario(
        half_open, 2, 100, "P0 8", "One direction of an uplink dies, and the router finds out."
    ),
    "broker-restarts": Scenario(
        broker_restarts, 2, 50, "P0 14", "The broker is stopped and started, as an upgrade does."
    ),
    "broker-damage": Scenario(
        damaged_databases, 3, 100, "P0 16",
        "The broker finds its database cut short, emptied or with noise in it.",
    ),
    "full-queue": Scenario(
        full_queue, 1, 20, "P0 18", "The collector is away for longer than the broker can queue."
    ),
    "second-collector": Scenario(
        second_collector, 3, 600, "P0 27", "A second collector is started over the same store."
    ),
    "spool-disk": Scenario(
        spool_disk, 2, 100, "P0 4; 5",
        "A router's disk is full, or read-only when the agent begins.",
    ),
    "store-lock": Scenario(
        store_lock, 1, 10, "P0 22", "Another process holds the store's lock for a minute."
    ),
    "store-disk": Scenario(
        store_disk, 1, 20, "P0 23", "The store's disk is full, and has room again later."
    ),
    "poison": Scenario(
        poison, 2000, 200_000, "P0 21", "Hostile messages in numbers among honest ones."
    ),
    "replay": Scenario(
        replay, 2, 100, "P0 35", "The whole history three times over, in any order."
    ),
    "counters": Scenario(
        counters, 4, 100, "P0 34",
        "Interfaces are made again, counters wrap, routers boot and agents die.",
    ),
    "attacks": Scenario(
        attacks, 40, 10_000, "P0 36, 37, 39, 41, 48; 12",
        "A thief, an engineer and an intruder try what they may not.",
    ),
    "swizzle": Scenario(
        swizzle, 30, 1500, "P0 50; 15", "Faults of every kind at once, overlapping, by a seed."
    ),
    "restored-stores": Scenario(
        restored_stores, 3, 3, "24",  # MAX_ASKED: no router sends a stretch more often in an hour
        "The store is an old copy of itself, or new: routers send again what they keep.",
    ),
    "old-stores": Scenario(
        old_stores, 1, 72, "24", "A store that is days old, in accelerated time."
    ),
    "server-kills": Scenario(
        server_kills, 4, 200, "P0 22, 24",
        "The database server is killed or stopped with batches under way, and started again.",
    ),
    "server-cuts": Scenario(
        server_cuts, 3, 60, "P0 22; 9",
        "The way to the database server is cut, also in a COMMIT, deaf or reset, or the server"
        " stands still.",
    ),
    "lost-commits": Scenario(
        lost_commits, 10, 600, "P0 20",
        "The answer to a COMMIT is lost; the server has made it, or has not.",
    ),
    "stopped-collectors": Scenario(
        stopped_collectors, 2, 40, "P0 27",
        "A collector stands still until its standby has the lease, and then goes on.",
    ),
    "primary-kills": Scenario(
        primary_kills, 3, 20, "P0 22, 24",
        "The machine that writes the store is killed under load, and another one takes over.",
    ),
    "primary-cuts": Scenario(
        primary_cuts, 1, 6, "P0 22; 9",
        "The machine that writes the store goes off the network in a COMMIT, before its standby has"
        " it or after.",
    ),
    "primary-disks": Scenario(
        primary_disks, 1, 10, "P0 23",
        "The disk of the machine that writes the store is full, also for its write-ahead log.",
    ),
}  # fmt: skip
ELSEWHERE |= {(name, "cell"): ONE_IS_ENOUGH for name in SCENARIOS if name not in ON_CELL}


def played(engine: str) -> list[str]:
    """The scenarios of an engine."""
    return [name for name in SCENARIOS if (name, engine) not in ELSEWHERE]
