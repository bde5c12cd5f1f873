"""A fleet moves to another authority while samples flow, and the one before is forgotten."""

import os
import random
import re
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.broker.enrolled import City
from tests.broker.running import RunningBroker
from tests.system.city import COLLECTOR, QUICK, ZONE, Process, Remembering, turn
from titik_agent.broker_link.credentials import Credentials
from titik_agent.broker_link.link import Link
from titik_agent.wishes.certificates import CertificateHandler
from titik_agent.wishes.dispatch import Dispatch
from titik_agent.wishes.wish_handler import WishDesk, WishHandler
from titik_collector.broker_setup.broker_init import listed
from titik_collector.simulation.fleet import Node, Plan, SimulatedClock, WorldTime
from titik_collector.store import conservation
from titik_collector.store.sqlite import open_reader
from titik_collector.wording.amounts import amount, either
from titik_mqtt.endpoint import Endpoint, Tls

pytestmark = pytest.mark.system

SITE = "taman-tirosa"
AUTHORITY = ("broker", "authority")
PATIENCE_S = 300.0


def mover(city: City, name: str, keys: Path, flash: Path, every_s: float) -> Node:
    """A router of the field that takes certificates from a distance."""
    ca, cert, key = (str(keys / one) for one in ("ca.crt", "router.crt", "router.key"))
    tls = Tls(ca, cert, key)
    rand = random.Random(name)
    clock = SimulatedClock(rand)
    port = city.broker.ports.router
    node = Node(
        Plan(name, SITE, 40, None), "localhost", port, every_s, WorldTime(ZoneInfo(ZONE), 1.0),
        rand, 0.2, pace=QUICK, spool=Remembering(), clock=clock, tls=tls,
    )  # fmt: skip
    credentials = Credentials(Endpoint("localhost", port, name, None, tls), str(flash))

    def make(kind: str, desk: WishDesk) -> WishHandler | None:
        if kind != "certificate":
            return None
        return CertificateHandler(desk, credentials, is_kept=True)

    node.connector._dial = lambda will, events: Link(credentials.endpoint(), will, events)
    node.connector.failed = credentials.failed
    lane = node.publisher.wishes
    lane.load = lambda: Dispatch(lane, clock, make, node.connector.wake)
    return node


@contextmanager
def collecting(city: City) -> Iterator[None]:
    """Broker and collector run."""
    config = str(city.folder / "titik.toml")
    with RunningBroker(city.broker, restarts=True):
        collector = Process(city.folder / "log", *COLLECTOR, "collect", "--config", config)
        try:
            yield
        finally:
            collector.stop()


def enrol(city: City, count: int) -> dict[str, Path]:
    """Routers of an old city, which has no next authority yet; where their keys are."""
    for name in ("tls/next.crt", "ca/next.key"):
        (city.broker.path / name).unlink()
    names = [f"tirosa-{number}" for number in range(1, count + 1)]
    text = "".join(f'[[router]]\nname = "{one}"\nsite = "{SITE}"\n' for one in names)
    file = city.folder / "titik.toml"
    file.write_text(file.read_text() + text)
    city.says("router", "add", "--all")
    return {one: city.enrol(one, city.folder / one) for one in names}


def shows(city: City, nodes: list[Node], line: str, without: str | None = None) -> bool:
    """Whether `titik broker authority` comes to have a line that begins so; routers report."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        end = time.monotonic() + 1.0
        while time.monotonic() < end:
            turn(nodes, 0.05)
        found = city.says(*AUTHORITY, status=None)  # the store may not be made yet
        if f"\n{line}" in found and (without is None or without not in found):
            return True
    raise AssertionError(f"{line} is not in {found}")


def who(number: int, one: str, many: str) -> str:
    """How a line of so many routers begins."""
    return f"{amount(number, 'router')} {either(number, one, many)}"


def finish(nodes: list[Node]) -> None:
    """All that was sampled is acknowledged; the routers end."""
    for node in nodes:
        node.is_sampling = False
    until = time.monotonic() + PATIENCE_S
    while any(node.spool.spooled for node in nodes):
        turn(nodes, 0.05)
        assert time.monotonic() < until
    for node in nodes:
        node.connector.stop_soon()
    while not all(node.connector.is_over for node in nodes):
        turn(nodes, 0.05)


def moves(city: City, count: int, missing: int, every_s: float) -> None:
    """From an old city to a new authority, its key lost on the way; who missed it is named."""
    keys = enrol(city, count)
    with collecting(city):
        nodes = [
            mover(city, name, where, city.folder / name / "flash", every_s)
            for name, where in keys.items()
        ]
        there, away = nodes[missing:], [node.name for node in nodes[:missing]]
        city.says("broker", "authority", "next")
        lack = who(missing, "does not know", "do not know")
        assert shows(city, there, f"{lack} the next one: {', '.join(sorted(away))}")
        (city.broker.path / "ca/ca.key").unlink()  # lost
        city.says("router", "renew", "--all", status=1)
        named = listed(sorted(away))
        refused = city.says("broker", "authority", "switch", status=1)
        assert f"nobody can vouch for it: {named}; bring ca.key here, or wait" in refused
        beyond = f"{who(missing, 'cannot take what it is', 'cannot take what they are')} sent"
        assert f"warning: {beyond}: {named}; " in city.says(
            "broker", "authority", "switch", "--force"
        )
        log_in = who(missing, "logs in", "log in")
        assert shows(city, there, f"{log_in} by the one before: {', '.join(sorted(away))}")
        refused = city.says("broker", "authority", "forget", status=1)
        still = who(missing, "still logs in", "still log in")
        assert f"{still} by the authority before: " in refused
        assert all(name in refused for name in away)
        assert "cannot take another, so visit them" in refused
        city.says("broker", "authority", "forget", "--force")
        taken = {node.name: node.sampler.seq for node in there}
        assert shows(city, there, f"warning: {beyond}: {named}; ", without="taken yet")
        until = time.monotonic() + PATIENCE_S
        while not all(node.sampler.seq > taken[node.name] for node in there):
            turn(there, 0.05)
            assert time.monotonic() < until
        certificates = city.says("router", "show", there[0].name).splitlines()[1:]
        used = [line for line in certificates if line.endswith("the router logs in with it")]
        assert 1 == len(used)
        assert " until " in used[0]
        assert re.search("^in force  [0-9a-f]{16}  until 20[0-9-]{8}$", city.says(*AUTHORITY), re.M)
        finish(there)
    with closing(open_reader(city.folder / "titik.db")) as db:
        assert conservation.findings(db) == []
        row = db.execute("SELECT SUM(taken), SUM(stored), SUM(lost) FROM v_conservation").fetchone()
        total = sum(node.sampler.seq for node in there)
        assert (total, total, 0) == tuple(row)


def test_a_fleet_moves_with_a_lost_key_and_loses_nothing(
    city: City, caplog: pytest.LogCaptureFixture
) -> None:
    """Two of three; the third was away, and is named until it is visited."""
    moves(city, 3, 1, 0.2)
    assert "rolled back" not in caplog.text


@pytest.mark.long
def test_many_routers_move_without_a_visit(city: City, caplog: pytest.LogCaptureFixture) -> None:
    """One in twenty misses it, and each is named. MOVED=400 moves a city's; it takes 6 minutes."""
    count = int(os.environ.get("MOVED", "40"))
    moves(city, count, count // 20, 10.0)
    assert "rolled back" not in caplog.text
