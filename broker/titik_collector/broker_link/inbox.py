"""The broker as other rooms see it: an inbox of messages and an outbox."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class ReceivedMessage(NamedTuple):
    """One message as the broker delivered it; `delivery` acknowledges it."""

    topic: str
    payload: bytes
    delivery: tuple[int, int]  # connection and packet: an ack is good on its own connection only


class Inbox(Protocol):
    """Where messages come from; the seam to whatever broker is behind it."""

    def receive(self, most: int, wait_s: float) -> Sequence[ReceivedMessage]:
        """Up to `most` messages: waits for the first, then takes what is there."""
        ...

    def acknowledge(self, messages: Sequence[ReceivedMessage]) -> None:
        """The messages are committed; the broker may forget them."""
        ...


class Outbox(Protocol):
    """Where the collector publishes."""

    def publish(self, topic: str, payload: bytes, retain: bool) -> None:
        """Hand over one message; lost if the link is down: what is retained is published again."""
        ...

    def flush(self) -> None:
        """Send what was handed over; without it, that waits for the next `receive`."""
        ...
