"""A page in a real browser never looks live when it is not, whatever becomes of line and clock."""

import contextlib
import re

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.ports import free_port
from tests.until import until
from tests.web import cities
from tests.web.conftest import OpenPage, serving_at
from tests.web.test_live import view_streams as streams_of
from titik_collector.web.city_view import CityView

pytestmark = pytest.mark.system
SOON_MS = 60_000  # a busy machine is no failure
# Each stream of a page is known to the test, and none brings a beat while `isDeaf`.
COUNTED = """
window.sources = [];
window.isOpen = (one) => one.readyState !== EventSource.CLOSED;
window.isDeaf = false;
window.EventSource = class extends EventSource {
  constructor(...given) { super(...given); sources.push(this); }
  addEventListener(kind, listener) {
    super.addEventListener(kind, (event) => (isDeaf && kind === "health") || listener(event));
  }
};
"""


def live(page: Page, how: str = "live") -> None:
    """Wait until the mark in the head shows it."""
    expect(page.locator("[data-live]")).to_have_attribute("data-live", how, timeout=SOON_MS)


def figure(page: Page, subject: str, name: str) -> Locator:
    """As it is written in the list."""
    return page.locator(f'li[data-subject="{subject}"] [data-figure="{name}"]')


def test_figures_change_while_the_page_is_open(
    served: str, city: cities.City, open_page: OpenPage
) -> None:
    """Without a reload, and the sum of the city with them."""
    page = open_page(served)
    live(page)
    of_city = page.locator('.summary [data-figure="clients"]')
    before = of_city.inner_text()
    city.hear("tirosa-1", clients=1077)
    shown = page.locator('li[data-subject="site/taman-tirosa"] [data-figure="clients"]')
    expect(shown).to_have_text("1.077", timeout=SOON_MS)
    expect(of_city).not_to_have_text(before)


def test_a_place_that_goes_away_rises_to_the_top(
    served: str, city: cities.City, open_page: OpenPage
) -> None:
    """With its mark, its word and since when; the chip of its state appears."""
    page = open_page(served)
    live(page)
    city.report("perumnas-1", "offline")
    first = page.locator("[data-place-list] > li").first
    expect(first).to_have_attribute("data-subject", "site/perumnas", timeout=SOON_MS)
    expect(first.locator(".mark use").first).to_have_attribute("href", "#mark-offline")
    expect(first.locator('[data-figure="state"]').first).to_have_text("mati")
    expect(page.locator('[data-filter="offline"]')).to_be_visible()


def test_what_a_router_reports_of_itself_is_renewed(
    served: str, city: cities.City, open_page: OpenPage
) -> None:
    """Its networks and interfaces too, some seconds later; what has the focus keeps it."""
    page = open_page(f"{served}/router/tirosa-1")
    live(page)
    page.evaluate(
        "() => { const name = document.querySelector('.halves .stacked th[scope=row]');"
        " name.tabIndex = -1; name.focus(); }"
    )
    city.hear("tirosa-1", clients=1077)
    expect(page.locator('.hero [data-figure="clients"]')).to_have_text("1.077", timeout=SOON_MS)
    city.hear("tirosa-1", clients=1078)
    expect(page.locator('.hero [data-figure="clients"]')).to_have_text("1.078", timeout=SOON_MS)
    turn(page, 16_000)
    cell = page.locator(".halves .stacked td").filter(has_text="1.078")
    expect(cell).to_have_count(1, timeout=SOON_MS)


def test_a_place_stays_away_however_long(
    served: str, city: cities.City, open_page: OpenPage
) -> None:
    """Its figures are old, and its state is not: the server repeats it with each beat."""
    page = open_page(served)
    live(page)
    city.report("perumnas-1", "offline")
    place = page.locator('li[data-subject="site/perumnas"]')
    expect(place).to_have_attribute("data-state", "offline", timeout=SOON_MS)
    place.evaluate("(one) => { one.dataset.at -= 1_000_000; }")
    mark = page.locator("[data-live]")
    for _ in range(3):
        expect(mark).not_to_have_text(mark.inner_text(), timeout=SOON_MS)
    expect(place).to_have_attribute("data-state", "offline", timeout=SOON_MS)


