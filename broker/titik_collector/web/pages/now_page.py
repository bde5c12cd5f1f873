"""`/`: the city now, its places, problems first.

Rule: what is chosen is in the address: `q` words, `state` one state, `sort` by name.
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from titik_collector.web import site_map
from titik_collector.web.error_pages import chosen_of
from titik_collector.web.places import STATES, chosen, counted, places
from titik_collector.web.rendering import city_of, render

SORTS = ("problems", "name")


async def _now(request: Request) -> Response:
    view, query = city_of(request), request.query_params
    state = chosen_of("state", query.get("state"), STATES)
    sort = chosen_of("sort", query.get("sort", SORTS[0]), SORTS)
    snapshot = view.snapshot
    every = places(view.config, snapshot.status.sites)
    shown = chosen(every, query.get("q", ""), state)
    if sort == "name":
        shown = sorted(shown, key=lambda one: one.title.casefold())
    names = {one.name for one in shown}
    return render(
        request,
        "now.html",
        line=snapshot.status.line,
        every=every,
        shown=names,
        places=[*shown, *(one for one in every if one.name not in names)],
        counts=counted(every),
        words=query.get("q", ""),
        state=state,
        sort=sort,
        map=site_map.of_city(view.config, every, request.app.state.basemap),
    )


ROUTES = [Route("/", _now)]
