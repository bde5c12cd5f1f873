"""`/`: the city now, its places, problems first."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from titik_collector.web import site_map
from titik_collector.web.rendering import city_of, render

ORDER = ("offline", "silent", "unknown", "online")


async def _now(request: Request) -> Response:
    snapshot = city_of(request).snapshot
    sites = sorted(
        snapshot.status.sites,
        key=lambda one: (ORDER.index(one.now.state), one.line.title.casefold()),
    )
    drawn = site_map.of_city(
        city_of(request).config, snapshot.status.sites, request.app.state.basemap
    )
    return render(request, "now.html", snapshot=snapshot, sites=sites, map=drawn)


ROUTES = [Route("/", _now)]
