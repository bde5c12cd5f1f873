"""`/basemap.geojson`: what the map draws under the places, as the operator's file has it."""

import hashlib

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from titik_collector.web.basemap import Basemap

KEPT_S = 3600


async def _basemap(request: Request) -> Response:
    basemap: Basemap | None = request.app.state.basemap
    if basemap is None:
        raise HTTPException(404)
    tag = f'"{hashlib.sha256(basemap.content).hexdigest()[:16]}"'
    headers = {"ETag": tag, "Cache-Control": f"private, max-age={KEPT_S}"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(basemap.content, media_type="application/geo+json", headers=headers)


ROUTES = [Route("/basemap.geojson", _basemap)]
