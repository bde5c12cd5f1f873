"""`/api/v1/alerts` and `/incidents`, and what operators enter by a program.

Rule: an entry is the same as at the prompt, with the same checks and the same line of the audit.
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from titik_collector.accounts.audit import Actor
from titik_collector.alerts.alert import Incident
from titik_collector.alerts.desk_facts import Acknowledgement, Silence
from titik_collector.config.model import Config
from titik_collector.desk import acks, naming, planned_work, remarks, silences
from titik_collector.desk.checks import DeskError
from titik_collector.desk.planned_work import Entry
from titik_collector.limits import MAX_NUMBER, MAX_SHOWN
from titik_collector.store import desk_maintenance, desk_silences, incident_rows
from titik_collector.store.database import Database
from titik_collector.store.desk_maintenance import MaintenanceRow
from titik_collector.store.desk_remarks import Remark
from titik_collector.web import alert_view, entering
from titik_collector.web.alert_view import SeenIncident
from titik_collector.web.api import bodies, parameters
from titik_collector.web.api.alert_answers import (
    AckAnswer,
    AckEntry,
    AlertChange,
    AlertsAnswer,
    IncidentAnswer,
    IncidentWhole,
    MaintenanceAnswer,
    MaintenanceEntry,
    RemarkAnswer,
    RemarkEntry,
    SilenceAnswer,
    SilenceEntry,
)
from titik_collector.web.api.api_route import NUMBER, ApiRoute
from titik_collector.web.api.parameters import Parameter
from titik_collector.web.api.replying import reply
from titik_collector.web.api.shapes import encoded
from titik_collector.web.city_view import CityView
from titik_collector.web.error_pages import BadQuery, NotThere
from titik_collector.web.rendering import city_of
from titik_collector.wording import when
from titik_wire import instant

STATES = ("open", "recent", "all")
KEEP_S = 5
Change = Callable[[Database], Any]
Entered = TypeVar("Entered")


async def _alerts(request: Request) -> Response:
    view = city_of(request)
    state = parameters.choice(request, "state", STATES, "open")
    found: list[SeenIncident] = []
    if state != "recent":
        found += alert_view.open_incidents(view)
    if state != "open":
        found += await alert_view.recent(view)
    answer = AlertsAnswer(
        at=instant.to_text(view.now_ms),
        incidents=tuple(map(_incident_answer, found)),
        silences=tuple(map(_silence_answer, alert_view.silences_now(view))),
        maintenance=tuple(map(_maintenance_answer, alert_view.work_ahead(view))),
    )
    return reply(request, encoded(answer), KEEP_S)


async def _incident(request: Request) -> Response:
    view, number = city_of(request), entering.path_number(request)
    found = await alert_view.whole(view, number)
    if found is None:
        raise _no_incident(number)
    answer = IncidentWhole(
        incident=_incident_answer(found.shown),
        changes=tuple(
            AlertChange(
                at=instant.to_text(one.event.at_ms),
                kind=one.event.key.kind,
                scope=one.event.key.subject.scope,
                name=one.event.key.subject.name,
                became=one.event.became,
            )
            for one in found.changes
        ),
        acks=tuple(map(_ack_answer, found.acks)),
        remarks=tuple(map(_remark_answer, found.remarks)),
    )
    return reply(request, encoded(answer), KEEP_S)


async def _ack(request: Request) -> Response:
    entry = await bodies.read(request, AckEntry)
    found = await _find_incident(city_of(request), entry.incident)

    def change(db: Database, incident: int, note: str, actor: Actor) -> Acknowledgement:
        acks.check_open(found)
        return acks.acknowledge(db, incident, note, actor)

    made = await _about(request, entry.incident, entry.note, change)
    return _created(_ack_answer(made))


async def _remark(request: Request) -> Response:
    entry = await bodies.read(request, RemarkEntry)
    made = await _about(request, entry.incident, entry.text, remarks.add)
    return _created(_remark_answer(made))


async def _about(
    request: Request,
    incident: int,
    words: str,
    enter: Callable[[Database, int, str, Actor], Entered],
) -> Entered:
    """Something in words about an incident that there is."""
    view, actor = city_of(request), entering.actor_of(request)
    await _find_incident(view, incident)
    entered: Entered = await _enter(view, lambda db: enter(db, incident, words, actor))
    return entered


async def _silence(request: Request) -> Response:
    view, entry = city_of(request), await bodies.read(request, SilenceEntry)
    actor = entering.actor_of(request)
    until_ms = _time("until", lambda: when.parse_ahead(entry.until, _zone(view), actor.now_ms))

    def change(db: Database) -> Silence:
        found = naming.alerts(view.config, entry.alerts)
        number = silences.silence(db, found.subject, found.kind, until_ms, entry.reason, actor)
        row = desk_silences.find(db, number)
        assert row is not None
        return row.silence

    return _created(_silence_answer(await _enter(view, change)))


async def _end_silence(request: Request) -> Response:
    view, number, actor = (
        city_of(request),
        entering.path_number(request),
        entering.actor_of(request),
    )

    def change(db: Database) -> Silence:
        if (row := desk_silences.find(db, number)) is None:
            raise NotThere("number", f"there is no silence {number}", "/api/v1/alerts has them")
        silences.end(db, number, actor)
        return row.silence._replace(until_ms=actor.now_ms)

    return reply(request, encoded(_silence_answer(await _enter(view, change))), 0)


async def _maintain(request: Request) -> Response:
    view, entry = city_of(request), await bodies.read(request, MaintenanceEntry)
    actor = entering.actor_of(request)
    length_ms = _time("length", lambda: when.parse_length(entry.length))
    change = _once(view.config, entry, length_ms, actor)
    if entry.days or entry.at or entry.until:
        change = _weekly(view.config, entry, length_ms, actor)
    return _created(_maintenance_answer(await _enter(view, change)))


def _once(config: Config, entry: MaintenanceEntry, length_ms: int, actor: Actor) -> Change:
    zone = config.city.timezone
    begin = entry.begin.replace(" ", "T")
    if begin != "now" and not begin[:4].isdecimal():  # a length would be before now, or after it?
        raise BadQuery("begin", f"{begin[:MAX_SHOWN]!r} is no time", "use now, or 2026-12-01T08:00")
    from_ms = _time("begin", lambda: when.parse(begin, zone, actor.now_ms))
    return lambda db: planned_work.plan(
        db, _entry(config, entry), from_ms, from_ms + length_ms, actor
    )


def _weekly(config: Config, entry: MaintenanceEntry, length_ms: int, actor: Actor) -> Change:
    def change(db: Database) -> MaintenanceRow:
        weekly = planned_work.weekly_of(",".join(entry.days), entry.at, length_ms)
        until_ms = None
        if entry.until:
            until_ms = planned_work.end_of(weekly, entry.until, config.city.timezone)
        return planned_work.repeat(db, _entry(config, entry), weekly, actor, until_ms)

    return change


def _entry(config: Config, entry: MaintenanceEntry) -> Entry:
    return Entry(naming.place(config, entry.place), entry.reason, entry.public)


async def _end_maintenance(request: Request) -> Response:
    view, number, actor = (
        city_of(request),
        entering.path_number(request),
        entering.actor_of(request),
    )

    def change(db: Database) -> MaintenanceRow:
        if desk_maintenance.find(db, number) is None:
            wrong = f"there is no maintenance {number}"
            raise NotThere("number", wrong, "/api/v1/alerts has them")
        return planned_work.end(db, number, actor)

    return reply(request, encoded(_maintenance_answer(await _enter(view, change))), 0)


async def _enter(view: CityView, change: Change) -> Any:
    try:
        return await view.desk.enter(change)
    except DeskError as error:
        wrong, _, remedy = str(error).partition("; ")
        raise BadQuery("body", wrong, remedy or "see docs/api.md") from error


def _time(field: str, read: Callable[[], int]) -> int:
    try:
        return read()
    except when.BadTime as error:
        wrong, _, remedy = str(error).partition("; ")
        raise BadQuery(field, wrong, remedy) from error


async def _find_incident(view: CityView, number: int) -> Incident:
    if number > MAX_NUMBER:
        raise _no_incident(number)
    found = await view.ask(lambda db: incident_rows.one(db, number))
    if found is None:
        raise _no_incident(number)
    return found


def _no_incident(number: int) -> NotThere:
    return NotThere("number", f"there is no incident {number}", "/api/v1/alerts has them")


def _zone(view: CityView) -> Any:
    return view.config.city.timezone


def _created(answer: Any) -> Response:
    return Response(encoded(answer), 201, media_type="application/json")


def _incident_answer(one: SeenIncident) -> IncidentAnswer:
    incident = one.incident
    return IncidentAnswer(
        number=incident.number,
        kind=incident.kind,
        scope=incident.subject.scope,
        name=incident.subject.name,
        title=one.title,
        severity=incident.severity,
        since=instant.to_text(incident.from_ms),
        resolved=_moment(incident.resolved_ms),
        acked_by=None if one.ack is None else one.ack.actor,
        silenced=one.is_silenced,
        maintenance=one.in_maintenance,
    )


def _moment(at_ms: int | None) -> str | None:
    return None if at_ms is None else instant.to_text(at_ms)


def _ack_answer(one: Acknowledgement) -> AckAnswer:
    at, until = instant.to_text(one.at_ms), instant.to_text(one.until_ms)
    return AckAnswer(incident=one.incident, actor=one.actor, at=at, until=until, note=one.note)


def _remark_answer(one: Remark) -> RemarkAnswer:
    at = instant.to_text(one.at_ms)
    return RemarkAnswer(incident=one.incident, actor=one.actor, at=at, text=one.text)


def _silence_answer(one: Silence) -> SilenceAnswer:
    return SilenceAnswer(
        number=one.number,
        alerts=silences.text(one.subject, one.kind),
        until=instant.to_text(one.until_ms),
        actor=one.actor,
        reason=one.reason,
    )


def _maintenance_answer(row: MaintenanceRow) -> MaintenanceAnswer:
    week = row.weekly
    return MaintenanceAnswer(
        number=row.number,
        scope=row.subject.scope,  # type: ignore[arg-type]  # the table has a CHECK
        name=row.subject.name,
        begin=instant.to_text(row.from_ms),
        end=_moment(row.end_ms),
        days=() if week is None else week.days,
        at=None if week is None else "{:02}:{:02}".format(*divmod(week.minute, 60)),
        length_ms=None if week is None else week.length_ms,
        actor=row.actor,
        reason=row.reason,
        public=row.is_public,
        retroactive=row.is_retroactive,
    )


Handle = Callable[[Request], Awaitable[Response]]


def _post(path: str, name: str, summary: str, entry: type, answer: type, do: Handle) -> ApiRoute:
    """What an operator enters."""
    errors = (400, 401, 403, 404, 413, 415, 503)
    return ApiRoute(path, name, summary, (answer,), do, errors=errors, entry=entry)


def _end(path: str, name: str, summary: str, answer: type, do: Handle) -> ApiRoute:
    errors = (400, 401, 403, 404, 503)
    return ApiRoute(path, name, summary, (answer,), do, (NUMBER,), errors=errors, method="POST")


OFFERED = (
    ApiRoute(
        "/alerts", "alerts", "Incidents, and the silences and maintenance that count",
        (AlertsAnswer,), _alerts,
        (Parameter("state", "open, recent or all", "open", {"enum": list(STATES)}),),
    ),
)  # fmt: skip
# What needs an incident, or changes something; their examples are in the tests of alerts.
OF_ALERTS = (
    ApiRoute(
        "/incidents/{number}", "incident", "One incident: its changes, who handles it, remarks",
        (IncidentWhole,), _incident, (NUMBER,), errors=(400, 401, 404, 503),
    ),
    _post("/acks", "add_ack", "Acknowledge an incident", AckEntry, AckAnswer, _ack),
    _post("/remarks", "add_remark", "Write about an incident", RemarkEntry, RemarkAnswer, _remark),
    _post("/silences", "add_silence", "Silence alerts", SilenceEntry, SilenceAnswer, _silence),
    _end("/silences/{number}/end", "end_silence", "End a silence", SilenceAnswer, _end_silence),
    _post(
        "/maintenance", "add_maintenance", "Begin or plan maintenance",
        MaintenanceEntry, MaintenanceAnswer, _maintain,
    ),
    _end(
        "/maintenance/{number}/end", "end_maintenance", "End maintenance",
        MaintenanceAnswer, _end_maintenance,
    ),
)  # fmt: skip
