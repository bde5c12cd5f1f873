"""The city on `/`, its headers, its files and `/healthz`."""

import re

from starlette.testclient import TestClient

from tests.web.cities import City
from titik_collector.web import app
from titik_collector.web.city_view import CityView

HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self';"
    " img-src 'self' data:; connect-src 'self'; font-src 'self'; manifest-src 'self';"
    " base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "permissions-policy": "geolocation=(), camera=(), microphone=()",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


def test_every_place_is_there_with_its_state_and_figures(page: TestClient, city: City) -> None:
    """A browser without JavaScript shows them."""
    text = page.get("/").text.partition("data-map")[0]
    assert {one.name for one in city.config.site} == set(
        re.findall(r'data-subject="site/(.+?)"', text)
    )
    assert 10 == text.count('<b data-figure="state">hidup</b>')


def test_every_answer_carries_the_headers(page: TestClient) -> None:
    """Errors and files too. They are written out, so that none is lost with the list of ours."""
    for path in ("/", "/healthz", "/nowhere"):
        answer = page.get(path)
        assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
        assert "server" not in answer.headers


def test_https_is_kept_by_a_browser_that_had_it_once(view: CityView) -> None:
    """For a year; over plain HTTP nothing says so, and a browser would not believe it."""
    built = app.build(view)
    name = "strict-transport-security"
    assert "max-age=31536000" == TestClient(built, "https://localhost").get("/").headers[name]
    assert name not in TestClient(built, "http://localhost").get("/").headers


def test_files_are_kept_for_a_year_under_their_hash(page: TestClient) -> None:
    """A page names them by an address that changes with them."""
    (path,) = re.findall(r'href="(/static/[0-9a-f]{8}/css/page.css)"', page.get("/").text)
    answer = page.get(path)
    assert "public, max-age=31536000, immutable" == answer.headers["cache-control"]
    assert "gzip" == answer.headers.get("content-encoding", "gzip")
    assert 404 == page.get(path.replace("page.css", "..%2f..%2fapp.py")).status_code


def test_health_is_good_while_the_city_is_seen(page: TestClient) -> None:
    """Any checker of uptime reads the status alone."""
    answer = page.get("/healthz")
    assert (200, {"ok": True, "problems": []}) == (answer.status_code, answer.json())


def test_the_language_is_the_address_s_then_the_cookie_s_then_the_browser_s(
    page: TestClient,
) -> None:
    """And what the address chose is kept."""
    assert '<html lang="id"' in page.get("/").text
    assert '<html lang="en"' in page.get("/", headers={"Accept-Language": "en-GB,id;q=0.5"}).text
    assert '<html lang="en"' in page.get("/?lang=en").text
    assert '<html lang="en"' in page.get("/", headers={"Accept-Language": "id"}).text
