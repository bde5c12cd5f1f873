"""Disks that are full or read-only, and a store that somebody else holds.

Rule: a small tmpfs is the disk; what it refuses is what a full disk refuses.
"""

import subprocess
import time

import psutil

from tests.faults import oracle
from tests.faults.engines import fill, free, small_disk
from tests.faults.trial import Trial
from tests.faults.world import World

MOST_GROWN = 16 << 20  # of the collector's memory, while it can store nothing


def spool_disk(trial: Trial) -> None:
    """A router's disk is full, or was read-only when the agent began: it goes on in RAM."""
    with trial.world(1) as world:
        plan = trial.plan(("full", "read-only"), world.routers, (0.0, 1.0), (2.0, 5.0))
        disk = world.spool("r-1")
        with small_disk(disk, "256k"):
            world.city.collect()
            world.start_agents()
            world.until_taken(2)
            in_ram = 0
            for fault in plan:
                world.sleep(fault.after_s)
                world.spaces.break_uplink("r-1", "cut")
                if fault.kind == "full":
                    fill(disk)
                else:
                    _again(world, in_ram=False, options="remount,ro")
                    # It cannot be opened so; what lies there waits until it can be written again.
                    waits = world.unsettled()
                    waits.pop(_newest(world), None)  # this life's are in RAM
                    world.cut_off |= waits
                world.sleep(fault.lasts_s)
                world.until_taken(2)
                world.spaces.mend_uplink("r-1")
                world.until_settled(world.routers)
                if fault.kind == "full":
                    free(disk)
                else:
                    in_ram += 1
                    for name in waits:
                        del world.cut_off[name]
                    _again(world, in_ram=True, options="remount,rw")
            trial.settle(world, declared=2 * in_ram)
            lives = sum(one.kind == "read-only" for one in plan) * 2 + 1
            started = world.agents["r-1"].output().count("agent started")
            if started != lives:
                trial.wrong.append(f"{started} lives of the agent, not {lives}")
            assert trial.verdict is not None
            if trial.verdict.cut_off + trial.verdict.declared > 2 * in_ram:
                trial.wrong.append(f"{trial.verdict.cut_off} samples gone with {in_ram} ends")


def _again(world: World, in_ram: bool, options: str) -> None:
    """End the agent's life, change its disk, begin another."""
    agent = world.agents["r-1"]
    agent.stop()
    if in_ram:
        # What was taken since all was settled was in RAM alone.
        name = _newest(world)
        world.cut_off[name] = set(oracle.read(world.folder / "oracle")[name])
    subprocess.run(("mount", "-o", options, str(world.spool("r-1"))), check=True)
    world.start_agent("r-1")
    world.until_taken(1)  # before that a SIGTERM ends it as it ends any program


def _newest(world: World) -> tuple[str, str]:
    """Router and run of the newest life that took a sample."""
    return list(oracle.read(world.folder / "oracle"))[-1]


def store_lock(trial: Trial) -> None:
    """Another process holds the store's lock for long: no ack, and memory stays."""
    lasts_s = 60.0 if trial.count >= 5 else 3.0
    with trial.world(4) as world:
        plan = trial.plan(("lock",), ("store",), (0.5, 2.0), (lasts_s, lasts_s))
        world.city.collect()
        world.start_agents()
        world.until_taken(2)
        grown = []
        for fault in plan:
            world.sleep(fault.after_s)
            unlock = trial.engine.lock(world.city)
            assert unlock is not None
            before = _samples(world), _rss(world)
            world.sleep(fault.lasts_s)
            world.until_taken(1)
            grown.append(_rss(world) - before[1])
            if _samples(world) != before[0]:
                trial.wrong.append("something was stored past the lock")
            unlock()
            world.until_settled(world.routers)
        _judge_memory(trial, grown, lasts_s)
        trial.settle(world)


def store_disk(trial: Trial) -> None:
    """The store's disk is full: no ack; with room again it goes on without a restart."""
    lasts_s = 30.0 if trial.count >= 5 else 3.0
    with (
        trial.engine.on_small_disk(trial.folder) as disk,
        trial.world(2, disk=disk) as world,
    ):
        plan = trial.plan(("full",), ("store",), (0.5, 2.0), (lasts_s, lasts_s))
        collector = world.city.collect()
        world.start_agents()
        world.until_taken(2)
        grown = []
        for fault in plan:
            world.sleep(fault.after_s)
            disk.fill()
            failed, rss = collector.output().count("store fails"), _rss(world)
            world.until(
                lambda failed=failed: collector.output().count("store fails") > failed,  # type: ignore[misc]
                "the collector says that it cannot store",
            )
            world.sleep(fault.lasts_s)
            grown.append(_rss(world) - rss)
            disk.free()
            trial.engine.revive()
            world.until_settled(world.routers)
        if collector.is_over:
            trial.wrong.append("the collector ended")
        _judge_memory(trial, grown, lasts_s)
        trial.settle(world)


def _judge_memory(trial: Trial, grown: list[int], lasts_s: float) -> None:
    trial.figures |= {"lasts_s": lasts_s, "most_grown_bytes": max(grown)}
    if max(grown) > MOST_GROWN:
        trial.wrong.append(f"the collector grew by {max(grown)} bytes")


def _rss(world: World) -> int:
    assert world.city.collector is not None
    rss: int = psutil.Process(world.city.collector.popen.pid).memory_info().rss
    return rss


def _samples(world: World) -> int:
    """Also when a moment passes: a commit may have been under way."""
    time.sleep(0.2)
    return world.city.number("SELECT count(*) FROM sample")
