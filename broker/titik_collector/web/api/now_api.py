"""`/api/v1/now`, `/sites` and `/routers`: this moment, as topics and `titik status` have it."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from titik_collector.config.model import Config
from titik_collector.config.site_tables import Site
from titik_collector.languages.language import Language
from titik_collector.queries.status import CityStatus, Line, RouterStatus, SiteStatus
from titik_collector.web.api import parameters
from titik_collector.web.api.answers import (
    CityNow,
    PresentFigures,
    RouterAnswer,
    RouterPresent,
    RoutersNow,
    SiteAnswer,
    SiteFeature,
    SiteFeatures,
    SitePlace,
    SitePresent,
    Sites,
)
from titik_collector.web.api.api_route import ApiRoute
from titik_collector.web.api.parameters import Parameter
from titik_collector.web.api.replying import GEOJSON, language_of, reply
from titik_collector.web.api.shapes import encoded
from titik_collector.web.city_view import Snapshot
from titik_collector.web.error_pages import NotThere
from titik_collector.web.places import is_off_air
from titik_collector.web.rendering import city_of
from titik_collector.web.sentences import translated
from titik_wire import instant

FIGURES = ("clients", "active", "wifi_down_bps", "wifi_up_bps", "uplink_down_bps", "uplink_up_bps")
PLACE = ("latitude", "longitude", "capacity", "uplink_mbps")
FACTS = ("provider", "district", "power", "hours", "tier", "tags")  # never the contact
Facts = tuple[str, ...]
MARKS = ("off_air", "revoked", "flow_offload")
KEEP_S, KEEP_MAP_S = 30, 60


async def _now(request: Request) -> Response:
    scope = parameters.choice(request, "scope", ("site", "router"), "site")
    (snapshot, config), lang = _seen(request), language_of(request)
    if scope == "router":
        answer: CityNow | RoutersNow = routers_now(snapshot, lang)
    else:
        answer = city_now(snapshot, config, lang, _facts(request))
    return reply(request, encoded(answer), 0)


async def _sites(request: Request) -> Response:
    snapshot, config = _seen(request)
    head = _head(snapshot, language_of(request))
    answer = Sites(**head, sites=_all_sites(snapshot.status, config, _facts(request)))
    return reply(request, encoded(answer), KEEP_S)


async def _site(request: Request) -> Response:
    (snapshot, config), lang = _seen(request), language_of(request)
    name = request.path_params["name"]
    for one in snapshot.status.sites:
        if one.name == name:
            routers = tuple(_router(router, lang) for router in one.routers)
            site = _placed(one, config, _facts(request))
            answer = SiteAnswer(**_head(snapshot, lang), site=site, routers=routers)
            return reply(request, encoded(answer), KEEP_S)
    raise NotThere("name", f"there is no site {name!r}", "/api/v1/sites has all of them")


async def _one_router(request: Request) -> Response:
    (snapshot, _), lang = _seen(request), language_of(request)
    name = request.path_params["name"]
    for one in snapshot.status.routers():
        if one.name == name:
            answer = RouterAnswer(**_head(snapshot, lang), router=_router(one, lang))
            return reply(request, encoded(answer), KEEP_S)
    raise NotThere("name", f"there is no router {name!r}", "/api/v1/now?scope=router has all")


async def _map(request: Request) -> Response:
    snapshot, config = _seen(request)
    body = encoded(site_map(snapshot.status, config, _facts(request)))
    return reply(request, body, KEEP_MAP_S, GEOJSON)


def city_now(snapshot: Snapshot, config: Config, lang: Language, facts: Facts) -> CityNow:
    """The city and its sites."""
    status = snapshot.status
    city = PresentFigures(**_present(status.line))
    return CityNow(**_head(snapshot, lang), city=city, sites=_all_sites(status, config, facts))


def routers_now(snapshot: Snapshot, lang: Language) -> RoutersNow:
    """Every router, as lists: objects would be three times as long."""
    routers = list(snapshot.status.routers())
    figures: dict[str, Any] = {
        name: tuple(getattr(one.now, name) for one in routers) for name in FIGURES
    }
    return RoutersNow(
        **_head(snapshot, lang),
        name=tuple(one.name for one in routers),
        site=tuple(one.site for one in routers),
        state=tuple(one.now.state for one in routers),
        age_ms=tuple(one.now.age_ms for one in routers),
        coverage_ratio=tuple(_rounded(one.line.coverage) for one in routers),
        **figures,
    )


def site_map(status: CityStatus, config: Config, facts: Facts) -> SiteFeatures:
    """As a map draws it."""
    places = _all_sites(status, config, facts)
    return SiteFeatures(
        features=tuple(
            SiteFeature(
                id=one.name,
                geometry=SitePlace(coordinates=(one.longitude, one.latitude)),
                properties=one,
            )
            for one in places
            if one.longitude is not None and one.latitude is not None
        )
    )


def _seen(request: Request) -> tuple[Snapshot, Config]:
    city = city_of(request)
    return city.snapshot, city.config


def _facts(request: Request) -> Facts:
    """Those of a place that its page shows to this viewer, but for the contact."""
    return (*FACTS, "circuit") if request.state.viewer.name else FACTS


def _head(snapshot: Snapshot, lang: Language) -> dict[str, Any]:
    warnings = [translated(lang, one.text) for one in snapshot.status.warnings]
    return {
        "at": instant.to_text(snapshot.at_ms),
        "true_now": snapshot.is_true_now,
        "problems": (
            *([translated(lang, snapshot.problem)] if snapshot.problem else []),
            *warnings,
        ),
    }


def _all_sites(status: CityStatus, config: Config, facts: Facts) -> tuple[SitePresent, ...]:
    known = {one.name: one for one in config.site}
    return tuple(_with_place(one, known.get(one.name), facts) for one in status.sites)


def _placed(one: SiteStatus, config: Config, facts: Facts) -> SitePresent:
    found = next((site for site in config.site if site.name == one.name), None)
    return _with_place(one, found, facts)


def _with_place(one: SiteStatus, site: Site | None, facts: Facts) -> SitePresent:
    present = _present(one.line) | {"off_air": is_off_air(one) or None}
    given = {name: getattr(one.facts, name) for name in facts} | {"is_open": one.is_open}
    if site is None:  # the store has it, and the file no longer
        return SitePresent(**present, **given)
    return SitePresent(**present, **{name: getattr(site, name) for name in PLACE}, **given)


def _router(one: RouterStatus, lang: Language) -> RouterPresent:
    return RouterPresent(
        **_present(one.line),
        site=one.site,
        since=instant.to_text(one.since_ms) if one.since_ms else None,
        cause=one.cause,
        version=one.version,
        firmware=one.firmware,
        model=one.model,
        failed=one.failed,
        problems=tuple(translated(lang, text) for text in one.problems),
    )


def _present(line: Line) -> dict[str, Any]:
    now = line.now
    names = ("name", "state", "age_ms", "routers_online", "routers_known", *FIGURES)
    return {
        **{name: getattr(now, name) for name in (*names, *MARKS)},
        "title": line.title,
        "at": instant.to_text(now.at),
        "coverage_ratio": _rounded(line.coverage),
    }


def _rounded(ratio: float | None) -> float | None:
    return None if ratio is None else round(ratio, 4)


_SITE = Parameter("name", "of the site", "taman-tirosa", where="path")
_ROUTER = Parameter("name", "of the router", "tirosa-1", where="path")
_SCOPE = Parameter(
    "scope", "what is listed", "site", {"type": "string", "enum": ["site", "router"]}
)
OFFERED = (
    ApiRoute(
        "/now", "now", "The city now, with its sites, or its routers as lists",
        (CityNow, RoutersNow), _now, (_SCOPE,),
    ),
    ApiRoute("/sites", "sites", "Every site now", (Sites,), _sites),
    ApiRoute(
        "/sites/{name}", "site", "A site and its routers now", (SiteAnswer,), _site, (_SITE,),
        errors=(400, 401, 404, 503),
    ),
    ApiRoute(
        "/routers/{name}", "router", "A router now", (RouterAnswer,), _one_router, (_ROUTER,),
        errors=(400, 401, 404, 503),
    ),
    ApiRoute(
        "/geo/sites.geojson", "site_map", "The sites as a map draws them", (SiteFeatures,), _map,
        media=GEOJSON,
    ),
)  # fmt: skip
