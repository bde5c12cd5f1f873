"""`/about`: the words of the page, what is counted, and what is not known of anybody."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from titik_collector.web.rendering import render


async def _about(request: Request) -> Response:
    return render(request, "about.html")


ROUTES = [Route("/about", _about)]
