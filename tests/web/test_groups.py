"""Places together by what they have in common, on the first page; all of it in the address."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import expect
from starlette.testclient import TestClient

from tests.until import until
from tests.web import cities
from tests.web.conftest import LOOPBACK, OpenPage, Served, serving_at
from titik_collector.queries.status import SiteStatus
from titik_collector.web import app
from titik_collector.web.city_view import CityView, watching
from titik_collector.web.place_groups import PlaceGroup
from titik_collector.web.places import Place


def groups(text: str) -> list[tuple[str, str, str]]:
    """State, title and devices of each."""
    found = re.findall(r'<details class="group state-(\S+)".*?</summary>', text, re.S)
    heads = re.findall(r'<details class="group.*?</summary>', text, re.S)
    return [
        (
            state,
            re.sub("<[^>]*>", "", re.findall(r"<b>(.*?)</b>", head)[0]),
            re.findall(r'data-sum="clients">(.*?)<', head)[0],
        )
        for state, head in zip(found, heads, strict=True)
    ]


def shown(text: str) -> list[str]:
    """Names of the places that are shown."""
    cards = re.findall(r'<li class="place[^>]*data-subject="site/([^"]+)"[^>]*?( hidden)?>', text)
    return [name for name, hidden in cards if not hidden]


def test_places_stand_together_with_their_sums(
    page: TestClient, city: cities.City, view: CityView
) -> None:
    """The group with the most down first, and how many; routers that are away add nothing."""
    city.report("lerik-1", "offline")
    until(lambda: view.snapshot.status.line.now.routers_online, 9)
    text = page.get("/?group=provider&lang=en").text
    # A router's devices are 3 and its place in the file; nobody knows those of the one away.
    assert [
        ("offline", "Indosat", "7"),
        ("online", "Lintasarta", "13"),
        ("online", "Telkom", "45"),
    ] == groups(text)
    assert 10 == len(shown(text))


@pytest.mark.parametrize(
    ("states", "seen", "rank"),
    [
        (["online"] * 83 + ["offline"], ("partly", 1), -1 / 84),
        (["online", "offline"], ("offline", 1), -1 / 2),
        (["online"] * 3 + ["offline"] * 2, ("partly", 2), -2 / 5),
        (["online", "offline", "closed", "closed", "closed"], ("offline", 1), -1 / 5),
        (["online"] * 3 + ["silent"], ("partly", 1), 0),
        (["unknown"] * 3, ("unknown", 3), 0),
        (["closed"] * 2, ("closed", 2), 0),
        (["online", "online", "closed"], ("online", 2), 0),
    ],
)
def test_a_group_looks_as_half_of_its_places_do(
    view: CityView, states: list[str], seen: tuple[str, int], rank: float
) -> None:
    """One of 84 that is down makes no dead district; the share that is down sorts it."""
    site = view.snapshot.status.sites[0]
    group = PlaceGroup("", tuple(in_state(site, one) for one in states), site.line)
    assert (seen, rank) == ((group.state, group.number), min(0, group.rank))


def in_state(site: SiteStatus, state: str) -> Place:
    """The site as a place in that state."""
    is_open = state != "closed"
    now = replace(site.now, state=state if is_open else "offline")  # type: ignore[arg-type]
    return Place(replace(site, line=replace(site.line, now=now), routers=(), is_open=is_open), None)


def test_a_place_is_in_the_group_of_each_of_its_tags(page: TestClient) -> None:
    """Each group is of one word."""
    text = page.get("/?group=tags&lang=en").text
    assert {"taman", "pusat-kota", "pantai", "wisata"} < {title for _, title, _ in groups(text)}
    assert 2 == shown(text).count("taman-nostalgia")


def test_a_fact_in_the_address_chooses_places(page: TestClient) -> None:
    """With their sums, on the map too, and with a way back."""
    text = page.get("/?provider=lintasarta&district=Kota+Lama&lang=en").text
    assert ["pantai-ketapang-satu"] == shown(text)
    assert 1 == text.count('class="map-place ')
    assert [("online", "Kota Lama · lintasarta", "8")] == groups(text)
    (back,) = re.findall(r'href="([^"]*)"[^>]*>Provider:', text)
    assert "/?district=Kota+Lama&lang=en" == back.replace("&amp;", "&")
    nothing = page.get("/?provider=nobody&lang=en").text
    assert [] == shown(nothing)
    assert '<p class="none" data-none>' in nothing


def test_a_search_chooses_on_the_map_and_in_the_counts(page: TestClient) -> None:
    """As a fact does; without scripts too."""
    text = page.get("/?q=tirosa&lang=en").text
    assert ["taman-tirosa"] == pins(text)
    assert ["1"] == re.findall(r'<a class="chip"[^>]*>all <span data-count="all">(\d+)', text)
    assert [] == pins(page.get("/?q=tirosa&state=offline").text)


def pins(text: str) -> list[str]:
    """Names of the places that the map shows."""
    found = re.findall(r'<a class="map-place .*?href="/site/(.+?)"[^>]*?( hidden)?>', text)
    return [name for name, hidden in found if not hidden]


@pytest.mark.system
def test_the_map_shows_what_the_list_shows(open_page: OpenPage, served_city: Served) -> None:
    """As somebody types, and by a state."""
    page = open_page(f"{served_city.address}/?lang=en")
    expect(page.locator("[data-live]")).to_have_attribute("data-live", "live")
    expect(page.locator(".pin")).to_have_count(10)
    page.keyboard.press("/")
    page.keyboard.type("tirosa")
    expect(page.locator(".pin")).to_have_count(1)
    expect(page.locator('.chip [data-count="all"]')).to_have_text("1")
    expect(page.locator('[data-filter="offline"]')).to_be_hidden()
    page.keyboard.press("Control+A")
    page.keyboard.press("Delete")
    expect(page.locator(".pin")).to_have_count(10)
    page.locator('[data-filter="offline"]').click()
    expect(page.locator(".pin")).to_have_count(2)
    expect(page.locator('.chip [data-count="all"]')).to_have_text("10")


def test_only_what_divides_the_city_is_offered(tmp_path: Path) -> None:
    """A city of one district has no use for its districts."""
    text = re.sub(r'district = ".*"', 'district = "Oebobo"', cities.KUPANG.read_text())
    text = text.replace('provider = "Telkom"\n', "")
    with cities.city(tmp_path, text) as filled, watching(filled.config) as view:
        page = TestClient(app.build(view), LOOPBACK)
        offered = re.findall(r'href="/\?group=(\w+)', page.get("/?state=unknown").text)
        offered += re.findall(r"group=(\w+)", page.get("/").text)
        assert {"provider", "tier", "power", "tags"} == set(offered)
        titles = [
            title for _, title, _ in groups(page.get("/?group=provider&sort=name&lang=en").text)
        ]
        assert ["Indosat", "Lintasarta", "not given"] == titles
        assert 6 == len(shown(page.get("/?provider=").text))


def left(text: str) -> list[str]:
    """How many the link to all leads to; none: it is not there."""
    return re.findall(r'<p class="more"><a.*?data-all>.*?<span data-fit>(.*?)</span>', text)


def test_of_many_places_the_worst_are_shown(tmp_path: Path) -> None:
    """And all of them one step away, with or without JavaScript."""
    with cities.city(tmp_path, cities.large(40, 1)) as filled:
        filled.hear_all()
        filled.report("r-39-0", "offline")
        with watching(filled.config) as view:
            page = TestClient(app.build(view), LOOPBACK)
            text = page.get("/").text
            cards = re.findall(r'<li class="place state-(\S+?)( late)?" data-sub', text)
            assert (30, 10) == (len([1 for _, late in cards if not late]), text.count(" late"))
            assert ("offline", "") == cards[0]
            (link,) = re.findall(r'<a href="([^"]*)" data-keeps data-all>', text)
            assert 0 == page.get(link).text.count(" late")
            assert ["40"] == left(text)
            (others,) = {state for state, _ in cards[1:]}
            assert ["39"] == left(page.get(f"/?state={others}").text)
            assert [] == left(page.get("/?q=tempat-39").text)


def test_a_group_that_is_none_is_named(page: TestClient) -> None:
    """With what it may be."""
    answer = page.get("/?group=circuit&lang=en")
    assert 400 == answer.status_code
    assert "group: &#39;circuit&#39; is none of them" in answer.text


def test_a_fact_of_a_place_leads_to_its_like(page: TestClient) -> None:
    """From its own page."""
    text = page.get("/site/taman-tirosa?lang=en").text
    assert '<a href="/?provider=Telkom">Telkom</a>' in text
    assert '<a href="/?tier=2">2</a>' in text


@pytest.mark.system
def test_a_group_without_a_value_stays_last(open_page: OpenPage, tmp_path: Path) -> None:
    """As the server has it, where all is well; the first message moves nothing."""
    text = cities.KUPANG.read_text().replace('provider = "Telkom"\n', "")
    with cities.city(tmp_path, text) as filled:
        filled.live()
        with watching(filled.config) as view, serving_at(view) as address:
            page = open_page(f"{address}/?group=provider&lang=en")
            group = page.locator('.group[data-title="Indosat"]')
            before = group.locator('[data-sum="clients"]').inner_text()
            for router in filled.config.router:
                filled.hear(router.name, 60)
            expect(group.locator('[data-sum="clients"]')).not_to_have_text(before)
            titles = page.locator(".group").evaluate_all(
                "groups => groups.map((one) => one.dataset.title)"
            )
            assert ["Indosat", "Lintasarta", ""] == titles


@pytest.mark.system
def test_the_link_to_all_counts_what_fits(open_page: OpenPage, tmp_path: Path) -> None:
    """It follows the search."""
    with cities.city(tmp_path, cities.large(140, 1)) as filled:
        filled.hear_all()
        with watching(filled.config) as view, serving_at(view) as address:
            page = open_page(f"{address}/?lang=en")
            expect(page.locator("[data-fit]")).to_have_text("140")
            page.locator("[data-search]").fill("tempat-1")
            expect(page.locator("[data-fit]")).to_have_text("51")
            page.locator("[data-search]").fill("tempat-139")
            expect(page.locator("[data-fit]")).to_be_hidden()


@pytest.mark.system
def test_a_group_lives_as_its_places_do(open_page: OpenPage, tmp_path: Path) -> None:
    """Its sum and its worst state; a search opens it, and stays in the address with the group."""
    with cities.city(tmp_path) as filled:
        filled.live()
        with watching(filled.config) as view, serving_at(view) as address:
            page = open_page(f"{address}/?group=district&lang=en")
            expect(page.locator("[data-live]")).to_have_attribute("data-live", "live")
            group = page.locator('.group[data-title="Oebobo"]')
            expect(group.locator('[data-sum="clients"]')).to_have_text("38")
            filled.hear("tirosa-1", 50)
            expect(group.locator('[data-sum="clients"]')).to_have_text("84")
            filled.report("lerik-1", "offline")
            expect(group.locator("[data-worst]")).to_have_text("1 of 5 down")
            expect(group).to_have_class("group state-partly")
            expect(page.locator(".group").first).to_have_attribute("data-title", "Oebobo")
            group.locator("summary").click()
            page.keyboard.press("/")
            page.keyboard.type("tirosa")
            expect(page.locator(".group:visible")).to_have_count(1)
            expect(group.locator(".place:visible")).to_have_count(1)
            expect(page).to_have_url(re.compile("group=district"))
            provider = page.locator(".chip", has_text="Provider")
            expect(provider).to_have_attribute("href", re.compile("q=tirosa"))
