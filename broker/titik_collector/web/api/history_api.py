"""`/api/v1/history`, `/strips` and `/heat`: the past as columns, days and hours of the clock."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import replace
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from titik_collector.config.model import Config
from titik_collector.figures.windows import Calendar, Span
from titik_collector.limits import MAX_STRIP
from titik_collector.queries import day_strip, heat_map
from titik_collector.queries.columnar import FIELDS, Columns
from titik_collector.queries.day_strip import StripDay
from titik_collector.queries.heat_map import HeatMap
from titik_collector.queries.history import Subject
from titik_collector.store.database import Database
from titik_collector.store.outages import Outage
from titik_collector.web import asked_past, worked
from titik_collector.web.api import parameters
from titik_collector.web.api.answers import (
    DayAnswer,
    DayOutage,
    HeatAnswer,
    HistoryAnswer,
    StripAnswer,
    StripCause,
)
from titik_collector.web.api.api_route import SLUG, ApiRoute
from titik_collector.web.api.parameters import Parameter
from titik_collector.web.api.past_answers import KeptAnswer, past_of
from titik_collector.web.api.replying import CSV, JSON, reply, wants_csv
from titik_collector.web.api.shapes import encoded
from titik_collector.web.asked_past import AskedTime
from titik_collector.web.error_pages import NotThere
from titik_collector.web.rendering import city_of
from titik_collector.wording import when
from titik_wire import instant

SCOPES = ("router", "site", "city")
KEEP_S, KEEP_CLOSED_S = 10, 300  # of what may still change, and of what should not
ONLINE = "online_ratio"  # no column of a window: it is reckoned from outages
OFFERED_FIELDS = (*FIELDS, ONLINE)
CSV_HEAD = ("scope", "name", "window", "window_start")


async def _history(request: Request) -> Response:
    city = city_of(request)
    scope, name, as_csv = _whose(request)
    asked = asked_past.asked_time(request, city.config, city.snapshot.at_ms, "24h")
    fields = parameters.several(request, "fields", OFFERED_FIELDS)
    count = asked_past.windows(asked)
    asked_past.check_size(count, asked.window or "1d", _next(request, asked))
    work = () if as_csv else await worked.during(city, scope, name, asked.span)

    def question(db: Database) -> KeptAnswer:
        subject = asked_past.find(db, city.config, scope, name)
        columns = [one for one in fields if one != ONLINE]
        (found,) = asked_past.read(db, city.config, [subject], asked, columns)
        if ONLINE in fields:
            shares = day_strip.each_online(db, found, asked.now_ms)
            found = replace(found, figures={**found.figures, ONLINE: shares})
        body = as_text([found], city.config) if as_csv else encoded(_past(found, city.config, work))
        return KeptAnswer(body, KEEP_CLOSED_S if found.is_closed else KEEP_S)

    key = (scope, name, as_csv, asked.span, asked.window, tuple(fields), work)
    answer = await past_of(request).get(key, count, lambda: city.ask(question))
    media = CSV if as_csv else JSON
    return reply(request, answer.body, answer.keep_s, media, **(as_file(name) if as_csv else {}))


async def _strip(request: Request) -> Response:
    city = city_of(request)
    scope, name, _ = _whose(request)
    days = parameters.number(request, "days", 1, MAX_STRIP, day_strip.DAYS)
    now_ms = city.snapshot.at_ms

    def question(db: Database) -> KeptAnswer:
        subject = asked_past.find(db, city.config, scope, name)
        calendar = Calendar(city.config.city.timezone)
        found = day_strip.read(db, subject, calendar, now_ms, days)
        return KeptAnswer(encoded(_days(subject, found, city.config)), KEEP_S)

    answer = await past_of(request).get(
        ("strip", scope, name, days), days * 10, lambda: city.ask(question)
    )
    return reply(request, answer.body, answer.keep_s)


async def _heat(request: Request) -> Response:
    city = city_of(request)
    scope, name, _ = _whose(request)
    asked = asked_past.asked_time(request, city.config, city.snapshot.at_ms, "365d")
    measure = parameters.choice(request, "m", heat_map.MEASURES, heat_map.MEASURES[0]) or ""
    hours = AskedTime(asked.span, "1h", asked.now_ms)
    count = asked_past.windows(hours)
    asked_past.check_size(count, "1h", _next(request, hours))
    zone = city.config.city.timezone

    def question(db: Database) -> KeptAnswer:
        subject = asked_past.find(db, city.config, scope, name)
        found = heat_map.read(db, subject, measure, asked.span, Calendar(zone), zone, asked.now_ms)
        return KeptAnswer(encoded(_heated(found, city.config)), KEEP_S)

    key = ("heat", scope, name, measure, asked.span)
    answer = await past_of(request).get(key, count, lambda: city.ask(question))
    return reply(request, answer.body, answer.keep_s)


def _whose(request: Request) -> tuple[str, str, bool]:
    """Scope, name, and whether it is asked for as CSV."""
    scope, name = request.path_params["scope"], request.path_params["name"]
    if scope not in SCOPES:
        raise NotThere("scope", f"{scope!r} is no scope", "use router, site or city")
    if name.endswith(".csv"):
        return scope, name.removesuffix(".csv"), True
    return scope, name, wants_csv(request)


def _next(request: Request, asked: AskedTime) -> str:
    """The same question for as much as is answered."""
    part = asked_past.first_part(asked)
    query = {
        **dict(request.query_params),
        "from": instant.to_text(part.start_ms),
        "to": instant.to_text(part.end_ms),
    }
    return f"{request.url.path}?{urlencode(query)}"


def as_file(name: str) -> dict[str, str]:
    """A browser saves it under this name."""
    return {"Content-Disposition": f'attachment; filename="{_plain(name)}.csv"'}


def _plain(name: str) -> str:
    return "".join(one for one in name if one.isascii() and (one.isalnum() or one == "-"))


def _past(found: Columns, config: Config, work: Sequence[Span]) -> HistoryAnswer:
    edges = found.edges
    last_ms = edges[-1].end_ms if edges else 0
    return HistoryAnswer(
        scope=found.subject.scope,
        name=found.subject.name,
        title=found.subject.title,
        window=found.window,
        zone=str(config.city.timezone),
        revision=found.revision,
        start_ms=tuple([one.start_ms for one in edges]),
        end_ms=last_ms,
        figures=found.figures,
        pending=tuple(
            (one.start_ms, min(one.end_ms, last_ms))
            for one in found.pending
            if one.start_ms < last_ms
        ),
        simulated=found.made_up,
        maintenance=tuple((one.start_ms, one.end_ms) for one in work),
    )


def as_text(each: Iterable[Columns], config: Config) -> bytes:
    """As CSV: one line for each window, gaps included; what is not known is empty.

    The past of a demo has a column that says which windows are made up.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for number, one in enumerate(each):
        if number == 0:
            writer.writerow([*CSV_HEAD, *one.figures, *(["simulated"] if one.made_up else [])])
        head = (one.subject.scope, one.subject.name, one.window)
        for edge, *values in zip(one.edges, *one.figures.values(), strict=True):
            start = when.iso(edge.start_ms, config.city.timezone)
            made_up = [one.is_made_up(edge) or None] if one.made_up else []
            writer.writerow([*head, start, *values, *made_up])
    return out.getvalue().encode()


