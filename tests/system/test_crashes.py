"""What is killed at the worst moment costs no sample and counts none twice."""

import re
import signal
from pathlib import Path

import pytest

from tests.system.city import City, Remembering, bytes_of, bytes_taken
from tests.system.dying_collector import MOMENTS
from titik_agent.spool.record import scan
from titik_collector.simulation.fleet import Node

pytestmark = pytest.mark.system


def assert_whole(city: City, *nodes: Node) -> None:
    """All that each router took is stored, once, to the byte."""
    books = city.close_books()
    for node in nodes:
        taken = node.sampler.seq
        assert (taken, taken, 0, 0, 0) == books[node.run]
    with city.reader() as db:
        for node in nodes:
            assert isinstance(node.spool, Remembering)
            assert bytes_taken(node.spool.taken) == bytes_of(db, node.name)


def test_a_broker_that_forgets_everything_loses_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """SIGKILL, no database, a fresh start: the routers still have what was not committed."""
    with City(tmp_path, "tirosa-1", "tirosa-2") as city:
        collector = city.collect()
        nodes = [city.node(name, seed=seed) for seed, name in enumerate(city.routers)]
        city.until_taken(nodes[0], 5)
        collector.popen.send_signal(signal.SIGSTOP)  # so that the broker has messages to forget
        city.until_taken(nodes[0], 10)
        city.broker.stop(signal.SIGKILL)
        city.directory.database.unlink(missing_ok=True)
        city.until_taken(nodes[0], 10)
        collector.popen.send_signal(signal.SIGCONT)
        city.broker.start()
        city.until_taken(nodes[0], 10)
        city.until_acked()
        assert_whole(city, *nodes)
    # A socket that dies with unread bytes ends by a reset.
    ends = re.findall(
        r"broker unreachable reason=(?:the broker closed|connection lost)", caplog.text
    )
    assert len(ends) == len(nodes)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_collector_killed_between_two_steps_loses_and_doubles_nothing(
    tmp_path: Path, moment: str
) -> None:
    """Before the commit, between commit and the broker's ack, between that and the router's."""
    with City(tmp_path) as city:
        node = city.node()
        city.until(lambda: node.connector.is_connected, "the router connects")
        for _ in range(3):
            dying = city.collect(dies=moment)
            city.until(lambda dying=dying: dying.is_over, "it dies")  # type: ignore[misc]
            assert -signal.SIGKILL == dying.popen.returncode
            city.until_taken(node, 3)
        stored = city.number("SELECT count(*) FROM sample")
        assert (stored > 0) == (moment != "received")
        city.collect()
        city.until_taken(node, 3)
        city.until_acked()
        assert_whole(city, node)


def test_an_agent_killed_again_and_again_loses_nothing(tmp_path: Path) -> None:
    """Every life is a run; what the dead ones had in the spool's directory the next one sends."""
    with City(tmp_path) as city:
        spooled = tmp_path / "tirosa-1"
        for life in range(3):
            agent = city.agent()
            city.until(lambda life=life: samples_in(spooled) > 2 * life + 1, "it samples")  # type: ignore[misc]
            agent.kill()
        agent = city.agent()
        # The broker kept nothing of the dead but the newest sample: nobody had subscribed.
        city.collect()
        city.until(lambda: len(city.books()) == 4, "four runs are known")
        own = agent.output().rpartition("run=")[2].partition(" ")[0]
        city.until(lambda: all_stored(city, but=own), "the dead ones' samples are stored")
        books = city.close_books()
        del books[own]
        assert 3 == len(books)
        assert 6 <= sum(stored for _, stored, *_ in books.values())


def samples_in(directory: Path) -> int:
    """Records in a spool's segments."""
    return sum(
        found is not None for one in directory.glob("*.seg") for found in scan(one.read_bytes())
    )


def all_stored(city: City, but: str) -> bool:
    """Of the other runs nothing is refused, lost or with the router."""
    return all(one[2:] == (0, 0, 0) for run, one in city.books().items() if run != but)
