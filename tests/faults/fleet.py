"""A thousand routers that come back after the broker was away, with the agent's own back-off."""

import random
import signal
import time
from collections import Counter
from zoneinfo import ZoneInfo

from tests.faults.trial import Trial
from tests.system.city import ZONE, City
from titik_agent.broker_link.backoff import FIRST_S
from titik_agent.broker_link.link import Link
from titik_agent.spool.spool import Spool
from titik_collector.simulation.fleet import Fleet, Node, Plan, WorldTime
from titik_mqtt.connection import Events, Will


class Counted(Node):
    """A router whose attempts to connect are counted by the second."""

    attempts: Counter[int]

    def _dial(self, will: Will, events: Events) -> Link:
        Counted.attempts[int(time.monotonic())] += 1
        return super()._dial(will, events)


def fleet_return(trial: Trial) -> None:
    """`count` routers; no more than a thirtieth of them a second, as the mean of any five."""
    first_s = FIRST_S if trial.count >= 1000 else 5.0
    outage_s = 60.0 if trial.count >= 1000 else 8.0
    names = [f"r-{number}" for number in range(1, trial.count + 1)]
    Counted.attempts = Counter()
    with City(trial.folder, *names) as city:
        city.collect()
        world = WorldTime(ZoneInfo(ZONE), 1.0)
        nodes: list[Node] = [
            Counted(
                Plan(name, "taman-tirosa", 40, city.directory.password(name)),
                city.directory.host,
                city.directory.ports.router,
                10.0,
                world,
                random.Random(trial.rand.random()),
                first_s,
                spool=Spool(None),
            )
            for name in names
        ]
        fleet = Fleet(nodes)
        assert _until_all(fleet, nodes, 20 * first_s), "they connect at first"
        city.broker.stop(signal.SIGKILL)
        fleet.run(time.monotonic() + outage_s)
        city.broker.start()
        Counted.attempts.clear()
        began = time.monotonic()
        back = _until_all(fleet, nodes, 20 * first_s)
        took_s = time.monotonic() - began
        fleet.run(time.monotonic() + 12)
        fleet.stop()
        taken = {node.run: node.sampler.seq for node in nodes}
        left = {node.run: node.spool.spooled for node in nodes}
        books = city.close_books()
    lost = sum(
        taken[run] - books.get(run, (0, 0, 0, 0, 0))[1] - left[run]
        for run in taken
        if taken[run] - books.get(run, (0, 0, 0, 0, 0))[1] > left[run]
    )
    seconds = Counted.attempts
    over_s = 5 if trial.count >= 1000 else 1  # a small fleet's five seconds are less than one
    means = (sum(seconds[at + n] for n in range(over_s)) / over_s for at in list(seconds))
    peak = max(means, default=0.0)
    bound = trial.count / 30 * FIRST_S / first_s
    trial.figures |= {
        "routers": trial.count, "taken": sum(taken.values()), "lost": lost, "cycles": 1,
        "outage_s": outage_s, "all_back_s": round(took_s, 1), "peak_per_s": peak,
        "bound_per_s": round(bound, 1), "first_wait_s": first_s,
    }  # fmt: skip
    if not back:
        trial.wrong.append("not all came back")
    if lost:
        trial.wrong.append(f"lost {lost}")
    # A small fleet in a small second: chance alone doubles it.
    if peak > bound * (1 if trial.count >= 1000 else 2):
        trial.wrong.append(f"{peak:.1f} attempts a second, {bound:.1f} promised")


def _until_all(fleet: Fleet, nodes: list[Node], for_s: float) -> bool:
    """Run until every router is connected."""
    deadline = time.monotonic() + for_s
    while time.monotonic() < deadline:
        fleet.run(time.monotonic() + 0.2)
        if all(node.connector.is_connected for node in nodes):
            return True
    return False
