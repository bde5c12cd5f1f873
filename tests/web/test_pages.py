"""The screens: what each shows, and what it answers where it has nothing to show."""

import re
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.until import until
from tests.web import cities, people
from tests.web.conftest import LOOPBACK
from titik_collector.figures.windows import Calendar
from titik_collector.store import registry_rows, wishes
from titik_collector.web import app, rendering
from titik_collector.web.city_view import CityView, watching
from titik_collector.web.pages import about_page
from titik_wire.fleet_messages import InForce, Outcome, RouterSettings, Running
from titik_wire.instant import HOUR_MS

SCREENS = ("/", "/site/taman-tirosa", "/router/tirosa-1", "/happened", "/about")


@pytest.mark.parametrize("path", SCREENS)
@pytest.mark.parametrize("code", ["id", "en"])
def test_a_screen_is_whole_without_javascript(page: TestClient, path: str, code: str) -> None:
    """And loads nothing from anywhere else."""
    answer = page.get(f"{path}?lang={code}")
    assert (200, f'lang="{code}"') == (
        answer.status_code,
        re.findall(r'lang="..?"', answer.text)[0],
    )
    assert 1 == len(re.findall("<h1", answer.text))
    assert [] == re.findall(r'(?:src|href)="(?!/|#|data:)[^"]*"', answer.text)
    assert [] == re.findall(r"<style|style=|<script(?! type=\"module\" src=)|\son\w+=", answer.text)


@pytest.mark.parametrize("path", SCREENS)
def test_every_link_of_a_screen_leads_somewhere(page: TestClient, path: str) -> None:
    """None is shown before its page exists."""
    links = {
        one.replace("&amp;", "&") for one in re.findall(r'href="(/[^"]*)"', page.get(path).text)
    }
    assert {} == {one: code for one in links if (code := page.get(one).status_code) != 200}


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/site/nowhere", 404, "no such page"),
        ("/router/nobody", 404, "no such page"),
        ("/?state=sleepy", 400, "state: &#39;sleepy&#39; is none of them"),
        (
            "/happened?days=12",
            400,
            "days: &#39;12&#39; is none of them; allowed: 1, yesterday, 7, 30, 90",
        ),
    ],
)
def test_what_is_wrong_in_an_address_is_named(
    page: TestClient, path: str, status: int, words: str
) -> None:
    """The field, and what it may be."""
    answer = page.get(f"{path}{'&' if '?' in path else '?'}lang=en")
    assert status == answer.status_code
    assert words in answer.text


def test_the_worst_comes_first_and_says_since_when(
    page: TestClient, city: cities.City, view: CityView
) -> None:
    """A place that is away, then one with fewer routers than it has, then the others by name."""
    city.report("perumnas-1", "offline", cities.now_ms() - 120_000)
    until(lambda: view.snapshot.status.line.now.routers_online, 9)
    text = page.get("/?lang=en").text
    first = re.findall(r'<li class="place state-(\S+)" data-subject="site/(\S+?)"', text)[0]
    assert ("offline", "perumnas") == first
    assert re.search(r"<b[^>]*>offline</b> <span [^>]*>since [^<(]*\d\d:\d\d \(\d m\)</span>", text)


def test_search_and_state_are_in_the_address(page: TestClient) -> None:
    """So a link shows the same to somebody else, with and without JavaScript."""
    text = page.get("/?q=TAMAN+tir&state=online").text
    cards = re.findall(r'<li class="place[^>]*data-subject="site/([^"]+)"[^>]*?( hidden)?>', text)
    assert ["taman-tirosa"] == [name for name, hidden in cards if not hidden]
    assert 'value="TAMAN tir"' in text


def test_words_of_a_visitor_are_shown_as_words(page: TestClient) -> None:
    """They are never a part of the page."""
    for field in ("q", "state", "sort"):
        text = page.get(f'/?{field}="><script>alert(1)</script>').text
        assert "alert(1)" in text
        assert "<script>alert" not in text


