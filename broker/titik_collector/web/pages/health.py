"""`/healthz`: whether the city is seen now, for any checker of uptime."""

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from titik_collector.web.city_view import Unanswered
from titik_collector.web.rendering import city_of


async def _health(request: Request) -> JSONResponse:
    """200 if what the page shows is true now, else 503; the reasons are for who may look."""
    try:
        problems = city_of(request).snapshot.problems
    except Unanswered as error:
        problems = [str(error)]
    known = {"problems": problems} if request.state.viewer else {}
    return JSONResponse({"ok": not problems, **known}, 503 if problems else 200)


ROUTES = [Route("/healthz", _health)]
