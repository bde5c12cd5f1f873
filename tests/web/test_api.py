"""The API: every address of its document answers as the document says."""

import csv
import io
import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from starlette.testclient import TestClient

from tests.project.sources import ROOT
from tests.until import until
from tests.web import cities, people
from tests.web.cities import City, now_ms
from tests.web.conftest import LOOPBACK
from titik_collector.figures.windows import Span
from titik_collector.limits import MAX_ASKED
from titik_collector.store import simulated
from titik_collector.web import app
from titik_collector.web.api import now_api, openapi
from titik_collector.web.api.api_route import BASE, ApiRoute
from titik_collector.web.city_view import CityView, watching
from titik_wire import instant
from titik_wire.instant import DAY_MS

DOCUMENT = openapi.document()
SITE = "taman-tirosa"
PROBLEM = "application/problem+json"
HISTORY = f"{BASE}/history/site/{SITE}"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    """A city that no test here changes."""
    with cities.city(tmp_path_factory.mktemp("city")) as filled:
        filled.live()
        filled.roll()
        yield filled


@pytest.fixture(scope="module")
def api(here: City) -> Iterator[TestClient]:
    """Its page."""
    with watching(here.config) as view:
        yield TestClient(app.build(view), LOOPBACK, raise_server_exceptions=False)


def address(one: ApiRoute) -> tuple[str, dict[str, str]]:
    """The examples of its parameters, put in."""
    path, query = BASE + one.path, {}
    for parameter in one.parameters:
        if parameter.where == "path":
            path = path.replace(f"{{{parameter.name}}}", parameter.example or "")
        elif parameter.example:
            query[parameter.name] = parameter.example
    return path, query


def check(schema: dict[str, Any], answer: object) -> None:
    """The answer is as the schema says, and has no field that the schema does not know."""
    strict = json.loads(json.dumps({**schema, "components": DOCUMENT["components"]}))
    for one in strict["components"]["schemas"].values():
        one["additionalProperties"] = False
    jsonschema.Draft202012Validator(strict).validate(answer)


def schema_of(one: ApiRoute) -> dict[str, Any]:
    """Of its answer."""
    content = DOCUMENT["paths"][BASE + one.path]["get"]["responses"]["200"]["content"]
    found: dict[str, Any] = content[one.media]["schema"]
    return found


@pytest.mark.parametrize("one", openapi.OFFERED, ids=lambda one: one.name)
def test_each_example_of_the_document_is_answered(api: TestClient, one: ApiRoute) -> None:
    """And the answer fits its schema, with no field beside it."""
    path, query = address(one)
    answer = api.get(path, params=query)
    assert 200 == answer.status_code, answer.text
    assert one.media == answer.headers["content-type"]
    check(schema_of(one), answer.json())


def test_the_document_itself_is_sound_and_served(api: TestClient) -> None:
    """Its schemas are of JSON Schema 2020-12, and each reference leads somewhere."""
    assert json.loads(openapi.text()) == api.get(f"{BASE}/openapi.json").json()
    known = DOCUMENT["components"]["schemas"]
    for schema in known.values():
        jsonschema.Draft202012Validator.check_schema(schema)
    named = openapi.text().split('"#/components/schemas/')[1:]
    assert set(known) == {one.partition('"')[0] for one in named}


def test_routers_come_as_lists(api: TestClient, here: City) -> None:
    """A thousand objects would be three times as long."""
    answer = api.get(f"{BASE}/now", params={"scope": "router"}).json()
    check({"$ref": "#/components/schemas/RoutersNow"}, answer)
    assert sorted(one.name for one in here.config.router) == sorted(answer["name"])
    assert {10} == {
        len(value) for key, value in answer.items() if key not in ("at", "problems", "true_now")
    }


def test_no_answer_has_a_contact(api: TestClient, here: City) -> None:
    """Whoever knows the number can call; a program has no use for it."""
    assert any(one.contact for one in here.config.site)
    texts = [api.get(f"{BASE}{path}").text for path in ("/now", "/sites", f"/sites/{SITE}")]
    assert "contact" not in "".join((*texts, openapi.text()))
    assert "contact" not in now_api.FACTS


