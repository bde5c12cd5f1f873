"""`/metrics`: what Prometheus reads is what the API answers, and what is not known is absent."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from tests.alerts.cities import NOON_MS, H, Play, router
from tests.until import until
from tests.web import cities, people
from tests.web.alerts import LERIK, happened
from tests.web.alerts import TIROSA as TIROSA_SITE
from tests.web.cities import City, now_ms
from tests.web.conftest import LOOPBACK
from titik_collector.alerts.alert import AlertSubject
from titik_collector.alerts.book import AlertBook
from titik_collector.alerts.desk_facts import DeskFacts, Maintenance
from titik_collector.config.receiver_tables import Receiver
from titik_collector.metrics import exposition
from titik_collector.metrics.growing import RouterTotals
from titik_collector.metrics.measured import REFUSED, STORED, Measured, MeasuredCity
from titik_collector.own_state.collector_state import CollectorState, StateFile
from titik_collector.queries.status import Line, RouterStatus
from titik_collector.store import beat_rows, book_rows, delivery_rows, incident_rows, notify_opening
from titik_collector.store.beat_rows import Beat
from titik_collector.store.delivery_rows import DeliveryRow
from titik_collector.web import app, scraping
from titik_collector.web.city_view import CityView, watching
from titik_wire import __version__
from titik_wire.instant import MINUTE_MS

Series = dict[tuple[str, ...], float]
TIROSA = ("tirosa-1", "taman-tirosa")
RATES = ("wifi_down", "wifi_up", "uplink_down", "uplink_up")


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each question of a test is answered with what is so then."""
    monkeypatch.setattr(scraping, "KEEP_S", -1.0)


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[City]:
    """Kupang; no router has reported yet."""
    with cities.city(tmp_path) as city:
        yield city


def scraped(page: TestClient) -> dict[str, Series]:
    """All series by name, and then by the values of their labels, which come in order."""
    answer = page.get("/metrics")
    assert (200, scraping.MEDIA) == (answer.status_code, answer.headers["content-type"])
    found: dict[str, Series] = {}
    for family in text_string_to_metric_families(answer.text):
        for one in family.samples:
            assert one.timestamp is None
            labels = {name: value for name, value in one.labels.items() if value}
            series = found.setdefault(one.name, {})
            assert tuple(labels.values()) not in series
            series[tuple(labels.values())] = one.value
    return found


def value(page: TestClient, name: str, *labels: str) -> float:
    """Of one series; -1 if there is none."""
    return scraped(page).get(name, {}).get(labels, -1.0)


def test_what_is_read_is_what_the_api_answers(page: TestClient, city: City) -> None:
    """Of each router and site, in bytes instead of bits."""
    city.report("lerik-1", "offline")
    city.roll()
    until(lambda: value(page, "titik_site_up", "rsud-sk-lerik"), 0.0)
    found, now = scraped(page), page.get("/api/v1/now?scope=router").json()
    places = list(zip(now["name"], now["site"], strict=True))

    def column(name: str, divisor: int = 1) -> Series:
        return {
            place: value / divisor
            for place, value in zip(places, now[name], strict=True)
            if value is not None
        }

    assert 9 == len(column("clients"))
    assert column("clients") == found["titik_router_clients"]
    assert column("active") == found["titik_router_clients_active"]
    for one in RATES:
        assert column(f"{one}_bps", 8) == found[f"titik_router_{one}_bytes_per_second"]
    covered = {key: round(one, 4) for key, one in found["titik_router_coverage_ratio"].items()}
    assert column("coverage_ratio") == covered
    sites = page.get("/api/v1/now").json()["sites"]
    assert {(one["name"],): one["clients"] for one in sites if "clients" in one} == found[
        "titik_site_clients"
    ]
    assert {(one["name"],): one["capacity"] for one in sites} == found[
        "titik_site_capacity_clients"
    ]


def test_a_router_has_one_state_of_four(page: TestClient, city: City) -> None:
    """One that is away is down, and has no figures: they are not zero."""
    city.report("lerik-1", "offline")
    lerik = ("lerik-1", "rsud-sk-lerik")
    until(lambda: value(page, "titik_router_up", *lerik), 0.0)
    found = scraped(page)
    states = {key[2]: one for key, one in found["titik_router_state"].items() if key[:2] == lerik}
    assert {"online": 0, "silent": 0, "offline": 1, "unknown": 0} == states
    has = {name for name, series in found.items() if lerik in series}
    assert {"titik_router_up", "titik_router_lost_samples_total"} == has


