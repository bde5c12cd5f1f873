"""A screen on a wall, a place in a frame, a badge; and what the first page costs."""

import gzip
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.web import cities
from tests.web.conftest import LOOPBACK
from titik_collector.web import app
from titik_collector.web.city_view import watching

# Without the map, which is fetched where it is seen.
BUDGET_BYTES, BUDGET_REQUESTS = 45_000, 6
FRAMING = '[web]\nembed_in = ["https://kota.example"]\n[city]'


def test_a_wall_shows_every_scene_without_javascript(page: TestClient) -> None:
    """The city, its places with the worst first, and the map."""
    text = page.get("/wall?lang=en").text
    assert 3 == len(re.findall(r'class="scene[ "]', text))
    assert 'data-wall="20"' in text


@pytest.mark.parametrize("every", ["4", "0", "-5", "x", "9999"])
def test_a_wall_turns_neither_too_fast_nor_never(page: TestClient, every: str) -> None:
    """What does not fit is named."""
    answer = page.get(f"/wall?every={every}&lang=en")
    assert 400 == answer.status_code
    assert "a whole number from 5 to 3600" in answer.text


def test_a_frame_is_for_the_pages_that_the_configuration_names(tmp_path: Path) -> None:
    """Every other page of ours is in no frame at all."""
    text = cities.KUPANG.read_text().replace("[city]", FRAMING)
    with cities.city(tmp_path, text) as filled, watching(filled.config) as view:
        page = TestClient(app.build(view), LOOPBACK)
        embedded = page.get("/embed/site/taman-tirosa").headers["content-security-policy"]
        assert "frame-ancestors https://kota.example" in embedded
        assert "frame-ancestors 'none'" in page.get("/").headers["content-security-policy"]


def test_nobody_may_frame_a_place_unless_it_is_configured(page: TestClient) -> None:
    """The default."""
    policy = page.get("/embed/site/taman-tirosa").headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy


@pytest.mark.parametrize("path", ["/embed/site/taman-tirosa", "/badge/taman-tirosa.svg"])
def test_what_others_show_reads_and_sets_no_cookie(page: TestClient, path: str) -> None:
    """A browser sends none to a frame, so the address has all that is chosen."""
    page.cookies.set("lang", "en")
    answer = page.get(f"{path}?theme=dark", headers={"Accept-Language": "id"})
    assert "set-cookie" not in answer.headers
    assert "hidup" in answer.text


def test_a_badge_is_an_image_of_the_state(page: TestClient) -> None:
    """With a word and a shape, for pages of any origin."""
    answer = page.get("/badge/taman-tirosa.svg?lang=en")
    drawn = ET.fromstring(answer.text)
    assert "Taman Tirosa: online · 4" == drawn.get("aria-label")
    assert "image/svg+xml" == answer.headers["content-type"].partition(";")[0]
    assert "cross-origin" == answer.headers["cross-origin-resource-policy"]
    assert 404 == page.get("/badge/nowhere.svg").status_code


def test_the_first_page_is_small_and_asks_little(page: TestClient) -> None:
    """Ten places, the map not yet seen, and one request for the stream."""
    text = page.get("/").text
    files = set(re.findall(r'(?:src|href)="(/static/[^"]+)"', text.partition("<main")[0]))
    files |= {one.rpartition("/")[0] + "/live.js" for one in files if one.endswith("main.js")}
    weight = len(gzip.compress(text.encode())) + sum(
        len(gzip.compress(page.get(one).content)) for one in files
    )
    assert BUDGET_REQUESTS >= len(files) + 2
    assert BUDGET_BYTES >= weight
