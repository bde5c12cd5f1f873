"""Faults of the broker and of who connects to it: restarts, full queues, damaged files, doubles."""

import signal
import time

from tests.faults.trial import Trial
from tests.faults.world import World
from tests.system.city import COLLECTOR, PATIENCE_S, STANDS_BY, Process
from tests.until import until

UP_S = 10.0
SLACK_S = 6.0  # paho looks once a second and we five times, on a machine that has other work
LOOKS_S = 1.5  # a standby looks each second
DROPPED = "$SYS/broker/publish/messages/dropped"


def broker_restarts(trial: Trial) -> None:
    """SIGTERM and start, as an upgrade does; how long until every router is back."""
    with trial.world(4) as world:
        plan = trial.plan(("restart",), ("broker",), (0.0, 3.0), (0.0, 2.0))
        world.city.collect()
        world.start_agents()
        world.until_taken(2)
        slowest = 0.0
        for fault in plan:
            world.sleep(fault.after_s)
            status = world.city.broker.stop()
            if status != 0:
                trial.wrong.append(f"the broker ended with {status}")
            world.sleep(fault.lasts_s)
            output = len(world.city.broker.output)
            world.city.broker.start()
            began = time.monotonic()
            world.until(lambda output=output: _are_back(world, output), "all come back")  # type: ignore[misc]
            slowest = max(slowest, time.monotonic() - began)
        trial.figures["slowest_back_s"] = round(slowest, 1)
        trial.settle(world)


def _are_back(world: World, since: int) -> bool:
    output = [one for one in world.city.broker.output[since:] if "New client connected" in one]
    return all(any(f" as {router} (" in one for one in output) for router in world.routers)


def damaged_databases(trial: Trial) -> None:
    """The broker's database is cut short or has noise in it; it is up again within 10 s."""
    with trial.world(2) as world:
        plan = trial.plan(("cut short", "noise", "empty"), ("broker",), (0.5, 2.0))
        collector = world.city.collect()
        world.start_agents()
        world.until_taken(2)
        usual = slowest = 0.0
        for fault in plan:
            collector.popen.send_signal(signal.SIGSTOP)
            world.sleep(fault.after_s)
            world.until_taken(1)
            world.city.broker.stop()
            database = world.city.directory.database
            data = bytearray(database.read_bytes())
            at = trial.rand.randrange(len(data))
            if fault.kind == "noise":
                data[at : at + 64] = trial.rand.randbytes(len(data[at : at + 64]))
            else:
                del data[at if fault.kind == "cut short" else 0 :]
            database.write_bytes(data)
            slowest = max(slowest, _start_s(world))
            world.city.broker.stop()
            usual = max(usual, _start_s(world))
            collector.popen.send_signal(signal.SIGCONT)
        aside = sum("broker database damaged" in one for one in world.city.broker.output)
        trial.figures |= {
            "slowest_up_s": round(slowest, 2),
            "slowest_up_undamaged_s": round(usual, 2),
            "moved_aside": aside,
        }
        if trial.count >= 10 and not aside:
            trial.wrong.append("no database was too damaged to be read")
        # On a machine that is busy, every start is slow.
        if slowest > max(UP_S, 3 * usual):
            trial.wrong.append(f"up after {slowest:.1f} s, {UP_S} promised")
        trial.settle(world)


def _start_s(world: World) -> float:
    """Seconds until the broker answers."""
    began = time.monotonic()
    world.city.broker.start()
    return time.monotonic() - began


def full_queue(trial: Trial) -> None:
    """The collector is away for longer than the broker's queue is long: it drops, and says so."""
    short = [("max_queued_messages 100000", "max_queued_messages 5"),
             ("sys_interval 10", "sys_interval 1")]  # fmt: skip
    with trial.world(4, conf=short) as world:
        trial.plan(("collector away",), ("collector",), (0.0, 0.0))
        world.city.collect()
        world.start_agents()
        world.until_taken(2)
        dropped = 0
        with world.city.engineer(DROPPED) as engineer:

            def drops() -> int:
                nonlocal dropped
                while not engineer.received.empty():
                    dropped = int(engineer.received.get()[1])
                return dropped

            for _ in range(trial.count):
                assert world.city.collector is not None
                world.city.collector.kill()
                before = drops()
                world.until(lambda before=before: drops() > before + 3, "the broker drops")  # type: ignore[misc]
                world.city.collect()
                world.until_taken(1)
        trial.figures["dropped_by_the_broker"] = dropped
        trial.settle(world)


def second_collector(trial: Trial) -> None:
    """For `count` seconds another collector is started over the same store, again and again.

    Over a file it is refused; on a server it stands by until it is stopped.
    """
    with trial.world(2) as world:
        trial.plan(("second collector",), ("collector",), (0.0, 0.0), count=1)
        first = world.city.collect()
        world.start_agents()
        world.until_taken(2)
        end, tries = time.monotonic() + trial.count, 0
        while time.monotonic() < end or not tries:
            tries += 1
            stays_out = _stands_by if trial.engine.name == "postgresql" else _is_refused
            if not stays_out(second := _second(world, tries)):
                trial.wrong.append(
                    f"the second: {second.popen.returncode} {second.output()[-500:]}"
                )
            world.sleep(1.0)
        connects = first.output().count("broker connected")
        trial.figures |= {"tries": tries, "connects": connects, "cycles": tries}
        if connects > 10 or first.is_over:
            trial.wrong.append(f"{connects} connects of the first")
        trial.settle(world)


def _second(world: World, number: int) -> Process:
    return Process(
        world.folder / f"second-{number}.log",
        *COLLECTOR,
        "collect",
        "--config",
        str(world.city.file),
    )


def _is_refused(second: Process) -> bool:
    status = second.popen.wait(PATIENCE_S)
    return status != 0 and "holds this store" in second.output()


def _stands_by(second: Process) -> bool:
    waits = until(lambda: STANDS_BY in second.output(), True)
    time.sleep(LOOKS_S)
    is_over = second.is_over
    return waits and not is_over and second.stop() == 0 and "connected" not in second.output()


def half_open(trial: Trial) -> None:
    """One direction of an uplink is dead: found out within two keepalives, and sent again."""
    with trial.world(2) as world:
        plan = trial.plan(("half-open", "deaf-broker"), world.routers, (0.0, 2.0))
        world.city.collect()
        world.start_agents()
        world.until_taken(2)
        bound_s = 2 * world.settings.keepalive_s
        took = []
        for fault in plan:
            agent = world.agents[fault.target]
            world.until(
                lambda agent=agent: _is_up(agent.output()),  # type: ignore[misc]
                "the agent is connected",
            )
            world.sleep(fault.after_s)
            downs = agent.output().count("broker unreachable")
            world.spaces.break_uplink(fault.target, fault.kind)
            began = time.monotonic()
            world.until(
                lambda agent=agent, downs=downs: agent.output().count("broker unreachable") > downs,  # type: ignore[misc]
                "it is found out",
            )
            took.append(time.monotonic() - began)
            world.spaces.mend_uplink(fault.target)
        trial.figures |= {
            "keepalive_s": world.settings.keepalive_s,
            "detected_s": [round(one, 1) for one in (min(took), sorted(took)[len(took) // 2])],
            "slowest_s": round(max(took), 1),
        }
        if max(took) > bound_s + SLACK_S:
            trial.wrong.append(f"found out after {max(took):.1f} s, {bound_s} promised")
        trial.settle(world)


def _is_up(output: str) -> bool:
    """The last word on the connection."""
    return output.rfind("broker connected") > output.rfind("broker unreachable")
