"""The city as pages ask for it, while something is wrong with the store or with us."""

import asyncio
import threading
from dataclasses import replace

import pytest
from starlette.testclient import TestClient

from tests.collector import build
from tests.until import PATIENCE_S, until
from tests.web import cities, loops
from titik_collector.limits import MAX_HAPPENED, MAX_QUESTIONS
from titik_collector.outputs.output import Event
from titik_collector.queries import events, status
from titik_collector.store.database import Database
from titik_collector.web import city_view, happenings
from titik_collector.web.city_view import CityView, Unanswered, watching


def test_a_bug_never_leaves_an_old_look_standing_as_now(
    view: CityView,
    page: TestClient,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The thread goes on, the page says so meanwhile, and is right again after it."""
    gather = status.gather
    monkeypatch.setattr(status, "gather", lambda *_: 1 / 0)
    assert until(lambda: page.get("/healthz").status_code, 503) == 503
    assert "a bug stops the page" in page.get("/healthz").text
    monkeypatch.setattr(status, "gather", gather)

    assert until(lambda: page.get("/healthz").json().get("problems"), []) == []
    assert view.snapshot.is_true_now
    assert 1 == sum("ZeroDivisionError" in str(one.exc_info) for one in caplog.records)


def test_a_look_that_is_a_minute_old_is_not_now(view: CityView) -> None:
    """A server that gives no answer raises nothing."""
    seen = view.snapshot
    old = replace(seen, taken_s=seen.taken_s - city_view.OLD_S - 5)
    assert [True, False] == [seen.is_true_now, old.is_true_now]


@pytest.mark.thorough
def test_a_store_that_nobody_writes_is_not_read_again(
    city: cities.City, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was seen is true of now too; what is written then is seen at the next look."""
    monkeypatch.setattr(city_view, "EVERY_S", 0.01)
    monkeypatch.setattr(city_view, "QUIET_MS", 10**15)
    with watching(city.config) as view:
        seen = view.snapshot
        assert until(lambda: view.snapshot.at_ms > seen.at_ms, True)
        assert seen.status is view.snapshot.status
        assert seen.number == view.snapshot.number
        read = view._decode.cache_info().misses
        city.hear("oesapa-1", clients=77)
        assert until(lambda: clients_of(view, "oesapa-1") == 77, True)
        assert read + 1 == view._decode.cache_info().misses  # of the others nothing came


@pytest.mark.thorough
def test_what_time_changes_is_seen_without_a_word_of_the_store(
    city: cities.City, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as that a place has closed."""
    monkeypatch.setattr(city_view, "EVERY_S", 0.01)
    monkeypatch.setattr(city_view, "QUIET_MS", 10)
    with watching(city.config) as view:
        seen = view.snapshot
        assert until(lambda: view.snapshot.number > seen.number, True)


def clients_of(view: CityView, router: str) -> int | None:
    """As the newest look has them."""
    return next(one.now.clients for one in view.snapshot.status.routers() if one.name == router)


def test_a_question_that_was_given_up_is_not_asked_later(
    view: CityView, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the store would answer all of them first, once it answers again."""
    monkeypatch.setattr(city_view, "DEADLINE_S", 0.2)
    goes_on, asked = threading.Event(), []

    async def ask() -> list[object]:
        slow = [view.ask(lambda _: goes_on.wait()) for _ in range(city_view.READERS)]
        late = [view.ask(lambda _: asked.append(1)) for _ in range(MAX_QUESTIONS - len(slow))]
        refused = view.ask(lambda _: asked.append(2))
        return list(await asyncio.gather(*slow, *late, refused, return_exceptions=True))

    found = loops.run(ask())
    goes_on.set()
    assert {Unanswered} == {type(one) for one in found}
    assert "too many questions" in str(found[-1])
    assert "yes" == loops.run(view.ask(lambda _: "yes", PATIENCE_S))
    assert [] == asked


def test_the_store_gives_up_what_nobody_waits_for(
    view: CityView, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else two long questions would keep both readers from everybody."""
    assert "yes" == loops.run(view.ask(lambda _: "yes"))  # a reader is there
    monkeypatch.setattr(city_view, "DEADLINE_S", 2.0)
    over = threading.Event()

    def endless(db: Database) -> None:
        try:
            db.execute(build.ENDLESS)
        finally:
            over.set()

    async def ask() -> None:
        await view.ask(endless)

    with pytest.raises(Unanswered, match="ask for less"):
        loops.run(ask())
    assert until(over.is_set, True)


def test_what_others_did_hides_nothing(view: CityView, monkeypatch: pytest.MonkeyPatch) -> None:
    """A router that comes and goes all day is no reason to say that a place had no outage."""
    flapping = [Event(ms, "outage", "oesapa-1", "reboot") for ms in range(1, MAX_HAPPENED + 9)]
    cut = Event(0, "outage", "tirosa-1", "away for 8 h")
    monkeypatch.setattr(events, "gather", lambda *_: [cut, *flapping])

    question = happenings.of({"tirosa-1"}, view, 30)
    assert [cut] == loops.run(view.ask(question))