def test_contacts_are_for_people_with_a_login(page: TestClient, view: CityView) -> None:
    """Nobody else reads who has the key; the page says how to."""
    text = page.get("/site/taman-tirosa?lang=en").text
    assert "Provider" in text
    assert [] == [one for one in ("TLK-KPG-", "0380-555") if one in text]
    assert "titik web user add" in text
    people.add_user(view.config)
    people.log_in(page)
    text = page.get("/site/taman-tirosa?lang=en").text
    assert ["TLK-KPG-", "0380-555"] == [one for one in ("TLK-KPG-", "0380-555") if one in text]
    assert "titik web user add" not in text


def test_a_router_shows_what_a_technician_asks_before_its_past(page: TestClient) -> None:
    """What it does not report is named, where a person looks for it."""
    text = page.get("/router/tirosa-1?lang=en").text
    assert text.index("Last sample") < text.index('class="strip"')
    facts = dict(re.findall(r"<dt>([^<]+)</dt><dd>(?:<span[^>]*>)?([^<]+)", text))
    assert {"Firmware": "not reported", "Uplink": "wan up"} == {
        name: facts[name] for name in ("Firmware", "Uplink")
    }
    assert "tidak dilaporkan" in page.get("/router/tirosa-1?lang=id").text


def test_an_operator_sees_what_a_router_made_of_settings_from_a_distance(
    page: TestClient, city: cities.City, view: CityView
) -> None:
    """And what it runs with; who only looks does not."""
    now_ms = cities.now_ms()
    wished = RouterSettings("tirosa-1", 1, interval_s=60)
    refused = Outcome(1, "refused", "<b>too slow</b>")
    running = Running("tirosa-1", "0" * 16, "0.2.0", settings=refused, in_force=InForce(30))
    with city.db.transaction():
        router_id = registry_rows.router_id(city.db, "tirosa-1")
        wishes.wish(city.db, router_id, wished, now_ms)
        wishes.hear(city.db, router_id, running, now_ms)
    facts = ["interval_s=60 · refused: &lt;b&gt;too slow&lt;/b&gt;", "<dd>interval_s=30"]
    address = "/router/tirosa-1?lang=en"

    def seen() -> list[str]:
        text = page.get(address).text
        return [one for one in facts if one in text]

    people.add_user(view.config, role="operator")
    people.log_in(page)
    assert facts == until(seen, facts)
    assert "ditolak" in page.get(address.replace("en", "id")).text
    assert 'titik_settings_routers{state="refused"} 1.0' in page.get("/metrics").text
    people.log_out(page)
    people.add_user(view.config, "ina")
    people.log_in(page, "ina")
    assert [] == seen()


def test_yesterday_is_one_tap_away(page: TestClient, city: cities.City) -> None:
    """An outage of the day before has its cause and why that is believed; today's is not there."""
    today_ms = Calendar(city.config.city.timezone).day(cities.now_ms()).start_ms
    for router, ago_ms in (("tirosa-1", 3 * HOUR_MS), ("fontein-1", -1)):
        city.db.execute(
            "INSERT INTO outage (router_id, from_ms, to_ms, cause) SELECT id, ?, ?, 'uplink lost'"
            " FROM router WHERE name = ?",
            (today_ms - ago_ms, today_ms - ago_ms + 60_000, router),
        )
    text = page.get("/happened?lang=en&days=yesterday&kind=outage").text
    assert ["tirosa-1"] == re.findall(r'href="/router/([^"]*)"', text)
    assert "because the same run of its agent went on all the time" in text
    assert 'aria-current="true">yesterday<' in text


