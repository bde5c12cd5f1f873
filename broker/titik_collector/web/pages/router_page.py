"""`/router/NAME`: one router, for whoever repairs it."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from titik_collector.alerts.alert import AlertSubject
from titik_collector.web.forms import render_for_change
from titik_collector.web.place_past import place_past
from titik_collector.web.planned import work_shown
from titik_collector.web.rendering import city_of


async def _router(request: Request) -> Response:
    view, name = city_of(request), request.path_params["name"]
    routers = view.snapshot.status.routers()
    router = next((one for one in routers if one.name == name), None)
    if router is None:
        raise HTTPException(404)
    past = await place_past(view, "router", name, {name})
    work = work_shown(request, AlertSubject("router", name))
    return render_for_change(
        request, "router.html", router=router, sample=router.sample, **work, **past
    )


ROUTES = [Route("/router/{name}", _router)]