def test_what_was_never_heard_is_neither_up_nor_down(untouched: CityView) -> None:
    """No router reported yet: ten are unknown, and no site is down."""
    found = scraped(TestClient(app.build(untouched), LOOPBACK))
    assert ([], []) == (*(list(found.get(f"titik_{one}_up", ())) for one in ("router", "site")),)
    unknown = [one for key, one in found["titik_router_state"].items() if key[2] == "unknown"]
    assert [1.0] * 10 == unknown


def test_a_figure_that_cannot_be_read_is_absent(page: TestClient, city: City) -> None:
    """Clients are not zero where hostapd does not answer."""
    city.hear("tirosa-1", clients=None)
    until(lambda: TIROSA in scraped(page)["titik_router_clients"], False)
    found = scraped(page)
    assert 1.0 == found["titik_router_up"][TIROSA]
    assert TIROSA not in found["titik_router_clients"]


def test_bytes_are_those_of_the_history(empty: City) -> None:
    """From zero on, each minute once; and absent while the router is away."""
    start_ms = now_ms()
    report(empty, start_ms, 8, 5)
    with watching(empty.config) as view:
        page = TestClient(app.build(view), LOOPBACK)
        before = history(page, 20)
        scraped(page)
        report(empty, start_ms, 5, 0)
        until(lambda: value(page, "titik_router_up", *TIROSA), 1.0)
        found, after = scraped(page), history(page, 21)
        grown = {name: after[name] - before[name] for name in RATES}
        assert all(grown.values())
        assert grown == {one: found[f"titik_router_{one}_bytes_total"][TIROSA] for one in RATES}
        assert 10.0 == found["titik_samples_stored_total"][()]
        empty.report("tirosa-1", "offline")
        until(lambda: value(page, "titik_router_up", *TIROSA), 0.0)
        assert "titik_router_wifi_down_bytes_total" not in scraped(page)


def report(city: City, start_ms: int, from_min: int, to_min: int) -> None:
    """Tirosa's router in each half minute of a stretch of time before the start."""
    city.report("tirosa-1", "online", start_ms - from_min * MINUTE_MS)
    steps = range(from_min * 2, to_min * 2, -1)
    city.store.save([city.taken("tirosa-1", 3, start_ms - one * 30_000) for one in steps])
    city.roll()


def history(page: TestClient, minutes: int) -> dict[str, int]:
    """The bytes of Tirosa's router in the last minutes; another number is another answer."""
    fields = ",".join(f"{one}_bytes" for one in RATES)
    answer = page.get(
        f"/api/v1/history/router/tirosa-1?w=1m&from={minutes}m&fields={fields}"
    ).json()
    return {one: sum(filter(None, answer["figures"][f"{one}_bytes"])) for one in RATES}


def test_what_fires_has_the_severity_of_its_incident(page: TestClient, city: City) -> None:
    """Until it is over; one that no message was ever wanted about is none."""
    at_ms = now_ms()
    first = happened(city.db, 1, TIROSA_SITE, "site-offline", at_ms, severity="critical")
    over = happened(city.db, 2, LERIK, "site-offline", at_ms - 9, resolved_ms=at_ms)
    happened(city.db, 3, LERIK, "no-internet", at_ms)
    with city.db.transaction():
        incident_rows.write(city.db, [replace(one, message_ms=at_ms) for one in (first, over)])
    assert {("site-offline", "site", "critical", "taman-tirosa"): 1.0} == firing(page)


def test_who_pages_by_what_fires_pages_as_titik_does(page: TestClient, city: City) -> None:
    """Ten places that fall together are one series; in maintenance they are none."""
    fell = [router(f"p{n}", state="offline", since_ms=NOON_MS) for n in range(10)]
    others = [router(f"q{n}") for n in range(30)]
    work = Maintenance(1, AlertSubject("city", "kupang"), NOON_MS, NOON_MS + H, "ani", "mast")
    played = Play(desk=DeskFacts(maintenance=(work,)))
    played.stay(NOON_MS, NOON_MS + 30 * MINUTE_MS, fell + others)
    keep(city, played)
    assert {} == firing(page)
    played.desk = DeskFacts()
    played.stay(NOON_MS + 30 * MINUTE_MS, NOON_MS + H, fell + others)
    keep(city, played)
    assert {("group-outage", "city", "critical", "kupang"): 1.0} == firing(page)


def keep(city: City, played: Play) -> None:
    """Write what was played into the city's store, as the collector does."""
    with city.db.transaction():
        for step in played.steps:
            book_rows.write(city.db, AlertBook(), step, now_ms())
    played.steps.clear()


