"""`/`: the city now, its places, problems first.

Rule: what is chosen is in the address: `q` words, `state` one state, `sort` the order, `group` by
a fact, facts such as `provider`.
Rule: `renewed=alerts` has the section of incidents alone. Every open page asks for it when an
incident changes, and the places are the dear part.
Rule: `all` shows all of many places, and `place` is the one whose day is beside the map.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from titik_collector.config.model import Config
from titik_collector.languages.codes import marked
from titik_collector.web import alert_view, alert_words, place_groups, site_map
from titik_collector.web.city_view import CityView
from titik_collector.web.error_pages import chosen_of
from titik_collector.web.place_groups import KEYS
from titik_collector.web.places import (
    STATES,
    Place,
    by_devices,
    chosen,
    counted,
    natural,
    places,
)
from titik_collector.web.rendering import city_of, render

SORTS = {"problems": marked("problems"), "devices": marked("devices"), "name": marked("name")}
MOST_INCIDENTS = 3
MOST = 30  # places at once; of more the worst are shown, and groups begin closed


async def _now(request: Request) -> Response:
    if request.query_params.get("renewed") == "alerts":
        return render(request, "now_renewed.html", **_incidents(city_of(request)))
    return _whole(request)


def _whole(request: Request) -> Response:
    view, query = city_of(request), request.query_params
    state = chosen_of("state", query.get("state"), STATES)
    sort = chosen_of("sort", query.get("sort"), tuple(SORTS)) or next(iter(SORTS))
    key = chosen_of("group", query.get("group"), tuple(KEYS))
    snapshot = view.snapshot
    every = places(view.config, snapshot.status.sites, snapshot.is_true_now)
    wanted = {one: query[one] for one in KEYS if one in query}
    these = place_groups.chosen_by(every, wanted)
    found = chosen(these, query.get("q", ""), None)
    shown = chosen(found, "", state)
    if sort == "name":
        shown = sorted(shown, key=lambda one: natural(one.title))
    if sort == "devices":
        shown = sorted(shown, key=by_devices)
    names = {one.name for one in shown}
    ordered = [*shown, *(one for one in these if one.name not in names)]
    if key is not None:
        groups = place_groups.grouped(ordered, key, snapshot.at_ms, sort)
    else:
        groups = [place_groups.together(ordered, snapshot.at_ms)] if wanted and ordered else []
    return render(
        request,
        "now.html",
        **_incidents(view),
        line=snapshot.status.line,
        every=every,
        found={one.name for one in found},
        shown=names,
        places=ordered,
        groups=groups,
        group=key,
        wanted=wanted,
        keys=place_groups.offered(these, key),
        titles=KEYS,
        many=len(shown) > MOST,
        most=MOST,
        all=chosen_of("all", query.get("all"), ("yes",)),
        all_counts=counted(every),
        counts=counted(found),
        words=query.get("q", ""),
        state=state,
        sort=sort,
        sorts=SORTS,
        day=_day(view.config, every, query.get("place")),
        map=site_map.of_city(view.config, these, request.app.state.basemap),
    )


def _incidents(view: CityView) -> dict[str, Any]:
    """What both templates draw them from."""
    version = alert_view.version(view)
    incidents = alert_view.open_incidents(view)
    return {
        "incidents": incidents[:MOST_INCIDENTS],
        "incidents_version": version,
        "more_incidents": max(0, len(incidents) - MOST_INCIDENTS),
        "kind_titles": alert_words.KIND_TITLES,
        "severities": alert_words.SEVERITIES,
    }


@dataclass(frozen=True, slots=True)
class PlaceDay:
    """Whose day stands beside the map."""

    subject: str  # as the API has it: site/NAME or city/NAME
    title: str
    place: str | None  # None: the city


def _day(config: Config, every: Sequence[Place], name: str | None) -> PlaceDay:
    """A place that is not there any more is the city."""
    for one in every:
        if one.name == name:
            return PlaceDay(f"site/{name}", one.title, name)
    return PlaceDay(f"city/{config.city.name}", config.city.title, None)


ROUTES = [Route("/", _now)]
