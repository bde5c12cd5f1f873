"""How this visitor sees the page, language and theme, and how templates become answers.

Rule: the address decides, then a cookie, then the user, then the browser, then the city.
Rule: a page is whole without JavaScript.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlencode

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from titik_collector.languages.codes import CODES, marked
from titik_collector.languages.language import Language, accepted, language
from titik_collector.queries import settings_status
from titik_collector.reports import printing
from titik_collector.web import event_words, phone
from titik_collector.web.city_view import CityView
from titik_collector.web.happenings import KINDS
from titik_collector.web.places import CAUSES, MARKS, STATES, router_state
from titik_collector.web.sentences import is_ours, translated
from titik_collector.web.static_files import static_files

# Pages that the navigation leads to, with their titles; an entry is added with its page.
NAVIGATION = [
    ("/", marked("Now")),
    ("/history", marked("History")),
    ("/alerts", marked("Alerts")),
    ("/happened", marked("Events")),
    ("/reports", marked("Reports")),
    ("/about", marked("About")),
]
THEMES = ("auto", "light", "dark")
# What is known of the moment where nobody is logged in, or the store was never read.
NOTHING: dict[str, Any] = {
    "now_ms": None,
    "blind": True,
    "problems": [],
    "simulated_until_ms": None,
    "alerts_open": 0,
    "silences_now": 0,
}
YEAR_S = 31_536_000


@dataclass(frozen=True, slots=True)
class Look:
    """How one visitor sees the page."""

    language: Language
    theme: str


def city_of(request: Request) -> CityView:
    """What pages ask."""
    view: CityView = request.app.state.city
    return view


def look(request: Request) -> Look:
    """Of this request."""
    cookies = request.cookies
    viewer = getattr(request.state, "viewer", None)
    code = _first(
        request.query_params.get("lang"),
        cookies.get("lang"),
        viewer.language if viewer else None,
        accepted(request.headers.get("accept-language", "")),
        among=CODES,
    )
    theme = _first(request.query_params.get("theme"), cookies.get("theme"), among=THEMES)
    return Look(language(code or city_of(request).config.web.language), theme or THEMES[0])


def _first(*wishes: str | None, among: tuple[str, ...]) -> str | None:
    return next((one for one in wishes if one in among), None)


def render(request: Request, template: str, status: int = 200, **values: Any) -> Response:
    """The template as an answer, for this visitor; what the address chose is kept in cookies."""
    seen, city = look(request), city_of(request)
    text = (
        environment(seen.language.code)
        .get_template(template)
        .render(
            **values,
            look=seen,
            city=city.config.city,
            viewer=request.state.viewer,
            path=request.url.path,
            **(_moment(city) if request.state.viewer and city.is_seen else NOTHING),
            streets=request.app.state.streets,
            zone=city.config.city.timezone,
            itself=f"{request.url.path}?{request.url.query}",
            here=lambda **changed: with_query(request, **changed),
        )
    )
    answer = HTMLResponse(text, status, {"Vary": "Cookie, Accept-Language"})
    for name, value, known in (("lang", seen.language.code, CODES), ("theme", seen.theme, THEMES)):
        if request.query_params.get(name) in known:
            answer.set_cookie(name, value, YEAR_S, samesite="lax", secure=_is_tls(request))
    return answer


def _moment(city: CityView) -> dict[str, Any]:
    """When it is, and whether what is shown is true now."""
    snapshot = city.snapshot
    return {
        "now_ms": city.now_ms,
        "blind": not snapshot.is_true_now,
        "problems": snapshot.problems,
        "simulated_until_ms": snapshot.simulated_until_ms,
        "alerts_open": snapshot.incidents_open,
        "silences_now": sum(one.until_ms > city.now_ms for one in city.desk.posted.silences),
    }


def with_query(request: Request, **changed: str | None) -> str:
    """The address of this page with other values in its query; None takes one out."""
    query = {**dict(request.query_params), **changed}
    kept = {name: value for name, value in query.items() if value is not None}
    return request.url.path + (f"?{urlencode(kept)}" if kept else "")


def _is_tls(request: Request) -> bool:
    return request.url.scheme == "https"


@cache
def environment(code: str) -> Environment:
    """The templates in one language."""
    made = Environment(
        loader=ChoiceLoader(
            [PackageLoader("titik_collector.web"), PackageLoader("titik_collector.reports")]
        ),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    made.install_gettext_translations(language(code).texts, newstyle=True)  # type: ignore[attr-defined]
    made.globals |= printing.drawing(language(code))
    made.globals |= {
        "static": static_files().address,
        "lang": language(code),
        # A text that is not in the template: unlike gettext(), what it gives is escaped.
        "say": language(code).say,
        "languages": CODES,
        "navigation": NAVIGATION,
        "states": STATES,
        "marks": MARKS,
        "causes": CAUSES,
        "router_state": router_state,
        "settings_words": settings_status.shown,
        "kinds": KINDS,
        "event_text": event_words.text,
        "event_why": event_words.why,
        "translated": translated,
        "is_ours": is_ours,
        "number_in": phone.number_in,
        "language_of": language,
        "themes": THEMES,
    }
    return made
