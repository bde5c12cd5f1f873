"""What waits at the broker while the collector is away: kept if it can be, made up for if not."""

import signal

from tests.faults.launcher import Settings
from tests.faults.trial import Trial

NEVER_S = 600.0  # longer than any scenario lasts
ENDS = ("stop", "kill", "kill before the commit")


def queued_broker_kill(trial: Trial) -> None:
    """`count` samples with a PUBACK queue for a collector that is away; the broker is killed."""
    with trial.world(20 if trial.count >= 1000 else 3) as world:
        trial.plan(("kill broker",), ("broker",), (0.0, 0.0), count=1)
        collector = world.city.collect()
        world.start_agents()
        world.until_taken(2)
        assert collector.stop() == 0

        def taken() -> int:
            return sum(world.taken(router) for router in world.routers)

        goal = taken() + trial.count
        world.until(lambda: taken() >= goal, f"{trial.count} samples", 600)
        world.city.broker.stop(signal.SIGKILL)
        world.city.broker.start()
        trial.figures |= {"queued": trial.count, "cycles": 1}
        trial.settle(world)


def collector_restarts(trial: Trial) -> None:
    """What queued while the collector was away comes from the broker: no router sends it again.

    Of a session that a restart wiped, or of a PUBACK before the commit, the routers would mend
    the loss a minute later. Here they are set to wait for ever, so that it shows.
    """
    with trial.world(3, settings=Settings("", resend_s=NEVER_S)) as world:
        plan = trial.plan(ENDS, ("collector",), (0.0, 1.0))
        world.city.collect()
        world.start_agents()
        world.until_taken(2)
        for number, fault in enumerate(plan):
            world.sleep(fault.after_s)
            collector = world.city.collector
            assert collector is not None
            # Every kind of end, also when there are few.
            kind = ENDS[number] if number < len(ENDS) else fault.kind
            if kind == "stop":
                assert collector.stop() == 0
            else:
                collector.kill()
            world.until_taken(3)
            if kind == "kill before the commit":
                dying = world.city.collect(dies="received")
                world.until(lambda dying=dying: dying.is_over, "it dies")  # type: ignore[misc]
            world.city.collect()
        verdict = trial.settle(world)
        again = sum(agent.output().count("sending again") for agent in world.agents.values())
        # Where all drained, a spool has only what was taken while the routers were being stopped.
        held = 0 if "drain_s" in trial.figures else verdict.spooled
        if held or again:
            trial.wrong.append(f"{held} samples did not come from the broker's queue")
