"""What the broker holds of a collector before us, read by a client that changes nothing.

Rule: it is read before we connect as the collector, for that would evict a collector that runs
there, and before anything retained is written over.
Rule: the status of another store or epoch is a twin if it goes on to be published, and a ghost,
left by a broker that lost power, if it stands still for WATCH_S.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from titik_collector.broker_link.connection import LinkDown, Login
from titik_collector.store.identity import Identity
from titik_mqtt import trust
from titik_mqtt.endpoint import Tls
from titik_wire import codec, topics
from titik_wire.errors import WireError
from titik_wire.messages import Ack, CollectorStatus, Message

WATCH_S = 25.0  # two beats and a half
PATIENCE_S = 5.0  # for each answer of the broker
NOTHING = "titik/v1/nothing"  # a topic to be unsubscribed from: the answer ends what is retained


class TwinRunning(Exception):
    """Another collector with our id is at work; the text says how to tell and what to do."""


@dataclass(frozen=True, slots=True)
class Found:
    """The status and the acks that the broker holds; no acks if ours are the newest."""

    status: CollectorStatus | None = None
    acks: tuple[Ack, ...] = ()


@dataclass(slots=True)
class _Heard:
    """What has come so far."""

    statuses: list[tuple[CollectorStatus, bool]] = field(default_factory=list)  # and if retained
    acks: list[Ack] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    connected: bool = False


def look(door: Login, collector: str, own: Identity, watch_s: float = WATCH_S) -> Found:
    """TwinRunning if another collector goes on publishing; LinkDown if the broker cannot be read.

    The door must leave client ids to the clients, or our own session would be taken over.
    """
    heard = _Heard()
    client = _open(door, collector, heard)
    try:
        _fetch(client, heard, topics.collector(collector))
        status = heard.statuses[-1][0] if heard.statuses else None
        if status is not None and _is_suspect(status, own):
            _watch(client, heard, collector, own, watch_s)
        if not _is_ours(status, own):
            _fetch(client, heard, topics.ack("+"))
        return Found(status, tuple(heard.acks))
    finally:
        client.disconnect()
        client.loop_write()
        sock = client.socket()
        if sock is not None:
            sock.close()


def _is_alive(status: CollectorStatus) -> bool:
    """Whether it was connected when it published this; one whose store fails says `offline`."""
    return status.state == "online" or status.storing is not None


def _is_suspect(status: CollectorStatus, own: Identity) -> bool:
    """Our own lease shows that nobody else has this file open, whatever the status says."""
    ours = status.store == own.store and (status.epoch or 0) < own.epoch and not own.moved
    # A collector of a version without beats cannot be told from a ghost.
    return _is_alive(status) and status.beat is not None and not ours


def _is_ours(status: CollectorStatus | None, own: Identity) -> bool:
    """This very file wrote last at this broker, so that no ack there is above it."""
    if status is None or own.moved:
        return False
    return (status.store, status.epoch) == (own.store, own.epoch - 1)


def _watch(
    client: paho.Client, heard: _Heard, collector: str, own: Identity, watch_s: float
) -> None:
    def moved() -> CollectorStatus | None:
        live = [one for one, retained in heard.statuses if not retained]
        others = [one for one in live if (one.store, one.epoch) != (own.store, own.epoch)]
        return others[-1] if others else None

    client.subscribe(topics.beat(collector), 0)
    _loop(client, heard, lambda: moved() is not None, watch_s)
    twin = moved()
    if twin is not None and _is_alive(twin):
        raise TwinRunning(
            f"another collector is at work here: id {twin.collector}, store {twin.store or '?'},"
            f" epoch {twin.epoch or 0}, version {twin.version}; this store is {own.store}, epoch"
            f" {own.epoch}. Stop one of the two. A copy of a city needs a broker of its own:"
            " [broker] directory or port in its titik.toml"
        )


def _fetch(client: paho.Client, heard: _Heard, topic: str) -> None:
    """Take what is retained on a topic; QoS 0, so that it all comes before the answer."""
    heard.answers.clear()
    client.subscribe(topic, 0)
    client.unsubscribe(NOTHING)
    if not _loop(client, heard, lambda: bool(heard.answers), PATIENCE_S) or heard.refused:
        raise LinkDown(f"{topic} cannot be read: {', '.join(heard.refused) or 'no answer'}")


def _open(door: Login, collector: str, heard: _Heard) -> paho.Client:
    client = paho.Client(
        CallbackAPIVersion.VERSION2,
        client_id=f"{topics.CLIENT_ID}look:{collector}",
        protocol=paho.MQTTv5,
        reconnect_on_failure=False,
    )
    client.connect_timeout = PATIENCE_S
    if door.username is not None:
        client.username_pw_set(door.username, door.password)

    def on_connect(
        _client: object, _data: object, _flags: object, reason: object, *_: object
    ) -> None:
        if getattr(reason, "is_failure", False):
            heard.refused.append(str(reason))
        heard.connected = True

    client.on_connect = on_connect
    client.on_message = lambda _client, _data, message: _take(message, heard)
    client.on_subscribe = lambda _client, _data, _mid, reasons, *_: heard.refused.extend(
        str(one) for one in reasons if one.is_failure
    )
    client.on_unsubscribe = lambda _client, _data, mid, *_: heard.answers.append(mid)
    try:
        if door.ca_file is not None:
            # Perhaps by an address of this machine, which is not in the certificate.
            client.tls_set_context(trust.context(Tls(door.ca_file, check_hostname=False)))
        client.connect(door.host, door.port, clean_start=True)
    except (OSError, ValueError) as error:
        raise LinkDown(f"{door.host}:{door.port}: {error}") from error
    if not _loop(client, heard, lambda: heard.connected, PATIENCE_S) or heard.refused:
        raise LinkDown(f"{door.host}:{door.port}: {', '.join(heard.refused) or 'no answer'}")
    return client


def _take(message: paho.MQTTMessage, heard: _Heard) -> None:
    found = _decoded(message.topic, bytes(message.payload))
    if isinstance(found, CollectorStatus):
        heard.statuses.append((found, message.retain))
    elif isinstance(found, Ack):
        heard.acks.append(found)


def _decoded(topic: str, payload: bytes) -> Message | None:
    try:
        return codec.decode(topic, payload)
    except WireError:  # cleared, or of a later version
        return None


def _loop(client: paho.Client, heard: _Heard, done: Callable[[], bool], patience_s: float) -> bool:
    """Let the client work until it is done; False if it took too long or the connection broke."""
    deadline = time.monotonic() + patience_s
    while not done() and not heard.refused:
        if time.monotonic() >= deadline or client.socket() is None:
            return False
        client.loop(min(0.1, max(0.0, deadline - time.monotonic())))
    return True


__all__: Sequence[str] = ["Found", "TwinRunning", "look"]
