"""The past on a page: chosen by the address, whole without JavaScript."""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from starlette.testclient import TestClient

from tests.collector import past_rows
from tests.until import until
from tests.web import cities
from tests.web.cities import City, now_ms
from tests.web.conftest import LOOPBACK
from titik_collector.figures.windows import Span
from titik_collector.queries import history, place_use
from titik_collector.store import simulated
from titik_collector.web import app
from titik_collector.web.api.past_answers import PastBudget
from titik_collector.web.city_view import watching
from titik_collector.web.pages import history_page
from titik_wire.instant import DAY_MS, HOUR_MS

HOURS = "/history?lang=en&w=1h&from=3d"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    """A city that was heard now, and has a window of two days ago."""
    with cities.city(tmp_path_factory.mktemp("city")) as filled:
        filled.live()
        filled.roll()
        for name in ("site/taman-tirosa", "city"):
            past_rows.put(
                filled.db,
                history.find(filled.db, name, "kupang"),
                "1h",
                (now_ms() - 2 * DAY_MS) // HOUR_MS * HOUR_MS,
                covered_ms=HOUR_MS // 2,
                clients_mean=3.0,
            )
        yield filled


@pytest.fixture(scope="module")
def page(here: City) -> Iterator[TestClient]:
    """Its page."""
    with watching(here.config) as view:
        yield TestClient(app.build(view), LOOPBACK, raise_server_exceptions=False)


def shown(page: TestClient, path: str) -> str:
    """The page, which is there."""
    answer = page.get(path)
    assert 200 == answer.status_code, answer.text
    return str(answer.text)


def rows(text: str) -> list[list[str]]:
    """The cells of the table of windows, as text."""
    table = text.rpartition("<tbody>")[2].partition("</tbody>")[0]
    return [
        [re.sub(r"<[^>]*>", "", cell).strip() for cell in re.findall(r"<t[hd].*?</t[hd]>", row)]
        for row in table.split("</tr>")[:-1]
    ]


def test_a_window_has_its_figures_and_how_much_of_it_is_known(page: TestClient) -> None:
    """The newest first; a run of windows that nothing is known of is one row."""
    found = rows(shown(page, f"{HOURS}&s=site/taman-tirosa"))
    kinds = ["gap" if "no data" in row[1] else "figures" for row in found if "yet" not in row[1]]
    assert ["figures", "gap", "figures"] == kinds[-3:]
    assert ["3.0", "50%"] == found[-1][1:]


def test_all_that_is_chosen_is_in_the_address(page: TestClient) -> None:
    """Chips lead to the same with one thing changed."""
    text = shown(page, "/history?s=site/taman-tirosa&s=site/perumnas&from=7d&m=wifi&lang=en")
    (clients,) = re.findall(r'href="([^"]*)"[^>]*>devices</a>', text)
    query = parse_qs(urlsplit(clients.replace("&amp;", "&")).query)
    assert {
        "s": ["site/taman-tirosa", "site/perumnas"],
        "from": ["7d"],
        "m": ["clients"],
        "lang": ["en"],
    } == query


def test_up_to_six_places_are_compared(page: TestClient, here: City) -> None:
    """Each has a column, with the share that is known in every cell."""
    names = [f"s=site/{one.name}" for one in here.config.site]
    text = shown(page, f"{HOURS}&{'&'.join(names[:6])}")
    assert 6 == len(re.findall(r'class="past-place ', text))
    assert {7} == {len(row) for row in rows(text) if "%" in row[-1]}
    answer = page.get(f"{HOURS}&{'&'.join(names[:7])}")
    assert 400 == answer.status_code
    assert "at most 6 are compared" in answer.text


def test_a_span_without_data_leads_to_the_nearest(page: TestClient) -> None:
    """One click, and there is something to see."""
    text = shown(page, "/history?lang=en&w=1h&from=36h&to=12h")
    (address,) = re.findall(r'<p><a href="([^"]*)">the nearest data', text)[:1]
    assert "<tbody>" not in text
    near = shown(page, address.replace("&amp;", "&"))
    assert "the nearest data" not in near


def test_the_csv_has_all_places_and_the_same_windows(page: TestClient) -> None:
    """Gaps are lines with empty figures."""
    path = f"{HOURS}&s=site/taman-tirosa&s=router/nostalgia-1".replace("/history", "/history.csv")
    answer = page.get(path)
    found = list(csv.DictReader(io.StringIO(answer.text)))
    assert {"taman-tirosa", "nostalgia-1"} == {one["name"] for one in found}
    assert "text/csv; charset=utf-8" == answer.headers["content-type"]
    assert {""} == {one["clients_mean"] for one in found if one["coverage_ratio"] == "0.0"}
    assert "simulated" not in found[0]


