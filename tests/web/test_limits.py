"""From 80 % of its capacity and 90 % of its line on, a place is marked: visitors may notice."""

import re
from dataclasses import replace

import pytest
from playwright.sync_api import expect
from starlette.testclient import TestClient

from tests.until import until
from tests.web.cities import City, now_ms
from tests.web.conftest import OpenPage
from titik_collector.received import Arrived
from titik_wire import codec

SITE = "/site/taman-tirosa?lang=en"  # for 150 visitors, with 50 Mbit/s
STEP_S = 30
DRAWN = re.compile(r'data-figure="(load|line_load)" class="load( full)?">.*?</svg> ([^<]*)<')


@pytest.mark.system
@pytest.mark.parametrize(
    ("figure", "devices", "mbps", "words", "is_full"),
    [
        ("load", 119, 1.0, "79% of 150", False),
        ("load", 120, 1.0, "80% of 150", True),
        ("line_load", 3, 44.5, "line 89%", False),
        ("line_load", 3, 45.0, "line 90%", True),
    ],
)
def test_what_is_nearly_full_is_marked(
    open_page: OpenPage,
    page: TestClient,
    city: City,
    served: str,
    figure: str,
    devices: int,
    mbps: float,
    words: str,
    is_full: bool,
) -> None:
    """At the limit and not below it, whether scripts or the server write it."""
    opened = open_page(f"{served}{SITE}")
    expect(opened.locator("[data-live]")).to_have_attribute("data-live", "live")
    use(city, devices, mbps)
    wanted = (figure, " full" if is_full else "", words)
    assert wanted in until(lambda: drawn(page, wanted), [wanted])
    written = opened.locator(f'.loads [data-figure="{figure}"]')
    expect(written).to_contain_text(words)
    expect(written).to_have_class("load full" if is_full else "load")


def drawn(page: TestClient, wanted: tuple[str, str, str]) -> list[tuple[str, str, str]]:
    """What the server writes of that figure."""
    return [one for one in DRAWN.findall(page.get(SITE).text) if one[0] == wanted[0]]


def use(city: City, devices: int, mbps: float) -> None:
    """Tirosa's router has so many devices, and received so much since its last sample."""
    before = city.taken("tirosa-1", devices, now_ms()).sample
    city.store.save([Arrived(before, codec.encode(before), True, now_ms())])
    after = city.taken("tirosa-1", devices, now_ms()).sample
    received = (before.net or ())[0].rx_bytes + round(mbps * 1e6 / 8 * STEP_S)
    net = tuple(replace(one, rx_bytes=received) for one in after.net or ())
    after = replace(after, net=net)
    city.store.save([Arrived(after, codec.encode(after), True, now_ms())])
