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
from tests.faults.fleet import fleet_return
from tests.faults.nemesis import RULES, Fault
from tests.faults.spools import overflow, spool_damage
from tests.faults.swizzle import swizzle
from tests.faults.trial import Trial
from tests.faults.world import World
from tests.system.dying_collector import MOMENTS

UPLINK = tuple(RULES)


def agent_kills(trial: Trial) -> None:
    """SIGKILL of an agent at any instant, the next life at once."""
    with World(trial.folder, 4) as world:
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
    with World(trial.folder, 4) as world:
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
    """SIGKILL before the commit, after it, and after the broker was told; `count` of each."""
    with World(trial.folder, 4) as world:
        plan = trial.plan(MOMENTS, ("collector",), (0.0, 0.3), count=0)
        plan += [Fault(0.0, moment, "collector", 0.0) for moment in MOMENTS * trial.count]
        world.start_agents()
        world.until_taken(2)
        for fault in plan:
            dying = world.city.collect(dies=fault.kind)
            world.until(lambda dying=dying: dying.is_over, f"dies {fault.kind}")  # type: ignore[misc]
            assert dying.popen.returncode == -signal.SIGKILL, dying.said()[-2000:]
        trial.settle(world)


def uplink_cuts(trial: Trial) -> None:
    """Nothing passes, only one direction passes, or every packet is answered by a reset."""
    longest = 3.0 if trial.count < 100 else 15.0
    with World(trial.folder, 4) as world:
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


SCENARIOS = {
    "agent-kills": Scenario(
        agent_kills, 8, 200, "P0 1", "Agents are killed at any instant and start again at once."
    ),
    "collector-kills": Scenario(
        collector_kills, 2, 200, "P0 20",
        "The collector is killed before the commit, after it, and after the broker was told.",
    ),
    "broker-kills": Scenario(
        broker_kills, 4, 200, "P0 13, 16; 26",
        "The broker is killed; its database stays, goes, is cut short or has a bit flipped.",
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
    "swizzle": Scenario(
        swizzle, 30, 1500, "P0 50; 15", "Faults of every kind at once, overlapping, by a seed."
    ),
}  # fmt: skip
