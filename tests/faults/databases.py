"""Faults of a PostgreSQL server, of the way to it, and of collectors that lose its lease."""

import signal
import time
from collections.abc import Callable

from tests.faults.server import Server
from tests.faults.striking_collector import LOST_ANSWER, LOST_COMMIT
from tests.faults.trial import Trial
from tests.faults.world import World
from tests.system.city import Process

ENDS = ("kill", "kill the session", "stop", "stop at once")
IN_A_COMMIT = "cut in a COMMIT"
WAYS = (
    *(IN_A_COMMIT, "reset", "pause"),
    *("cut while it waits", "cut", "half-open", "deaf-server"),
)
LEASE_S = 30.0
KEPT_WAITING_S = 20.0  # a connection that is gone is found out by then
SLACK_S = 10.0  # a machine that has other work
TAKEOVERS = (
    *("received, connection ended", "inside, lease ended"),
    *("inside, connection ended", "received, lease ended"),
)
CONNECTED = "broker connected"
LONG, STOPPED_S = 8, (0.0, 60.0)  # from so many faults on, a collector stands still for so long


def server_kills(trial: Trial) -> None:
    """The server ends while batches are under way, in every way it can, and is started again."""
    server = _server(trial)
    with trial.world(4) as world:
        plan = trial.plan(ENDS, ("server",), (0.2, 2.0), (0.0, 2.0))
        collector = world.city.collect()
        world.start_agents()
        world.until_taken(2)
        for fault in plan:
            world.sleep(fault.after_s)
            match fault.kind:
                case "kill":
                    server.kill()
                case "kill the session":
                    server.kill_session()
                case "stop":
                    server.stop(signal.SIGINT)
                case _:
                    server.stop(signal.SIGQUIT)
            world.sleep(fault.lasts_s)
            server.revive()
        if collector.is_over:
            trial.wrong.append("the collector ended")
        trial.settle(world)


def lost_commits(trial: Trial) -> None:
    """`count` COMMITs whose answer never comes; the server has made half of them."""
    with trial.world(4) as world:
        trial.plan(("lost commit",), ("collector",), (0.0, 0.0), count=1)
        collector = _strike(world, "commits")
        world.start_agents()

        def struck() -> list[int]:
            output = collector.output()
            return [output.count(one) for one in (LOST_ANSWER, LOST_COMMIT)]

        world.until(lambda: sum(struck()) >= trial.count, "so many COMMITs are lost", 3600)
        if collector.is_over:
            trial.wrong.append("the collector ended")
        trial.figures |= dict(zip(("answers_lost", "commits_lost"), struck(), strict=True))
        trial.figures["cycles"] = sum(struck())
        collector.kill()  # the next one is struck by nothing
        world.city.collect()
        trial.settle(world)


def stopped_collectors(trial: Trial) -> None:
    """A collector stands still with samples in hand; its standby takes over, and it goes on."""
    server = _server(trial)
    with trial.world(2) as world:
        plan = trial.plan(TAKEOVERS, ("collector",), (0.0, 0.0))
        world.start_agents()
        world.until_taken(2)
        slowest, ever = 0.0, 0  # connections of those that were stopped
        for number, fault in enumerate(plan):
            moment, how = fault.kind.split(", ")
            old = _strike(world, moment)
            new = world.city.stand_by(f"standby-{number}.log")
            world.until(lambda old=old: old.stands_still, "it stops")  # type: ignore[misc]
            began = time.monotonic()
            if how == "connection ended":
                server.end_sessions()
            world.until(lambda new=new: CONNECTED in new.output(), "its standby takes over")  # type: ignore[misc]
            slowest = max(slowest, time.monotonic() - began)
            world.city.collector = new
            world.until_taken(1)
            world.until_settled(world.routers)
            world.sleep(max(0.0, STOPPED_S[trial.count >= LONG] - (time.monotonic() - began)))
            connects = new.output().count(CONNECTED)
            old.popen.send_signal(signal.SIGCONT)
            world.until(lambda old=old: old.is_over, "the one that lost its lease ends")  # type: ignore[misc]
            if old.popen.returncode != 1:
                trial.wrong.append(f"{fault.kind}: the old one ended with {old.popen.returncode}")
            world.until_taken(1)
            # Its connection was ended when the standby connected, so it can publish by another. The
            # first may be logged late, for samples may come before the broker takes subscriptions.
            before, ever = ever, old.output().count(CONNECTED)
            if ever > before + 1 or new.output().count(CONNECTED) != connects:
                both = f"{old.output()[-2000:]}\nthe new one: {new.output()[-2000:]}"
                trial.wrong.append(f"{fault.kind}: the old one spoke to the broker again: {both}")
            if new.stop() != 0:
                trial.wrong.append(f"{fault.kind}: the new one: {new.output()[-500:]}")
        trial.figures["slowest_takeover_s"] = round(slowest, 1)
        if slowest > LEASE_S + SLACK_S:
            trial.wrong.append(f"taken over after {slowest:.1f} s, {LEASE_S} promised")
        if written := world.city.number("SELECT count(*) FROM quarantine"):
            trial.wrong.append(f"{written} messages were put away by a collector without lease")
        trial.settle(world)


def server_cuts(trial: Trial) -> None:
    """Nothing passes between collector and server, or one direction, or the server stands still."""
    server = _server(trial)
    longest = 4.0 if trial.count < 20 else 20.0
    with trial.world(4) as world:
        plan = trial.plan(WAYS, ("server",), (0.2, 2.0), (0.5, longest))
        collector = world.city.collect()
        world.start_agents()
        world.until_taken(2)
        slowest = 0.0
        for fault in plan:
            world.sleep(fault.after_s)
            if fault.kind == IN_A_COMMIT:
                slowest = max(slowest, _cut(world, server, collector, _in_a_commit))
            elif fault.kind == "cut while it waits":
                slowest = max(slowest, _cut(world, server, collector, _while_it_waits))
            elif fault.kind == "pause":
                server.pause()
                world.sleep(fault.lasts_s)
                server.resume()
            else:
                server.break_way(fault.kind)
                world.sleep(fault.lasts_s)
                server.mend_way()
        if collector.is_over:
            trial.wrong.append("the collector ended")
        trial.figures["slowest_found_out_s"] = round(slowest, 1)
        if slowest > KEPT_WAITING_S + SLACK_S:
            trial.wrong.append(f"found out after {slowest:.1f} s, {KEPT_WAITING_S} promised")
        trial.settle(world)


def _cut(
    world: World, server: Server, collector: Process, cut: Callable[[World, Server], None]
) -> float:
    """The server has the statement, and its answer never comes; seconds until that is found out."""
    world.until_settled(world.routers)  # a store that still fails is not reported again
    failed = collector.output().count("store fails")
    cut(world, server)
    began = time.monotonic()
    try:
        world.until(lambda: collector.output().count("store fails") > failed, "it is found out")
    finally:
        server.mend_way()
    return time.monotonic() - began


def _while_it_waits(world: World, server: Server) -> None:
    """For the answer to whatever it asked."""
    server.pause()
    world.until_taken(2)  # one batch at least is sent, and the server's kernel has it
    server.break_way("cut")
    server.resume()


def _in_a_commit(world: World, server: Server) -> None:
    """The server has made it; the collector cannot know."""
    with server.holding_commits():
        world.until(lambda: server.holds_commit, "a COMMIT waits")
        server.break_way("cut")


def _strike(world: World, moment: str) -> Process:
    return world.city.collect(program=("-m", "tests.faults.striking_collector", moment))


def _server(trial: Trial) -> Server:
    assert isinstance(trial.engine, Server)
    return trial.engine
