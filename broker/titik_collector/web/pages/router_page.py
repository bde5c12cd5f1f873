"""`/router/NAME`: one router, for whoever repairs it."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from titik_collector.web import asked_past, happenings
from titik_collector.web.rendering import city_of, render

DAYS = 30  # of events


async def _router(request: Request) -> Response:
    view, name = city_of(request), request.path_params["name"]
    status = view.snapshot.status
    router = next((one for one in status.routers() if one.name == name), None)
    if router is None:
        raise HTTPException(404)
    happened = await view.ask(happenings.of({name}, view, DAYS))
    return render(
        request,
        "router.html",
        of=f"router/{name}",
        router=router,
        sample=router.sample,
        happened=happened,
        titles=happenings.titles(status),
        links=happenings.links(status),
        stands_at={},
        days=DAYS,
        strip_days=await view.ask(asked_past.days(view.config, "router", name, view.now_ms)),
    )


ROUTES = [Route("/router/{name}", _router)]
