"""A real agent, wished things over a real mosquitto: with today's rights, and with older ones."""

import json
import os
import queue
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.broker.running import PATIENCE_S, Client, RunningBroker, made
from titik_collector.access.plugin_file import FILE
from titik_collector.broker_setup.broker_folder import BrokerFolder
from titik_wire import topics
from titik_wire.codec import decode, encode
from titik_wire.fleet_messages import RouterSettings, Running
from titik_wire.messages import Ack, AckedRun, CollectorStatus, Sample
from titik_wire.topics import CLIENT_ID

pytestmark = pytest.mark.system

NAME = "a-1"
BEFORE = ("status", "sample", "backlog", "ack", "settings")  # the leaves that older rights name


class Agent:
    """`titik-agent run` as a process, and the collector that hears it."""

    def __init__(self, folder: Path, broker: BrokerFolder) -> None:
        self.acks = True
        self.samples: list[Sample] = []
        self.log = folder / "log"
        self.state_file = folder / "state.json"
        self._running: list[Running] = []
        self._config = folder / "agent.toml"
        (folder / "password").write_text(broker.password(NAME))
        self._config.write_text(
            f'router = "{NAME}"\ninterval_s = 3600\nstate_file = "state.json"\n'
            f'[broker]\nhost = "127.0.0.1"\nport = {broker.ports.router}\n'
            'password_file = "password"\n[sources]\nhostapd = "off"\n'
            f'[spool]\ndirectory = "{folder / "spool"}"\n'
        )
        self.collector = Client(
            broker.ports.collector, "collector", broker.password("collector"), f"{CLIENT_ID}main"
        )
        for topic in (topics.ALL_SAMPLES, topics.ALL_BACKLOGS, topics.ALL_RUNNING):
            self.collector.subscribe(topic)
        online = CollectorStatus("main", "online", "1")
        self.collector.send(topics.collector("main"), encode(online), retain=True)
        self.process = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "titik_agent", "run", "--config", str(self._config)],
                stderr=log,
                env={**os.environ},
            )

    def restart(self) -> None:
        """As a power cut of the process alone."""
        self.process.kill()
        self.process.wait(PATIENCE_S)
        self.process = self._start()

    def wish(self, revision: int, **keys: object) -> None:
        """Retained, as the collector publishes it."""
        wish = RouterSettings(NAME, revision, **keys)  # type: ignore[arg-type]
        self.collector.send(topics.settings(NAME), encode(wish), retain=True)

    def hear(self) -> None:
        """The next message, acknowledged if it is a sample."""
        topic, payload = self.collector.received.get(timeout=PATIENCE_S)
        message = decode(topic, payload)
        if isinstance(message, Running):
            self._running.append(message)
        if isinstance(message, Sample):
            self.samples.append(message)
            if self.acks:
                ack = Ack(NAME, (AckedRun(message.run, message.seq),))
                self.collector.send(topics.ack(NAME), encode(ack), retain=True)

    def became(self, revision: int, state: str) -> Running:
        """What it reports as soon as that became of the settings."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            for one in self._running:
                if one.settings and (revision, state) == (
                    one.settings.revision,
                    one.settings.state,
                ):
                    return one
            try:
                self.hear()
            except queue.Empty:
                break
        raise AssertionError(f"{self._running} {self.log.read_text()}")

    def sampled(self, more: int = 1) -> Sample:
        """The newest sample, once there are so many more."""
        wanted = len(self.samples) + more
        while len(self.samples) < wanted:
            self.hear()
        return self.samples[-1]

    def close(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(PATIENCE_S)
        self.collector.close()


@pytest.fixture
def broker(tmp_path: Path) -> BrokerFolder:
    """Of a city with one router."""
    return made(tmp_path / "broker", NAME)


@pytest.fixture
def agent(tmp_path: Path, broker: BrokerFolder) -> Iterator[Agent]:
    """At a broker that runs."""
    with RunningBroker(broker):
        agent = Agent(tmp_path, broker)
        yield agent
        agent.close()


def test_settings_move_a_running_agent(agent: Agent) -> None:
    """Its interval, what it reaches and its log; a death in a trial takes them back for good."""
    with socket.create_server(("127.0.0.1", 0)) as host:
        target = f"127.0.0.1:{host.getsockname()[1]}"
        agent.wish(1, interval_s=5, reach_targets=(target,), log_level="debug")
        running = agent.became(1, "applied").in_force
        assert running is not None
        assert (5, (target,), "debug") == (
            running.interval_s, running.reach_targets, running.log_level,
        )  # fmt: skip
        first, second = agent.sampled(), agent.sampled()
        assert second.covers_ms < 20_000
        assert first.reach is not None
        assert (1, 0) == (first.reach.answered, first.reach.tcp_failures)
        shown = json.loads(agent.state_file.read_text())
        assert {"revision": 1, "state": "applied", "reason": None} == shown["settings"]
        assert 5 == shown["interval_s"]

        agent.acks = False
        agent.wish(2, interval_s=5, reach_targets=())
        agent.became(2, "trying")
        agent.restart()
        back = agent.became(2, "rolled-back").in_force
        assert back is not None
        assert (3600, ()) == (back.interval_s, back.reach_targets)
    assert "settings rolled back revision=2" in agent.log.read_text()


def give_older_rights(broker: BrokerFolder) -> None:
    """What a broker allowed before routers could be wished anything."""
    path = broker.path / "data" / FILE
    document = json.loads(path.read_text())
    (role,) = [one for one in document["roles"] if one["rolename"].endswith(NAME)]
    kept = [one for one in role["acls"] if one["topic"].rsplit("/", 1)[1] in BEFORE]
    heard = [
        {"acltype": "publishClientReceive", "topic": topic, "priority": 0, "allow": True}
        for topic in (topics.ack(NAME), topics.settings(NAME))
    ]
    role["acls"] = [*kept, *heard]
    path.write_text(json.dumps(document))


def test_an_older_broker_offers_no_wishes_and_keeps_the_link(
    tmp_path: Path, broker: BrokerFolder
) -> None:
    """It refuses three of four topics, and what became of a wish: samples go on all the same."""
    give_older_rights(broker)
    with RunningBroker(broker):
        agent = Agent(tmp_path, broker)
        agent.wish(1, interval_s=5, log_level="debug")
        first, last = agent.sampled(), agent.sampled()
        assert (first.run, 5) == (last.run, json.loads(agent.state_file.read_text())["interval_s"])
        agent.close()
    lines = agent.log.read_text().splitlines()
    assert 1 == len([one for one in lines if "broker connected" in one])
    assert [] == [one for one in lines if one.startswith("WARNING")]
    assert 1 == len([one for one in lines if f"not offered topic={topics.running(NAME)}" in one])
