"""`/site/NAME`: one place: now, what it is, its routers, and when it was away."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from titik_collector.alerts.alert import AlertSubject
from titik_collector.web.forms import render_for_change
from titik_collector.web.place_past import place_past
from titik_collector.web.places import places
from titik_collector.web.planned import work_shown
from titik_collector.web.rendering import city_of


async def _site(request: Request) -> Response:
    view, name = city_of(request), request.path_params["name"]
    snapshot = view.snapshot
    sites = [one for one in snapshot.status.sites if one.name == name]
    found = places(view.config, sites, snapshot.is_true_now)
    if not found:
        raise HTTPException(404)
    (place,) = found
    routers = [one.name for one in place.site.routers]
    past = await place_past(view, "site", name, {name, *routers})
    work = work_shown(request, AlertSubject("site", name))
    return render_for_change(request, "site.html", place=place, **work, **past)


ROUTES = [Route("/site/{name}", _site)]
