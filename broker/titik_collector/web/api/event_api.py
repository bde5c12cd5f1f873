"""`/api/v1/events`: what happened, as `titik events` has it."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from titik_collector.languages.language import Language
from titik_collector.outputs.output import Event
from titik_collector.queries import events
from titik_collector.store.database import Database
from titik_collector.web import event_words, happenings
from titik_collector.web.api import parameters
from titik_collector.web.api.answers import EventAnswer, EventList
from titik_collector.web.api.api_route import ApiRoute
from titik_collector.web.api.parameters import Parameter
from titik_collector.web.api.past_answers import KeptAnswer, past_of
from titik_collector.web.api.replying import language_of, reply
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
    zone, lang = city.config.city.timezone, language_of(request)
    titles = happenings.titles(city.snapshot.status)
    since_ms = parameters.moment(request, "since", "7d", zone, minute_ms)

    def question(db: Database) -> KeptAnswer:
        found = events.gather(db, since_ms, now_ms)
        answer = EventList(
            since=instant.to_text(since_ms),
            events=tuple(happened(lang, one, titles) for one in found),
        )
        return KeptAnswer(encoded(answer), KEEP_S)

    answer = await past_of(request).get(
        ("events", since_ms, lang.code), COST, lambda: city.ask(question)
    )
    return reply(request, answer.body, answer.keep_s)


def happened(lang: Language, one: Event, titles: Mapping[str, str]) -> EventAnswer:
    """In the language; in English as `titik events` has it."""
    is_english = lang.code == "en"
    return EventAnswer(
        at=instant.to_text(one.at_ms),
        kind=one.kind,
        name=one.name,
        text=one.text if is_english else event_words.text(lang, one, titles),
        why=event_words.why(lang, one) or None,
        goes_on=one.goes_on or None,
        simulated=one.made_up or None,
    )


OFFERED = (
    ApiRoute(
        "/events", "events", "What happened since a time: outages and their causes, and the like",
        (EventList,), _events,
        (Parameter("since", "a length before now, a date or a time", "7d", parameters.PAST),),
    ),
)  # fmt: skip
