"""`/alerts`: what is wrong, who handles it, what is silenced and planned; and its forms."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path

import httpx
import pytest
from starlette.testclient import TestClient

from tests.until import until
from tests.web import cities
from tests.web.alerts import GROUP, LERIK, MINUTE_MS, TIROSA, happened
from tests.web.conftest import LOOPBACK, client, operating
from titik_collector.accounts.audit import Actor
from titik_collector.alerts.alert import AlertEvent, AlertKey, AlertSubject, Message, Notification
from titik_collector.config.receiver_tables import Receiver
from titik_collector.desk import acks, planned_work, posting
from titik_collector.desk.planned_work import Entry
from titik_collector.store import (
    alert_rows,
    delivery_rows,
    desk_acks,
    desk_audit,
    desk_maintenance,
    desk_opening,
    desk_remarks,
    desk_silences,
    incident_rows,
    notify_opening,
    outbox_rows,
)
from titik_collector.store.alert_rows import KeptEvent
from titik_collector.store.delivery_rows import DeliveryRow
from titik_collector.web import alert_view, city_view
from titik_collector.web.city_view import CityView, watching

HOUR_MS = 3_600_000


@pytest.fixture
def wrong(tmp_path: Path) -> Iterator[cities.City]:
    """A city where a hospital is down, and a park was."""
    with cities.city(tmp_path) as filled:
        filled.live()
        now_ms = cities.now_ms()
        happened(
            filled.db,
            1,
            TIROSA,
            "crowded",
            now_ms - 5 * HOUR_MS,
            severity="info",
            resolved_ms=now_ms - 4 * HOUR_MS,
        )
        happened(filled.db, 2, LERIK, "site-offline", now_ms - 12 * MINUTE_MS)
        yield filled


@pytest.fixture
def alerts_view(wrong: cities.City) -> Iterator[CityView]:
    """That city as pages see it."""
    with watching(wrong.config) as opened:
        yield opened


@pytest.fixture
def operator(alerts_view: CityView) -> TestClient:
    """Of that city."""
    return operating(alerts_view)


def send(page: TestClient, at: str, path: str, **fields: str) -> httpx.Response:
    """Fill in a form of the page at one address, and send it to another."""
    tokens = form_token_of(page.get(at))
    answer: httpx.Response = page.post(
        path, data={"form": tokens, **fields}, headers={"Origin": LOOPBACK}, follow_redirects=False
    )
    return answer


def form_token_of(answer: httpx.Response) -> str:
    """Each form of a page has the same."""
    first = answer.text.partition('name="form" value="')[2]
    return first.partition('"')[0]


def audited(view: CityView) -> list[tuple[str, str, str]]:
    """What operators changed: who, what, of what."""
    with desk_opening.opened(view.config.page_store) as db:
        rows = [(one.actor, one.action, one.subject) for one in desk_audit.newest(db, 99)]
    return [row for row in rows if row[0] == "siti" and row[1] != "logged in"]


def test_what_is_wrong_is_listed_and_counted(alerts_view: CityView) -> None:
    """What is over stands below; the count is on every page."""
    page = client(alerts_view)
    text = page.get("/alerts?lang=en").text
    now, over = text.split("Over in the last 7 days")
    assert 'href="/alerts/2">place down: RSUD S.K. Lerik</a>' in now
    assert "nobody handles it" in now
    assert 'href="/alerts/1">crowded: Taman Tirosa</a>' in over
    assert '<b class="count" data-alerts><span>1</span>' in page.get("/").text


@pytest.mark.parametrize("path", ["/", "/alerts", "/alerts/2", "/wall"])
def test_the_version_is_taken_before_what_is_shown(
    operator: TestClient, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """What changes while a page is put together is asked for again, for its version is older."""
    asked: list[str] = []

    def noting(name: str) -> None:
        real: Callable[..., object] = getattr(alert_view, name)

        def call(*args: object) -> object:
            asked.append(name)
            return real(*args)

        monkeypatch.setattr(alert_view, name, call)

    for name in ("version", "open_incidents", "whole"):
        noting(name)
    assert 200 == operator.get(path).status_code
    assert ("version", True) == (asked[0], len(asked) > 1)


def test_an_open_page_is_sent_its_incidents_alone(alerts_view: CityView) -> None:
    """As the whole page has them, with its version; and none of its places."""
    page = client(alerts_view)
    whole, part = page.get("/?lang=en").text, page.get("/?lang=en&renewed=alerts").text
    section = re.compile(r'<section class="now-incidents".*?</section>', re.DOTALL)
    version = re.compile(r'data-incidents="([^"]+)"')
    assert "place down: RSUD S.K. Lerik" in part
    assert section.findall(whole) == section.findall(part)
    assert version.findall(whole) == version.findall(part)
    assert "data-place-list" in whole
    assert "data-place-list" not in part


def test_who_only_looks_sees_no_form(alerts_view: CityView) -> None:
    """The untouched demo reads how the first operator is made; what it sends is refused."""
    page = client(alerts_view)
    for path in ("/alerts", "/alerts/2", "/site/rsud-sk-lerik", "/router/lerik-1"):
        text = page.get(path, headers={"Accept-Language": "en"}).text
        assert '<form method="post"' not in text
        assert 'class="entry"' not in text
        assert "titik web user add" in text
    answer = page.post("/alerts/2/ack", data={"note": ""}, headers={"Origin": LOOPBACK})
    assert 403 == answer.status_code
    assert not desk_opening.exists(alerts_view.config.page_store)


def test_an_operator_acknowledges(operator: TestClient, alerts_view: CityView) -> None:
    """The page shows it, and the collector sees it."""
    answer = send(operator, "/alerts/2", "/alerts/2/ack", note="on my way")
    assert (303, "/alerts/2") == (answer.status_code, answer.headers["location"])
    text = operator.get("/alerts/2?lang=en").text
    assert "<b>siti</b> since" in text
    assert "siti acknowledged: on my way" in text
    assert "siti handles it" in operator.get("/alerts").text
    posted = posting.file_of(alerts_view.config.store.path or Path()).read_bytes()
    assert [2] == [one.incident for one in posting.read_file(posted).acks]
    assert [("siti", "incident acknowledged", "2")] == audited(alerts_view)


def test_what_is_over_is_not_acknowledged(operator: TestClient, alerts_view: CityView) -> None:
    """A page that was open for long still has the form."""
    tokens = form_token_of(operator.get("/alerts/2"))
    answer = operator.post(
        "/alerts/1/ack", data={"form": tokens, "note": ""}, headers={"Origin": LOOPBACK}
    )
    assert (400, True) == (
        answer.status_code, "incident 1 is over; write a remark" in answer.text,
    )  # fmt: skip
    with desk_opening.opened(alerts_view.config.page_store) as db:
        assert [] == desk_acks.of_incident(db, 1)


def test_an_operator_writes_a_remark(operator: TestClient, alerts_view: CityView) -> None:
    """Nothing in it is markup."""
    send(operator, "/alerts/2", "/alerts/2/remark", text="<b>cable</b>\ncut")
    assert "&lt;b&gt;cable&lt;/b&gt;\ncut" in operator.get("/alerts/2").text
    with desk_opening.opened(alerts_view.config.page_store) as db:
        assert ["siti"] == [one.actor for one in desk_remarks.of_incident(db, 2)]
    answer = send(operator, "/alerts/2", "/alerts/2/remark", text=" ")
    assert (400, True) == (answer.status_code, "a remark has a text" in answer.text)


def test_an_operator_silences_and_ends_it(operator: TestClient, alerts_view: CityView) -> None:
    """While it counts, each page says so."""
    name = "site/rsud-sk-lerik/site-offline"
    fields = {"alerts": name, "for": "4h", "reason": "generator"}
    assert f'value="{name}"' in operator.get(f"/alerts?silence={name}").text
    assert 303 == send(operator, "/alerts", "/silences", **fields).status_code
    assert "1 silence: some alerts send no message" in operator.get("/?lang=en").text
    assert "silenced" in operator.get("/alerts/2").text
    with desk_opening.opened(alerts_view.config.page_store) as db:
        (row,) = desk_silences.newest(db, 9)
    assert 4 * HOUR_MS == row.silence.until_ms - row.silence.from_ms
    assert 303 == send(operator, "/alerts", "/silences/1/end").status_code
    assert "some alerts send no message" not in operator.get("/").text
    again = send(operator, "/alerts", "/silences/1/end")
    assert (400, True) == (again.status_code, "silence 1 is over already" in again.text)
    mistyped = send(operator, "/alerts", "/silences", **{**fields, "alerts": "lerik"})
    assert (400, True) == (mistyped.status_code, "did you mean lerik-1" in mistyped.text)
    forever = send(operator, "/alerts", "/silences", **{**fields, "for": "9y"})
    assert 400 == forever.status_code


def test_one_click_begins_maintenance(operator: TestClient, alerts_view: CityView) -> None:
    """On the page of a place, which ends it too; that of its router shows it."""
    at = "/site/rsud-sk-lerik"
    fields = {"place": "site/rsud-sk-lerik", "for": "1h", "next": f"{at}#maintenance"}
    answer = send(operator, at, "/maintenance", reason="new mast", **fields)
    assert (303, f"{at}#maintenance") == (answer.status_code, answer.headers["location"])
    for path in (at, "/router/lerik-1"):
        text = operator.get(path, headers={"Accept-Language": "en"}).text
        assert "maintenance until" in text
        assert "new mast" in text
        assert (path == at) == ('action="/maintenance/1/end"' in text)
        assert (path != at) == ("End it on the page of alerts" in text)
    assert ">maintenance</span>" in operator.get("/alerts?lang=en").text
    send(operator, at, "/maintenance/1/end", next=f"{at}#maintenance")
    assert "maintenance until" not in operator.get(at, headers={"Accept-Language": "en"}).text
    assert ["maintenance", "maintenance ended"] == [one[1] for one in audited(alerts_view)]


def test_maintenance_until_tomorrow_ends_at_eight(
    operator: TestClient, alerts_view: CityView
) -> None:
    """By the clock of the city."""
    send(operator, "/router/lerik-1", "/maintenance", place="router/lerik-1", **{"for": "tomorrow"})
    with desk_opening.opened(alerts_view.config.page_store) as db:
        (row,) = desk_maintenance.newest(db, 9)
    zone = alerts_view.config.city.timezone
    end = datetime.fromtimestamp((row.to_ms or 0) / 1000, zone)
    begin = datetime.fromtimestamp(row.from_ms / 1000, zone)
    assert (8, 0, 1) == (end.hour, end.minute, (end.date() - begin.date()).days)


def test_maintenance_is_planned_with_times(operator: TestClient, alerts_view: CityView) -> None:
    """What began before now needs a reason, and is marked."""
    times = {"from": "2026-01-01T08:00", "to": "2026-01-01T09:00"}
    answer = send(operator, "/alerts", "/maintenance", place="city", **times)
    assert (400, True) == (answer.status_code, "its report is final" in answer.text)
    zone = alerts_view.config.city.timezone
    began, ends = (
        datetime.fromtimestamp((cities.now_ms() + apart_ms) / 1000, zone)
        for apart_ms in (-HOUR_MS, HOUR_MS)
    )
    times = {"from": f"{began:%Y-%m-%dT%H:%M}", "to": f"{ends:%Y-%m-%dT%H:%M}"}
    answer = send(operator, "/alerts", "/maintenance", place="city", **times)
    assert (400, True) == (answer.status_code, "needs a reason" in answer.text)
    send(operator, "/alerts", "/maintenance", place="city", reason="grid", **times)
    assert "entered afterwards" in operator.get("/alerts?lang=en").text
    answer = send(operator, "/alerts", "/maintenance", place="city", **{"from": "soon", "to": ""})
    assert (400, True) == (answer.status_code, "soon: is no time" in answer.text)


def test_a_weekly_stretch_is_not_ended_by_itself(operator: TestClient, wrong: cities.City) -> None:
    """Its end is that of all weeks, so it is where all of it stands."""
    days = ",".join(planned_work.DAYS)
    with desk_opening.opened(wrong.config.page_store) as db:
        weekly = planned_work.weekly_of(days, "02:00", HOUR_MS)
        me = Actor("root", None, cities.now_ms())
        planned_work.repeat(db, Entry(LERIK, "backup"), weekly, me)
    path = "/site/rsud-sk-lerik?lang=en"
    assert until(lambda: "each week" in operator.get(path).text, True)
    assert 'action="/maintenance/1/end"' not in operator.get(path).text
    assert 'action="/maintenance/1/end"' in operator.get("/alerts").text


def test_maintenance_of_each_week_is_planned_by_a_form(
    operator: TestClient, alerts_view: CityView
) -> None:
    """Over midnight, until a last day; the list has it, and one click ends it."""
    zone = alerts_view.config.city.timezone
    last = (datetime.now(zone) + timedelta(days=30)).date()
    fields = {"place": "rsud-sk-lerik", "from": "22:00", "to": "04:00", "until": f"{last}"}
    days = {"mon": "on", "thu": "on", "reason": "backup"}
    answer = send(operator, "/alerts", "/maintenance/weekly", **fields, **days)
    assert (303, "/alerts#maintenance") == (answer.status_code, answer.headers["location"])
    text = operator.get("/alerts?lang=en").text
    assert "each week: Monday, Thursday 22:00\u201304:00, until " in text
    assert f"until {last.day} {last:%B %Y}" in text
    (row,) = alerts_view.desk.posted.maintenance
    after = datetime(last.year, last.month, last.day, 4, tzinfo=zone) + timedelta(days=1)
    assert after.timestamp() * 1000 == row.to_ms
    assert 303 == send(operator, "/alerts", "/maintenance/1/end").status_code
    assert "each week: Monday" not in operator.get("/alerts?lang=en").text


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ({}, "choose a day of the week"),
        ({"mon": "on", "until": "2020-01-01"}, "the last day is over already"),
        ({"mon": "on", "until": "soon"}, "soon: is no date"),
        ({"mon": "on", "to": "25:00"}, "25:00: is no time of the day"),
    ],
)
def test_a_wrong_form_of_each_week_stays_as_it_was_typed(
    operator: TestClient, typed: dict[str, str], why: str
) -> None:
    """With what is wrong above it."""
    fields = {"place": "city", "from": "02:00", "to": "03:00", "reason": "router of <PLN>", **typed}
    answer = send(operator, "/alerts", "/maintenance/weekly", **fields)
    assert (400, True) == (answer.status_code, why in answer.text)
    assert 'value="router of &lt;PLN&gt;"' in answer.text
    assert ('name="mon" checked' in answer.text) == ("mon" in typed)


def test_what_another_page_sends_is_refused(operator: TestClient, alerts_view: CityView) -> None:
    """By its origin, and without the token of the form."""
    token = form_token_of(operator.get("/alerts/2"))
    for origin, form in (("https://evil.example", token), (LOOPBACK, "x"), (LOOPBACK, "")):
        answer = operator.post("/alerts/2/ack", data={"form": form}, headers={"Origin": origin})
        assert 403 == answer.status_code
    assert [] == audited(alerts_view)


@pytest.mark.parametrize("path", ["/alerts/3", "/alerts/9999999999999999999999", "/alerts/x"])
def test_an_incident_that_is_not_there_is_not_found(operator: TestClient, path: str) -> None:
    """Nor is it acknowledged."""
    assert 404 == operator.get(path).status_code
    assert 404 == send(operator, "/alerts", f"{path}/ack").status_code


def test_what_is_entered_at_a_prompt_is_seen(alerts_view: CityView) -> None:
    """Within seconds."""
    with desk_opening.opened(alerts_view.config.page_store) as db:
        acks.acknowledge(db, 2, "by radio", Actor("root", None, cities.now_ms()))
    assert [2] == until(lambda: [one.incident for one in alerts_view.desk.posted.acks], [2])


def test_an_incident_of_several_names_its_parts(wrong: cities.City) -> None:
    """Each leads to its page."""
    happened(wrong.db, 3, GROUP, "group-outage", cities.now_ms(), members=(TIROSA, LERIK))
    with watching(wrong.config) as view:
        text = client(view).get("/alerts/3?lang=en").text
    assert "several places down: Kelapa Lima" in text
    assert "2 parts" in text
    assert 'href="/site/taman-tirosa"' in text


def test_an_incident_that_came_again_says_so(wrong: cities.City, alerts_view: CityView) -> None:
    """It is since its newest begin."""
    page, again = client(alerts_view), "It was over and came again"
    assert again not in page.get("/alerts/2?lang=en").text
    found = incident_rows.one(wrong.db, 2)
    assert found is not None
    with wrong.db.transaction():
        incident_rows.write(wrong.db, [replace(found, from_ms=cities.now_ms())])
    assert again in page.get("/alerts/2?lang=en").text


def test_an_incident_shows_which_messages_wait(wrong: cities.City, alerts_view: CityView) -> None:
    """Until when; who is asked if nobody acknowledges may never be."""
    made_ms = cities.now_ms()
    message = Message(
        what="firing", kind="site-offline", severity="warning",
        subject=LERIK, title="RSUD", from_ms=made_ms,
    )  # fmt: skip
    later = Notification(
        number=1, incident=2, receiver="ani", made_ms=made_ms,
        due_ms=made_ms + HOUR_MS, message=message,
    )  # fmt: skip
    boss = replace(later, number=2, receiver="boss", message=replace(message, what="escalation"))
    other = replace(later, number=3, receiver="cici", incident=1)
    with wrong.db.transaction():
        outbox_rows.put(wrong.db, [later, boss, other])
    text = client(alerts_view).get("/alerts/2?lang=en").text
    assert ("None was sent yet." in text, text.count(" waits until ")) == (False, 1)
    assert "A message to ani waits until " in text


def test_an_incident_shows_who_can_be_called(operator: TestClient, alerts_view: CityView) -> None:
    """As the page of its place; a tap on the number calls. Nobody reads it without a login."""
    for path in ("/alerts/2", "/site/rsud-sk-lerik"):
        text = operator.get(f"{path}?lang=en").text
        assert re.search(
            r'<dt>Contact</dt><dd>[^<]*<a href="tel:0380555\d+">0380-555-\d+</a>', text
        )
        assert "<dt>Provider</dt>" in text
        assert "tel:" not in client(alerts_view).get(path).text


def test_what_happened_is_in_order_of_time(operator: TestClient, wrong: cities.City) -> None:
    """Also what somebody did before the end."""
    send(operator, "/alerts/2", "/alerts/2/ack", note="on my way")
    key, at_ms = AlertKey("site-offline", LERIK), cities.now_ms() + MINUTE_MS
    with wrong.db.transaction():
        end = AlertEvent(key, at_ms, "recovering", "inactive", "test")
        alert_rows.add_events(wrong.db, [KeptEvent(end, 2)])
    text = operator.get("/alerts/2?lang=en").text.partition("What happened")[2]
    found = [text.index(one) for one in (", began", "on my way", ", is over")]
    assert sorted(found) == found


def test_a_place_has_the_outages_and_the_cause_of_its_routers(
    wrong: cities.City, alerts_view: CityView
) -> None:
    """The events are theirs; a router is named with its place."""
    now_ms = cities.now_ms()
    wrong.report("lerik-1", "stopping", now_ms - 20 * MINUTE_MS)
    wrong.report("lerik-1", "online", now_ms - 2 * MINUTE_MS)
    wrong.hear("lerik-1", at_ms=now_ms - 2 * MINUTE_MS)
    happened(wrong.db, 3, AlertSubject("router", "lerik-1"), "router-offline", now_ms)
    page = client(alerts_view)
    text = page.get("/alerts/2?lang=en").text
    assert 'href="/router/lerik-1"' in text.partition("Outages and causes")[2]
    assert "Cause: " in text
    assert "router down: lerik-1, RSUD S.K. Lerik" in page.get("/alerts/3?lang=en").text


def test_the_newest_acknowledgement_is_that_of_the_desk(
    operator: TestClient, alerts_view: CityView
) -> None:
    """One by one; all of them stay in what happened."""
    for note in ("first", "second"):
        send(operator, "/alerts/2", "/alerts/2/ack", note=note)
    text = operator.get("/alerts/2?lang=en").text
    assert "siti acknowledged: first" in text
    assert "siti acknowledged: second" in text
    with desk_opening.opened(alerts_view.config.page_store) as db:
        assert ["second"] == [one.note for one in desk_acks.not_over(db, cities.now_ms())]


def test_an_incident_shows_what_was_sent(wrong: cities.City, alerts_view: CityView) -> None:
    """To which receiver, and what became of it; not what an incident of before had sent."""
    page, made_ms = client(alerts_view), cities.now_ms()
    assert "None was sent yet." in page.get("/alerts/2").text
    with notify_opening.opened(wrong.config.store) as db, db.transaction():
        sent = DeliveryRow("store", 1, made_ms, 2, "technician", made_ms, "delivered")
        before = sent._replace(made_ms=1, receiver="restored")
        failed = sent._replace(receiver="mayor", outcome="failed", detail="no <route>")
        delivery_rows.add(db, [sent, before, failed])
    text = page.get("/alerts/2").text
    assert "technician: delivered" in text
    assert "mayor: failed, is tried again" in text
    assert "no &lt;route&gt;" in text
    assert "restored" not in text


def test_a_receiver_that_nothing_reaches_is_named(
    wrong: cities.City, alerts_view: CityView
) -> None:
    """Whoever misses messages gets none about it; the remedy is there."""
    config = replace(wrong.config, receiver=(Receiver(name="mayor", type="webhook"),))
    alerts_view.config = config
    page, made_ms = client(alerts_view), cities.now_ms()
    assert "titik notify test" not in page.get("/alerts").text
    with notify_opening.opened(config.store) as db, db.transaction():
        row = DeliveryRow("store", 1, made_ms, 2, "mayor", made_ms - 120_000, "refused")
        delivery_rows.add(db, [row])
    found = "messages to mayor have not arrived for 2 min; as root: titik notify test mayor"
    assert found in page.get("/alerts").text
    indonesian = page.get("/alerts?lang=id").text
    assert "pesan ke mayor tidak sampai sejak 2 m lalu" in indonesian


@pytest.mark.parametrize("alerts", ["site", "provider:Indosat", "rsud-sk-lerik", "city"])
def test_what_is_silenced_says_so(operator: TestClient, alerts: str) -> None:
    """By itself, or by what it is a part of."""
    assert "silenced</span>" not in operator.get("/alerts/2").text
    fields = {"alerts": alerts, "for": "1h", "reason": "x"}
    assert 303 == send(operator, "/alerts", "/silences", **fields).status_code
    assert "silenced</span>" in operator.get("/alerts/2").text


def test_the_count_is_right_above_what_a_page_lists(
    wrong: cities.City, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The head has all that go on."""
    monkeypatch.setattr(city_view, "MAX_INCIDENTS", 1)
    happened(wrong.db, 3, TIROSA, "crowded", cities.now_ms())
    with watching(wrong.config) as view:
        assert (1, 2) == (len(view.snapshot.incidents), view.snapshot.incidents_open)
        assert "<span>2</span>" in client(view).get("/").text


@pytest.mark.parametrize("path", ["/", "/alerts", "/wall"])
def test_what_begins_while_a_page_is_made_is_asked_for(
    wrong: cities.City, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whenever it was: a page that lacks it has not the version of a page that has it."""
    with watching(wrong.config) as view:
        before = view.snapshot
        begun = replace(before.incidents[0], number=9, subject=TIROSA)
        after = replace(before, incidents=(*before.incidents, begun), incidents_open=2)

        def shown(lasts: int) -> tuple[int, str, int]:
            """How many cards, their version, and how often the city was looked at."""
            looks = count(1)
            newest = property(lambda _: after if next(looks) > lasts else before)
            with monkeypatch.context() as patched:
                patched.setattr(CityView, "snapshot", newest)
                text = client(view).get(path).text
            (version,) = re.findall(r'data-incidents="(\w+)"', text)
            return text.count('"incident open'), version, next(looks)

        _, newer, most = shown(0)
        pages = [shown(lasts)[:2] for lasts in range(most)]
    assert {1, 2} == {cards for cards, _ in pages}
    assert [] == [cards for cards, version in pages if cards == 1 and version == newer]
