"""`/alerts` and `/alerts/NUMBER`: what is wrong, who handles it, and what is planned.

Rule: operators change something by forms; whoever only looks sees the same without them.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from titik_collector.accounts.audit import Actor
from titik_collector.alerts.alert import Incident
from titik_collector.config.model import Config
from titik_collector.desk import acks, naming, planned_work, remarks, silences
from titik_collector.desk.checks import DeskError
from titik_collector.desk.planned_work import Entry
from titik_collector.languages.codes import marked
from titik_collector.limits import MAX_NOTE, MAX_SHOWN
from titik_collector.store import incident_rows
from titik_collector.store.database import Database
from titik_collector.web import alert_view, alert_words, entering, forms, happenings
from titik_collector.web.forms import render_for_change
from titik_collector.web.rendering import city_of
from titik_collector.wording.sentence import Sentence
from titik_wire.instant import DAY_MS, HOUR_MS

SILENT_FOR = {
    "1h": (HOUR_MS, marked("1 hour")),
    "4h": (4 * HOUR_MS, marked("4 hours")),
    "1d": (DAY_MS, marked("1 day")),
    "7d": (7 * DAY_MS, marked("7 days")),
    "30d": (30 * DAY_MS, marked("30 days")),
}
MORNING_HOUR = 8
Entering = Callable[[Database, int, str, Actor], object]
ALERTS = "alerts"  # a stream of their health alone, without figures


async def _alerts(request: Request) -> Response:
    return await _list(request)


async def _list(
    request: Request,
    wrong: str | None = None,
    status: int = 200,
    typed: Mapping[str, str] | None = None,
) -> Response:
    """`typed`: into the form of each week, which is then open."""
    view = city_of(request)
    version = alert_view.version(view)  # before what is shown
    return render_for_change(
        request,
        "alerts.html",
        status,
        wrong=wrong,
        incidents=alert_view.open_incidents(view),
        unreached=await alert_view.unreached(view),
        incidents_version=version,
        of=ALERTS,
        recent=await alert_view.recent(view),
        silences=alert_view.silences_now(view),
        maintenance=alert_view.work_ahead(view),
        typed=typed or {},
        days=planned_work.DAYS,
        silence_for=SILENT_FOR,
        silenced=request.query_params.get("silence", "")[:MAX_NOTE],
        names=_names(view.config),
        **_words(view.config),
    )


async def _incident(request: Request) -> Response:
    return await _one(request)


async def _one(request: Request, wrong: str | None = None, status: int = 200) -> Response:
    view, number = city_of(request), entering.path_number(request)
    version = alert_view.version(view)
    found = await alert_view.whole(view, number)
    if found is None:
        raise HTTPException(404)
    names = alert_view.names_of(view.config, found.members)
    incident = found.shown.incident
    happened = [
        one
        for one in await view.ask(happenings.of(names, view, _days(view.now_ms, incident.first_ms)))
        if one.name in names
        and one.at_ms <= (incident.resolved_ms or view.now_ms)
        and one.at_ms + (one.length_ms or 0) >= incident.first_ms
    ]
    causes = {one.cause for one in happened if one.kind == "outage"}
    city = view.snapshot.status
    return render_for_change(
        request,
        "incident.html",
        status,
        wrong=wrong,
        found=found,
        incident=incident,
        incidents_version=version,
        of=ALERTS,
        happened=happened,
        facts=alert_view.site_of(view.config, incident.subject),
        cause=causes.pop() if len(causes) == 1 else None,
        titles=happenings.titles(city),
        links=happenings.links(city),
        stands_at={},
        **_words(view.config),
    )


def _days(now: int, from_ms: int) -> int:
    return min(90, max(1, -(-(now - from_ms) // DAY_MS) + 1))


def _words(config: Config) -> dict[str, Any]:
    return {
        "kind_titles": alert_words.KIND_TITLES,
        "severities": alert_words.SEVERITIES,
        "changes": alert_words.CHANGES,
        "outcomes": alert_words.OUTCOMES,
        "day_names": alert_words.DAYS,
        "title_of": lambda subject: alert_view.title_of(config, subject),
        "address_of": alert_words.address_of,
        "silence_text": silences.text,
        "utc": UTC,
    }


def _names(config: Config) -> list[tuple[str, str]]:
    """What a form offers to type: names, and what people call them."""
    places = [(one.name, one.title) for one in config.site]
    return [(naming.CITY, config.city.title), *places, *((one.name, "") for one in config.router)]


async def _ack(request: Request) -> Response:
    found = await _find(request)

    def enter(db: Database, incident: int, note: str, actor: Actor) -> None:
        acks.check_open(found)
        acks.acknowledge(db, incident, note, actor)

    return await _about(request, "note", enter, "")


async def _remark(request: Request) -> Response:
    return await _about(request, "text", remarks.add, "#remarks")


async def _about(request: Request, name: str, enter: Entering, then: str) -> Response:
    """Something in words about an incident; `then` is where its page goes on."""
    fields, number = await forms.read(request), (await _find(request)).number
    words, actor = fields.get(name, ""), entering.actor_of(request)
    try:
        await city_of(request).desk.enter(lambda db: enter(db, number, words, actor))
    except DeskError as error:
        return await _one(request, error.text, 400)
    return RedirectResponse(f"/alerts/{number}{then}", 303)


async def _find(request: Request) -> Incident:
    """The incident of the address."""
    number = entering.path_number(request)
    found = await city_of(request).ask(lambda db: incident_rows.one(db, number))
    if found is None:
        raise HTTPException(404)
    return found


async def _silence(request: Request) -> Response:
    fields, view, actor = await forms.read(request), city_of(request), entering.actor_of(request)
    length_ms, _ = SILENT_FOR.get(fields.get("for", ""), (0, ""))

    def change(db: Database) -> object:
        found = naming.alerts(view.config, fields.get("alerts", ""))
        until_ms = actor.now_ms + length_ms
        reason = fields.get("reason", "")
        return silences.silence(db, found.subject, found.kind, until_ms, reason, actor)

    try:
        await view.desk.enter(change)
    except DeskError as error:
        return await _list(request, error.text, 400)
    return RedirectResponse("/alerts#silences", 303)


async def _end_silence(request: Request) -> Response:
    await forms.read(request)
    number, actor = entering.path_number(request), entering.actor_of(request)
    try:
        await city_of(request).desk.enter(lambda db: silences.end(db, number, actor))
    except DeskError as error:
        return await _list(request, error.text, 400)
    return RedirectResponse("/alerts#silences", 303)


async def _maintain(request: Request) -> Response:
    """A click on the page of a place, or the form with times."""
    fields, view, actor = await forms.read(request), city_of(request), entering.actor_of(request)

    def change(db: Database) -> object:
        entry = _work(view.config, fields)
        from_ms, to_ms = _times(view.config, fields, actor.now_ms)
        return planned_work.plan(db, entry, from_ms, to_ms, actor)

    try:
        await view.desk.enter(change)
    except DeskError as error:
        return await _list(request, error.text, 400)
    return RedirectResponse(forms.local_path(fields.get("next", "/alerts#maintenance")), 303)


async def _repeat(request: Request) -> Response:
    """The form of each week."""
    fields, view, actor = await forms.read(request), city_of(request), entering.actor_of(request)

    def change(db: Database) -> object:
        entry = _work(view.config, fields)
        days = tuple(one for one in planned_work.DAYS if one in fields)
        weekly = planned_work.between(days, fields.get("from", ""), fields.get("to", ""))
        until_ms = None
        if last := fields.get("until"):
            until_ms = planned_work.end_of(weekly, last, view.config.city.timezone)
        return planned_work.repeat(db, entry, weekly, actor, until_ms)

    try:
        await view.desk.enter(change)
    except DeskError as error:
        return await _list(request, error.text, 400, fields)
    return RedirectResponse("/alerts#maintenance", 303)


async def _end_maintenance(request: Request) -> Response:
    fields = await forms.read(request)
    number, actor = entering.path_number(request), entering.actor_of(request)
    try:
        await city_of(request).desk.enter(lambda db: planned_work.end(db, number, actor))
    except DeskError as error:
        return await _list(request, error.text, 400)
    return RedirectResponse(forms.local_path(fields.get("next", "/alerts#maintenance")), 303)


def _work(config: Config, fields: dict[str, str]) -> Entry:
    place = naming.place(config, fields.get("place", ""))
    return Entry(place, fields.get("reason", ""), "public" in fields)


def _times(config: Config, fields: dict[str, str], at_ms: int) -> tuple[int, int]:
    """From when to when; DeskError if it cannot be read."""
    zone = config.city.timezone
    length = fields.get("for")
    if length in ("1h", "4h"):
        return at_ms, at_ms + int(length[0]) * HOUR_MS
    if length == "tomorrow":
        day = datetime.fromtimestamp(at_ms / 1000, zone).date() + timedelta(days=1)
        end = datetime(day.year, day.month, day.day, MORNING_HOUR, tzinfo=zone)
        return at_ms, round(end.timestamp() * 1000)
    moments = []
    for name in ("from", "to"):
        try:
            moment = datetime.fromisoformat(fields.get(name, ""))
        except ValueError as error:
            text = marked("{time}: is no time; write it as 2026-12-01T08:00")
            raise DeskError(Sentence(text, time=fields.get(name, "")[:MAX_SHOWN])) from error
        moment = moment if moment.tzinfo else moment.replace(tzinfo=zone)
        moments.append(round(moment.timestamp() * 1000))
    return moments[0], moments[1]


ROUTES = [
    Route("/alerts", _alerts),
    Route("/alerts/{number:int}", _incident),
    Route("/alerts/{number:int}/ack", _ack, methods=["POST"]),
    Route("/alerts/{number:int}/remark", _remark, methods=["POST"]),
    Route("/silences", _silence, methods=["POST"]),
    Route("/silences/{number:int}/end", _end_silence, methods=["POST"]),
    Route("/maintenance", _maintain, methods=["POST"]),
    Route("/maintenance/weekly", _repeat, methods=["POST"]),
    Route("/maintenance/{number:int}/end", _end_maintenance, methods=["POST"]),
]