def test_a_server_that_is_gone_is_seen_and_comes_back(view: CityView, open_page: OpenPage) -> None:
    """The mark changes at once, a bar follows in words, and a new server makes it live again."""
    port = free_port()
    with contextlib.ExitStack() as stack:
        address = stack.enter_context(serving_at(view, port))
        page = open_page(address)
        live(page)
        stack.close()
        live(page, "waiting")
        live(page, "lost")
        expect(page.locator('[data-bar="lost"]')).to_contain_text("Terputus sejak")
    with serving_at(view, port):
        live(page)
        expect(page.locator('[data-bar="lost"]')).to_be_hidden()


def test_a_line_that_swallows_everything_is_seen_and_left(
    served: str, view: CityView, open_page: OpenPage
) -> None:
    """No error comes of it: only the missing beat shows it, and the page asks again."""
    page = open_page(served)
    live(page)
    swallow(view)
    live(page, "waiting")
    live(page)


def test_an_answer_that_never_comes_is_left(served: str, open_page: OpenPage) -> None:
    """Neither a stream nor a question waits for ever."""
    page = open_page("about:blank")
    asked: list[Route] = []

    def answer(route: Route) -> None:
        asked.append(route)
        if len(asked) == 1:
            route.fulfill(status=503, headers={"Retry-After": "30"}, body="{}")
        elif len(asked) > 2:
            route.continue_()

    page.route(lambda url: "/events" in url, answer)
    page.goto(served)
    live(page)
    assert "once" in asked[1].request.url
    asked[1].abort()


def test_ages_count_on_and_figures_go_when_the_line_is_gone(
    served: str, view: CityView, open_page: OpenPage
) -> None:
    """Grey after two minutes, a point after fifteen; the browser's stopwatch is turned forward."""
    page = open_page(served)
    live(page)
    page.route(lambda url: "/events" in url, lambda route: route.abort())
    swallow(view)
    live(page, "waiting")
    place = page.locator('li[data-subject="site/taman-tirosa"]')
    turn(page, 130_000)
    expect(place).to_have_class(re.compile(r"\bold\b"), timeout=SOON_MS)
    turn(page, 800_000)
    expect(place.locator('[data-figure="clients"]')).to_have_text("·", timeout=SOON_MS)
    expect(place.locator('[data-figure="state"]').first).to_have_text("tidak diketahui")


def test_a_wrong_clock_of_the_browser_changes_nothing(served: str, open_page: OpenPage) -> None:
    """Ages and times are the server's."""
    page = open_page("about:blank")
    page.add_init_script("const real = Date.now; Date.now = () => real() + 40 * 86400000;")
    page.goto(f"{served}/site/taman-tirosa")
    live(page)
    age = page.locator('.hero [data-figure="age"]')
    expect(age).to_have_text(re.compile(r"^\d{1,2} (dtk|m) lalu$"), timeout=SOON_MS)
    expect(page.locator('li [data-figure="since"]').first).to_be_hidden()


def test_a_tab_that_is_not_seen_has_no_stream(
    served: str, view: CityView, open_page: OpenPage
) -> None:
    """A browser has six connections to a server, and people leave tabs open."""
    page = open_page(served)
    live(page)
    hide(page, hidden=True)
    expect(page.locator("[data-live]")).not_to_have_attribute("data-live", "live")
    assert 0 == until(lambda: len(streams_of(view)), 0)
    hide(page, hidden=False)
    live(page)


def test_a_tab_has_one_stream(served: str, view: CityView, open_page: OpenPage) -> None:
    """However often it begins again, the one before is closed at once."""
    page = open_page("about:blank")
    page.add_init_script(COUNTED)
    page.goto(served)
    live(page)
    for _ in range(3):
        page.evaluate("dispatchEvent(new Event('online'))")
        hide(page, hidden=True)
        hide(page, hidden=False)
    assert page.evaluate("sources.length") > 6
    assert 1 == page.evaluate("sources.filter(isOpen).length")
    live(page)
    assert 1 == until(lambda: len(streams_of(view)), 1)


