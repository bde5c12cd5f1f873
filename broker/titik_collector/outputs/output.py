"""What an output is, and what it can report: presence, `now`, finished windows, events.

Rule: an output gets what is true, after it is in the store. It may get the same thing twice.
Rule: an output reads no store and waits for nothing that belongs to the collector.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from titik_wire.messages import Now, Rollup


@dataclass(frozen=True, slots=True)
class PresenceChange:
    """A router's presence, or the run of its agent, is another than before."""

    router: str
    site: str | None
    state: str  # online, silent, offline or unknown
    since_ms: int


@dataclass(frozen=True, slots=True)
class Event:
    """One line of `titik events`: when it began, what of, and what."""

    at_ms: int
    kind: str  # outage, server, registered, removed, revoked, lost or clone
    name: str
    text: str
    why: str = ""  # what a cause is concluded from


class Output(Protocol):
    """Somewhere outside. Inherit from it, and override what is to be reported there."""

    name: str  # in the log

    def presence_changed(self, change: PresenceChange) -> None:  # noqa: ARG002
        """A router is online, silent, offline or unknown now."""
        return

    def now_changed(self, nows: Sequence[Now]) -> None:  # noqa: ARG002
        """These are the present now; all of them after a start and on each new connection."""
        return

    def window_finished(self, rollup: Rollup, newest: bool) -> None:  # noqa: ARG002
        """A window is over, or was computed again; `newest`: none of its length is later."""
        return

    def event_happened(self, event: Event) -> None:  # noqa: ARG002
        """A router was registered or removed, or the server could not hear or be reached."""
        return
