"""`/wall`: the city for a screen on a wall: scenes that take turns, readable from 3 m.

Rule: what has no room is counted in words; no place is missing without one.
Rule: while something is wrong, a scene of incidents takes its turn, and the head has their number.
Rule: `every` seconds is a scene shown; it is in the address, as all that is chosen.
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from titik_collector.web import alert_view, alert_words, site_map
from titik_collector.web.error_pages import BadQuery
from titik_collector.web.places import counted, places
from titik_collector.web.rendering import city_of, render

MOST = 12  # places that have room, the worst; wall.css shows as many
MOST_INCIDENTS = 4  # readable from 4 m; wall.css gives each a row
EVERY_S, FASTEST_S, SLOWEST_S = 20, 5, 3600


async def _wall(request: Request) -> Response:
    view, every_s = city_of(request), _seconds(request.query_params.get("every"))
    version = alert_view.version(view)
    snapshot = view.snapshot
    found = places(view.config, snapshot.status.sites, snapshot.is_true_now)
    incidents = alert_view.open_incidents(view)
    return render(
        request,
        "wall.html",
        every_s=every_s,
        incidents=incidents[:MOST_INCIDENTS],
        more_incidents=max(0, snapshot.incidents_open - len(incidents[:MOST_INCIDENTS])),
        incidents_version=version,
        kind_titles=alert_words.KIND_TITLES,
        severities=alert_words.SEVERITIES,
        line=snapshot.status.line,
        places=found,
        counts=counted(found),
        most=MOST,
        rest=counted(found[MOST:]),
        map=site_map.of_city(view.config, found, request.app.state.basemap),
    )


def _seconds(text: str | None) -> int:
    if text is None:
        return EVERY_S
    if not text.isdecimal() or not FASTEST_S <= int(text) <= SLOWEST_S:
        allowed = f"allowed: a whole number from {FASTEST_S} to {SLOWEST_S}"
        raise BadQuery("every", f"{text!r} does not fit", allowed)
    return int(text)


ROUTES = [Route("/wall", _wall)]