def test_traffic_that_may_be_too_low_is_marked(page: TestClient, here: City) -> None:
    """On the page in both languages, in the table for programs, and not where no bytes are."""
    name = "site/taman-fontein"
    past_rows.put(
        here.db, history.find(here.db, name, "kupang"), "1h",
        (now_ms() - 2 * DAY_MS) // HOUR_MS * HOUR_MS, covered_ms=HOUR_MS, clients_mean=3.0,
        wifi_known_ms=HOUR_MS, wifi_down_bytes=7_000_000, flow_offload_ms=HOUR_MS // 4,
    )  # fmt: skip
    asked = f"{HOURS}&s={name}&m=wifi"
    assert "Traffic may be too low: flow offload is on." in shown(page, asked)
    indonesian = shown(page, asked.replace("lang=en", "lang=id"))
    assert "mungkin terlalu rendah: flow offload aktif." in indonesian
    for other in (asked.replace("m=wifi", "m=clients"), asked.replace(name, "site/taman-tirosa")):
        assert "flow offload" not in shown(page, other)
    answer = page.get(asked.replace("/history", "/history.csv")).text
    found = [one for one in csv.DictReader(io.StringIO(answer)) if one["flow_offload_ratio"]]
    assert [("7000000", "0.25")] == [
        (one["wifi_down_bytes"], one["flow_offload_ratio"]) for one in found
    ]
    figures = page.get(f"/api/v1/history/{name}?from=3d&w=1h").json()["figures"]
    assert {None, 0.25} == set(figures["flow_offload_ratio"])


def test_a_sentence_has_what_a_speech_needs(page: TestClient) -> None:
    """How long it worked, the most at one time and when, and the mean; none of another figure."""
    text = shown(page, f"{HOURS}&s=site/taman-tirosa")
    (sentence,) = re.findall(r'class="past-spoken">(.*?)</p>', text)
    assert re.fullmatch(
        r"Online 100% of the known time\. At the same time at most \d+ devices"
        r" \(\w+ \d+ \d\d:\d\d\), on average \d+\.",
        sentence,
    )
    assert "past-spoken" not in shown(page, f"{HOURS}&s=site/taman-tirosa&m=wifi")


def test_of_several_routers_the_sentence_says_that_it_is_their_time(page: TestClient) -> None:
    """One of two that is dead all the time does not make the place half online."""
    text = shown(page, f"{HOURS}&s=city")
    (sentence,) = re.findall(r'class="past-spoken">(.*?)</p>', text)
    assert re.match(r"Its routers were online \d+% of the known time\.", sentence)


def test_yesterday_is_a_range(page: TestClient) -> None:
    """From midnight to midnight of the city."""
    chip = r'href="([^"]*)"( aria-current="true")?>yesterday<'
    ((path, chosen),) = re.findall(chip, shown(page, HOURS))
    assert "" == chosen
    query = parse_qs(urlsplit(path.replace("&amp;", "&")).query)
    assert ["T00:00"] * 2 == [query[one][0][10:] for one in ("from", "to")]
    ((_, chosen),) = re.findall(chip, shown(page, path.replace("&amp;", "&")))
    assert chosen


def test_ninety_days_stand_below_a_single_place(page: TestClient) -> None:
    """Each with its words."""
    text = shown(page, f"{HOURS}&s=site/taman-tirosa")
    strip = text.partition('<figure class="strip">')[2].partition("</svg>")[0]
    assert 90 == strip.count("<title>")
    assert ": no data" in strip
    assert ": online 100%, reports received " in strip
    compared = shown(page, f"{HOURS}&s=site/taman-tirosa&s=city")
    assert '<figure class="strip">' not in compared


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("from=tomorrow", "from: &#39;tomorrow&#39; is no time; use one such as 90m"),
        ("w=2h", "use 1m, 1h, 1d"),
        ("m=visitors", "use clients, active, wifi, uplink"),
        ("s=site/nowhere", "There is no place or router nowhere."),
        ("w=1m&from=1y", "use a longer window"),
    ],
)
def test_what_cannot_be_shown_says_why(page: TestClient, query: str, words: str) -> None:
    """On a page, with the field and what to do."""
    answer = page.get(f"/history?lang=en&{query}")
    assert 400 <= answer.status_code < 500
    assert words in answer.text


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("site/taman-tirossa", "Tidak ada tempat atau router taman-tirossa. Maksud Anda "),
        ("xyz", "Tidak ada tempat atau router xyz. Pilih satu dari daftar."),
    ],
)
def test_a_name_that_is_not_known_is_named_in_the_language(
    page: TestClient, typed: str, expected: str
) -> None:
    """Without a command: who reads the page has none; a program gets it in English."""
    answer = page.get("/history", params={"lang": "id", "s": typed})
    assert expected in answer.text
    assert "titik status" not in answer.text
    program = page.get("/api/v1/history/site/xyz").json()
    assert "titik status --all" in program["detail"]