def test_an_outage_over_midnight_is_yesterdays_too(page: TestClient, city: cities.City) -> None:
    """Also where the server could not hear for as long as it went on into that day."""
    day_ms = Calendar(city.config.city.timezone).day_before(cities.now_ms()).start_ms
    city.db.execute(
        "INSERT INTO outage (router_id, from_ms, to_ms, cause) SELECT id, ?, ?, 'power cut'"
        " FROM router WHERE name = 'tirosa-1'",
        (day_ms - HOUR_MS, day_ms + HOUR_MS),
    )
    city.db.execute(
        "INSERT INTO server_outage VALUES (?, ?, 'broker', 'it was away')",
        (day_ms - HOUR_MS, day_ms + HOUR_MS // 2),
    )
    text = page.get("/happened?lang=en&days=yesterday&kind=outage").text
    assert ["tirosa-1"] == re.findall(r'href="/router/([^"]*)"', text)


def test_a_cause_that_is_not_known_yet_has_no_reason(page: TestClient, city: cities.City) -> None:
    """It says when it will be known."""
    city.db.execute(
        "INSERT INTO outage (router_id, from_ms) SELECT id, ? FROM router WHERE name = 'tirosa-1'",
        (cities.now_ms() - HOUR_MS,),
    )
    text = page.get("/happened?lang=en&kind=outage").text
    assert '<small class="why">a cause is known when the router is back</small>' in text


def test_a_city_without_a_place_says_how_to_add_one(tmp_path: Path) -> None:
    """An empty list would look like a fault."""
    head = cities.KUPANG.read_text().partition("[[site]]")[0]
    with cities.city(tmp_path, head) as empty, watching(empty.config) as view:
        assert "titik router add" in TestClient(app.build(view), LOOPBACK).get("/").text


@pytest.mark.usefixtures("caplog")  # it is logged
def test_a_city_whose_store_is_not_there_yet_says_so(tmp_path: Path) -> None:
    """And goes on as soon as it is there."""
    with cities.city(tmp_path) as filled:
        path = filled.config.store.path
        assert path is not None
        away = path.rename(tmp_path / "away")
        with watching(filled.config) as view:
            page = TestClient(app.build(view), LOOPBACK)
            answer = page.get("/?lang=en")
            assert (503, "5") == (answer.status_code, answer.headers["retry-after"])
            assert "no store there yet" in answer.text
            assert "belum ada penyimpanan di sana" in page.get("/?lang=id").text
            assert not page.get("/healthz").json()["ok"]
            away.rename(path)
            assert 200 == until(lambda: page.get("/").status_code, 200)


def test_a_place_that_is_away_outside_of_its_hours_is_closed(tmp_path: Path) -> None:
    """Nobody is to be alarmed by it."""
    text = cities.KUPANG.read_text().replace(
        'name = "taman-tirosa"', 'name = "taman-tirosa"\nhours = "Mo-Su off"'
    )
    with cities.city(tmp_path, text) as filled:
        filled.live()
        filled.report("tirosa-1", "offline")
        with watching(filled.config) as view:
            text = TestClient(app.build(view), LOOPBACK).get("/?lang=en").text
            assert 'state-closed" data-subject="site/taman-tirosa"' in text


def test_no_template_translates_what_it_was_given() -> None:
    """`gettext` gives markup, so a visitor's words would be a part of the page; `say` does not."""
    folder = Path(rendering.__file__).parent / "templates"
    texts = {one.name: one.read_text() for one in folder.rglob("*.html")}
    assert len(texts) > 5
    assert [] == [name for name, text in texts.items() if re.search(r"(?<!n)gettext\(", text)]


@pytest.mark.parametrize(("devices", "words"), [(120, "80% of 150"), (179, "full, 119% of 150")])
def test_a_place_that_has_more_than_it_is_meant_for_is_full(
    page: TestClient, city: cities.City, devices: int, words: str
) -> None:
    """A share above the whole is no figure by itself."""
    city.hear("tirosa-1", devices)
    text = f"</svg> {words}</span>"
    assert 1 == until(lambda: page.get("/site/taman-tirosa?lang=en").text.count(text), 1)


def test_what_is_not_known_is_a_word_in_a_table(page: TestClient) -> None:
    """Nothing there explains a point; on every page a line does."""
    assert "· not known" in page.get("/?lang=en").text
    cell = rendering.environment("en").from_string(
        '{% import "figures.html" as f with context %}{{ f.cell("Band", "·") }}{{ f.known("3") }}'
    )
    expected = '<td data-label="Band"><span class="unreported">not known</span></td>3'
    assert expected == cell.render()


def test_a_bug_has_a_number_by_which_it_is_found_in_the_log(
    page: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever reports it can be helped, and reads nothing of its inside."""
    monkeypatch.setattr(about_page, "render", lambda _: 1 / 0)
    answer = page.get("/about?lang=en")
    assert 500 == answer.status_code
    (number,) = re.findall(r"Number of this error: ([0-9a-f]{8})<", answer.text)
    assert [f"a bug stops a page path=/about number={number}"] == caplog.messages
    assert "division" not in answer.text
