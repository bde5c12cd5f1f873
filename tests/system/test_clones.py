"""Two devices that use one name, over a real broker: nothing of either is lost."""

from pathlib import Path

import pytest

from tests.system.city import City
from titik_collector.simulation.fleet import Node

pytestmark = pytest.mark.system

AWAY_S = 1e6  # until the test lets it back
MANY = 60  # samples: more than are sent before an ack can come


def test_two_devices_of_one_name_lose_nothing_and_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Each has outages in which the other speaks, and says that it holds nothing of its run."""
    with City(tmp_path) as city:
        city.collect()
        first, second = (city.node(seed=n, interval_s=0.02) for n in (1, 2))
        second.cut(AWAY_S)
        for _ in range(2):
            for here, away in ((first, second), (second, first)):
                _leave(city, away)
                city.until_taken(here, MANY)
                _return(city, here)
                city.until_taken(here, 4)
                city.until(lambda: stored(city, here) > 0, "it is heard")  # noqa: B023
        for node in (first, second):
            node.is_sampling = False
        for here, away in ((first, second), (second, first)):
            _leave(city, away)
            _return(city, here)
            city.until(lambda: _woken(here).spool.spooled == 0, "its spool is empty")  # noqa: B023
        _, screen = city.titik("status", "--config", str(city.file))
        assert "two devices use this name" in screen
        assert "two devices use this name" in city.titik("events", "--config", str(city.file))[1]
        assert city.titik("db", "check", "--config", str(city.file))[0] == 0
        taken = {
            node.run: (node.sampler.seq, node.sampler.seq, 0, 0, 0) for node in (first, second)
        }
        assert taken == city.books()
    assert "does another device use this router's name?" in caplog.text


def _leave(city: City, node: Node) -> None:
    node.cut(AWAY_S)
    city.until(lambda: node.connector.fileno() < 0, "it is away")


def _return(city: City, node: Node) -> None:
    node.cut_until = 0.0
    city.until(lambda: node.connector.is_connected, "it is back")


def _woken(node: Node) -> Node:
    node.connector.wake()
    return node


def stored(city: City, node: Node) -> int:
    """Samples of its run in the store."""
    return city.books().get(node.run, (0, 0))[1]
