"""Browsers of 2020 show the same page, for people keep them for years: Chrome 85, Safari 14."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.project.sources import PACKAGES
from tests.web.conftest import OpenPage, Served

COLLECTOR = PACKAGES["titik_collector"]
SCRIPTS = [*(COLLECTOR / "web/static/js").glob("*.js"), *COLLECTOR.glob("public/assets/*.js")]
# What came later, so that a script of ours would stop there.
LATER = re.compile(
    r"AbortSignal\.(?:timeout|any)|\.at\(-|\.findLast|structuredClone|Object\.(?:hasOwn|groupBy)"
    r"|\.to(?:Sorted|Reversed|Spliced)\(|Promise\.(?:any|withResolvers)|randomUUID"
    r"|requestIdleCallback|['\"`][^'\"`]*:(?:is|where|has)\(|:not\([^)]* "
)
# A browser that does not have it.
OLD = """
delete AbortSignal.timeout;
for (const name of ["at", "findLast", "findLastIndex"]) delete Array.prototype[name];
const all = Document.prototype.querySelectorAll;
Document.prototype.querySelectorAll = function (selector) {
  if (/:is\\(|:not\\([^)]* /.test(selector)) throw new SyntaxError(selector);
  return all.call(this, selector);
};
"""


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda one: one.name)
def test_a_script_asks_nothing_of_a_later_browser(script: Path) -> None:
    """It would stop there."""
    code = re.sub(r"//.*|/\*[\s\S]*?\*/", "", script.read_text())
    assert [] == LATER.findall(code)


@pytest.mark.system
def test_an_old_browser_asks_again_where_streams_are_taken(
    served_city: Served, open_page: OpenPage
) -> None:
    """So its page shows figures too."""
    page = open_page("about:blank")
    page.add_init_script(OLD)
    page.route(
        lambda url: url.endswith("/events?of=sites"),
        lambda route: route.fulfill(status=503, headers={"Retry-After": "30"}, body="{}"),
    )
    page.goto(served_city.address)
    expect(page.locator("[data-live]")).to_have_attribute("data-live", "polled")


@pytest.mark.system
def test_an_old_browser_draws_charts_and_reads_them_out(
    served_city: Served, open_page: OpenPage
) -> None:
    """Below the pointer stands what was then."""
    page = open_page("about:blank")
    page.add_init_script(OLD)
    page.goto(f"{served_city.address}/history?s=taman-tirosa&from=3d&w=1h&lang=en")
    figure = page.locator("[data-chart]")
    figure.locator("canvas").wait_for()
    readout = figure.locator(".chart-readout")
    before = readout.inner_text()
    figure.locator(".u-over").hover()
    expect(readout).not_to_have_text(before)
