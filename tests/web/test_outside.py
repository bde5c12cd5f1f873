"""A screen on a wall, what pages of others may show, and what the first page costs."""

import gzip
import re

import pytest
from starlette.testclient import TestClient

# Without the map, which is fetched where it is seen.
BUDGET_BYTES, BUDGET_REQUESTS = 45_000, 6


def test_a_wall_shows_every_scene_without_javascript(page: TestClient) -> None:
    """Incidents, the city, its places with the worst first, and the map."""
    text = page.get("/wall?lang=en").text
    assert 4 == len(re.findall(r'class="scene[ "]', text))
    assert 'data-wall="20"' in text


@pytest.mark.parametrize("every", ["4", "0", "-5", "x", "9999"])
def test_a_wall_turns_neither_too_fast_nor_never(page: TestClient, every: str) -> None:
    """What does not fit is named."""
    answer = page.get(f"/wall?every={every}&lang=en")
    assert 400 == answer.status_code
    assert "a whole number from 5 to 3600" in answer.text


@pytest.mark.parametrize("path", ["/embed/site/taman-tirosa", "/badge/taman-tirosa.svg"])
def test_pages_of_others_show_the_public_page_alone(page: TestClient, path: str) -> None:
    """A frame sends no login, so nothing of this page is made for one."""
    assert 404 == page.get(path).status_code
    assert "frame-ancestors 'none'" in page.get("/").headers["content-security-policy"]


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
