"""Commands to a broker that runs, over its own topic, and their answers.

Rule: every command is answered before the next packet leaves; who hears nothing says so.
Rule: a user or role that is to go and is gone already is as it was wished.
"""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from titik_collector.broker_link.connection import LinkDown
from titik_collector.enrolment.access import Command
from titik_collector.enrolment.rights import CONTROL, REQUEST, RESPONSE
from titik_wire import codec, topics
from titik_wire.errors import WireError
from titik_wire.messages import Status

PATIENCE_S = 8.0
COMMAND_S = 0.5  # more for each command: the plugin writes its whole file every time
MAX_PACKET = 16_000  # below the broker's max_packet_size
_GONE = {"deleteClient": "Client not found", "deleteRole": "Role not found"}


class Control:
    """A connection as the commanding user, from `open` to the end of a `with`."""

    def __init__(self, port: int, password: str) -> None:
        self._port = port
        self._heard: list[tuple[str, bytes]] = []
        self._answers: list[object] = []
        self._client = client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=topics.CLIENT_ID + "control",  # this listener takes the user's name instead
            protocol=paho.MQTTv5,
            reconnect_on_failure=False,
        )
        client.username_pw_set(CONTROL, password)
        client.on_connect = lambda _client, _data, _flags, reason, _more: self._answer(reason)
        client.on_subscribe = lambda _client, _data, _mid, reasons, _more: self._answer(reasons[0])
        client.on_unsubscribe = lambda _client, _data, mid, *_more: self._answer(mid)
        client.on_publish = lambda _client, _data, mid, *_more: self._answer(mid)
        client.on_message = lambda _client, _data, said: self._heard.append(
            (said.topic, bytes(said.payload))
        )

    def open(self) -> "Control":
        """LinkDown if nobody answers, or it is refused."""
        try:
            self._client.connect("127.0.0.1", self._port, clean_start=True)
            self._wait("let us in")
            self._client.subscribe(RESPONSE, qos=1)
            self._wait("let us hear its answers")
        except LinkDown:
            self._close()
            raise
        except OSError as error:
            raise LinkDown(f"nothing answers at port {self._port}: {error}") from error
        return self

    def __enter__(self) -> "Control":
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def send(self, commands: Sequence[Command]) -> list[Any]:
        """What the plugin answers to each; LinkDown if it does not do one of them."""
        done: list[Any] = []
        for batch in _batches(commands):
            self._heard.clear()
            self._client.publish(REQUEST, json.dumps({"commands": batch}).encode())
            answers = self._responses(len(batch))
            for command, answer in zip(batch, answers, strict=True):
                _check(command, answer)
            done += answers
        return done

    def say_offline(self, router: str) -> None:
        """Have the router's last word be `offline`, of its own run and connection.

        The broker drops the will of a client that it cuts off.
        """
        topic = topics.status(router)
        self._heard.clear()
        self._client.subscribe(topic, qos=1)
        self._wait("let us hear a status")
        self._client.unsubscribe(topic)  # what is retained comes before the answer to this
        self._wait("answer")
        offline = _offline(topic, [body for where, body in self._heard if where == topic])
        if offline is not None:
            self._client.publish(topic, codec.encode(offline), qos=1, retain=True)
            self._wait("take a status")

    def _responses(self, number: int) -> list[Any]:
        found: list[Any] = []
        deadline = time.monotonic() + PATIENCE_S + COMMAND_S * number
        while len(found) < number:
            self._turn(deadline, "answer a command")
            while self._heard:
                _topic, body = self._heard.pop(0)
                found += json.loads(body)["responses"]
        return found

    def _close(self) -> None:
        self._client.disconnect()
        sock = self._client.socket()
        if sock is not None:
            sock.close()
        del self._client  # which closes what else it has open

    def _answer(self, answer: object) -> None:
        self._answers.append(answer)

    def _wait(self, what: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not self._answers:
            self._turn(deadline, what)
        answer = self._answers.pop()
        self._answers.clear()
        if isinstance(answer, ReasonCode) and answer.is_failure:
            raise LinkDown(f"the broker on port {self._port} did not {what}: {answer}")

    def _turn(self, deadline: float, what: str) -> None:
        if self._client.socket() is None or time.monotonic() > deadline:
            raise LinkDown(f"the broker on port {self._port} did not {what}")
        self._client.loop(0.1)


def _batches(commands: Sequence[Command]) -> Iterator[list[Command]]:
    """As many at a time as one packet takes."""
    batch: list[Command] = []
    size = 0
    for command in commands:
        length = len(json.dumps(command)) + 2
        if batch and size + length > MAX_PACKET:
            yield batch
            batch, size = [], 0
        batch.append(command)
        size += length
    if batch:
        yield batch


def _check(command: Command, answer: Any) -> None:
    error = answer.get("error")
    if error is not None and error != _GONE.get(command["command"]):
        raise LinkDown(f"the broker did not {command['command']}: {error}")


def _offline(topic: str, said: Sequence[bytes]) -> Status | None:
    """The will of the connection that spoke last; None if nothing is to be said."""
    try:
        last = codec.decode(topic, said[-1]) if said else None
    except WireError:
        return None
    if not isinstance(last, Status) or last.state != "online":
        return None
    return replace(last, state="offline")
