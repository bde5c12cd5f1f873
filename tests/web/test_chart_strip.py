"""The strip below a chart is red where the place was away, and nowhere else."""

import io
from itertools import pairwise

import pytest
from PIL import Image, ImageStat
from playwright.sync_api import Page, expect

from tests.web.cities import City, now_ms
from tests.web.conftest import OpenPage
from tests.web.people import actor
from titik_collector.alerts.alert import AlertSubject
from titik_collector.desk import planned_work
from titik_collector.desk.planned_work import Entry
from titik_collector.store import desk_opening
from titik_wire.instant import HOUR_MS, to_text

pytestmark = pytest.mark.system
STRIP = "svg:has(#strip-gap)"  # of days
AWAY, ONLINE = "--state-offline", "--state-online"
PIXEL = 0.002
VISIBLE = 4  # of 256 steps of brightness, as the mean of a day
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

# Where it has another colour than that, as parts of its width.
OTHERS = DRAWN.replace("=== wanted", "!== wanted")


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
    span = whole_hours()
    page = opened(open_page, served, "1h", span)
    address = f"{served}/api/v1/history/site/taman-tirosa?{span}&w=1h&fields=online_ratio"
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


def test_maintenance_is_hatched_in_its_hours(open_page: OpenPage, city: City, served: str) -> None:
    """Over what the routers did meanwhile, and nowhere else."""
    remember(city)
    span = whole_hours()
    before = opened(open_page, served, "1h", span).evaluate(OTHERS, ONLINE)
    work(city, FROM_H, TO_H)
    after = opened(open_page, served, "1h", span).evaluate(OTHERS, ONLINE)
    hatched = sorted(set(after) - set(before))
    expected = ((20 - FROM_H) / 20, (20 - TO_H) / 20)
    assert expected == pytest.approx((hatched[0], hatched[-1]), abs=0.06)  # an hour has begun
    widest = max(b - a for a, b in pairwise(hatched))
    assert widest < 0.02  # its lines are as near as that


def test_maintenance_is_hatched_in_the_strip_of_days(
    open_page: OpenPage, city: City, served: str
) -> None:
    """In the days that have some, of ninety."""
    remember(city)
    before = days(open_page, served)
    work(city, 5 * 24, 4 * 24)
    after = days(open_page, served)
    other = [n for n in range(90) if abs(before[n] - after[n]) > VISIBLE]
    assert [84, 85] == other  # today is the last


@pytest.mark.parametrize("width", [1440, 390])
def test_what_is_drawn_has_its_room_before(
    open_page: OpenPage, city: City, served: str, width: int
) -> None:
    """Who reads below a chart keeps the line when it appears."""
    remember(city)
    address = f"{served}/site/taman-tirosa"
    before = open_page(address, width, java_script_enabled=False).locator(STRIP).bounding_box()
    page = open_page(address, width)
    page.locator("[data-heat]").scroll_into_view_if_needed()
    expect(page.locator(".heat-legend li")).not_to_have_count(0)
    page.evaluate("scrollTo(0, 0)")
    assert before == page.locator(STRIP).bounding_box()


def work(city: City, from_h: int, to_h: int) -> None:
    """Maintenance of Tirosa, so many hours ago."""
    entry = Entry(AlertSubject("site", "taman-tirosa"), "mast")
    me = actor()
    from_ms, to_ms = (me.now_ms - one * HOUR_MS for one in (from_h, to_h))
    with desk_opening.opened(city.config.page_store) as desk:
        planned_work.plan(desk, entry, from_ms, to_ms, me)


def days(open_page: OpenPage, served: str) -> list[float]:
    """How bright each of ninety days is drawn."""
    page = open_page(f"{served}/site/taman-tirosa")
    strip = page.locator(STRIP)
    drawn = Image.open(io.BytesIO(strip.screenshot())).convert("L")
    edges = [round(n / 90 * drawn.width) for n in range(91)]
    return [
        ImageStat.Stat(drawn.crop((left, 0, right, drawn.height))).mean[0]
        for left, right in pairwise(edges)
    ]


def remember(city: City) -> None:
    """Tirosa reported all day."""
    city.remember(1, "tirosa-1")
    city.roll()
    city.db.execute("DELETE FROM outage")


def whole_hours() -> str:
    """Twenty of them, as an address has them; the same ones though an hour begins in between."""
    end_ms = now_ms() // HOUR_MS * HOUR_MS
    begin, end = (f"{to_text(one)[:19]}Z" for one in (end_ms - 20 * HOUR_MS, end_ms))
    return f"from={begin}&to={end}"


def opened(open_page: OpenPage, served: str, window: str, span: str = "from=20h") -> Page:
    """The history of Tirosa, with its strip."""
    page = open_page(f"{served}/history?s=site/taman-tirosa&{span}&w={window}")
    page.locator("[data-chart] canvas").wait_for()
    page.wait_for_function(f"(name) => ({DRAWN})(name).length", arg=ONLINE)
    return page
