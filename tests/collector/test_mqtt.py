"""The collector's one connection: what ends it, what ends the process, and what keeps it up."""

import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.mosquitto import Mosquitto
from titik_collector.broker_link import session
from titik_collector.broker_link.connection import Link
from titik_mqtt.endpoint import Endpoint
from titik_wire import topics

WILL = (topics.collector("c"), b"offline")


class Events:
    """What the link reported."""

    def __init__(self) -> None:
        self.connects = 0
        self.lost: list[str] = []

    def connected(self) -> None:
        self.connects += 1


def until(condition: Callable[[], bool]) -> None:
    """Within a minute."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline


def linked(port: int, events: Events) -> Link:
    return Link(
        Endpoint("127.0.0.1", port), "c", lambda: WILL, events.connected, events.lost.append
    )


def connected(port: int, events: Events) -> Link:
    link = linked(port, events)
    until(lambda: not link.receive(1, 0.1) and link.connected)
    return link


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path) as running:
        yield running


@pytest.mark.system
def test_a_bug_of_ours_is_no_unreachable_broker(broker: Mosquitto) -> None:
    """It ends the process with a traceback, and the unit starts it again."""

    def buggy() -> None:
        raise KeyError("a bug of ours")

    link = Link(Endpoint("127.0.0.1", broker.port), "c", lambda: WILL, buggy, lambda _: None)
    with pytest.raises(KeyError, match="a bug of ours"):
        until(lambda: not link.receive(1, 0.1) and link.connected)


@pytest.mark.system
def test_a_packet_that_paho_cannot_read_ends_the_connection_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A reserved kind of packet, in place of CONNACK."""
    with serving(b"\xf0\xff\xff\xff\xff\x01") as port:
        events = Events()
        link = linked(port, events)
        until(lambda: not link.receive(1, 0.1) and bool(events.lost))
        assert not link.connected
    advice = "check broker.port and broker.ca_file"
    what = "the broker sent bytes that are not valid MQTT before it answered"
    # It may have tried again meanwhile.
    assert {f"127.0.0.1:{port}: {what}: {advice}"} == set(events.lost)
    assert "will retry" in caplog.text


@pytest.mark.system
def test_a_port_that_accepts_and_says_nothing_is_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is no broker, and the operator looks for another one."""
    monkeypatch.setattr(session, "CONNECT_S", 0.3)
    with serving(b"") as port:
        events = Events()
        link = linked(port, events)
        until(lambda: not link.receive(1, 0.1) and bool(events.lost))
    where = f"127.0.0.1:{port}"
    reason = f"no answer to CONNECT from {where}: is there an MQTT broker at this port?"
    assert {reason} == set(events.lost)
    assert 1 == len(caplog.records)


@pytest.mark.system
def test_a_broker_that_is_killed_closed_the_connection(
    broker: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    """The operator reads the reason in `titik status`; paho has no word for it."""
    events = Events()
    link = connected(broker.port, events)
    broker.kill()
    until(lambda: not link.receive(1, 0.1) and bool(events.lost))
    assert "will retry" in caplog.text
    assert "the broker closed the connection" == events.lost[0]


@pytest.mark.system
def test_a_broker_that_falls_silent_is_lost(
    broker: Mosquitto, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its machine hangs, or the line to it is cut."""
    monkeypatch.setattr(session, "PING_S", 1)
    events = Events()
    link = connected(broker.port, events)
    broker.signal(signal.SIGSTOP)
    try:
        until(lambda: not link.receive(1, 0.1) and bool(events.lost))
    finally:
        broker.signal(signal.SIGCONT)
    assert "no answer from the broker for 2 s" == events.lost[0]
    assert "no answer" in caplog.text


@pytest.mark.system
def test_the_connection_lives_while_nothing_is_read(
    broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever waits in the socket, for many keep-alives: it is all there afterwards."""
    monkeypatch.setattr(session, "PING_S", 1)
    monkeypatch.setattr(session, "KEEPALIVE_S", 2)
    events = Events()
    link = connected(broker.port, events)
    sent = 3000
    thread = threading.Thread(target=publish, args=(broker.port, sent))
    thread.start()
    while broker.log().count("Received PINGREQ from titik:c") < 6:
        link.keep_alive(0.5, 10)
        assert [] == events.lost
    thread.join()
    received = 0

    def receive() -> int:
        messages = link.receive(1000, 0.1)
        link.acknowledge(messages)
        return len(messages)

    def all_came() -> bool:
        nonlocal received
        received += receive()
        return received >= sent

    until(all_came)
    assert (sent, 1, []) == (received, events.connects, events.lost)


@pytest.mark.system
def test_a_broker_that_ends_while_nothing_is_read_is_noticed(
    broker: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    """Though what it sent before hides its end."""
    events = Events()
    link = connected(broker.port, events)
    publish(broker.port, 3000)
    while len(link._received) < 10:
        link.keep_alive(0.2, 10)
    broker.kill()
    deadline = time.monotonic() + 60
    while not events.lost and time.monotonic() < deadline:
        link.keep_alive(0.2, 10)
    assert "the broker closed the connection" == events.lost[0]
    assert "closed the connection" in caplog.text


def publish(port: int, count: int) -> None:
    """So many samples of a kilobyte at QoS 1, from a client that waits until the broker has all."""
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    client.max_inflight_messages_set(count)
    client.connect("127.0.0.1", port)
    client.loop_start()
    sent = [client.publish(topics.sample("park-1"), b"x" * 1000, 1) for _ in range(count)]
    for one in sent:
        one.wait_for_publish(60)
    client.disconnect()
    client.loop_stop()
    client._reset_sockets()


class serving:
    """A socket that accepts, and sends these bytes to each client."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._server = socket.create_server(("127.0.0.1", 0))
        self._clients: list[socket.socket] = []

    def __enter__(self) -> int:
        threading.Thread(target=self._serve, daemon=True).start()
        return int(self._server.getsockname()[1])

    def _serve(self) -> None:
        try:
            while True:
                client, _ = self._server.accept()
                self._clients.append(client)
                client.sendall(self._answer)
        except OSError:
            return

    def __exit__(self, *_: object) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for client in self._clients:
            client.close()
