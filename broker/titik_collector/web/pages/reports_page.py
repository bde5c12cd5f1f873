"""`/reports`: a month or a year of the city or a part of it, on the page, as PDF and as CSV.

Rule: a report is kept for a while as it was computed, and each form of it is drawn from that.
Rule: a report is computed one at a time, so the other reader of the store is everybody else's.
Rule: no link leads to a PDF where the library for it is not installed.
"""

from functools import partial
from importlib.util import find_spec
from typing import NamedTuple
from urllib.parse import urlencode

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from titik_collector.languages.codes import marked
from titik_collector.reports import city_reports, csv_tables, freezing, printing
from titik_collector.reports import period as periods
from titik_collector.reports.city_reports import AskedReport, UnknownSubject
from titik_collector.reports.period import BadPeriod, Period
from titik_collector.reports.report import KINDS, Report, ReportSubject
from titik_collector.reports.report_words import ReportWords
from titik_collector.store import desk_reports
from titik_collector.store.database import Database
from titik_collector.store.desk_maintenance import MaintenanceRow
from titik_collector.web.api.past_answers import KeptAnswer, past_of
from titik_collector.web.api.replying import CSV, reply
from titik_collector.web.error_pages import BadQuery, NotThere
from titik_collector.web.kept_pdfs import KeptPdf
from titik_collector.web.rendering import city_of, look, render
from titik_collector.web.turns import Turns

PDF = "application/pdf"
KEEP_S = 300  # a month that goes on has another hour at most
COST = 60  # windows of a router in a month, about
KEEP_YEAR_S = 3600
COMPUTE_S = 50.0  # a year of a large city takes more than other questions; a proxy waits a minute
FORMS = (".pdf", "-interruptions.csv", ".csv")
NO_REPORT = marked("The report cannot be computed now")
BUSY = marked("others wait for a report before you; try again in a minute")


class AtDesk(NamedTuple):
    """What the desk has for a report."""

    frozen: Report | None  # None: it is computed
    maintenance: tuple[MaintenanceRow, ...]


def _at_desk(desk: Database, asked: AskedReport) -> AtDesk:
    found = freezing.read(desk, *asked)
    return AtDesk(found, () if found else city_reports.all_planned(desk))


async def _list(request: Request) -> Response:
    """Which there are; the newest whole month is at hand."""
    view = city_of(request)
    now_ms = view.snapshot.at_ms
    city = city_reports.city_of(view.config)
    months = await view.ask(lambda db: city_reports.known_periods(db, city, now_ms))
    none: frozenset[str] = frozenset()
    frozen = await view.desk.ask(desk_reports.frozen, none)
    return render(
        request,
        "reports.html",
        months=months,
        years=sorted({one.year for one in months}, reverse=True),
        frozen=lambda one: one.name in frozen,
        is_late=lambda one: one.frozen_ms(city.zone) <= now_ms,
        goes_on=lambda one: one.span(city.zone).end_ms > now_ms,
        w=_words(request),
    )


async def _report(request: Request) -> Response:
    name, form = _form(request.path_params["name"])
    asked = _asked(request, name)
    kept = await _found(request, asked)
    found = msgspec.json.decode(kept.body, type=Report)
    if not form:
        return render(
            request,
            "report_page.html",
            r=found,
            w=_words(request),
            linked=partial(_address, name),
            forms=[(one, _address(f"{name}{one}", found.subject)) for one in _offered()],
            later=_beside(found, 1, city_of(request).snapshot.at_ms, request),
            earlier=_beside(found, -1, city_of(request).snapshot.at_ms, request),
            whole=_address(name, ReportSubject("city", "", "")),
        )
    headers = _as_file(found, form)
    zone = city_of(request).config.city.timezone
    if form == ".pdf":
        words = _words(request)
        title = city_of(request).config.city.title
        of = b"%b %b" % (words.lang.code.encode(), kept.body)
        pdfs: KeptPdf = request.app.state.pdfs
        drawn = await pdfs.get(of, lambda: printing.html(found, words, title))
        return reply(request, drawn, 0, PDF, **headers)
    table = csv_tables.places(found) if form == ".csv" else csv_tables.interruptions(found, zone)
    return reply(request, table.encode(), 0, CSV, **headers)


def _words(request: Request) -> ReportWords:
    return ReportWords(look(request).language, city_of(request).config.city.timezone)


def _offered() -> tuple[str, ...]:
    """The forms that can be drawn here."""
    return FORMS if find_spec("weasyprint") else tuple(one for one in FORMS if one != ".pdf")


def _form(name: str) -> tuple[str, str]:
    return next(((name.removesuffix(one), one) for one in FORMS if name.endswith(one)), (name, ""))


def _asked(request: Request, name: str) -> AskedReport:
    given = [(kind, request.query_params[kind]) for kind in KINDS if kind in request.query_params]
    if len(given) > 1:
        raise BadQuery("site", "more than one is given", "give provider, district or site")
    try:
        periods.parse(name)
    except BadPeriod as error:
        raise HTTPException(404) from error
    return AskedReport(name, *(given[0] if given else ("city", "")))


async def _found(request: Request, asked: AskedReport) -> KeptAnswer:
    view = city_of(request)
    config, now_ms = view.config, view.snapshot.at_ms
    routers = len(config.router) or 1
    months = len(periods.parse(asked.period).months)
    keep_s = KEEP_S if months == 1 else KEEP_YEAR_S

    async def make() -> KeptAnswer:
        nothing = AtDesk(None, ())
        at_desk = await view.desk.ask(lambda desk: _at_desk(desk, asked), nothing)
        if at_desk.frozen is not None:
            return KeptAnswer(msgspec.json.encode(at_desk.frozen), keep_s)

        def question(db: Database) -> bytes | str:
            """The report, or why there is none."""
            try:
                rows = city_reports.planned(at_desk.maintenance, config.city.timezone)
                return msgspec.json.encode(city_reports.one(db, config, asked, now_ms, rows))
            except (BadPeriod, UnknownSubject) as error:
                return str(error)

        found = await view.ask(question, COMPUTE_S)
        if isinstance(found, str):
            raise NotThere(asked.kind, found, "see /reports", found)
        return KeptAnswer(found, keep_s)

    past, key = past_of(request), ("report", asked)
    if (kept := past.kept(key)) is not None:
        return kept
    turns: Turns = request.app.state.report_turns
    async with turns.turn():
        return await past.get(key, min(COST * routers * months, 200_000), make)


def _address(name: str, subject: ReportSubject) -> str:
    query = "" if subject.kind == "city" else f"?{urlencode([(subject.kind, subject.name)])}"
    return f"/reports/{name}{query}"


def _beside(found: Report, step: int, now_ms: int, request: Request) -> str | None:
    """The period before or after, where it can have data."""
    period = periods.parse(found.period)
    other: Period = period.after if step > 0 else period.before
    if step > 0 and other.span(city_of(request).config.city.timezone).start_ms > now_ms:
        return None
    return other.name


def _as_file(found: Report, form: str) -> dict[str, str]:
    subject = found.subject
    name = "" if subject.kind == "city" else f"-{subject.name}"
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "-.") else "-" for c in name)
    way = "inline" if form == ".pdf" else "attachment"
    return {"Content-Disposition": f'{way}; filename="titik-{found.period}{plain}{form}"'}


ROUTES = [Route("/reports", _list), Route("/reports/{name}", _report)]
