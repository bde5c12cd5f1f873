"""What an output is, and what it can report: presence, `now`, finished windows, events.

Rule: an output gets what is true, after it is in the store. It may get the same thing twice.
Rule: an output reads no store and waits for nothing that belongs to the collector.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from titik_wire.city_messages import Now, Rollup


@dataclass(frozen=True, slots=True)
class PresenceChange:
    """A router's presence, or the run of its agent, is another than before."""

    router: str
    site: str | None
    state: str  # online, silent, offline or unknown
    since_ms: int


class FinishedWindow(NamedTuple):
    """A window that is over, or was computed again."""

    rollup: Rollup
    is_newest: bool  # no window of its length is later


@dataclass(frozen=True, slots=True)
class Event:
    """One line of `titik events`: when it began, what of, and what."""

    at_ms: int
    kind: str  # outage, server, registered, removed, revoked, lost or clone
    name: str
    text: str
    why: str = ""  # what a cause is concluded from
    goes_on: bool = False  # it is not over: its text grows with time
    # The same as in the text, for those who word it themselves.
    length_ms: int | None = None
    cause: str = ""  # of an outage or of the server; as the store has it
    number: int = 1  # routers of an outage; samples that are lost
    place: str = ""  # the site of a router that was registered or removed
    made_up: bool = False  # by a demo; a real city has none


class Output(Protocol):
    """Somewhere outside. Inherit from it, and override what will be reported there.

    Each call has one thing or more.
    """

    name: str  # in the log

    def presence_changed(self, changes: Sequence[PresenceChange]) -> None:  # noqa: ARG002
        """Routers are online, silent, offline or unknown now; all after a start and a connect."""
        return

    def now_changed(self, nows: Sequence[Now]) -> None:  # noqa: ARG002
        """These are the present now; all of them after a start and on each new connection."""
        return

    def windows_finished(self, windows: Sequence[FinishedWindow]) -> None:  # noqa: ARG002
        """Windows are over, or were computed again."""
        return

    def events_happened(self, events: Sequence[Event]) -> None:  # noqa: ARG002
        """These are new lines of `titik events`, or say something else than before."""
        return

    def close(self) -> None:
        """The collector ends: nothing comes after this."""
        return
