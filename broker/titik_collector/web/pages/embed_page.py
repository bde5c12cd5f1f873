"""`/embed/site/NAME` and `/badge/NAME.svg`: one place inside a page of somebody else.

Rule: neither reads nor sets a cookie; what is chosen is in the address.
Rule: only the pages that the configuration names may show it in a frame.
"""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from titik_collector.web.headers import policy
from titik_collector.web.places import Place, places
from titik_collector.web.rendering import city_of, render

KEPT = "public, max-age=60"  # by whoever stands between
SHARED = {"Cache-Control": KEPT, "Cross-Origin-Resource-Policy": "cross-origin"}


def _place(request: Request) -> Place:
    view, name = city_of(request), request.path_params["name"]
    found = (one for one in view.snapshot.status.sites if one.name == name)
    for place in places(view.config, found):
        return place
    raise HTTPException(404)


async def _embed(request: Request) -> Response:
    answer = render(request, "embed.html", place=_place(request), keeps=False)
    allowed = city_of(request).config.web.embed_in
    ancestors = " ".join(allowed) or "'none'"
    answer.headers["Content-Security-Policy"] = policy(frame_ancestors=ancestors)
    answer.headers["Cache-Control"] = KEPT
    return answer


async def _badge(request: Request) -> Response:
    answer = render(request, "badge.svg", place=_place(request), keeps=False)
    return Response(
        answer.body,
        media_type="image/svg+xml",
        headers={**SHARED, "Content-Security-Policy": "default-src 'none'"},
    )


ROUTES = [Route("/embed/site/{name}", _embed), Route("/badge/{name}.svg", _badge)]
