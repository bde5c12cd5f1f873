"""What people entered that changes who gets a message: acknowledgements, silences, maintenance."""

from dataclasses import dataclass
from typing import NamedTuple

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
