"""What the API answers about alerts, and what it takes from whoever enters something.

Rule: as in `answers`. What is sent has no field but these, because a mistyped one would be lost.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from titik_collector.alerts.alert import Kind, Severity
from titik_collector.alerts.alert import Scope as AlertScope
from titik_collector.limits import MAX_NOTE, MAX_REMARK
from titik_collector.web.api.answers import Moment
from titik_collector.web.api.shapes import About

Number = Annotated[int, About("its number", {"minimum": 1, "examples": [1]})]
Reason = Annotated[str, About("for people who read it later", {"maxLength": MAX_NOTE})]


@dataclass(frozen=True, slots=True, kw_only=True)
class AckEntry:
    """Somebody handles an incident."""

    incident: Number
    note: Reason = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SilenceEntry:
    """No message about some alerts, from now on."""

    alerts: Annotated[str, About("a name, or scope[/name][/kind]: site/taman-tirosa/crowded")]
    until: Annotated[str, About("such as 2h, 3d, 08:00, a date or a time")]
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenanceEntry:
    """Work at the city, a site or a router."""

    place: Annotated[str, About("the name of a site or a router, or `city`")]
    length: Annotated[str, About("such as 90m, 2h or 1d")]
    begin: Annotated[str, About("now, a date or a time; before now it needs a reason")] = "now"
    days: Annotated[tuple[str, ...], About("of each week, with `at`: mon, tue, …")] = ()
    at: Annotated[str, About("the time of those days, such as 02:00")] = ""
    until: Annotated[str, About("with `days`: the last one, such as 2026-12-31; empty: none")] = ""
    reason: Reason = ""
    public: Annotated[bool, About("true: the reason is for people without a login too")] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RemarkEntry:
    """Something about an incident."""

    incident: Number
    text: Annotated[str, About("lines are kept", {"maxLength": MAX_REMARK})]


@dataclass(frozen=True, slots=True, kw_only=True)
class AckAnswer:
    """Who handles an incident."""

    incident: int
    actor: str
    at: Moment
    until: Moment
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SilenceAnswer:
    """No message about some alerts."""

    number: int
    alerts: Annotated[str, About("scope[/name][/kind]")]
    until: Moment
    actor: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenanceAnswer:
    """Work as it was entered."""

    number: int
    scope: Literal["router", "site", "city"]
    name: str
    begin: Moment
    end: Annotated[
        str | None, About("absent: each week, until it is ended", {"format": "date-time"})
    ] = None
    days: Annotated[tuple[str, ...], About("of each week; empty: once")] = ()
    at: Annotated[str | None, About("the time of those days")] = None
    length_ms: Annotated[int | None, About("of each week's")] = None
    actor: str
    reason: str
    public: bool
    retroactive: Annotated[bool, About("true: it began before it was entered")]


@dataclass(frozen=True, slots=True, kw_only=True)
class RemarkAnswer:
    """What somebody wrote."""

    incident: int
    actor: str
    at: Moment
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentAnswer:
    """One incident."""

    number: int
    kind: Kind
    scope: AlertScope
    name: Annotated[str, About("of a group `provider:NAME` or `district:NAME`")]
    title: Annotated[str, About("of what it is about, for people")]
    severity: Severity
    since: Annotated[str, About("when it began", {"format": "date-time"})]
    resolved: Annotated[str | None, About("absent: it goes on", {"format": "date-time"})] = None
    acked_by: Annotated[str | None, About("absent: nobody handles it")] = None
    silenced: bool
    maintenance: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertChange:
    """An alert of an incident that began or ended."""

    at: Moment
    kind: Kind
    scope: AlertScope
    name: str
    became: Literal["inactive", "pending", "firing", "recovering"]


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentWhole:
    """One incident, and all that is known of it."""

    incident: IncidentAnswer
    changes: tuple[AlertChange, ...]
    acks: tuple[AckAnswer, ...]
    remarks: tuple[RemarkAnswer, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertsAnswer:
    """Incidents, and what people entered that counts."""

    at: Moment
    incidents: tuple[IncidentAnswer, ...]
    silences: tuple[SilenceAnswer, ...]
    maintenance: tuple[MaintenanceAnswer, ...]
