"""A short connection that asks: every question ends, with an answer or with words."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.collector.test_mqtt import serving
from tests.mosquitto import Mosquitto
from titik_collector.broker_link.conversation import Conversation
from titik_mqtt.endpoint import Endpoint
from titik_mqtt.failures import LinkDown

pytestmark = pytest.mark.system


def conversation(port: int, patience_s: float = 5.0) -> Conversation:
    return Conversation(Endpoint("127.0.0.1", port), "asker", patience_s)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path) as running:
        yield running


def test_what_is_retained_comes_before_the_second_answer(broker: Mosquitto) -> None:
    """All of it, and nothing has to be waited for."""
    topics = [f"t/{n}" for n in range(200)]
    with conversation(broker.port).open() as asking:
        for topic in topics:
            asking.publish(topic, b"x", "not taken", retain=True)
        asking.subscribe("t/+", "not shown", qos=0)
        asking.unsubscribe("elsewhere", "not shown")
        assert sorted(topics) == sorted(topic for topic, _ in asking.received_messages)


def test_a_port_that_is_silent_is_given_up() -> None:
    """It accepts, and no answer to CONNECT ever comes."""
    with (
        serving(b"") as port,
        pytest.raises(LinkDown, match=f"no answer to CONNECT from 127.0.0.1:{port}"),
    ):
        conversation(port, 0.2).open()


def test_a_broker_that_goes_away_ends_the_wait(broker: Mosquitto) -> None:
    """At once, long before the patience is over; who asks again reads the same."""
    with conversation(broker.port).open() as asking:
        broker.kill()
        for _ in range(2):
            with pytest.raises(LinkDown, match="closed the connection"):
                asking.until(lambda: False, 1e6)


def test_what_does_not_come_is_no_failure(broker: Mosquitto) -> None:
    """Whether it was done in time is the caller's to judge."""
    with conversation(broker.port).open() as asking:
        assert asking.until(lambda: True, 0.1)
        assert not asking.until(lambda: False, 0.1)


def test_a_refused_login_is_named(tmp_path: Path) -> None:
    """With the broker's address, as several are tried."""
    with (
        Mosquitto(tmp_path, "allow_anonymous false\n") as broker,
        pytest.raises(LinkDown, match=r"^127\.0\.0\.1:\d+: not authorized \(0x87\)$"),
    ):
        conversation(broker.port).open()


def test_a_broker_that_goes_away_meanwhile_is_reported_with_what_was_asked(
    broker: Mosquitto,
) -> None:
    """An operator reads what was not done, and why."""
    with conversation(broker.port).open() as asking:
        broker.kill()
        with pytest.raises(LinkDown, match=r"did not show t: .*closed the connection"):
            asking.subscribe("t", "did not show t")
