"""`/site/NAME`: one place: now, what it is, its routers, and when it was away."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from titik_collector.web import asked_past, happenings
from titik_collector.web.places import places
from titik_collector.web.rendering import city_of, render

DAYS = 30  # of events


async def _site(request: Request) -> Response:
    view, name = city_of(request), request.path_params["name"]
    snapshot = view.snapshot
    found = places(view.config, (one for one in snapshot.status.sites if one.name == name))
    if not found:
        raise HTTPException(404)
    (place,) = found
    routers = [one.name for one in place.site.routers]
    happened = await view.ask(happenings.of({name, *routers}, view, DAYS))
    return render(
        request,
        "site.html",
        of=f"site/{name}",
        place=place,
        happened=happened,
        titles=happenings.titles(snapshot.status),
        links=happenings.links(snapshot.status),
        stands_at={},
        days=DAYS,
        strip_days=await view.ask(asked_past.days(view.config, "site", name, view.now_ms)),
    )


ROUTES = [Route("/site/{name}", _site)]
