"""What people entered that the collector acts on: about alerts, planned work, and routers."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from titik_collector.alerts.alert import AlertSubject


class Acknowledgement(NamedTuple):
    """Somebody handles an incident; until it is resolved, or until it ends."""

    incident: int
    actor: str
    at_ms: int
    until_ms: int
    note: str = ""


class Silence(NamedTuple):
    """No message about some alerts for a while; `kind` None: of every kind.

    A subject without a name is all of its scope.
    """

    number: int
    subject: AlertSubject
    kind: str | None
    from_ms: int
    until_ms: int
    actor: str
    reason: str


class Maintenance(NamedTuple):
    """One stretch of planned work at the city, a site or a router."""

    number: int
    subject: AlertSubject
    from_ms: int
    to_ms: int
    actor: str
    reason: str
    is_public: bool = False
    is_retroactive: bool = False  # entered after it had begun to count


class AskedQuestion(NamedTuple):
    """Somebody wants to know how a router is, now."""

    router: str
    id: str  # on the wire
    actor: str
    at_ms: int


OrderState = Literal["runs", "paused", "stopped"]


class RolloutOrder(NamedTuple):
    """An upgrade of routers in waves, as somebody ordered it."""

    number: int
    version: str
    scope: Literal["city", "site", "tag"]
    name: str  # of the site or the tag
    canaries: int
    percent: int  # of the routers, in each wave
    actor: str
    at_ms: int
    state: OrderState = "runs"
    resumes: int = 0  # how often somebody let it go on


class DeliveryTime(NamedTuple):
    """When a message about an incident first reached anybody."""

    incident: int
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskFacts:
    """All that counts now; what is over is left out."""

    acks: tuple[Acknowledgement, ...] = ()
    silences: tuple[Silence, ...] = ()
    maintenance: tuple[Maintenance, ...] = ()
    delivered: tuple[DeliveryTime, ...] = ()
    questions: tuple[AskedQuestion, ...] = ()
    rollout: RolloutOrder | None = None  # the newest
