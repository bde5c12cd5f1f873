"""`/happened`: what happened in the city, newest first; `days` and `kind` are in the address."""

from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from titik_collector.web import happenings
from titik_collector.web.error_pages import chosen_of
from titik_collector.web.happenings import KINDS
from titik_collector.web.rendering import city_of, look, render

YESTERDAY = "yesterday"
DAYS = ("1", YESTERDAY, "7", "30", "90")


async def _happened(request: Request) -> Response:
    view, query = city_of(request), request.query_params
    days = chosen_of("days", query.get("days", "7"), DAYS)
    kind = chosen_of("kind", query.get("kind"), tuple(KINDS))
    status = view.snapshot.status
    if days == YESTERDAY:
        question = happenings.yesterday(view, kind)
    else:
        question = happenings.everything(view, int(days or "7"), kind)
    found = await view.ask(question)
    day = partial(look(request).language.day, zone=view.config.city.timezone)
    return render(
        request,
        "happened.html",
        days=happenings.by_day(found, day),
        chosen_days=days,
        all_days=DAYS,
        kind=kind,
        titles=happenings.titles(status),
        links=happenings.links(status),
        stands_at=happenings.stands_at(status),
    )


ROUTES = [Route("/happened", _happened)]
