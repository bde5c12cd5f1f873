"""A simulated router reports what a real one does."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.broker.running import Client
from tests.mosquitto import Mosquitto
from tests.until import PATIENCE_S
from titik_collector.simulation.fleet import Fleet, Plan, WorldTime, build
from titik_wire import topics
from titik_wire.city_messages import Message
from titik_wire.codec import decode, encode
from titik_wire.fleet_messages import Question, RouterReply, RouterSettings, Running
from titik_wire.messages import Status

MANY = [Plan(f"r-{number}", "taman-tirosa", 150, None) for number in range(20)]


def test_a_simulated_router_reports_itself_as_a_computer() -> None:
    """So a technician reads the same of it in a demo."""
    fleet = fleet_of([Plan("tirosa-1", "taman-tirosa", 150, None)], 1, 1.0)
    (node,) = fleet.nodes
    sample, _ = node.sampler.take()
    fleet.stop()
    assert () == sample.agent.failed
    assert sample.host is not None
    known = (sample.host.temp_c, sample.host.load_1m, sample.host.mem_available_bytes)
    assert None not in known


def fleet_of(plans: Sequence[Plan], port: int, first_wait_s: float) -> Fleet:
    """At a broker of this machine."""
    world = WorldTime(ZoneInfo("Asia/Makassar"), 1.0)
    return build(plans, "127.0.0.1", port, 15.0, world, 1, first_wait_s)


def run(
    port: int, city: Client, hear: Callable[[Message], None], is_over: Callable[[], bool]
) -> None:
    """All of them, until it is over; `hear` gets what they publish."""
    fleet = fleet_of(MANY, port, 0.1)

    def hear_all() -> None:
        while not city.received.empty():
            hear(decode(*city.received.get()))

    deadline = time.monotonic() + PATIENCE_S
    while not is_over() and time.monotonic() < deadline:
        fleet.run(time.monotonic() + 0.1, hear_all)
    fleet.stop()


@pytest.mark.system
def test_simulated_routers_are_looked_at_as_real_ones_are(tmp_path: Path) -> None:
    """Each answers its own question, on one loop without a thread."""
    answered: dict[str, RouterReply] = {}
    with Mosquitto(tmp_path) as broker, Client(broker.port) as city:
        city.answer()
        city.subscribe(topics.ALL_ANSWERS)
        city.subscribe(topics.ALL_STATUSES)

        def hear(message: Message) -> None:
            if isinstance(message, RouterReply):
                answered[message.router] = message
            elif isinstance(message, Status):
                question = Question(message.router, f"{len(message.router):016x}", "check")
                city.publish(topics.request(message.router), encode(question))

        run(broker.port, city, hear, lambda: len(answered) == len(MANY))
    assert {one.name: f"ok    config: router {one.name}, simulated" for one in MANY} == {
        name: one.checks[1] for name, one in answered.items()
    }
    assert {f"{len(name):016x}" for name in answered} == {one.id for one in answered.values()}


@pytest.mark.system
def test_simulated_routers_are_set_as_real_ones_are(tmp_path: Path) -> None:
    """Each applies what comes, on one loop without a thread, and says so on `running`."""
    reported: dict[str, Running] = {}
    with Mosquitto(tmp_path) as broker, Client(broker.port) as city:
        city.answer()
        city.subscribe(topics.ALL_RUNNING)
        for plan in MANY:
            wish = encode(RouterSettings(plan.name, 1, interval_s=3600, probe=False))
            city.publish(topics.settings(plan.name), wish, retain=True)

        def hear(message: Message) -> None:
            assert isinstance(message, Running)
            reported[message.router] = message

        run(broker.port, city, hear, lambda: len(reported) == len(MANY))
    assert {(1, "trying", 3600)} == {
        (one.settings.revision, one.settings.state, one.in_force.interval_s)
        for one in reported.values()
        if one.settings and one.in_force
    }
    assert len(MANY) == len(reported)
