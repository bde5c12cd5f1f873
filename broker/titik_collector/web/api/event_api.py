"""`/api/v1/events`: what happened, as `titik events` has it."""

from starlette.requests import Request
from starlette.responses import Response

from titik_collector.outputs.output import Event
from titik_collector.queries import events
from titik_collector.store.database import Database
from titik_collector.web.api import parameters
from titik_collector.web.api.answers import EventAnswer, EventList
from titik_collector.web.api.api_route import ApiRoute
from titik_collector.web.api.parameters import Parameter
from titik_collector.web.api.past_answers import KeptAnswer, past_of
from titik_collector.web.api.replying import reply
from titik_collector.web.api.shapes import encoded
from titik_collector.web.rendering import city_of
from titik_wire import instant
from titik_wire.instant import MINUTE_MS

KEEP_S = 5
COST = 2000  # as of so many windows: events of a month take 20 ms


async def _events(request: Request) -> Response:
    city = city_of(request)
    now_ms = city.snapshot.at_ms
    minute_ms = now_ms // MINUTE_MS * MINUTE_MS
    zone = city.config.city.timezone
    since_ms = parameters.moment(request, "since", "7d", zone, minute_ms)

    def question(db: Database) -> KeptAnswer:
        found = events.gather(db, since_ms, now_ms)
        answer = EventList(since=instant.to_text(since_ms), events=tuple(map(_happened, found)))
        return KeptAnswer(encoded(answer), KEEP_S)

    answer = await past_of(request).get(("events", since_ms), COST, lambda: city.ask(question))
    return reply(request, answer.body, answer.keep_s)


def _happened(one: Event) -> EventAnswer:
    return EventAnswer(
        at=instant.to_text(one.at_ms),
        kind=one.kind,
        name=one.name,
        text=one.text,
        why=one.why or None,
        goes_on=one.goes_on or None,
    )


OFFERED = (
    ApiRoute(
        "/events", "events", "What happened since a time: outages and their causes, and the like",
        (EventList,), _events,
        (Parameter("since", "a length before now, a date or a time", "7d"),),
    ),
)  # fmt: skip
