"""What the API answers: one frozen class for each kind of answer, and for its parts.

Rule: names and units are those of the contract (docs/wire.md). What is not known is absent.
Rule: fields are only added; a program ignores those that it does not know.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from titik_collector.figures.windows import Window
from titik_collector.queries.columnar import FIELDS
from titik_collector.web.api.shapes import About
from titik_wire.kinds import SLUG

Scope = Literal["router", "site", "city"]
State = Literal["online", "silent", "offline", "unknown"]
Slug = Annotated[str, About("name, as in topics", {"pattern": f"^{SLUG}$"})]
Moment = Annotated[str, About("time", {"format": "date-time"})]
Count = Annotated[int | None, About("how many; absent: not known", {"minimum": 0})]
Ratio = Annotated[float | None, About("share of one", {"minimum": 0, "maximum": 1})]
Rate = Annotated[int | None, About("bits a second", {"minimum": 0})]


@dataclass(frozen=True, slots=True, kw_only=True)
class PresentFigures:
    """This moment of a router, a site or the city."""

    name: Slug
    title: Annotated[str, About("the name people read")]
    state: Annotated[State, About("silent: connected, and no samples come")]
    at: Annotated[str, About("when the figures were taken", {"format": "date-time"})]
    age_ms: Annotated[int, About("how old they are", {"minimum": 0})]
    routers_online: Annotated[int, About("routers that are online", {"minimum": 0})]
    routers_known: Annotated[int, About("routers that are registered", {"minimum": 0})]
    coverage_ratio: Annotated[
        float | None,
        About("share of the last hour that samples cover", {"minimum": 0, "maximum": 1}),
    ] = None
    clients: Count = None
    active: Count = None
    wifi_down_bps: Rate = None
    wifi_up_bps: Rate = None
    uplink_down_bps: Rate = None
    uplink_up_bps: Rate = None
    off_air: Annotated[
        bool | None, About("true: the Wi-Fi is off, of a site that of all routers online")
    ] = None
    revoked: Annotated[bool | None, About("true: a router that has no access")] = None
    flow_offload: Annotated[
        bool | None, About("true: rates may be too low, because flow offload is on")
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SitePresent(PresentFigures):
    """This moment of a site, and where it is."""

    latitude: Annotated[float | None, About("degrees north")] = None
    longitude: Annotated[float | None, About("degrees east")] = None
    capacity: Annotated[int | None, About("how many visitors it is meant for at once")] = None
    uplink_mbps: Annotated[float | None, About("what its lines can carry, in Mbit/s")] = None
    provider: Annotated[str | None, About("who provides its line")] = None
    circuit: Annotated[str | None, About("the number of that line; for people with a login")] = None
    district: Annotated[str | None, About("the part of the city it lies in")] = None
    power: Annotated[str | None, About("what powers it")] = None
    hours: Annotated[str | None, About("when it is open, as OpenStreetMap writes it")] = None
    tier: Annotated[int | None, About("how much it matters; 1 is the most important")] = None
    tags: Annotated[tuple[str, ...], About("words of the operator's")] = ()
    is_open: Annotated[bool | None, About("now, by its hours")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterPresent(PresentFigures):
    """This moment of a router, and what it last reported of itself."""

    site: Annotated[str | None, About("where it stands")] = None
    since: Annotated[
        str | None, About("since when its state is what it is", {"format": "date-time"})
    ] = None
    cause: Annotated[str | None, About("why it is away, if that is known")] = None
    version: Annotated[str | None, About("of its agent")] = None
    firmware: Annotated[str | None, About("of the router")] = None
    model: Annotated[str | None, About("of the router")] = None
    failed: Annotated[tuple[str, ...], About("sources that cannot be read")] = ()
    problems: Annotated[tuple[str, ...], About("what to look at, in the language asked for")] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CitySeen:
    """When the city was looked at, and whether what was seen may still be so."""

    at: Moment
    true_now: Annotated[bool, About("false: the store or the server fails; see `problems`")]
    problems: Annotated[tuple[str, ...], About("of the server, in the language asked for")] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CityNow(CitySeen):
    """The city and its sites now."""

    city: PresentFigures
    sites: tuple[SitePresent, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutersNow(CitySeen):
    """Every router now, as lists: one place in each for each router."""

    name: tuple[str, ...]
    site: tuple[str | None, ...]
    state: tuple[State, ...]
    age_ms: tuple[int, ...]
    coverage_ratio: tuple[float | None, ...]
    clients: tuple[int | None, ...]
    active: tuple[int | None, ...]
    wifi_down_bps: tuple[int | None, ...]
    wifi_up_bps: tuple[int | None, ...]
    uplink_down_bps: tuple[int | None, ...]
    uplink_up_bps: tuple[int | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sites(CitySeen):
    """Every site that is registered."""

    sites: tuple[SitePresent, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteAnswer(CitySeen):
    """A site and its routers."""

    site: SitePresent
    routers: tuple[RouterPresent, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterAnswer(CitySeen):
    """A router."""

    router: RouterPresent


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryAnswer:
    """A history as lists: one place in each for each window, gaps included."""

    scope: Scope
    name: Slug
    title: str
    window: Annotated[Window, About("length of a window")]
    zone: Annotated[str, About("hours and days are of this time zone")]
    revision: Annotated[int, About("the highest of its windows", {"minimum": 0})]
    start_ms: Annotated[tuple[int, ...], About("when each window begins, since 1970 UTC")]
    end_ms: Annotated[int, About("when the last one ends")]
    figures: Annotated[
        Mapping[str, tuple[float | None, ...]],
        About(
            "by the contract's names of fields; null: not known. A coverage_ratio of 0 is a gap."
            " online_ratio: share of the known time that is over in which routers were online.",
            {"propertyNames": {"enum": [*FIELDS, "online_ratio"]}},
        ),
    ]
    pending: Annotated[
        tuple[tuple[int, int], ...], About("time that is still to be computed, from and to in ms")
    ] = ()
    simulated: Annotated[
        tuple[int, int] | None, About("time that a demo made up, from and to in ms")
    ] = None
    maintenance: Annotated[
        tuple[tuple[int, int], ...], About("time of planned work, from and to in ms")
    ] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StripCause:
    """Why routers were away on a day."""

    cause: str
    outages: Annotated[int, About("how many", {"minimum": 1})]
    away_ms: Annotated[int, About("how long together, on that day", {"minimum": 0})]


@dataclass(frozen=True, slots=True, kw_only=True)
class DayOutage:
    """One of the longest outages of a day, whole."""

    router: str
    start: Moment
    end: Annotated[str | None, About("absent: it is not over", {"format": "date-time"})] = None
    cause: str = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class DayAnswer:
    """One day at a glance; without a ratio it is a gap."""

    start: Moment
    end: Moment
    online_ratio: Ratio = None
    coverage_ratio: Ratio = None
    server_ms: Annotated[int, About("in which the server could not hear", {"minimum": 0})] = 0
    causes: tuple[StripCause, ...] = ()
    longest: tuple[DayOutage, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StripAnswer:
    """The newest days, the oldest first; the last one goes on."""

    scope: Scope
    name: Slug
    zone: str
    days: tuple[DayAnswer, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatAnswer:
    """A figure by day and hour of the clock: 24 places for each day."""

    scope: Scope
    name: Slug
    title: str
    zone: str
    measure: str
    day_ms: Annotated[tuple[int, ...], About("when each day begins, since 1970 UTC")]
    values: Annotated[tuple[tuple[float | None, ...], ...], About("null: not known, or skipped")]
    coverage_ratio: tuple[tuple[float | None, ...], ...]
    skipped: Annotated[
        tuple[tuple[int, int], ...], About("place of the day, and hour that no clock showed")
    ]
    highest: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventAnswer:
    """One event."""

    at: Moment
    kind: Annotated[str, About("outage, server, registered, removed, revoked, lost or clone")]
    name: Annotated[str, About("of the router, site or city; `server` for the server")]
    text: Annotated[str, About("in the language asked for")]
    why: Annotated[str | None, About("what a cause is concluded from, likewise")] = None
    goes_on: Annotated[bool | None, About("true: it is not over")] = None
    simulated: Annotated[bool | None, About("true: a demo made it up")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventList:
    """What happened, the oldest first; the newest are kept where there are too many."""

    since: Moment
    events: tuple[EventAnswer, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SitePlace:
    """Where a site is, as GeoJSON has it."""

    coordinates: Annotated[tuple[float, float], About("degrees east, degrees north")]
    type: Literal["Point"] = "Point"


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteFeature:
    """A site with its place."""

    id: str
    geometry: SitePlace
    properties: SitePresent
    type: Literal["Feature"] = "Feature"


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteFeatures:
    """Every site whose place is known, as GeoJSON (RFC 7946)."""

    features: tuple[SiteFeature, ...]
    type: Literal["FeatureCollection"] = "FeatureCollection"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemAnswer:
    """Why there is no answer (RFC 9457)."""

    title: str
    status: int
    detail: Annotated[str, About("what is wrong, and what to do")]
    type: str = "about:blank"
    field: Annotated[str | None, About("the parameter that is wrong")] = None
    next: Annotated[str | None, About("an address that answers the first part")] = None
    id: Annotated[str | None, About("number of the error in the server's log")] = None