def test_circuits_are_for_people_with_a_login(page: TestClient, view: CityView) -> None:
    """As on the page of a place; a program that has a token may ask a provider."""
    paths = [f"{BASE}{path}" for path in ("/now", "/sites", f"/sites/{SITE}", "/geo/sites.geojson")]
    assert [] == [path for path in paths if "circuit" in page.get(path).text]
    people.add_user(view.config)
    people.log_in(page)
    assert [] == [path for path in paths if "circuit" not in page.get(path).text]


def test_a_history_has_a_place_for_each_window(api: TestClient) -> None:
    """Gaps too; what is asked for is there, and coverage always."""
    answer = api.get(HISTORY, params={"w": "1m", "from": "10m", "fields": "clients_max"}).json()
    assert ["coverage_ratio", "clients_max"] == list(answer["figures"])
    assert {len(answer["start_ms"])} == {len(one) for one in answer["figures"].values()}
    assert 4 == answer["figures"]["clients_max"][-3]
    assert [0.0, None] == [answer["figures"][name][1] for name in answer["figures"]]


@pytest.mark.parametrize(
    ("length", "window"), [("20h", "1m"), ("3d", "1h"), ("20d", "1h"), ("1y", "1d")]
)
def test_the_server_picks_the_window(
    page: TestClient, city: City, length: str, window: str
) -> None:
    """So that a chart has some hundred points."""
    city.hear("tirosa-1", at_ms=now_ms() - 21 * 3_600_000)
    city.roll()
    assert window == page.get(HISTORY, params={"from": length}).json()["window"]


def test_a_history_comes_as_csv(api: TestClient) -> None:
    """By name or by Accept; the city's own time, and empty where a figure is not known."""
    query = {"w": "1m", "from": "10m", "fields": "clients_mean"}
    by_name = api.get(f"{HISTORY}.csv", params=query)
    by_accept = api.get(HISTORY, params=query, headers={"Accept": "text/csv"})
    assert by_name.text == by_accept.text
    assert "text/csv; charset=utf-8" == by_name.headers["content-type"]
    assert 'attachment; filename="taman-tirosa.csv"' == by_name.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(by_name.text)))
    assert ["scope", "name", "window", "window_start", "coverage_ratio", "clients_mean"] == list(
        rows[0]
    )
    assert rows[0]["window_start"].endswith("+08:00")
    assert ("0.0", "") == (rows[1]["coverage_ratio"], rows[1]["clients_mean"])


def test_a_browser_that_takes_anything_gets_json(api: TestClient) -> None:
    """CSV is for those who ask for it first."""
    accept = "text/html,application/json;q=0.9,text/csv;q=0.1,*/*;q=0.8"
    answer = api.get(HISTORY, headers={"Accept": accept})
    assert "application/json" == answer.headers["content-type"]


WRONG = [
    ("history/site/taman-tirosa?w=2h", 400, "w", "use 1m, 1h, 1d"),
    ("history/site/taman-tirosa?from=yesterday", 400, "from", "use one such as 90m"),
    ("history/site/taman-tirosa?from=now", 400, "from", "use an earlier time"),
    ("history/site/taman-tirosa?fields=clients", 400, "fields", "clients_mean"),
    ("history/site/taman-tirosa?form=24h", 400, "form", "use from, to, w, fields"),
    ("history/site/taman-tirosa?w=1h&w=1d", 400, "w", "give it once"),
    ("history/site/taman-tirosi", 404, "name", "did you mean taman-tirosa"),
    ("history/place/taman-tirosa", 404, "scope", "use router, site or city"),
    ("history/site/taman-tirosa?w=1m&from=1y", 413, "w", "use a longer window"),
    ("strips/city/kupang?days=0", 400, "days", "use a whole number from 1 to 400"),
    ("strips/city/kupang?days=x", 400, "days", "use a whole number from 1 to 400"),
    ("heat/site/taman-tirosa?m=clients_max", 400, "m", "use clients_mean"),
    ("heat/site/taman-tirosa?from=2y", 413, "w", "use a longer window"),
    ("now?scope=city", 400, "scope", "use site, router"),
    ("sites/nowhere", 404, "name", "/api/v1/sites has all"),
    ("routers/nowhere", 404, "name", "/api/v1/now?scope=router"),
    ("events?since=tomorrow", 400, "since", "use one such as 90m"),
]


