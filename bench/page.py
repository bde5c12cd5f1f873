"""What a page takes in a browser: until it is seen, for a map, a list and a chart of many.

Rule: a browser measures itself, by its own stopwatch. It draws without a graphics card, and what
else runs on the machine counts too.
"""

import contextlib
import random
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import httpx
from playwright.sync_api import Browser, Page, sync_playwright

from bench.results import Length, Result
from tests.collector.build import sample
from tests.web import cities
from tests.web.conftest import serving_at
from titik_collector.received import Arrived
from titik_collector.web.city_view import watching
from titik_wire import codec

COMMAND: Final = "python -m bench.run --only page"
PAINT: Final = """() => new Promise((seen) => new PerformanceObserver((list) => {
  const first = list.getEntriesByName("first-contentful-paint")[0];
  if (first) seen(first.startTime);
}).observe({ type: "paint", buffered: true }))"""
# From the moment that the page asks for the first file of a part until the part is drawn.
PART: Final = """([file, drawn]) => new Promise((seen) => {
  const look = () => {
    const asked = performance.getEntriesByType("resource").find((one) => one.name.endsWith(file));
    if (asked && document.querySelector(drawn)) seen(performance.now() - asked.startTime);
    else requestAnimationFrame(look);
  };
  look();
})"""
# The tasks of more than 50 ms, in which the page answers nobody.
STALLS: Final = """() => {
  window.stalls = [];
  new PerformanceObserver((list) => {
    for (const one of list.getEntries()) window.stalls.push(one.duration);
  }).observe({ type: "longtask" });
}"""
# From the click until the page is drawn again.
CLICK: Final = """(chosen) => new Promise((done) => {
  const since = performance.now();
  document.querySelector(chosen).click();
  requestAnimationFrame(() => setTimeout(() => done(performance.now() - since)));
})"""
SLOW_LINE: Final = {
    "offline": False, "latency": 150, "downloadThroughput": 200_000, "uploadThroughput": 95_000,
}  # fmt: skip
ONCE, ALL_ROUTERS = "/events?once", "/api/v1/now?scope=router"
REPORT_S: Final = 30  # between two reports of a router


def run(length: Length) -> list[Result]:
    """Of the ten places of Kupang, and of 500 places with 1,000 routers."""
    rounds, sites = (1, 40) if length == "quick" else (5, 500)
    with sync_playwright() as playwright:
        program = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        with contextlib.closing(browser):
            return [*_small(browser, rounds), *_large(browser, rounds, sites)]


def _small(browser: Browser, rounds: int) -> list[Result]:
    with tempfile.TemporaryDirectory() as folder, cities.city(Path(folder)) as city:
        city.remember(3, "tirosa-1")
        city.live()
        city.roll()
        with watching(city.config) as view, serving_at(view) as address:
            paint = _timed(browser, rounds, address, _paint)
            slow = _timed(browser, rounds, address, _paint, _slowed)
            chart = _timed(browser, rounds, f"{address}/site/taman-tirosa", _chart)
    return [
        _result(
            "first page, 10 places, at 1.6 Mb/s with a quarter of the processor", slow, "<= 2500"
        ),
        _result("first page, 10 places, until something is seen", paint, "<= 1000"),
        _result("chart of a day of minutes, with its library", chart, None),
    ]


def _large(browser: Browser, rounds: int, sites: int) -> list[Result]:
    with tempfile.TemporaryDirectory() as folder:
        text = cities.large(sites, 2)
        with cities.city(Path(folder), text) as city:
            city.hear_all()
            for router in (one.name for one in city.config.router[-12:]):  # of six places
                city.report(router, "offline")
            _differ(city)
            with watching(city.config) as view, serving_at(view) as address:
                paint = _timed(browser, rounds, address, _paint)
                moving = _timed(browser, rounds, address, _map)
                clicks = _timed(browser, rounds, address, _click)
                weights = [_kb(f"{address}{path}") for path in (ONCE, ALL_ROUTERS)]
                stalls = _stalls(browser, city, address, seconds=rounds * 12)
    of = f"{sites} places, {2 * sites} routers"
    return [
        _result(f"first page of {of}, from a click on a state until it is drawn", clicks, None),
        _result(
            f"first page of {of}, live for a minute, time in tasks of 50 ms and more", stalls, None
        ),
        _result(f"first page, {of}, until something is seen", paint, None),
        _result(f"map of {of}, with its library", moving, "<= 250"),
        Result(
            f"what a stream begins with, {of}, compressed", "kB", (weights[0],), "<= 20", COMMAND
        ),
        Result(
            f"all routers from the API, {of}, compressed", "kB", (weights[1],), "<= 20", COMMAND
        ),
    ]