def test_two_seconds_without_a_beat_are_not_live(served: str, open_page: OpenPage) -> None:
    """By a stopwatch that stands still after them, so that no later second counts."""
    page = open_page("about:blank")
    page.add_init_script(COUNTED)
    page.goto(served)
    live(page)
    page.evaluate(
        "() => { isDeaf = true; const at = performance.now(); performance.now = () => at + 2001; }"
    )
    live(page, "waiting")


def test_the_first_look_after_a_sleep_is_not_live(served: str, open_page: OpenPage) -> None:
    """A stopwatch may stand still in it; the wall clock has jumped. The next beat is live again."""
    page = open_page(served)
    live(page)
    page.evaluate(
        "() => { const mark = document.querySelector('[data-live]'); window.looks = [];"
        " new MutationObserver(() => looks.push(mark.dataset.live))"
        ".observe(mark, {attributeFilter: ['data-live']});"
        " const real = Date.now; Date.now = () => real() + 3600000; }"
    )
    assert "waiting" == until(lambda: page.evaluate("looks[0]"), "waiting")
    live(page)


def test_a_page_without_a_stream_asks_again_and_again(served: str, open_page: OpenPage) -> None:
    """Where all streams are taken, the same page shows figures that are some seconds old."""
    page = open_page("about:blank")
    page.route(
        lambda url: url.endswith("/events?of=sites"),
        lambda route: route.fulfill(status=503, headers={"Retry-After": "30"}, body="{}"),
    )
    page.goto(served)
    live(page, "polled")


def test_a_line_that_holds_streams_back_is_asked(served: str, open_page: OpenPage) -> None:
    """It gives no error and no beat, and lets questions through."""
    page = open_page("about:blank")
    held: list[Route] = []
    page.route(lambda url: url.endswith("/events?of=sites"), lambda route: held.append(route))
    page.goto(served)
    live(page, "polled")
    for one in held:
        one.abort()


def test_python_and_javascript_write_figures_alike(served: str, open_page: OpenPage) -> None:
    """The server renders first, and the browser writes over it: nothing may change by that."""
    for code, locale in (("id", "id-ID"), ("en", "en-GB")):
        page = open_page(f"{served}/?lang={code}", locale=locale)
        live(page)
        without = open_page(f"{served}/?lang={code}", java_script_enabled=False)
        for name in ("clients", "wifi_down_bps", "wifi_up_bps", "state"):
            expected = figure(without, "site/taman-tirosa", name).inner_text()
            expect(figure(page, "site/taman-tirosa", name)).to_have_text(expected)


def test_search_and_state_work_without_the_server(served: str, open_page: OpenPage) -> None:
    """A key begins the search, and the address keeps what is chosen."""
    page = open_page(served)
    live(page)
    page.keyboard.press("/")
    page.keyboard.type("tirosa")
    expect(page.locator("[data-place-list] > li:visible")).to_have_count(1)
    expect(page).to_have_url(re.compile(r"\?q=tirosa$"))
    page.reload()
    expect(page.locator("[data-place-list] > li:visible")).to_have_count(1)


@pytest.mark.parametrize("width", [360, 1440])
@pytest.mark.parametrize(
    "path", ["/", "/site/taman-tirosa", "/router/tirosa-1", "/happened", "/about"]
)
def test_a_screen_fits_its_width(served: str, open_page: OpenPage, path: str, width: int) -> None:
    """Nobody scrolls sideways, in either language."""
    for code in ("id", "en"):
        page = open_page(f"{served}{path}?lang={code}", width)
        assert width >= page.evaluate("document.documentElement.scrollWidth")


def turn(page: Page, ms: int) -> None:
    """Turn the browser's stopwatch forward."""
    page.evaluate(
        "ms => { const real = performance.now.bind(performance);"
        " performance.now = () => real() + ms; }",
        ms,
    )


def hide(page: Page, *, hidden: bool) -> None:
    """As the browser reports it to the page when its tab is left."""
    page.evaluate(
        "hidden => { Object.defineProperty(document, 'hidden', {value: hidden,"
        " configurable: true}); document.dispatchEvent(new Event('visibilitychange')); }",
        hidden,
    )


def swallow(view: CityView) -> None:
    """Nothing more comes to the readers that there are, and no error comes of it."""
    for streams in streams_of(view)._open.values():
        streams.clear()