@pytest.mark.parametrize(("path", "status", "field", "remedy"), WRONG)
def test_an_error_names_the_parameter_and_the_remedy(
    api: TestClient, path: str, status: int, field: str, remedy: str
) -> None:
    """As RFC 9457 has it."""
    answer = api.get(f"{BASE}/{path}")
    plain = answer.json()
    check({"$ref": "#/components/schemas/ProblemAnswer"}, plain)
    assert (status, status, field) == (answer.status_code, plain["status"], plain["field"])
    assert remedy in plain["detail"]
    assert PROBLEM == answer.headers["content-type"]


def test_who_would_change_something_is_answered_as_a_program(api: TestClient, here: City) -> None:
    """Without a token by what is missing; an operator's token changes nothing where one reads."""
    answer = api.delete(f"{BASE}/now")
    assert (403, PROBLEM) == (answer.status_code, answer.headers["content-type"])
    assert "Authorization: Bearer TOKEN" in answer.json()["detail"]
    bearer = {"Authorization": f"Bearer {people.add_token(here.config, 'operator')}"}
    answer = api.delete(f"{BASE}/now", headers=bearer)
    assert (405, PROBLEM) == (answer.status_code, answer.headers["content-type"])
    assert "GET" in answer.headers["allow"]


def test_what_is_too_much_is_answered_in_parts(api: TestClient) -> None:
    """`next` leads to the first."""
    plain = api.get(HISTORY, params={"w": "1m", "from": "20d", "fields": "clients_mean"}).json()
    part = api.get(plain["next"]).json()
    assert MAX_ASKED == len(part["start_ms"])
    assert {"coverage_ratio", "clients_mean"} == set(part["figures"])


def test_an_answer_that_is_the_same_is_not_sent_again(api: TestClient) -> None:
    """A tag that is not of it brings the whole answer."""
    first = api.get(HISTORY, params={"w": "1d"})
    tag = {"If-None-Match": f'"other", {first.headers["etag"]}'}
    again = api.get(HISTORY, params={"w": "1d"}, headers=tag)
    assert (304, b"") == (again.status_code, again.content)
    other = api.get(HISTORY, params={"w": "1h"}, headers=tag)
    assert 200 == other.status_code


@pytest.mark.parametrize(
    ("path", "keep"),
    [
        ("/now", "no-store"),
        ("/sites", "private, max-age=30"),
        ("/geo/sites.geojson", "private, max-age=60"),
        ("/history/city/kupang", "private, max-age=10"),
        ("/history/city/kupang?from=9d&to=8d", "private, max-age=300"),
        ("/events", "private, max-age=5"),
        ("/openapi.json", "private, max-age=3600"),
    ],
)
def test_an_answer_names_how_long_it_may_be_kept(api: TestClient, path: str, keep: str) -> None:
    """By who asked, and by no cache between; a past that is over the longest."""
    assert keep == api.get(f"{BASE}{path}").headers["cache-control"]


def test_an_outage_is_in_the_events_and_in_the_strip(page: TestClient, city: City) -> None:
    """With its cause; the day says what of it was online."""
    from_ms = now_ms() - 3_600_000
    with city.db.transaction():
        city.db.execute(
            "INSERT INTO outage (router_id, from_ms, to_ms, cause) SELECT id, ?, ?, 'power cut'"
            " FROM router WHERE name = 'tirosa-1'",
            (from_ms, from_ms + 600_000),
        )
    (outage,) = [
        one
        for one in page.get(f"{BASE}/events", params={"since": "2h"}).json()["events"]
        if one["kind"] == "outage"
    ]
    assert (instant.to_text(from_ms), "tirosa-1") == (outage["at"], outage["name"])
    days = page.get(f"{BASE}/strips/site/{SITE}", params={"days": "3"}).json()["days"]
    assert 600_000 == sum(cause["away_ms"] for day in days for cause in day["causes"])
    assert 0 < min(one["online_ratio"] for one in days if "online_ratio" in one) < 1