def test_a_simulated_past_is_marked(page: TestClient, here: City) -> None:
    """On the page, in the CSV and in the API; a real city has no such column."""
    now = now_ms()
    with here.db.transaction():
        simulated.keep(here.db, Span(now - 3 * DAY_MS, now - DAY_MS))
    made_up = "<small>simulated</small>"
    assert 1 == until(lambda: shown(page, f"{HOURS}&s=site/taman-tirosa").count(made_up), 1)
    strip = shown(page, "/site/taman-tirosa?lang=en").partition('<figure class="strip">')[2]
    assert 87 <= strip.partition("</svg>")[0].count(", simulated") <= 90
    assert made_up not in shown(page, "/history?lang=en&from=2h&w=1h")
    for path in ("/", "/history", "/happened", "/about", "/site/taman-tirosa", "/router/tirosa-1"):
        assert 1 == shown(page, f"{path}?lang=en").count(
            "visitors, figures and outages are invented"
        )
    found = list(csv.DictReader(io.StringIO(page.get("/history.csv?from=2d&w=1h").text)))
    assert {"True", ""} == {one["simulated"] for one in found}
    plain = page.get("/api/v1/history/city/city?w=1d&from=5d").json()
    assert [now - 3 * DAY_MS, now - DAY_MS] == plain["simulated"]
    with here.db.transaction():
        here.db.execute("DELETE FROM setting WHERE name LIKE 'simulated%'")


def test_a_day_of_minutes_has_a_row_for_each_hour(page: TestClient, here: City) -> None:
    """The page is short, all rows are one step away, and the file has every minute."""
    subject = history.find(here.db, "site/perumnas", "kupang")
    begin_ms = (now_ms() - 24 * HOUR_MS) // HOUR_MS * HOUR_MS
    for minute in range(0, 600):
        past_rows.put(
            here.db, subject, "1m", begin_ms + minute * 60_000, covered_ms=60_000, clients_mean=3.0
        )
    for hour in range(10):
        past_rows.put(
            here.db, subject, "1h", begin_ms + hour * HOUR_MS, covered_ms=HOUR_MS, clients_mean=3.0
        )
    text = shown(page, "/history?lang=en&s=site/perumnas")
    assert "One row for each hour." in text
    assert 10 <= len([one for one in rows(text) if one[-1] == "100%"]) <= 12
    assert len(text) < 60_000
    every = rows(shown(page, "/history?w=1m&s=site/perumnas"))
    assert len([one for one in every if one[-1] == "100%"]) >= 500
    assert len(page.get("/history.csv?s=site/perumnas").text.splitlines()) > 1400


def test_an_hour_of_the_past_is_one_of_the_city(page: TestClient) -> None:
    """And a day begins at its midnight."""
    text = shown(page, "/history?lang=en&w=1d&from=4d&s=site/taman-tirosa")
    starts = re.findall(r'<time datetime="([^"]*)"', text)
    assert {"T00:00:00+08:00"} == {one[10:] for one in starts}


@pytest.mark.parametrize("path", ["/site/taman-tirosa", "/router/tirosa-1"])
def test_ninety_days_stand_on_the_screen_of_a_place(page: TestClient, path: str) -> None:
    """And its history is one step away, as it is from every screen."""
    text = shown(page, path)
    assert 90 == text.partition('<figure class="strip">')[2].partition("</svg>")[0].count("<title>")
    assert f'href="/history?s={path[1:]}"' in text
    assert 1 == text.count('<a href="/history">')


def test_the_chart_is_of_what_is_chosen(page: TestClient) -> None:
    """It asks the API for the same places, time and windows as the table has."""
    text = shown(page, f"{HOURS}&s=site/taman-tirosa&s=city&m=uplink")
    (figure,) = re.findall(r"<figure[^>]*data-chart[^>]*>", text)
    assert 'data-chart="uplink"' in figure
    assert 'data-subjects="site/taman-tirosa city/kupang"' in figure
    assert 'data-w="1h"' in figure


def test_the_places_of_the_city_are_ranked_by_use(page: TestClient) -> None:
    """With how much is known, and a link to the same time of each; not on a place's own page."""
    text = shown(page, "/history?lang=en&from=3d&to=1d")
    (table,) = re.findall(r'<table class="past-used">.*?</table>', text, re.S)
    link = "/history?s=site%2Ftaman-tirosa&amp;lang=en&amp;from=3d&amp;to=1d"
    assert f'<a href="{link}">Taman Tirosa</a></th><td class="number">3.0</td>' in table
    assert table.index("3.0") < table.index("not known")
    assert 10 == table.count('scope="row"')
    assert "past-used" not in shown(page, f"{HOURS}&s=site/taman-tirosa")


