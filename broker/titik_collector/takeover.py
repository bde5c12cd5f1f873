"""Ending the session of a client that must go, as if it had gone by itself.

Rule: the session that takes over ends with its connection, and says nothing.
Rule: the broker drops the will of a session that is taken over; what it would have said is said
by us.
"""

import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from titik_collector.mqtt import LinkDown
from titik_wire import codec, topics
from titik_wire.errors import WireError
from titik_wire.messages import Status

PATIENCE_S = 8.0
RETRY_S = 0.2  # the broker reads new passwords a moment after it was told to


@dataclass(frozen=True, slots=True)
class Door:
    """A listener, and who we are there."""

    host: str
    port: int
    user: str
    password: str
    ca_file: Path | None = None  # set: TLS


def take(door: Door, tell: Callable[[], object]) -> None:
    """Connect where the name of the user is the client id; LinkDown if refused.

    `tell` has the broker read its users again: it forgets a signal that comes while it reads.
    """
    deadline = time.monotonic() + PATIENCE_S
    while (client := _connect(door, door.user)) is None:
        if time.monotonic() > deadline:
            raise LinkDown(f"the broker on port {door.port} did not let {door.user} be taken over")
        time.sleep(RETRY_S)
        tell()
    client.disconnect()


def say_offline(door: Door, router: str) -> None:
    """Have the router's last word be `offline`, of its own run and connection; LinkDown if not.

    The door leaves client ids to the clients: we must not take over our own user's session.
    """
    topic, said, answers = topics.status(router), list[bytes](), list[int]()
    client = _connect(door, f"offline:{router}")
    if client is not None:
        client.on_message = lambda _client, _data, message: said.append(bytes(message.payload))
        client.on_unsubscribe = lambda _client, _data, mid, *_: answers.append(mid)
        client.on_publish = lambda _client, _data, mid, *_: answers.append(mid)
        client.subscribe(topic)
        client.unsubscribe(topic)  # what is retained comes before the answer to this
        _wait(client, answers)
        offline = _offline(topic, said)
        if answers and offline is not None:
            answers.clear()
            client.publish(topic, codec.encode(offline), qos=1, retain=True)
            _wait(client, answers)
        client.disconnect()
    if not answers:
        raise LinkDown(f"the broker on port {door.port} was not told that {router} is offline")


def _offline(topic: str, said: Sequence[bytes]) -> Status | None:
    """The will of the connection that spoke last; None if nothing is to be said."""
    try:
        last = codec.decode(topic, said[-1]) if said else None
    except WireError:
        return None
    if not isinstance(last, Status) or last.state != "online":
        return None
    return replace(last, state="offline")


def _connect(door: Door, name: str) -> paho.Client | None:
    """A client that is in, under the id of `name`; None if refused."""
    answers: list[ReasonCode] = []
    client = paho.Client(
        CallbackAPIVersion.VERSION2,
        client_id=topics.CLIENT_ID + name,
        protocol=paho.MQTTv5,
        reconnect_on_failure=False,
    )
    client.username_pw_set(door.user, door.password)
    client.on_connect = lambda _client, _data, _flags, reason, _properties: answers.append(reason)
    try:
        if door.ca_file is not None:
            client.tls_set_context(_trusting(door.ca_file))
        client.connect(door.host, door.port, clean_start=True)
    except OSError:
        return None
    _wait(client, answers)
    if answers and not answers[0].is_failure:
        return client
    client.disconnect()
    return None


def _trusting(ca_file: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca_file)
    context.check_hostname = False  # an address of this machine, perhaps not in the certificate
    return context


def _wait(client: paho.Client, answers: Sequence[object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not answers and client.socket() is not None and time.monotonic() < deadline:
        client.loop(0.1)
