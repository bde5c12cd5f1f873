"""`python -m tests.faults baseline`: the same faults with mosquitto and paho as they come.

Rule: the broker is configured as Debian ships it, but for a listener, a folder of its own and what
a case names; the client library's defaults stand but for what its user must say.
Rule: a message counts only if its PUBACK came: the sender was assured that it is safe.
"""

import argparse
import json
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt import __version__ as paho_version
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.faults.world import commit, tested
from tests.mosquitto import BINARY, OPEN, Mosquitto

TOPIC = "readings"
PATIENCE_S = 60.0
QUIET_S = 3.0  # nothing came for so long: no more will
WEEK_S = 7 * 86_400


@dataclass(frozen=True, slots=True)
class Case:
    """One fault, and the scenarios in which Titik meets it."""

    what: str
    scenarios: tuple[str, ...]
    messages: int
    conf: str
    strike: Callable[[Mosquitto], None]
    default_start: bool  # of a client's MQTT 5 session, instead of one that is kept


def _kill(broker: Mosquitto) -> None:
    broker.restart()


def _nothing(broker: Mosquitto) -> None:
    """The time that the subscriber is away is the fault."""


CASES = {
    "broker-kill": Case(
        "SIGKILL of the broker while messages queue for a subscriber that is away",
        ("queued-broker-kill", "broker-kills"),
        3000,
        "max_queued_messages 0\n",
        _kill,
        False,
    ),
    "queue-overflow": Case(
        "a subscriber that is away for longer than the default queue of 1,000 messages lasts",
        ("full-queue",),
        3000,
        "",
        _nothing,
        False,
    ),
    "collector-restart": Case(
        "restart of an MQTT 5 subscriber that leaves clean_start at the library's default",
        ("collector-restarts",),
        50,
        "",
        _nothing,
        True,
    ),
    "no-fault": Case(
        "none: a subscriber that keeps its session, to show that the harness itself loses nothing",
        (),
        50,
        "",
        _nothing,
        False,
    ),
}


def main(arguments: list[str]) -> int:
    """Writes what was lost; nothing here is good or bad, so the exit status is 0."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults baseline")
    parser.add_argument("--only", action="append", choices=CASES, metavar="NAME")
    parser.add_argument("--results", type=Path, required=True, metavar="DIR")
    options = parser.parse_args(arguments)
    options.results.mkdir(parents=True, exist_ok=True)
    for name in options.only or CASES:
        file = options.results / f"baseline-{name}.json"
        result = json.loads(file.read_text()) if file.exists() else {}
        if result.get("tested") != tested():
            result = _measure(name, CASES[name])
            file.write_text(json.dumps(result, indent=1) + "\n")
        print(f"{name}: lost {result['lost']} of {result['acknowledged']}", flush=True)
    return 0


def _measure(name: str, case: Case) -> dict[str, Any]:
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="tb-") as folder,
        Mosquitto(Path(folder), OPEN + case.conf) as broker,
    ):
        with Subscriber(broker.port, case.default_start) as subscriber:
            subscriber.until_subscribed()
        acknowledged = _publish(broker.port, case.messages)
        case.strike(broker)
        with Subscriber(broker.port, case.default_start) as subscriber:
            subscriber.until_quiet()
    return {
        "baseline": name,
        "what": case.what,
        "scenarios": case.scenarios,
        "acknowledged": len(acknowledged),
        "lost": len(acknowledged - subscriber.received),
        "mosquitto": _version(),
        "paho": paho_version,
        "commit": commit(),
        "tested": tested(),
        "seconds": round(time.monotonic() - began, 1),
    }


class Subscriber:
    """One life of a durable subscriber, with a name that it has in every life."""

    def __init__(self, port: int, default_start: bool) -> None:
        self.received: set[bytes] = set()
        self._newest = time.monotonic()
        self._subscribed = threading.Event()
        self._client = _client("collector")
        self._client.on_connect = lambda client, *_: client.subscribe(TOPIC, qos=1)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._take
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = WEEK_S
        kept: dict[str, Any] = {} if default_start else {"clean_start": False}
        self._client.connect("127.0.0.1", port, properties=properties, **kept)
        self._client.loop_start()

    def until_subscribed(self) -> None:
        """The broker keeps what comes from now on."""
        assert self._subscribed.wait(PATIENCE_S)

    def until_quiet(self) -> None:
        """Nothing more comes."""
        self.until_subscribed()
        self._newest = time.monotonic()
        while time.monotonic() - self._newest < QUIET_S:
            time.sleep(0.1)

    def _take(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        self.received.add(bytes(message.payload))
        self._newest = time.monotonic()

    def __enter__(self) -> "Subscriber":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def _publish(port: int, messages: int) -> set[bytes]:
    """Those that the broker acknowledged."""
    acked: set[int] = set()
    done = threading.Event()

    def on_publish(_c: object, _d: object, mid: int, reason: Any, _p: object) -> None:
        if not reason.is_failure:
            acked.add(mid)
        if len(acked) == messages:
            done.set()

    client = _client("router")
    client.on_publish = on_publish
    client.connect("127.0.0.1", port)
    client.loop_start()
    sent = {}
    for number in range(messages):
        payload = f"{number}".encode()
        sent[client.publish(TOPIC, payload, qos=1).mid] = payload
    assert done.wait(PATIENCE_S), f"{len(acked)} of {messages} acknowledged"
    client.disconnect()
    client.loop_stop()
    return {sent[mid] for mid in acked}


def _client(name: str) -> mqtt.Client:
    return mqtt.Client(
        CallbackAPIVersion.VERSION2, client_id=name, protocol=MQTTProtocolVersion.MQTTv5
    )


def _version() -> str:
    done = subprocess.run((BINARY, "-h"), capture_output=True, text=True, check=False)
    return done.stdout.split()[2]
