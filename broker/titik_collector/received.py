"""A received message of a router, or a malformed one, ready to be stored; data."""

from dataclasses import dataclass
from typing import NamedTuple

from titik_wire.fleet_messages import RouterReply, Running
from titik_wire.messages import Sample, Status


class Arrived(NamedTuple):
    """A sample off the wire: `live` if on `sample`, else `backlog`."""

    sample: Sample
    payload: bytes
    live: bool
    arrived_ms: int

    @property
    def router(self) -> str:
        """The name of the router that sent it."""
        return self.sample.router


@dataclass(frozen=True, slots=True)
class StatusReceived:
    """A router's status off the wire."""

    status: Status
    arrived_ms: int

    @property
    def router(self) -> str:
        """The name of the router that it is about."""
        return self.status.router


@dataclass(frozen=True, slots=True)
class RunningReceived:
    """What a router made of the city's wishes, off the wire."""

    running: Running
    arrived_ms: int

    @property
    def router(self) -> str:
        """The name of the router that reports it."""
        return self.running.router


@dataclass(frozen=True, slots=True)
class ReplyReceived:
    """What a router answered to a question, off the wire."""

    reply: RouterReply
    arrived_ms: int

    @property
    def router(self) -> str:
        """The name of the router that was asked."""
        return self.reply.router


@dataclass(frozen=True, slots=True)
class Malformed:
    """A message that broke the contract; `span` is run, first seq and seq if they can be read."""

    topic: str
    payload: bytes
    rule: str
    arrived_ms: int
    router: str | None = None
    span: tuple[str, int, int] | None = None
    later_version: bool = False


Item = Arrived | StatusReceived | RunningReceived | ReplyReceived | Malformed
