"""A short connection, for rights and takeovers: open, ask, wait for each answer, close.

Rule: one question at a time; what came before the answer is in `received_messages`.
"""

import time
from collections.abc import Callable
from typing import Self

from titik_collector.broker_link.readable import until_readable
from titik_mqtt.connection import Connection, Terms
from titik_mqtt.endpoint import Endpoint
from titik_mqtt.failures import LinkDown, Remedies

KEEPALIVE_S = 60


class Conversation:
    """`with Conversation(...).open() as it`; its session leaves nothing at the broker."""

    def __init__(self, endpoint: Endpoint, client_id: str, patience_s: float) -> None:
        """`patience_s` is for each answer."""
        self.received_messages: list[tuple[str, bytes]] = []
        self._where = endpoint.where
        self._patience_s = patience_s
        self._answers: list[str | None] = []  # each None, or why it was refused
        terms = Terms(client_id, KEEPALIVE_S, patience_s)
        self._connection = Connection(endpoint, terms, None, self, Remedies)

    def open(self) -> Self:
        """LinkDown if nothing answers, or we are refused."""
        try:
            self._connection.open()
            self._await(self._where)
        except LinkDown:
            self._connection.close()
            raise
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close(disconnect=True)

    def subscribe(self, topic: str, otherwise: str, qos: int = 1) -> None:
        """LinkDown, beginning with `otherwise`, if the broker refuses or does not answer."""
        self._connection.subscribe([topic], qos=qos)
        self._await(otherwise)

    def unsubscribe(self, topic: str, otherwise: str) -> None:
        """The same; what is retained comes before the answer to this."""
        self._connection.unsubscribe(topic, lambda: self._answers.append(None))
        self._await(otherwise)

    def publish(
        self, topic: str, payload: bytes, otherwise: str, retain: bool = False, more_s: float = 0.0
    ) -> None:
        """The same, at least once; `more_s` is what the answer may take beyond the patience."""
        self._connection.publish(topic, payload, retain)
        self._await(otherwise, more_s)

    def until(self, done: Callable[[], bool], seconds: float) -> bool:
        """Take what comes; whether it was done in time. LinkDown: the connection broke."""
        deadline = time.monotonic() + seconds
        while not done():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            if until_readable(self._connection, min(left, 1.0)):
                self._connection.read()
            else:
                self._connection.tick()
        return True

    def _await(self, otherwise: str, more_s: float = 0.0) -> None:
        try:
            answered = self.until(lambda: bool(self._answers), self._patience_s + more_s)
        except LinkDown as down:
            if down.step != "lost":  # it names the broker and the reason already
                raise
            raise LinkDown(f"{otherwise}: {down.reason}", down.step) from down
        if not answered:
            raise LinkDown(f"{otherwise}: no answer")
        refused = self._answers.pop()
        if refused is not None:
            raise LinkDown(f"{otherwise}: {refused}", "login")

    # Events of the connection.

    def connected(self) -> None:
        """The broker accepted us."""
        self._answers.append(None)

    def subscribed(self, refused: str | None) -> None:
        """The broker answered SUBSCRIBE."""
        self._answers.append(refused)

    def published(self, mid: int, refused: str | None) -> None:  # noqa: ARG002
        """The broker has a message."""
        self._answers.append(refused)

    def received(self, topic: str, payload: bytes) -> None:
        """A message of a subscription."""
        self.received_messages.append((topic, payload))
