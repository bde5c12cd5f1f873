"""Simulated routers that report to a cell's name, in a thread of their own.

Rule: a router has what its bundle installed, and nothing else.
"""

import random
import threading
import time
from pathlib import Path

from titik_agent.spool.spool import Spool
from titik_collector.config.model import CAPACITY, DEMO_INTERVAL_S, DEMO_SPEED, Config
from titik_collector.simulation.fleet import Fleet, Node, Plan, WorldTime
from titik_mqtt.endpoint import Tls

TURN_S = 0.5
FIRST_WAIT_S = 1.0


class Routers(threading.Thread):
    """All of a city; `acked` grows as they hear of it."""

    def __init__(self, city: Config, roots: Path, host: str, port: int) -> None:
        """`roots`: a root directory of each, where its bundle was run."""
        super().__init__(daemon=True)
        world = WorldTime(city.city.timezone, DEMO_SPEED)
        capacity = {site.name: site.capacity or CAPACITY for site in city.site}
        self._nodes = [
            Node(
                Plan(one.name, one.site, capacity[one.site], None),
                host,
                port,
                DEMO_INTERVAL_S,
                world,
                random.Random(one.name),
                FIRST_WAIT_S,
                spool=Spool(None),
                tls=_tls(roots / one.name / "etc/titik"),
                has_host=True,
            )
            for one in city.router
        ]
        self._fleet = Fleet(self._nodes)
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.is_set():
            self._fleet.run(time.monotonic() + TURN_S)
        self._fleet.stop()

    def stop(self) -> None:
        """No more samples; what is not acked yet has some seconds."""
        self._over.set()
        self.join()

    @property
    def many(self) -> int:
        """How many they are."""
        return len(self._nodes)

    @property
    def taken(self) -> int:
        """Samples, so far."""
        return sum(one.sampler.seq for one in self._nodes)

    @property
    def held(self) -> int:
        """Samples that nobody has acked yet."""
        return sum(one.spool.spooled for one in self._nodes)

    @property
    def lost(self) -> int:
        """Samples that a full spool gave up."""
        return sum(one.spool.lost for one in self._nodes)


def _tls(keys: Path) -> Tls:
    return Tls(str(keys / "ca.crt"), str(keys / "router.crt"), str(keys / "router.key"))
