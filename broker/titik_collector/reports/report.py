"""A report as data: who and when it is about, and what is known of it.

Rule: it is frozen as it stands here. So a report of long ago is read again without the store.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from titik_collector.figures.windows import Span
from titik_collector.languages.codes import marked
from titik_collector.queries.availability import Availability, Party

ReportKind = Literal["city", "provider", "district", "site"]
KINDS: Final[tuple[ReportKind, ...]] = ("city", "provider", "district", "site")
PARTY_WORDS: Final[Mapping[Party, str]] = {
    "power": marked("electric power"),
    "provider": marked("internet provider"),
    "equipment": marked("equipment"),
    "us": marked("our own work"),
    "unknown": marked("not known"),
}


class ReportSubject(NamedTuple):
    """What a report is about; a site by its name, a group by what its fact says."""

    kind: ReportKind
    name: str
    title: str


class Use(NamedTuple):
    """Devices, traffic and visits of a stretch of time."""

    span: Span
    clients: float | None  # mean; None: not known
    coverage: float | None  # of the time of the places; None: none was there
    down_bytes: int | None  # over Wi-Fi; None: nothing is known
    up_bytes: int | None
    traffic_coverage: float | None  # of the same time
    visits_min: int | None  # different devices of each day and router, at least
    visits_max: int | None
    flow_offload: float | None = None  # of the time of the places; its bytes may be too low


class Peak(NamedTuple):
    """When most devices were there."""

    span: Span
    clients: float  # mean


@dataclass(frozen=True, slots=True)
class Headline:
    """What a report says in one line."""

    use: Use
    availability: Availability
    regardless: Availability  # as if nothing were excluded
    places: int
    interruptions: int


@dataclass(frozen=True, slots=True)
class PlaceHeadline:
    """One place, or one group of them."""

    subject: ReportSubject
    headline: Headline


@dataclass(frozen=True, slots=True)
class ReportedInterruption:
    """A line of the sheet that a claim is made with."""

    site: str
    title: str
    provider: str | None
    circuit: str | None
    span: Span
    lost_ms: int  # of it, while the place was open
    cause: str
    party: Party
    evidence: str | None
    goes_on: bool  # at the end of the report's time


@dataclass(frozen=True, slots=True)
class ReportedMaintenance:
    """Maintenance that is excluded."""

    scope: str
    name: str
    span: Span
    reason: str
    is_retroactive: bool  # it was entered after it had begun to count


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Of one subject and one month or year."""

    period: str
    subject: ReportSubject
    span: Span  # what of the period is over
    made_ms: int
    headline: Headline
    before: Headline | None  # of the period before; None: nothing is known of it
    peak_hour: Peak | None
    busiest_day: Peak | None
    parts: tuple[Use, ...]  # days of a month, months of a year
    places: tuple[PlaceHeadline, ...] = ()  # of more than one, the least available first
    providers: tuple[PlaceHeadline, ...] = ()
    districts: tuple[PlaceHeadline, ...] = ()
    interruptions: tuple[ReportedInterruption, ...] = ()
    left_out: int = 0  # interruptions beyond these, the shortest ones
    planned: tuple[ReportedMaintenance, ...] = ()
    planned_left_out: int = 0  # maintenance beyond these
    is_over: bool = True  # the period
    is_simulated: bool = False  # has time that a demo invented
    has_hours: bool = False  # some place has opening hours
    revision: int | None = None  # None: it is provisional
    frozen_ms: int | None = None

    @property
    def is_unchecked(self) -> bool:
        """No router asked the internet."""
        found = self.headline.availability
        return found.available_ms > 0 and found.unchecked_ms == found.available_ms

    @property
    def is_partly_checked(self) -> bool:
        """Some did not."""
        return self.headline.availability.unchecked_ms > 0 and not self.is_unchecked
