"""The city on `/`, its headers, its files and `/healthz`."""

import re

from starlette.testclient import TestClient

from tests.web.cities import City
from titik_collector.web.headers import HEADERS


def test_every_place_is_there_with_its_state_and_figures(page: TestClient, city: City) -> None:
    """A browser without JavaScript shows them."""
    text = page.get("/").text.partition("data-map")[0]
    assert {one.name for one in city.config.site} == set(
        re.findall(r'data-subject="site/(.+?)"', text)
    )
    assert 10 == text.count('<b data-figure="state">hidup</b>')


def test_every_answer_carries_the_headers(page: TestClient) -> None:
    """Errors and files too."""
    for path in ("/", "/healthz", "/nowhere"):
        answer = page.get(path)
        assert HEADERS.items() <= {name: answer.headers.get(name) for name in HEADERS}.items()
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "server" not in answer.headers


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
