"""`/healthz`: whether the city is seen now, for any checker of uptime."""

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from titik_collector.web.city_view import Unanswered
from titik_collector.web.rendering import city_of


async def _health(request: Request) -> JSONResponse:
    """200 if what the page shows is true now, else 503, with the reasons."""
    try:
        snapshot = city_of(request).snapshot
    except Unanswered as error:
        return JSONResponse({"ok": False, "problems": [str(error)]}, 503)
    warnings = [one.text for one in snapshot.status.warnings if one.level == "critical"]
    problems = [*warnings, *([snapshot.problem] if snapshot.problem else [])]
    return JSONResponse({"ok": not problems, "problems": problems}, 503 if problems else 200)


ROUTES = [Route("/healthz", _health)]
