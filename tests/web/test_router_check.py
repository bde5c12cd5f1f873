"""`/router/NAME/check`: an operator lets a router check itself, and reads what it answers."""

import re

import httpx
import pytest
from playwright.sync_api import expect
from starlette.testclient import TestClient

from tests.web import cities
from tests.web.conftest import LOOPBACK, OpenPage, client, serving_at
from tests.web.people import PASSWORD, add_user, log_in
from tests.web.test_alerts_page import audited, send
from titik_collector.accounts.audit import Actor
from titik_collector.alerts.desk_facts import AskedQuestion
from titik_collector.desk import posting, questions
from titik_collector.desk.questions import AGAIN_MS
from titik_collector.queries.looks import PATIENCE_MS
from titik_collector.store import desk_opening, desk_questions, router_answers
from titik_collector.store.router_answers import Why
from titik_collector.web.city_view import CityView
from titik_wire.fleet_messages import RouterReply

ROUTER = "lerik-1"
PAGE = f"/router/{ROUTER}/check"
REFRESH = 'http-equiv="refresh"'


def asked(city: cities.City) -> AskedQuestion:
    """What the collector is to ask."""
    with desk_opening.opened(city.config.page_store) as db:
        (one,) = posting.read(db, cities.now_ms()).questions
    return one


def ended(city: cities.City, found: RouterReply | Why) -> None:
    """The collector wrote what became of it."""
    question = asked(city)
    ((router_id,),) = city.db.execute("SELECT id FROM router WHERE name = ?", (ROUTER,)).fetchall()
    with city.db.transaction():
        router_answers.begin(city.db, router_id, question.id, cities.now_ms())
        router_answers.end(city.db, router_id, question.id, cities.now_ms(), found)


def answered(city: cities.City, *checks: str, refused: str | None = None) -> None:
    """The router answered."""
    ended(city, RouterReply(ROUTER, asked(city).id, checks, ("a line of <i>log</i>",), refused))


def test_an_operator_reads_what_a_router_answers(
    city: cities.City, view: CityView, operator: TestClient
) -> None:
    """The page renews itself until then; who asked is on it, and audited."""
    before = operator.get(PAGE).text
    sent = send(operator, f"/router/{ROUTER}", PAGE)
    waiting = operator.get(PAGE).text
    answered(city, "ok    config: router lerik-1", "ok    login")
    after = operator.get(PAGE).text

    assert (303, PAGE) == (sent.status_code, sent.headers["location"])
    assert "Nobody has checked this router yet." in before
    assert ("siti", "router asked to check itself", ROUTER) == audited(view)[-1]
    assert (False, True, False) == (REFRESH in before, REFRESH in waiting, REFRESH in after)
    assert "asked by siti, " in waiting
    assert "ok    config: router lerik-1\nok    login</pre>" in after
    assert "Every step is good." in after


def test_who_asks_within_a_minute_reads_that_the_answer_is_old(
    city: cities.City, operator: TestClient
) -> None:
    """Whose question it was is on the page, and when the router looks again."""
    asked_ms = cities.now_ms() - 30_000
    with desk_opening.opened(city.config.page_store) as db:
        questions.ask(db, ROUTER, Actor("root", None, asked_ms))
    answered(city, "FAIL  dns: no answer")
    city.db.execute("UPDATE router_answer SET ended_ms = ?", (asked_ms + 10_000,))
    send(operator, f"/router/{ROUTER}", PAGE)
    found = re.search(
        r"This answer is (\d+) s old. The router looks once a minute; ask again in (\d+) s.",
        operator.get(f"{PAGE}?lang=en").text,
    )

    assert found is not None
    old_s, left_s = map(int, found.groups())
    assert 20 <= old_s
    assert 54 <= old_s + left_s <= 56  # it was asked 10 s before it answered
    assert "asked first by root, " in operator.get(f"{PAGE}?lang=en").text
    assert "Jawaban ini dari " in operator.get(f"{PAGE}?lang=id").text
    with desk_opening.opened(city.config.page_store) as db, db.transaction():
        desk_questions.put(db, asked(city)._replace(at_ms=cities.now_ms() - AGAIN_MS))
    later = operator.get(f"{PAGE}?lang=en").text
    assert ("asked by root, " in later, "This answer is" in later) == (True, False)


