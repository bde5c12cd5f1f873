"""Alerts, incidents and messages as data, as the store keeps them and as receivers get them."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

Scope = Literal["router", "site", "group", "city", "server"]
Severity = Literal["info", "warning", "critical"]
Kind = Literal[
    "site-offline",
    "router-offline",
    "group-outage",
    "no-internet",
    "radio-stuck",
    "wifi-unreadable",
    "crowded",
    "uplink-full",
    "hot",
    "samples-lost",
    "flapping",
    "collector-down",
    "broker-down",
    "store-failing",
    "disk-low",
    "certificate-ending",
    "backup-missing",
    "backup-old",
    "backup-unverified",
    "delivery-failing",
    "line-down",
    "copied-city",
    "store-alone",
    "upgrade-halted",
    "unknown-router",
]
Phase = Literal["inactive", "pending", "firing", "recovering"]
What = Literal[
    "firing", "update", "repeat", "escalation", "resolved", "flapping", "digest", "report", "test"
]


class AlertSubject(NamedTuple):
    """What an alert is about; the name of a group is `provider:NAME` or `district:NAME`."""

    scope: Scope
    name: str


class AlertKey(NamedTuple):
    """One alert: a rule and what it is about."""

    kind: Kind
    subject: AlertSubject


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert as it stands; without a row it is inactive."""

    key: AlertKey
    phase: Phase
    known: bool  # false: its condition is not known now
    since_ms: int  # since when it is in this phase
    from_ms: int | None = None  # when what it is about began
    seen_ms: int | None = None  # when its condition was last known
    held_ms: int = 0  # for how long `for` or `keep` has run, without the time that is not known
    incident: int | None = None  # stays while it is inactive, until the incident is forgotten
    value: float | None = None  # of figures: the one that fired


class AlertEvent(NamedTuple):
    """A change of an alert; kept for ever."""

    key: AlertKey
    at_ms: int
    was: Phase
    became: Phase
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """Alerts that are one event."""

    number: int
    subject: AlertSubject
    kind: Kind  # of the alert that it is named after
    severity: Severity
    from_ms: int  # of one that was reopened: when it began again
    opened_ms: int  # first
    resolved_ms: int | None = None  # None: it goes on
    message_ms: int | None = None  # since when messages are wanted; None: they never were

    @property
    def was_reopened(self) -> bool:
        """Whether it was over in between."""
        return self.opened_ms < self.from_ms

    @property
    def first_ms(self) -> int:
        """When it began, or was opened if it began again since."""
        return min(self.from_ms, self.opened_ms)


class Member(NamedTuple):
    """One place or router of an incident, for a message."""

    subject: AlertSubject
    title: str
    from_ms: int
    to_ms: int | None = None  # None: it goes on
    cause: str | None = None
    clients_before: int | None = None
    kind: Kind | None = None  # of a digest: what is wrong there


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What one message says, as facts; `notify` words it in the receiver's language."""

    what: What
    kind: Kind
    severity: Severity
    subject: AlertSubject
    title: str  # of the subject, for people
    from_ms: int
    to_ms: int | None = None  # of what is resolved
    cause: str | None = None
    members: tuple[Member, ...] = ()  # what is down first, the longest first
    places: int | None = None  # so many are down or were, of an incident of several
    of_places: int | None = None  # of so many that its city, provider or district has
    # Of a digest, `members` is what is wrong now, and `places` how much that is in all.
    # Its `value` is how many places are served, of `of_places`.
    value: float | None = None
    threshold: float | None = None
    acked_by: str | None = None
    reopened: bool = False
    notes: tuple[str, ...] = ()  # what else may be the reason, by the names of `words.NOTES`


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One line of the outbox: a message to one receiver, not before a moment."""

    number: int | None  # None: it has no row yet
    incident: int | None  # None: a digest or a test
    receiver: str
    made_ms: int
    due_ms: int
    message: Message
    is_uncapped: bool = False  # a first critical, its resolution, and the server's own alerts