@pytest.mark.parametrize(
    ("chosen", "most", "ranked"),
    [("m=clients", 720, 36), ("m=clients", 719, 0), ("m=wifi", 720, 0)],
)
def test_a_ranking_that_is_not_made_costs_nothing(
    page: TestClient, monkeypatch: pytest.MonkeyPatch, chosen: str, most: int, ranked: int
) -> None:
    """Of another figure, or of so many windows that they are not added up."""
    paid: list[int] = []
    monkeypatch.setattr(PastBudget, "spend", lambda _, windows: paid.append(windows))
    for module in (history_page, place_use):
        monkeypatch.setattr(module, "MAX_RANKED", most)  # hours of three days at ten places
    for subject in ("site/taman-tirosa", "city"):
        shown(page, f"/history?from=3d&w=1h&{chosen}&s={subject}")
    of_place, of_city = paid
    assert ranked == of_city - of_place


def test_of_many_names_one_is_typed(tmp_path: Path) -> None:
    """Places before routers, 2 before 10; a name, a title or words of one place are enough."""
    with cities.city(tmp_path, cities.large(21, 1)) as filled, watching(filled.config) as view:
        page = TestClient(app.build(view), LOOPBACK)
        offered = re.findall(r'<option value="([^"]*)">', shown(page, "/history"))
        assert [f"Tempat {number}" for number in range(21)] == offered[:21]
        assert [f"router/r-{number}-0" for number in range(21)] == offered[21:42]
        for typed, title in (
            ("Tempat 7", "Tempat 7"), ("tempat 7 ", "Tempat 7"), ("tempat-12", "Tempat 12"),
            ("t 19", "Tempat 19"), ("r-3-0", "r-3-0"), ("router/r-3-0", "r-3-0"),
            ("kota besar", "Kota Besar"),
        ):  # fmt: skip
            text = shown(page, f"/history?typed={typed.replace(' ', '+')}")
            assert [title] == compared_in(text)
        assert 404 == page.get("/history?typed=nowhere").status_code
        assert 404 == page.get("/history?typed=tempat+1x").status_code


def test_what_was_typed_becomes_an_address(page: TestClient) -> None:
    """Of one subject for ever, with all else that was chosen."""
    answer = page.get("/history?s=site/perumnas&typed=tirosa&from=7d", follow_redirects=False)
    assert 303 == answer.status_code
    query = parse_qs(urlsplit(answer.headers["location"]).query)
    assert {"s": ["site/perumnas", "site/taman-tirosa"], "from": ["7d"]} == query


@pytest.mark.parametrize("path", ["/history", "/history.csv"])
def test_an_address_is_not_guessed(page: TestClient, path: str) -> None:
    """A name that is no more would lead to another place's figures."""
    assert 200 == page.get(f"{path}?s=taman-tirosa").status_code
    assert 404 == page.get(f"{path}?s=tirosa").status_code


def test_places_of_one_title_can_be_compared(tmp_path: Path) -> None:
    """Each is offered as what it alone is, and so is one that is called as the city."""
    text = cities.large(41, 1).replace('"Tempat 1"', '"Pasar"').replace('"Tempat 2"', '"Pasar"')
    text = text.replace('"Tempat 3"', '"Kota Besar"')
    with cities.city(tmp_path, text) as filled, watching(filled.config) as view:
        page = TestClient(app.build(view), LOOPBACK)
        label = r'<option value="([^"]*)" label="([^"]*)">'
        offered = re.findall(label, shown(page, "/history?s=site/tempat-9"))
        assert [
            ("site/tempat-3", "Kota Besar"),
            ("site/tempat-1", "Pasar"),
            ("site/tempat-2", "Pasar"),
        ] == offered
        for typed, title in offered:
            assert [title] == compared_in(shown(page, f"/history?typed={typed}"))


def compared_in(text: str) -> list[str]:
    """The titles of the places that are compared."""
    return re.findall(r'class="past-place .*?<span>(.*?)</span>', text)


def test_a_page_that_does_not_live_says_of_when_it_is(page: TestClient) -> None:
    """And is asked for again by a link, whatever is chosen."""
    for path in (f"{HOURS}&s=site/taman-tirosa", "/happened?lang=en"):
        found = re.findall(r'data-live>as of \d\d:\d\d <a href="(.*?)">Renew', shown(page, path))
        assert [path] == [one.replace("&amp;", "&") for one in found]
    assert "Renew" not in shown(page, "/?lang=en")
