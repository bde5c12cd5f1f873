"""The result of saving a batch: how many were stored, refused or malformed; data."""

from dataclasses import dataclass, field

from titik_collector.received import Arrived
from titik_collector.store.malformed import MALFORMED, CountName
from titik_wire.fleet_messages import RouterReply, Running


@dataclass(slots=True)
class Saved:
    """Counts of messages, and what the collector publishes because of them."""

    stored: int = 0
    duplicates: int = 0
    malformed: int = 0
    later_version: int = 0
    capped: int = 0
    unregistered: int = 0
    routers: dict[int, str] = field(default_factory=dict)  # id and name of those to be acked
    fresh: list[tuple[int, Arrived]] = field(default_factory=list)  # live and stored, with router
    prompt: set[int] = field(default_factory=set)  # whose newest fresh one came as it was taken
    running: list[tuple[int, Running]] = field(default_factory=list)  # with router
    wishes: set[int] = field(default_factory=set)  # routers that have another wish now
    replies: list[tuple[int, RouterReply]] = field(default_factory=list)  # with router

    def counts(self) -> dict[CountName, int]:
        """What the store counts of it."""
        return {
            MALFORMED: self.malformed,
            "later_version": self.later_version,
            "capped": self.capped,
            "unregistered": self.unregistered,
        }

    def add(self, other: "Saved") -> None:
        """Another batch, too."""
        self.stored += other.stored
        self.duplicates += other.duplicates
        self.malformed += other.malformed
        self.later_version += other.later_version
        self.capped += other.capped
        self.unregistered += other.unregistered
        self.routers |= other.routers
        self.fresh += other.fresh
        self.prompt |= other.prompt
        self.running += other.running
        self.wishes |= other.wishes
        self.replies += other.replies
