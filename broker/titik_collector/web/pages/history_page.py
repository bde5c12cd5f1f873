"""`/history`: the past of up to six places, compared; the address has all of what is chosen."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from titik_collector.config.model import Config
from titik_collector.figures.windows import Calendar, Span, Window
from titik_collector.languages.codes import marked
from titik_collector.limits import MAX_COMPARED, MAX_RANKED
from titik_collector.queries import columnar, day_strip, history, overall, place_use
from titik_collector.queries.day_strip import KnownShare, StripDay
from titik_collector.queries.history import Subject
from titik_collector.queries.overall import Overall
from titik_collector.queries.place_use import PlaceMean
from titik_collector.store.database import Database
from titik_collector.web import asked_past, compared, past_rows, worked
from titik_collector.web.api import history_api, parameters
from titik_collector.web.api.past_answers import past_of
from titik_collector.web.api.replying import CSV, reply
from titik_collector.web.asked_past import AskedTime
from titik_collector.web.past_rows import PastRow
from titik_collector.web.rendering import city_of, render
from titik_collector.wording import when

SINCE = "24h"
RANGES = {
    "24h": marked("24 hours"),
    "7d": marked("7 days"),
    "31d": marked("31 days"),
    "90d": marked("90 days"),
    "365d": marked("1 year"),
}
WINDOWS: dict[str | None, str] = {
    None: marked("fitting"),
    "1m": marked("minutes"),
    "1h": marked("hours"),
    "1d": marked("days"),
}
KEEP_S = 10
MOST_ROWS = 200  # of a table whose windows nobody chose; more are read by programs, as CSV
LONGER: dict[Window, Window] = {"1m": "1h", "1h": "1d"}
STRIP_COST = 1000  # as of so many windows
RANKED = 20  # windows that the database adds up while one is read
FLOW_OFFLOAD = "flow_offload_ratio"  # beside figures that it makes too low
MANY = 40  # names; of more one is typed, with those that fit
MOST_USED = 20  # places that are shown at once


@dataclass(frozen=True, slots=True)
class Measure:
    """What of the past is shown: fields of the contract."""

    title: str
    lines: tuple[str, ...]
    labels: tuple[str, ...]  # of the lines
    highest: str | None = None
    sums: tuple[str, ...] = ()
    is_rate: bool = False

    @property
    def fields(self) -> tuple[str, ...]:
        """All that is read for it."""
        more = (FLOW_OFFLOAD,) if self.is_rate else ()
        return (*self.lines, *([self.highest] if self.highest else ()), *self.sums, *more)


_BOTH_WAYS = (marked("download"), marked("upload"))
MEASURES = {
    "clients": Measure(
        marked("devices"), ("clients_mean",), (marked("devices"),), "clients_max"
    ),
    "active": Measure(marked("active devices"), ("active_mean",), (marked("active devices"),)),
    "wifi": Measure(
        marked("Wi-Fi"), ("wifi_down_bps", "wifi_up_bps"), _BOTH_WAYS, "wifi_down_peak_bps",
        ("wifi_down_bytes", "wifi_up_bytes"), True,
    ),
    "uplink": Measure(
        marked("internet"), ("uplink_down_bps", "uplink_up_bps"), _BOTH_WAYS,
        "uplink_down_peak_bps", ("uplink_down_bytes", "uplink_up_bytes"), True,
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class PastView:
    """What the page shows, as the store answered."""

    subjects: tuple[Subject, ...]
    window: Window
    row_window: Window  # of the table
    overall: tuple[Overall, ...]
    online: tuple[KnownShare | None, ...]  # of each subject, where the page says it
    rows: tuple[PastRow, ...]
    nearest: tuple[Span, ...]  # spans of the same length with data, where this one has none
    days: tuple[StripDay, ...]  # of a single subject
    used: Sequence[PlaceMean] | None  # places of the city alone; None: too many for this span
    is_too_low: bool  # some bytes may have passed the counters by


async def _history(request: Request) -> Response:
    city = city_of(request)
    if words := request.query_params.get("typed", "").strip():
        added = compared.typed(city.snapshot.status, words)
        chosen = [*request.query_params.getlist("s"), added]
        return RedirectResponse(_address(request, chosen), 303)
    config, now_ms = city.config, city.snapshot.at_ms
    asked = asked_past.asked_time(request, config, now_ms, SINCE)
    word = parameters.choice(request, "m", tuple(MEASURES), "clients") or ""
    names = compared.names(request)
    count = asked_past.windows(asked, len(names))
    window = asked.window or "1d"
    asked_past.check_size(count, window, _first_part(request, asked))

    def question(db: Database) -> PastView:
        return view(db, config, names, asked, MEASURES[word], now_ms)

    is_ranked = names == ["city"] and word == "clients"
    sites = len(city.snapshot.status.sites) if is_ranked else 0
    ranked = place_use.cost(asked.span, sites)
    ranked = ranked // RANKED if ranked <= MAX_RANKED else 0  # more are not added up
    past_of(request).spend(count + STRIP_COST + ranked)
    found = await city.ask(question)
    of = found.subjects[0]
    return render(
        request,
        "history.html",
        past=found,
        strip_work=await worked.by_day(city, of.scope, of.name, found.days),
        asked=asked,
        measure=MEASURES[word],
        measure_word=word,
        measures=MEASURES,
        ranges=RANGES,
        range=_range(request),
        yesterday=Calendar(config.city.timezone).day_before(now_ms),
        windows=WINDOWS,
        names=names,
        places=compared.places(city.snapshot.status, names),
        to_type=compared.to_type(city.snapshot.status, names),
        routers=compared.routers(city.snapshot.status, names),
        most=MAX_COMPARED,
        many=MANY,
        most_used=MOST_USED,
        city_zone=config.city.timezone,
        address=lambda **changed: _address(request, names, **changed),
        instead=lambda chosen: _address(request, chosen),
        without=lambda name: _address(request, [one for one in names if one != name]),
        iso=lambda at_ms: when.iso(at_ms, config.city.timezone),
        local=lambda at_ms: when.iso(at_ms, config.city.timezone)[:16],
        csv=_address(request, names, path="/history.csv"),
    )


async def _csv(request: Request) -> Response:
    city = city_of(request)
    config = city.config
    asked = asked_past.asked_time(request, config, city.snapshot.at_ms, SINCE)
    measure = MEASURES[parameters.choice(request, "m", tuple(MEASURES), "clients") or ""]
    names = compared.names(request)
    count = asked_past.windows(asked, len(names))
    asked_past.check_size(count, asked.window or "1d", _first_part(request, asked))

    def question(db: Database) -> bytes:
        subjects = [compared.find(db, config, name) for name in names]
        found = asked_past.read(db, config, subjects, asked, list(measure.fields))
        return history_api.as_text(found, config)

    past_of(request).spend(count)
    body = await city.ask(question)
    name = "-".join(one.partition("/")[2] or one for one in names)
    return reply(request, body, KEEP_S, CSV, **history_api.as_file(name))


def view(
    db: Database,
    config: Config,
    names: Sequence[str],
    asked: AskedTime,
    measure: Measure,
    now_ms: int,
) -> PastView:
    """All that the page shows, at one moment of the store."""
    subjects = tuple(compared.find(db, config, name) for name in names)
    found = asked_past.read(db, config, subjects, asked, list(measure.fields))
    window = row_window = found[0].window
    rows = past_rows.rows(found, measure.lines)
    if len(rows) > MOST_ROWS and asked.window is None and window in LONGER:
        row_window = LONGER[window]
        fewer = replace(asked, window=row_window)
        longer = asked_past.read(db, config, subjects, fewer, list(measure.lines))
        rows = past_rows.rows(longer, measure.lines)
    is_empty = not any(one.kind == "figures" for one in rows)
    spoken = found if measure is MEASURES["clients"] and not is_empty else []
    calendar = Calendar(config.city.timezone)
    return PastView(
        subjects,
        window,
        row_window,
        tuple(overall.of(one, measure.lines, measure.highest, measure.sums) for one in found),
        tuple(day_strip.online(db, one, now_ms) for one in spoken),
        () if is_empty else tuple(rows),
        tuple(_nearest(db, subjects, window, asked.span)) if is_empty else (),
        tuple(day_strip.read(db, subjects[0], calendar, now_ms)) if len(subjects) == 1 else (),
        place_use.ranked(db, asked.span, calendar, now_ms) if spoken and names == ["city"] else (),
        any(any(one.figures.get(FLOW_OFFLOAD, ())) for one in found),
    )


def _nearest(db: Database, subjects: Sequence[Subject], window: Window, span: Span) -> list[Span]:
    """Before, then after; as long as the span that is empty."""
    length_ms = span.end_ms - span.start_ms
    pairs = [columnar.nearest(db, one, window, span) for one in subjects]
    before = [one for one, _ in pairs if one is not None]
    after = [one for _, one in pairs if one is not None]
    step_ms = history.WINDOW_MS[window]
    found = [Span(max(before) + step_ms - length_ms, max(before) + step_ms)] if before else []
    return [*found, *([Span(min(after), min(after) + length_ms)] if after else [])]


def _range(request: Request) -> str | None:
    """The chip that is chosen; None for times of the reader's own."""
    since = request.query_params.get("from", SINCE)
    return since if since in RANGES and request.query_params.get("to", "now") == "now" else None


def _first_part(request: Request, asked: AskedTime) -> str:
    part = asked_past.first_part(asked)
    zone = city_of(request).config.city.timezone
    changed = {"from": when.iso(part.start_ms, zone), "to": when.iso(part.end_ms, zone)}
    return _address(request, compared.names(request), **changed)


def _address(
    request: Request, names: Sequence[str], path: str | None = None, **changed: str | None
) -> str:
    """This page with other values; None takes one out, and `names` are the places."""
    query = {
        name: value
        for name, value in {**dict(request.query_params), **changed}.items()
        if name not in ("s", "typed") and value is not None
    }
    pairs = [*(("s", one) for one in names), *query.items()]
    return f"{path or request.url.path}?{urlencode(pairs)}"


ROUTES = [Route("/history", _history), Route("/history.csv", _csv)]
