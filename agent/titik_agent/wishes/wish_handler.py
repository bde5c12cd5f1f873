"""What handles one kind of wish: settings, certificate, upgrade or request.

Each kind is a module of this room, built in `assemble.py`. It overrides what it needs.

Rule: everything is called in the connection's thread, so nothing here waits. Work that takes
longer has a thread of its own, which sets what it found and calls `desk.wake`.
Rule: what a handler raises is a bug. It costs the wish, and never the connection.
"""

import math
from dataclasses import replace
from typing import Any, Final, Literal, Protocol

from titik_wire.fleet_messages import Outcome, RouterReply, Running
from titik_wire.limits import MAX_TITLE

BUG: Final = "error in the agent, see its log"

State = Literal["applied", "trying", "refused", "rolled-back"]


class WishDesk(Protocol):
    """What a handler is given; see `Dispatch`."""

    router: str

    def monotonic(self) -> float:
        """Seconds, for deadlines."""

    def wall_ms(self) -> int:
        """By the router's clock, which may be wrong."""

    def newest_seq(self) -> int:
        """The newest sample of this run that was published as the present."""

    def is_collected(self) -> bool:
        """Whether a collector is online, so that an ack may be expected."""

    def changed(self) -> None:
        """What `report` says is another; in the connection's thread."""

    def answer(self, reply: RouterReply) -> None:
        """Send a reply; a newer one takes the place of one that waits."""

    def wake(self) -> None:
        """Call `step` soon; from any thread."""


class WishHandler:
    """Handles nothing; a message is one of the kind that it is built for."""

    def __init__(self, desk: WishDesk) -> None:
        self.desk = desk
        self.outcome: Outcome | None = None  # of the newest wish

    def received(self, message: Any) -> None:
        """A wish that keeps the contract; the same one comes again at each connection."""

    def withdrawn(self) -> None:
        """The city wishes nothing any more."""

    def refused(self, revision: int | None, reason: str) -> None:
        """A wish that breaks the contract, or that a later version would understand.

        `revision`: None where not even that can be read.
        """
        if revision is not None:
            self.becomes(revision, "refused", reason)

    def connected(self) -> None:
        """The broker accepted us; a retained wish comes soon, if there is one."""

    def disconnected(self) -> None:
        """The connection is gone."""

    def acked(self, seq: int) -> None:
        """A collector has this sample of this run, the newest that it acknowledged."""

    def step(self, now: float) -> float:  # noqa: ARG002
        """Do what is due, while connected; when to call again, on the monotonic clock."""
        return math.inf

    def report(self, running: Running) -> Running:
        """The same with what became of this kind of wish."""
        return running

    def close(self) -> None:
        """The agent ends as it should."""

    def becomes(self, revision: int, state: State, reason: str | None = None) -> None:
        """Set the outcome, which is published if it is another than before."""
        before = self.outcome
        found = Outcome(revision, state, None if reason is None else plain(reason))
        if before is None or replace(before, since=None) != found:
            self.outcome = replace(found, since=self.desk.wall_ms())
            self.desk.changed()


def plain(text: str) -> str:
    """As the contract has a title: printable, and not too long."""
    return "".join(char for char in text if char.isprintable())[:MAX_TITLE]