def firing(page: TestClient) -> Series:
    """The alerts of an answer."""
    return scraped(page).get("titik_alert_firing", {})


def test_a_receiver_that_nothing_reaches_fires(empty: City) -> None:
    """Only the notifier sees that, so the store has no alert of it."""
    made_ms, mayor = now_ms(), Receiver(name="mayor", type="webhook")
    with notify_opening.opened(empty.config.store) as db, db.transaction():
        row = DeliveryRow("store", 1, made_ms, 2, "mayor", made_ms, "refused")
        delivery_rows.add(db, [row])
    with watching(replace(empty.config, receiver=(mayor,))) as view:
        found = scraped(TestClient(app.build(view), LOOPBACK)).get("titik_alert_firing")
    assert {("delivery-failing", "server", "warning", "mayor"): 1.0} == found


def test_the_server_reports_of_itself(page: TestClient, city: City) -> None:
    """Version, streams, the collector's sign of life, and whether it has its broker."""
    found = scraped(page)
    assert {(__version__,): 1.0} == found["titik_build_info"]
    assert {(): 0.0} == found["titik_web_sse_clients"]
    absent = {"titik_collector_beat_age_seconds", "titik_broker_connected"}
    assert set() == absent & set(found)
    with city.db.transaction():
        beat_rows.write(city.db, beat_rows.COLLECTOR, Beat(now_ms() - 7000))
    file = StateFile(city.config.state_files)
    file.write(CollectorState("main", 1, now_ms(), now_ms(), connected=True, storing=True))
    try:
        found = scraped(page)
    finally:
        file.remove()
    assert 7 == pytest.approx(found["titik_collector_beat_age_seconds"][()], abs=3)
    assert {(): 1.0} == found["titik_broker_connected"]


def test_a_store_that_cannot_be_read_has_no_series(
    page: TestClient, view: CityView, city: City, caplog: pytest.LogCaptureFixture
) -> None:
    """What was last seen would stand still as if it were now; the target itself is up."""
    path = city.config.store.path
    assert path is not None
    path.rename(path.with_name("away.db"))
    until(lambda: view.snapshot.is_read_now, False)
    assert {"titik_build_info", "titik_web_sse_clients"} == set(scraped(page))
    assert "the store is gone" in caplog.text


def test_a_program_needs_its_token(page: TestClient, city: City) -> None:
    """As soon as there is one, or a user; Prometheus sends it from a file."""
    secret = people.add_token(city.config)
    people.add_user(city.config)
    assert 401 == page.get("/metrics").status_code
    answer = page.get("/metrics", headers={"Authorization": f"Bearer {secret}"})
    assert (200, True) == (answer.status_code, "titik_router_up" in answer.text)


@pytest.mark.thorough
def test_who_asks_at_once_gets_one_answer(
    page: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several Prometheus servers cost what one does."""
    monkeypatch.setattr(scraping, "KEEP_S", 60.0)
    with page, ThreadPoolExecutor(8) as threads:
        answers = set(threads.map(lambda _: page.get("/metrics").text, range(40)))
    assert 1 == len(answers)


@pytest.mark.thorough
def test_a_city_of_2000_routers_is_answered_in_a_second(view: CityView) -> None:
    """In 4 MB at most; compressed it is a tenth."""
    ten = list(view.snapshot.status.routers())
    many = [replace(one, line=line_of(one, number)) for number in range(200) for one in ten]
    sites = tuple(
        replace(one, routers=tuple(many[number * 20 : number * 20 + 20]))
        for number, one in enumerate(view.snapshot.status.sites * 10)
    )
    counted = {one.name: RouterTotals((10**12,) * 4, True, True) for one in many}
    lost = dict.fromkeys(counted, 10**6)
    seen = MeasuredCity(
        replace(view.snapshot.status, sites=sites), {}, lost, {STORED: 10**9, REFUSED: 10**9}
    )
    spent_s = []
    for _ in range(3):
        start_s = time.thread_time()
        text = exposition.text(Measured(__version__, 0, None, seen, counted))
        spent_s.append(time.thread_time() - start_s)
    series = [one for one in text.splitlines() if not one.startswith(b"#")]
    assert 2000 * 19 + 100 * 2 + 5 == len(series)
    assert len(text) < 4_000_000
    assert min(spent_s) < 2.0  # half of it on a machine that does nothing else


def line_of(one: RouterStatus, number: int) -> Line:
    """Of another router with the same figures."""
    return replace(one.line, now=replace(one.now, name=f"{one.name}-{number}"), coverage=1.0)
