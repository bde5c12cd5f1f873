"""The application: every route of the page, and what each request passes on its way.

Rule: a room's part adds its own list of routes here, and nothing else.
"""

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import BaseRoute

from titik_collector.web import (
    basemap,
    error_pages,
    live,
    public_folder,
    scraping,
    static_files,
    streets,
)
from titik_collector.web.access import WhoLooks
from titik_collector.web.api import openapi
from titik_collector.web.api.past_answers import PastBudget
from titik_collector.web.city_view import CityView
from titik_collector.web.headers import Headers
from titik_collector.web.kept_pdfs import KeptPdf
from titik_collector.web.pages import (
    about_page,
    alerts_page,
    basemap_file,
    fleet_page,
    happened_page,
    health,
    history_page,
    login_page,
    now_page,
    reports_page,
    router_page,
    site_page,
    wall_page,
)
from titik_collector.web.sign_in import SignIn
from titik_collector.web.turns import Turns

# Each file has its list; the first route that fits answers.
ROUTES: list[BaseRoute] = [
    *now_page.ROUTES,
    *basemap_file.ROUTES,
    *site_page.ROUTES,
    *router_page.ROUTES,
    *fleet_page.ROUTES,
    *happened_page.ROUTES,
    *alerts_page.ROUTES,
    *about_page.ROUTES,
    *wall_page.ROUTES,
    *live.ROUTES,
    *health.ROUTES,
    *scraping.ROUTES,
    *history_page.ROUTES,
    *reports_page.ROUTES,
    *openapi.ROUTES,
    *login_page.ROUTES,
    *static_files.ROUTES,
]


def build(city: CityView) -> Starlette:
    """The application over a city."""
    app = Starlette(
        routes=[*ROUTES, *public_folder.routes(city.config.public.directory)],
        middleware=[
            Middleware(Headers),
            # It leaves text/event-stream alone, which must not wait for more to compress.
            Middleware(GZipMiddleware, minimum_size=500, compresslevel=6),
            Middleware(WhoLooks, config=city.config, desk=city.desk),
        ],
        exception_handlers=error_pages.HANDLERS,
    )
    # Such a redirect would name the host that the request asked for.
    app.router.redirect_slashes = False
    app.state.city = city
    app.state.basemap = basemap.of_city(city.config)
    app.state.streets = streets.of_city(city.config)
    app.state.past = PastBudget()
    app.state.pdfs = KeptPdf()
    app.state.report_turns = Turns(reports_page.NO_REPORT, reports_page.BUSY)
    app.state.sign_in = SignIn(city.desk)
    app.state.streams = live.Streams(city)
    app.state.scrapes = scraping.Scrapes(city, app.state.streams)
    return app