def _days(subject: Subject, days: Iterable[StripDay], config: Config) -> StripAnswer:
    return StripAnswer(
        scope=subject.scope,
        name=subject.name,
        zone=str(config.city.timezone),
        days=tuple(_one_day(one) for one in days),
    )


def _one_day(one: StripDay) -> DayAnswer:
    return DayAnswer(
        start=instant.to_text(one.span.start_ms),
        end=instant.to_text(one.span.end_ms),
        online_ratio=None if one.online is None else round(one.online, 4),
        coverage_ratio=one.coverage,
        server_ms=one.server_ms,
        causes=tuple(
            StripCause(cause=why.cause, outages=why.outages, away_ms=why.away_ms)
            for why in one.causes
        ),
        longest=tuple(map(_outage, one.longest)),
    )


def _outage(one: Outage) -> DayOutage:
    return DayOutage(
        router=one.router,
        start=instant.to_text(one.from_ms),
        end=None if one.to_ms is None else instant.to_text(one.to_ms),
        cause=one.cause,
    )


def _heated(found: HeatMap, config: Config) -> HeatAnswer:
    return HeatAnswer(
        scope=found.subject.scope,
        name=found.subject.name,
        title=found.subject.title,
        zone=str(config.city.timezone),
        measure=found.field,
        day_ms=tuple(one.start_ms for one in found.days),
        values=found.values,
        coverage_ratio=found.coverage,
        skipped=found.skipped,
        highest=found.highest,
    )


_SCOPE = Parameter(
    "scope", "what the name is of", "site", {"type": "string", "enum": list(SCOPES)}, "path"
)
_NAME = Parameter(SLUG.name, SLUG.text, "taman-tirosa", where="path")
_TIMES = (
    Parameter(
        "from", "a length before now (90m, 24h, 7d, 1y), a date or a time of the city, or ISO 8601",
        "24h", parameters.PAST,
    ),
    Parameter("to", "likewise; now if it is not given", "now", parameters.TIME),
)  # fmt: skip
_WINDOW = Parameter(
    "w", "the window; the one that fits the span if it is not given", "1h",
    {"type": "string", "enum": list(asked_past.WINDOWS)},
)  # fmt: skip
_FIELDS = Parameter(
    "fields", "some of the figures, with commas between them", "clients_mean,wifi_down_bps",
    parameters.some_of(OFFERED_FIELDS),
)  # fmt: skip
_MEASURE = Parameter(
    "m", "the figure", "clients_mean", {"type": "string", "enum": list(heat_map.MEASURES)}
)
_DAYS = Parameter("days", "how many", "90", {"type": "integer", "minimum": 1, "maximum": MAX_STRIP})
_ERRORS = (400, 401, 404, 413, 503)
OFFERED = (
    ApiRoute(
        "/history/{scope}/{name}", "history",
        "A history as lists; as CSV where the name ends with .csv or text/csv is accepted",
        (HistoryAnswer,), _history, (_SCOPE, _NAME, *_TIMES, _WINDOW, _FIELDS), is_csv_too=True,
        errors=_ERRORS,
    ),
    ApiRoute(
        "/strips/{scope}/{name}", "strip", "Days at a glance: online, why not, and coverage",
        (StripAnswer,), _strip, (_SCOPE, _NAME, _DAYS), errors=_ERRORS,
    ),
    ApiRoute(
        "/heat/{scope}/{name}", "heat", "A figure by day and hour of the clock",
        (HeatAnswer,), _heat, (_SCOPE, _NAME, *_TIMES, _MEASURE), errors=_ERRORS,
    ),
)  # fmt: skip
