"""The strip below a chart is red where the place was away, and nowhere else."""

import pytest
from playwright.sync_api import Page

from tests.web.cities import City, now_ms
from tests.web.conftest import OpenPage
from titik_wire.instant import HOUR_MS

pytestmark = pytest.mark.system
AWAY, ONLINE = "--state-offline", "--state-online"
PIXEL = 0.002
FROM_H, TO_H = 12, 6  # hours ago
# Where the upper strip has that colour, as parts of its width.
DRAWN = """(name) => {
  const figure = document.querySelector("[data-chart]");
  const [canvas, over] = [figure.querySelector("canvas"), figure.querySelector(".u-over")];
  const brush = document.createElement("canvas").getContext("2d");
  brush.fillStyle = getComputedStyle(document.body).getPropertyValue(name);
  brush.fillRect(0, 0, 1, 1);
  const wanted = String(brush.getImageData(0, 0, 1, 1).data);
  const top = over.offsetTop + over.offsetHeight + 4;
  const { data } = canvas.getContext("2d").getImageData(over.offsetLeft, top, over.offsetWidth, 7);
  const found = new Set();
  for (let n = 0; n < data.length; n += 4) {
    if (String(data.slice(n, n + 4)) === wanted) found.add((n / 4) % over.offsetWidth);
  }
  return [...found].sort((a, b) => a - b).map((x) => x / over.offsetWidth);
}"""


def test_a_lost_line_is_red_though_there_was_power(
    open_page: OpenPage, city: City, served: str
) -> None:
    """In the hours of the outage, and in no other."""
    remember(city)
    city.db.execute(
        "INSERT INTO outage (router_id, from_ms, to_ms, cause)"
        " SELECT id, ?, ?, 'uplink lost' FROM router WHERE name = 'tirosa-1'",
        (now_ms() - FROM_H * HOUR_MS, now_ms() - TO_H * HOUR_MS),
    )
    page = opened(open_page, served, "1h")
    address = f"{served}/api/v1/history/site/taman-tirosa?from=20h&w=1h&fields=online_ratio"
    shares = page.request.get(address).json()["figures"]["online_ratio"]
    assert 5 <= shares.count(0)
    red = page.evaluate(DRAWN, AWAY)
    middles = [(n + 0.5) / len(shares) for n in range(len(shares))]
    hours = {n for n, one in enumerate(middles) if any(abs(one - x) < PIXEL for x in red)}
    assert {n for n, one in enumerate(shares) if one == 0} <= hours
    assert {n for n, one in enumerate(shares) if one != 1} >= hours


def test_a_day_that_goes_on_is_not_red(open_page: OpenPage, city: City, served: str) -> None:
    """What is still to come is not away."""
    remember(city)
    assert [] == opened(open_page, served, "1d").evaluate(DRAWN, AWAY)


def remember(city: City) -> None:
    """Tirosa reported all day."""
    city.remember(1, "tirosa-1")
    city.roll()
    city.db.execute("DELETE FROM outage")


def opened(open_page: OpenPage, served: str, window: str) -> Page:
    """The history of Tirosa, with its strip."""
    page = open_page(f"{served}/history?s=site/taman-tirosa&from=20h&w={window}")
    page.locator("[data-chart] canvas").wait_for()
    page.wait_for_function(f"(name) => ({DRAWN})(name).length", arg=ONLINE)
    return page
