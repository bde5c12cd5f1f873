"""Everything at once: faults of every kind, overlapping, by a seed."""

import heapq
import signal
import time
from collections.abc import Callable, Sequence

from tests.faults.nemesis import RULES, Fault
from tests.faults.trial import Trial
from tests.faults.world import World

KINDS = (
    *RULES,
    "kill agent",
    "stop agent",
    "kill broker",
    "stop broker",
    "kill collector",
    "stop collector",
    "lock store",
)
EVERY_S = 0.7  # a fault, on average


def swizzle(trial: Trial) -> None:
    """`count` faults over 20 routers (quick: 5), each of 0.3 to 4 seconds."""
    with trial.world(20 if trial.count >= 200 else 5) as world:
        world.keeps_collector = bool(trial.engine.kinds)  # its start may find no server
        plan = trial.plan(
            (*KINDS, *trial.engine.kinds), world.routers, (0.0, trial.count * EVERY_S), (0.3, 4.0)
        )
        world.city.collect()
        world.start_agents()
        world.until_taken(2)
        struck = play(world, plan)
        trial.figures |= {"cycles": struck, "routers": len(world.routers)}
        trial.settle(world)


def play(world: World, plan: Sequence[Fault]) -> int:
    """Let them overlap, each at its second after the start; how many struck."""
    began = time.monotonic()
    busy: dict[str, Callable[[], None]] = {}
    due = [(one.after_s, number, one, "") for number, one in enumerate(plan)]
    heapq.heapify(due)
    struck = 0
    while due:
        at, number, fault, ends = heapq.heappop(due)
        world.sleep(max(0.0, at - (time.monotonic() - began)))
        if ends:
            busy.pop(ends)()
            continue
        place = _place(fault)
        if place in busy:
            continue  # one fault in one place at a time
        mend = _strike(world, fault)
        if mend is None:
            continue
        busy[place] = mend
        struck += 1
        end = time.monotonic() - began + fault.lasts_s
        heapq.heappush(due, (end, number + len(plan), fault, place))
    return struck


def _place(fault: Fault) -> str:
    if fault.kind in RULES:
        return f"uplink of {fault.target}"
    what = fault.kind.split()[1]
    return f"agent of {fault.target}" if what == "agent" else what


def _strike(world: World, fault: Fault) -> Callable[[], None] | None:
    """Begin a fault; what ends it, or None if it could not begin."""
    router, city = fault.target, world.city
    collector = city.collector
    assert collector is not None
    match fault.kind:
        case "kill agent":
            world.kill_agent(router)
            return lambda: world.start_agent(router)
        case "stop agent":
            stopped = world.agents[router].popen
            stopped.send_signal(signal.SIGSTOP)
            return lambda: stopped.send_signal(signal.SIGCONT)
        case "kill broker":
            city.broker.stop(signal.SIGKILL)
            return city.broker.start
        case "stop broker":
            broker = world.broker_process()
            broker.suspend()
            return broker.resume
        case "kill collector":
            collector.kill()
            return world.start_collector
        case "stop collector":
            collector.popen.send_signal(signal.SIGSTOP)
            return lambda: collector.popen.send_signal(signal.SIGCONT)
        case "lock store":
            # Not if the collector happens to write, stopped as it may be.
            return world.engine.lock(world.city, 0.5)
        case kind if kind in world.engine.kinds:
            return world.engine.strike(kind)
        case _:
            world.spaces.break_uplink(router, fault.kind)
            return lambda: world.spaces.mend_uplink(router)