def _differ(city: cities.City) -> None:
    """A second sample of each router, whose figures are of chance: equal ones weigh nothing."""
    chance, at_ms = random.Random(16), cities.now_ms()
    arrived = []
    for name in (one.name for one in city.config.router):
        plain = sample(2, router=name, run=cities.token(name), boot=cities.boot(name))
        (bss,), (net,) = plain.bss or (), plain.net or ()
        down, up = chance.randrange(10**9), chance.randrange(10**8)
        taken = replace(
            plain,
            clients=chance.randrange(60),
            taken_at=at_ms,
            spool=(),
            bss=(replace(bss, tx_bytes=10**6 + down, rx_bytes=10**5 + up),),
            net=(replace(net, rx_bytes=11 * 10**5 + down, tx_bytes=11 * 10**4 + up),),
        )
        city.seqs[name] = 2
        arrived.append(Arrived(taken, codec.encode(taken), True, at_ms + 50))
    city.store.save(arrived)


def _kb(address: str) -> float:
    """As it comes over the network."""
    headers = {"Connection": "keep-alive", "Accept-Encoding": "gzip"}
    with httpx.stream("GET", address, headers=headers) as answer:
        answer.raise_for_status()
        return sum(map(len, answer.iter_raw())) / 1024


def _timed(
    browser: Browser,
    rounds: int,
    address: str,
    measure: Callable[[Page], float],
    prepare: Callable[[Page], None] = lambda _: None,
) -> tuple[float, ...]:
    """Each time in a browser that has nothing of ours yet."""
    found = []
    for _ in range(rounds):
        with contextlib.closing(
            browser.new_context(viewport={"width": 1440, "height": 900})
        ) as one:
            page = one.new_page()
            prepare(page)
            page.goto(address)
            found.append(measure(page))
    return tuple(found)


def _slowed(page: Page) -> None:
    """The line of a phone far from its mast, and its processor."""
    cdp = page.context.new_cdp_session(page)
    cdp.send("Network.enable")
    cdp.send("Network.emulateNetworkConditions", SLOW_LINE)
    cdp.send("Emulation.setCPUThrottlingRate", {"rate": 4})


def _paint(page: Page) -> float:
    return float(page.evaluate(PAINT))


def _map(page: Page) -> float:
    return float(page.evaluate(PART, ["leaflet.js", ".pin"]))


def _click(page: Page) -> float:
    """On the map and in the list; the second time, when all is loaded."""
    page.locator(".pin").first.wait_for()
    page.evaluate(CLICK, '[data-filter="offline"]')
    page.evaluate(CLICK, '[data-filter=""]')
    return float(page.evaluate(CLICK, '[data-filter="offline"]'))


def _stalls(browser: Browser, city: cities.City, address: str, seconds: int) -> tuple[float, ...]:
    """While each router reports as often as it does, a place goes or comes each ten seconds."""
    with contextlib.closing(browser.new_context(viewport={"width": 1440, "height": 900})) as one:
        page = one.new_page()
        page.goto(address)
        page.locator(".pin").first.wait_for()
        page.evaluate(STALLS)
        names = [one.name for one in city.config.router]
        for second in range(seconds):
            part = names[second % REPORT_S :: REPORT_S]
            city.hear_these(part, 3 + second)
            if second % 10 == 0:
                city.report(names[0], "online" if second // 10 % 2 else "offline")
            page.wait_for_timeout(1000)
        return (float(page.evaluate("window.stalls.reduce((all, one) => all + one, 0)")),)


def _chart(page: Page) -> float:
    page.locator("[data-chart]").first.scroll_into_view_if_needed()
    return float(page.evaluate(PART, ["uPlot.iife.min.js", "[data-chart] canvas"]))


def _result(name: str, runs: tuple[float, ...], target: str | None) -> Result:
    return Result(name, "ms", runs, target, COMMAND)