@pytest.mark.parametrize(("code", "end"), [("en", "(simulated)"), ("id", "(simulasi)")])
def test_what_a_demo_made_up_is_marked(page: TestClient, city: City, code: str, end: str) -> None:
    """In words of each language, and for programs."""
    from_ms = now_ms() - 3_600_000
    with city.db.transaction():
        simulated.keep(city.db, Span(from_ms - 60_000, from_ms + 60_000))
        for at_ms in (from_ms, from_ms + 120_000):
            city.db.execute(
                "INSERT INTO outage (router_id, from_ms, to_ms, cause) SELECT id, ?, ?, 'reboot'"
                " FROM router WHERE name = 'tirosa-1'",
                (at_ms, at_ms + 30_000),
            )
    answer = page.get(f"{BASE}/events", params={"since": "2h", "lang": code}).json()
    outages = [one for one in answer["events"] if one["kind"] == "outage"]
    assert [(True, True), (False, False)] == [
        (one["text"].endswith(end), one.get("simulated", False)) for one in outages
    ]


def test_words_are_in_the_language_asked_for(page: TestClient, city: City) -> None:
    """Codes are the same in each; without a wish they are English."""
    path = f"{BASE}/routers/tirosa-1"
    city.report("tirosa-1", "offline", now_ms() - 120_000)
    until(lambda: page.get(path).json()["router"]["state"], "offline")
    english, indonesian, chosen = (
        page.get(address, headers=headers).json()["router"]
        for address, headers in (
            (path, {}),
            (path, {"Accept-Language": "id-ID,id;q=0.9"}),
            (f"{path}?lang=id", {"Accept-Language": "en"}),
        )
    )
    assert english["problems"] == ["offline for 2 min"]
    assert indonesian["problems"] == chosen["problems"] == ["mati selama 2 m"]
    assert "offline" == indonesian["state"]
    (event,) = [
        one
        for one in page.get(f"{BASE}/events", headers={"Accept-Language": "id"}).json()["events"]
        if one["kind"] == "outage"
    ]
    assert "penyebab tidak diketahui" in event["text"]
    assert "penyebab diketahui setelah router kembali" == event["why"]


def test_a_name_of_a_file_is_safe(api: TestClient) -> None:
    """No name makes a header of its own."""
    answer = api.get(f"{BASE}/history/city/city.csv", params={"from": "2d", "w": "1d"})
    assert 200 == answer.status_code
    assert 'attachment; filename="city.csv"' == answer.headers["content-disposition"]


def test_a_time_with_a_zone_may_have_a_plain_plus(api: TestClient) -> None:
    """A plus that nobody encoded arrives as a space."""
    from_ms = now_ms() - DAY_MS
    text = instant.to_text(from_ms)[:19] + "+00:00"
    answer = api.get(f"{HISTORY}?w=1h&from={text}")
    assert 200 == answer.status_code
    assert from_ms - 3_600_000 < answer.json()["start_ms"][0] <= from_ms


GUIDE = (ROOT / "docs" / "api.md").read_text()
ADDRESSES = re.findall(r"^\| `(/api/v1/[^`]*)` \|", GUIDE, re.M)


@pytest.mark.parametrize("path", ADDRESSES)
def test_each_address_of_the_guide_is_answered(api: TestClient, path: str) -> None:
    """Whoever copies it from docs/api.md gets an answer, and may keep it as long as is written."""
    answer = api.get(path)
    assert 200 == answer.status_code, answer.text
    (keep,) = re.findall(rf"^\| `{re.escape(path)}` \| [^|]* \| ([^|]*) \|$", GUIDE, re.M)
    seconds = re.findall(r"(\d+) s", keep)
    if "same" not in keep:
        assert answer.headers["cache-control"].rpartition("=")[2] in (seconds or ["no-store"])


def test_the_error_of_the_guide_is_the_one_that_is_sent(api: TestClient) -> None:
    """Word by word."""
    path, body = re.findall(r"^`(/api/v1/\S+)`\n+```json\n(.+?)```", GUIDE, re.M | re.S)[0]
    assert json.loads(body) == api.get(path).json()
