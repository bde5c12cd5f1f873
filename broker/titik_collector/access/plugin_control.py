"""Commands to the dynamic-security plugin of a broker that runs, and their answers.

Rule: every command is answered before the next packet leaves; no answer is an error.
Rule: a user or role that is to go and is gone already is as it was wished.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Self

from titik_collector.access.plugin_file import Command
from titik_collector.access.rights import CONTROL
from titik_collector.broker_link.conversation import Conversation
from titik_collector.limits import MAX_COMMANDS
from titik_mqtt.endpoint import LOOPBACK, Endpoint
from titik_mqtt.failures import LinkDown
from titik_wire import codec, topics
from titik_wire.errors import WireError
from titik_wire.messages import Status

PATIENCE_S = 8.0
COMMAND_S = 0.5  # more for each command: the plugin writes its whole file every time
_GONE = {"deleteClient": "Client not found", "deleteRole": "Role not found"}


class Control(Conversation):
    """As the commanding user, from `open` to the end of a `with`."""

    def __init__(self, port: int, password: str) -> None:
        self._refusal = f"the broker on port {port} did not"
        endpoint = Endpoint(LOOPBACK, port, CONTROL, password)
        # This listener takes the user's name instead of our client id.
        super().__init__(endpoint, topics.CLIENT_ID + "control", PATIENCE_S)

    def open(self) -> Self:
        """LinkDown if nothing answers, or it is refused."""
        super().open()
        try:
            self.subscribe(topics.COMMAND_ANSWERS, f"{self._refusal} let us hear its answers")
        except LinkDown:
            self.__exit__()
            raise
        return self

    def send(self, commands: Sequence[Command]) -> list[Any]:
        """What the plugin answers to each; LinkDown if it does not do one of them."""
        done: list[Any] = []
        for batch in _batches(commands):
            for command, answer in zip(batch, self._send(batch), strict=True):
                _check(command, answer)
                done.append(answer)
        return done

    def publish_offline(self, router: str) -> None:
        """Have the router's last word be `offline`, of its own run and connection.

        The broker drops the will of a client that it cuts off.
        """
        topic = topics.status(router)
        self.received_messages.clear()
        self.subscribe(topic, f"{self._refusal} let us hear a status")
        self.unsubscribe(topic, f"{self._refusal} answer")
        found = [body for where, body in self.received_messages if where == topic]
        offline = _offline(topic, found)
        if offline is not None:
            words = f"{self._refusal} take a status"
            self.publish(topic, codec.encode(offline), words, retain=True)

    def _send(self, batch: Sequence[Command]) -> list[Any]:
        """One packet, and the answers to all of its commands."""
        words = f"{self._refusal} answer a command"
        request, more_s = json.dumps({"commands": batch}).encode(), COMMAND_S * len(batch)
        self.received_messages.clear()
        self.publish(topics.COMMANDS, request, words, more_s=more_s)
        found: list[Any] = []

        def answered() -> bool:
            while self.received_messages:
                _topic, body = self.received_messages.pop(0)
                found.extend(json.loads(body)["responses"])
            return len(found) >= len(batch)

        if not self.until(answered, PATIENCE_S + more_s):
            raise LinkDown(words)
        return found


def _batches(commands: Sequence[Command]) -> Iterator[list[Command]]:
    """As many at a time as one packet takes."""
    batch: list[Command] = []
    size = 0
    for command in commands:
        length = len(json.dumps(command)) + 2
        if batch and size + length > MAX_COMMANDS:
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


def _offline(topic: str, found: Sequence[bytes]) -> Status | None:
    """The will of the newest connection; None if there is nothing to publish."""
    try:
        last = codec.decode(topic, found[-1]) if found else None
    except WireError:
        return None
    if not isinstance(last, Status) or last.state != "online":
        return None
    return replace(last, state="offline")
