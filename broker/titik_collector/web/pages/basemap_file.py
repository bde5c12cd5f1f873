"""What the map draws under the places, as the operator's file has it.

Rule: of `/basemap.pmtiles` browsers ask for a part at a time, so no more than a part is in memory.
"""

import hashlib

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from titik_collector.web.basemap import Basemap
from titik_collector.web.streets import Streets

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


async def _streets(request: Request) -> Response:
    """With `Range`, `If-Range` and a tag of its size and time: a new file is noticed at once."""
    streets: Streets | None = request.app.state.streets
    if streets is None or not streets.file.is_file():
        raise HTTPException(404)
    headers = {
        "Cache-Control": f"private, max-age={KEPT_S}",
        "Content-Encoding": "identity",  # so that nothing compresses a part, and counts other bytes
    }
    return FileResponse(streets.file, media_type="application/vnd.pmtiles", headers=headers)


ROUTES = [Route("/basemap.geojson", _basemap), Route("/basemap.pmtiles", _streets)]
