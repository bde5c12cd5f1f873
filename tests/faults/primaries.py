"""Ends of the machine that writes the store, while another one waits to take over.

Rule: what was acked is in the store of whoever writes next, looked at before anybody sends again.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from tests.faults.nemesis import Fault
from tests.faults.three_machines import ThreeMachines
from tests.faults.trial import Trial
from tests.faults.world import World, settled
from titik_collector.store.database import StoreError
from titik_collector.store.ranges import Ranges

KILLS = (
    "the machine",
    "the machine, which its standbys could not hear",
    "postgres and patroni",
)
LACKED, HAD = "cut in a COMMIT that no standby has", "cut in a COMMIT that its standby has"
FULL, NO_LOG = "full", "full, also for its write-ahead log"
UNHEARD_S = 3.0
ARRIVES_S = 1.0  # a COMMIT, at its standby
FULL_S = 5.0
TAKEN_OVER_S = 180.0
LATE_S = 0.5  # acks that are on their way when their machine ends


def primary_kills(trial: Trial) -> None:
    """SIGKILL of all that the primary runs; what was acked is there when another one writes."""
    engine = _machines(trial)
    with trial.world(6) as world:
        plan = trial.plan(KILLS, ("primary",), (0.5, 3.0))
        _play(trial, world, plan, lambda fault: _kill(engine, fault.kind, world))


def primary_cuts(trial: Trial) -> None:
    """The primary goes off the network while a COMMIT waits; the collector cannot know of it."""
    engine = _machines(trial)
    with trial.world(4) as world:
        plan = trial.plan((LACKED, HAD), ("primary",), (0.5, 3.0))

        def cut(fault: Fault) -> None:
            primary = engine.primary()
            break_off = engine.cut_from_standbys if fault.kind == LACKED else engine.deafen
            while True:
                break_off(primary)
                world.until(lambda: engine.commit_waits(primary) is not None, "a COMMIT waits")
                if engine.commit_waits(primary):
                    break
                primary.mend()  # that one had no samples
                world.until(lambda: engine.commit_waits(primary) is None, "it is made")
            world.sleep(ARRIVES_S)
            primary.cut()

        _play(trial, world, plan, cut)


def primary_disks(trial: Trial) -> None:
    """The disk of the primary is full: no ack before another writes, or there is room again."""
    engine = _machines(trial)
    with trial.world(4) as world:
        plan = trial.plan((FULL, NO_LOG), ("primary",), (0.5, 3.0))

        def fill(fault: Fault) -> None:
            collector, primary = world.city.collector, engine.primary()
            assert collector is not None
            failed = collector.output().count("store fails")
            engine.fill(primary)
            if fault.kind == NO_LOG:
                engine.use_up_log(primary)
            world.until(
                lambda: collector.output().count("store fails") > failed,
                "the collector says that it cannot store",
            )
            world.sleep(FULL_S)
            if fault.kind == FULL:
                engine.free(primary)

        _play(trial, world, plan, fill)


def _play(
    trial: Trial, world: World, plan: Sequence[Fault], strike: Callable[[Fault], None]
) -> None:
    engine = _machines(trial)
    collector = world.city.collect()
    world.start_agents()
    world.until_taken(2)
    without_acks: dict[str, list[float]] = {}
    for fault in plan:
        world.until_settled(world.routers)
        world.sleep(fault.after_s)
        began = time.monotonic()
        strike(fault)
        world.sleep(LATE_S)
        acked = dict(world.witness.last)
        trial.wrong += _missing(world, acked)
        seen = world.witness.seen
        world.until(lambda seen=seen: world.witness.seen > seen, "acks go on", TAKEN_OVER_S)  # type: ignore[misc]
        took_s = world.witness.longest_gap_s(began)
        without_acks.setdefault(fault.kind, []).append(took_s)
        engine.revive()
    if collector.is_over:
        trial.wrong.append("the collector ended")
    trial.figures["without_acks_s"] = {
        kind: [round(one, 1) for one in sorted(took)] for kind, took in without_acks.items()
    }
    trial.settle(world)


def _machines(trial: Trial) -> ThreeMachines:
    assert isinstance(trial.engine, ThreeMachines)
    return trial.engine


def _kill(engine: ThreeMachines, kind: str, world: World) -> None:
    primary = engine.primary()
    if kind == "postgres and patroni":
        primary.kill_processes(lambda one: one.username() == "postgres")
        return
    if kind != "the machine":
        engine.cut_from_standbys(primary)
        world.sleep(UNHEARD_S)
    primary.kill()


def _missing(world: World, early: Mapping[str, bytes]) -> list[str]:
    """What was acked and is not in the store of whoever writes next, as soon as one does."""
    deadline = time.monotonic() + TAKEN_OVER_S
    while True:
        late = dict(world.witness.last)
        with suppress(StoreError):
            there = settled(world.city)
            break
        if time.monotonic() > deadline:
            return ["no other machine takes over"]
        world.sleep(0.1)
    return [
        f"acked and not there after a takeover: {router} {run} {first} to {last}"
        for router, payload in (*early.items(), *late.items())
        for run, ack in json.loads(payload)["runs"].items()
        for first, last in [(1, ack["upto"]), *ack.get("also", [])]
        if first <= last and not there.get((router, run), Ranges()).covers(first, last)
    ]
