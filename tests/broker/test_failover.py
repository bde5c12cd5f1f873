"""A city whose first broker is killed: everybody goes on at the second, but who was revoked."""

import contextlib
import random
import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner

from tests.broker import enrolled
from tests.broker.enrolled import City, Router
from tests.broker.moving_name import MovingName
from tests.broker.raw import secure
from tests.broker.running import RunningBroker
from tests.ports import free_ports
from tests.system.city import COLLECTOR, QUICK, ZONE, Process, Remembering, turn
from tests.until import until
from titik_collector.broker_setup.broker_folder import BrokerFolder, Ports, write_settings
from titik_collector.cli import titik
from titik_collector.simulation.fleet import Node, Plan, WorldTime
from titik_collector.store import conservation
from titik_collector.store.sqlite import open_reader
from titik_mqtt.endpoint import Tls
from titik_wire import topics

pytestmark = pytest.mark.system

SITE = "taman-tirosa"
HONEST, STOLEN = "tirosa-1", "tirosa-2"


@dataclass
class Cell:
    """A broker and its twin behind names for routers, collector and engineers."""

    city: City
    other: BrokerFolder
    names: tuple[MovingName, MovingName, MovingName]

    def move(self, to: BrokerFolder) -> None:
        """The names lead to this broker."""
        for name, port in zip(self.names, ports_of(to), strict=True):
            name.lead(port)

    def node(self, name: str, keys: Path) -> Node:
        """A router of the field, which samples ten times a second."""
        ca, cert, key = (str(keys / one) for one in ("ca.crt", "router.crt", "router.key"))
        return Node(
            Plan(name, SITE, 40, None),
            "localhost",
            self.names[0].port,
            0.1,
            WorldTime(ZoneInfo(ZONE), 1.0),
            random.Random(1),
            0.2,
            pace=QUICK,
            spool=Remembering(),
            tls=Tls(ca, cert, key),
        )


def ports_of(made: BrokerFolder) -> tuple[int, int, int]:
    """Of routers, of collectors on other machines, of engineers."""
    assert made.ports.away is not None
    return made.ports.router, made.ports.away, made.ports.engineer


@pytest.fixture
def cell(tmp_path: Path) -> Iterator[Cell]:
    """The collector knows its broker by the name alone."""
    city = enrolled.made(tmp_path)
    first, folder = str(city.broker.path), tmp_path / "other" / "broker"
    does("broker", "init", first, "--collector-listen", "127.0.0.1", "--away-port", *free())
    does("broker", "twin", "add", first, str(folder))
    does("broker", "twin", "send", first)
    router, engineer, collector, away = free_ports(4)
    settings = BrokerFolder.open(folder).settings
    ports = Ports(router=router, engineer=engineer, collector=collector, away=away)
    write_settings(folder, replace(settings, ports=ports))
    does("broker", "twin", "send", first)
    other = BrokerFolder.open(folder)
    with contextlib.ExitStack() as stack:
        names = [stack.enter_context(MovingName(port)) for port in ports_of(city.broker)]
        file = city.folder / "titik.toml"
        named = f'host = "localhost"\nport = {names[1].port}\n[store]'
        file.write_text(file.read_text().replace("[store]", named, 1))
        yield Cell(city, other, (names[0], names[1], names[2]))


def free() -> list[str]:
    """One port."""
    return [str(one) for one in free_ports(1)]


def does(*words: str) -> None:
    """A command that must succeed."""
    done = CliRunner().invoke(titik, list(words))
    assert done.exit_code == 0, done.output


def test_all_go_on_at_the_second_broker_but_who_was_revoked(
    cell: Cell, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """No sample is lost, and the second broker retains what the collector publishes again."""
    keys = {}
    config = str(cell.city.folder / "titik.toml")
    with RunningBroker(cell.city.broker) as first, RunningBroker(cell.other):
        for name in (HONEST, STOLEN):
            cell.city.says("router", "add", name, "--site", SITE)
            keys[name] = cell.city.enrol(name, tmp_path / name)
        cell.city.says("engineer", "add", "ina")
        node = cell.node(HONEST, keys[HONEST])
        collector = Process(tmp_path / "log", *COLLECTOR, "collect", "--config", config)
        try:
            until_acked(node, 10)
            cell.city.says("router", "revoke", STOLEN)
            first.stop(signal.SIGKILL)
            cell.move(cell.other)
            until_acked(node, node.sampler.seq + 20)
            assert "broker unreachable" in caplog.text

            thief = Router(keys[STOLEN], cell.names[0].port, STOLEN)
            assert not thief.is_in()
            thief.close()
            wanted = {topics.ack(HONEST), topics.collector("main"), topics.now("router", HONEST)}
            assert until(lambda: wanted & retained(cell), wanted) == wanted
            node.is_sampling = False
            until_acked(node, node.sampler.seq)
        finally:
            node.connector.stop_soon()
            while not node.connector.is_over:
                turn([node], 0.05)
            collector.stop()
    with contextlib.closing(open_reader(cell.city.folder / "titik.db")) as db:
        assert conservation.findings(db) == []
        row = db.execute("SELECT taken, stored, lost FROM v_conservation").fetchone()
        assert (node.sampler.seq, node.sampler.seq, 0) == tuple(row)


def until_acked(node: Node, seq: int) -> None:
    """The router has taken so many samples, and holds none of them any more."""

    def is_done() -> bool:
        turn([node], 0.05)
        return node.sampler.seq >= seq and node.spool.spooled == 0

    assert until(is_done, True)


def retained(cell: Cell) -> set[str]:
    """Topics of what the second broker has for an engineer."""
    with secure(cell.city, cell.other.ports.engineer) as tool:
        assert 0 == tool.connect("", "ina", cell.city.broker.password("ina"))
        assert 1 == tool.subscribe("titik/v1/#")
        return {topic for topic, _ in tool.hear(0.3)}
