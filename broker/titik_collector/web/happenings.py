"""What happened, as pages list it: newest first, by the day of the city."""

from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from itertools import groupby

from titik_collector.figures.scope import FOR_EVER_MS
from titik_collector.figures.windows import Calendar, Span
from titik_collector.languages.codes import marked
from titik_collector.limits import MAX_HAPPENED
from titik_collector.outputs.output import Event
from titik_collector.queries import events
from titik_collector.queries.events import SERVER
from titik_collector.queries.status import CityStatus
from titik_collector.store.database import Database
from titik_collector.web.city_view import CityView
from titik_wire.instant import DAY_MS

CITY = "city"  # the name of what all routers did
# What events are called, by their kind.
KINDS = {
    "outage": marked("outage"),
    "server": marked("server"),
    "lost": marked("lost data"),
    "registered": marked("new router"),
    "removed": marked("router removed"),
    "revoked": marked("access revoked"),
    "clone": marked("two devices, one name"),
}
# Why the server heard nothing.
SERVER_CAUSES = {
    "broker": marked("no broker"),
    "store": marked("nothing was stored"),
    "collector": marked("no collector"),
    "line": marked("routers could not reach the server"),
}


def of(names: AbstractSet[str], view: CityView, days: int) -> Callable[[Database], list[Event]]:
    """The question for what these did, or the whole city with them; newest first."""
    wanted = {*names, CITY, SERVER}
    since_ms = view.now_ms - days * DAY_MS
    return lambda db: _newest(db, view, Span(since_ms, FOR_EVER_MS), lambda one: one.name in wanted)


def everything(view: CityView, days: int, kind: str | None) -> Callable[[Database], list[Event]]:
    """The question for all, or all of one kind."""
    since_ms = view.now_ms - days * DAY_MS
    return lambda db: _newest(
        db, view, Span(since_ms, FOR_EVER_MS), lambda one: kind in (None, one.kind)
    )


def yesterday(view: CityView, kind: str | None) -> Callable[[Database], list[Event]]:
    """The question for what began or went on in the day before the city's today."""
    span = Calendar(view.config.city.timezone).day_before(view.now_ms)
    return lambda db: _newest(db, view, span, lambda one: kind in (None, one.kind))


def _newest(
    db: Database,
    view: CityView,
    span: Span,
    is_wanted: Callable[[Event], bool],
) -> list[Event]:
    found = events.gather(db, span.start_ms, view.now_ms, span.end_ms)[::-1]
    return [one for one in found if is_wanted(one)][:MAX_HAPPENED]


def titles(city: CityStatus) -> dict[str, str]:
    """How people call what an event is of."""
    sites = {one.name: one.line.title for one in city.sites}
    return {CITY: city.line.title, SERVER: "Server", **sites}


def links(city: CityStatus) -> dict[str, str]:
    """Which screen an event's name leads to; a site goes before a router of its name."""
    routers = {one.name: "router" for one in city.routers()}
    return {**routers, **{one.name: "site" for one in city.sites}}


def stands_at(city: CityStatus) -> dict[str, str]:
    """The title of each router's site."""
    return {one.name: site.line.title for site in city.sites for one in site.routers}


def by_day(found: Iterable[Event], day: Callable[[int], str]) -> list[tuple[str, list[Event]]]:
    """In the order in which they are; `day` names the day of a moment."""
    return [(name, list(group)) for name, group in groupby(found, lambda one: day(one.at_ms))]