def test_what_a_hostile_router_answers_stays_text(city: cities.City, operator: TestClient) -> None:
    """No markup of its lines reaches a browser; a step that failed is named."""
    send(operator, f"/router/{ROUTER}", PAGE)
    answered(city, "FAIL  </pre><script>alert(1)</script>")
    text = operator.get(PAGE).text

    assert "FAIL  &lt;/pre&gt;&lt;script&gt;alert(1)&lt;/script&gt;</pre>" in text
    assert "a line of &lt;i&gt;log&lt;/i&gt;</pre>" in text
    assert "A step failed" in text


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ("offline", "The router is offline"),
        ("silent", "No answer came within a minute"),
        ("not offered", "titik broker init"),
        ("it looks once a minute", "it looks once a minute"),
    ],
)
def test_why_there_is_no_answer_is_shown(
    city: cities.City, operator: TestClient, found: Why, words: str
) -> None:
    """In Indonesian too, but for a router's own words."""
    send(operator, f"/router/{ROUTER}", PAGE)
    if " " in found and found != "not offered":
        answered(city, refused=found)
    else:
        ended(city, found)

    assert words in operator.get(PAGE).text
    assert "Periksa router ini" in operator.get(f"{PAGE}?lang=id").text


def test_a_question_that_no_collector_takes_ends_by_itself(
    city: cities.City, operator: TestClient
) -> None:
    """The page does not renew itself for ever."""
    late = AskedQuestion(ROUTER, "1" * 16, "siti", cities.now_ms() - PATIENCE_MS)
    with desk_opening.opened(city.config.page_store) as db, db.transaction():
        desk_questions.put(db, late)
    text = operator.get(PAGE).text

    assert "The collector did not send the question" in text
    assert REFRESH not in text


def test_who_is_no_operator_neither_asks_nor_reads(
    city: cities.City, view: CityView, operator: TestClient
) -> None:
    """Not somebody who only looks, not another site's page, and nobody without a login."""
    send(operator, f"/router/{ROUTER}", PAGE)
    answered(city, "ok    secret line")
    add_user(city.config, "budi", "viewer")
    viewer, anybody = client(view), client(view)
    log_in(viewer, "budi")
    for page in (viewer, anybody):
        answer: httpx.Response = page.get(PAGE, follow_redirects=False)
        assert "secret line" not in answer.text
        assert answer.status_code in (303, 401, 403)
        posted = page.post(PAGE, headers={"Origin": LOOPBACK}, follow_redirects=False)
        assert posted.status_code in (303, 401, 403)
        assert "Check this router" not in page.get(f"/router/{ROUTER}?lang=en").text
    foreign = operator.post(PAGE, data={"form": "x"}, headers={"Origin": "https://evil.example"})

    assert 403 == foreign.status_code
    assert 1 == [action for _, action, _ in audited(view)].count("router asked to check itself")
    assert 404 == operator.get("/router/nobody/check").status_code


@pytest.mark.system
def test_an_operator_sees_the_lines_when_they_come(
    city: cities.City, view: CityView, open_page: OpenPage
) -> None:
    """One click on the router's page; on a phone the lines are as wide as it."""
    add_user(city.config, "siti", "operator")
    with serving_at(view) as address:
        page = open_page(f"{address}/login?next=/router/{ROUTER}&lang=id", width=360)
        page.fill("#name", "siti")
        page.fill("#password", PASSWORD)
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Periksa router ini").click()
        expect(page.get_by_role("status").first).to_have_text(
            "Router sedang memeriksa diri. Paling lama satu menit."
        )
        answered(city, "ok    config: router lerik-1", f"FAIL  dns: {'long ' * 50}")
        expect(page.locator(".lines").first).to_contain_text("FAIL  dns: long long")
        width = page.evaluate("document.documentElement.scrollWidth")

    assert width <= 360
