"""Ends of the machine that writes the store, while another one waits to take over."""

import json
import time
from collections.abc import Mapping
from contextlib import suppress

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
UNHEARD_S = 3.0
TAKEN_OVER_S = 90.0
LATE_S = 0.5  # acks that are on their way when their machine ends


def primary_kills(trial: Trial) -> None:
    """SIGKILL of all that the primary runs; what was acked is there when another one writes."""
    engine = trial.engine
    assert isinstance(engine, ThreeMachines)
    with trial.world(6) as world:
        plan = trial.plan(KILLS, ("primary",), (0.5, 3.0))
        collector = world.city.collect()
        world.start_agents()
        world.until_taken(2)
        without_acks: dict[str, list[float]] = {}
        for fault in plan:
            world.until_settled(world.routers)
            world.sleep(fault.after_s)
            began = time.monotonic()
            _kill(engine, fault.kind, world)
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


def _kill(engine: ThreeMachines, kind: str, world: World) -> None:
    primary = engine.primary()
    if kind == "postgres and patroni":
        primary.kill_processes(lambda one: one.username() == "postgres")
        return
    if kind != "the machine":
        engine.cut_from_standbys(primary)
        world.sleep(UNHEARD_S)
    primary.kill()


def _missing(world: World, acks: Mapping[str, bytes]) -> list[str]:
    """What was acked and is not in the store of whoever writes next, as soon as one does."""
    deadline = time.monotonic() + TAKEN_OVER_S
    while True:
        with suppress(StoreError):
            there = settled(world.city)
            break
        if time.monotonic() > deadline:
            return ["no other machine takes over"]
        world.sleep(0.1)
    return [
        f"acked and not there after a takeover: {router} {run} {first} to {last}"
        for router, payload in acks.items()
        for run, ack in json.loads(payload)["runs"].items()
        for first, last in [(1, ack["upto"]), *ack.get("also", [])]
        if first <= last and not there.get((router, run), Ranges()).covers(first, last)
    ]
