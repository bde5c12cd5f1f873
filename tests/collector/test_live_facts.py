"""What the rules of alerts look at is the present, as far as the collector knows it."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.collector.alert_city import PARK, AlertCity
from tests.collector.build import T0, opened
from titik_collector.alerts.facts import LiveFacts, LiveRouter, LiveSite
from titik_collector.figures.table import Figures
from titik_collector.live.usual_clients import UsualClients
from titik_collector.store import rollups
from titik_collector.store.database import Database
from titik_collector.store.rollups import RollupRow, WindowKey
from titik_wire.instant import DAY_MS, HOUR_MS
from titik_wire.messages import AgentState, Host, Reach

TWO = PARK + '[[router]]\nname = "park-2"\nsite = "park"\n'
ZONE = ZoneInfo("Asia/Makassar")


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    """An empty store."""
    with opened(tmp_path / "titik.db", ()) as empty:
        yield empty


@pytest.fixture
def city(tmp_path: Path, db: Database) -> AlertCity:
    """A park with two routers; one has been online for a while."""
    made = AlertCity(tmp_path, db, TWO)
    made.goes_online("park-1")
    made.waits(60)
    return made


def gathered(city: AlertCity) -> LiveFacts:
    return city.parts.facts.gather(city.now_ms)


def router(city: AlertCity, name: str = "park-1") -> LiveRouter:
    return next(one for one in gathered(city).routers if one.name == name)


def site(city: AlertCity) -> LiveSite:
    (found,) = gathered(city).sites
    return found


def test_an_outage_counts_from_when_the_router_was_last_heard(city: AlertCity) -> None:
    """Not from when its will came; its cause is known when it is back."""
    heard_ms = city.now_ms
    city.passes(20)
    city.goes_offline("park-1")
    city.passes(30)
    away = router(city)
    assert ("offline", heard_ms, None) == (away.state, away.since_ms, away.cause)
    city.goes_online("park-1")
    back = router(city)
    assert ("online", city.now_ms, "uplink lost") == (back.state, back.since_ms, back.cause)


def test_a_router_that_sends_nothing_is_away_since_its_last_sample(city: AlertCity) -> None:
    """It is noticed two minutes later, and offline a quarter of an hour later."""
    heard_ms = city.now_ms
    city._online.clear()
    for minutes, state in ((3, "silent"), (20, "offline")):
        city.now_ms = heard_ms + minutes * 60_000
        with city.db.transaction():
            city.parts.presence.tick(city.now_ms, [*city.ids.values()], T0)
        found = router(city)
        assert (state, heard_ms) == (found.state, found.since_ms)


def test_a_router_that_was_never_heard_is_unknown(city: AlertCity) -> None:
    """It has no figure, and does not take those of its site away."""
    assert "unknown" == router(city, "park-2").state
    assert 3 == site(city).clients


def test_a_revoked_router_is_no_fact(city: AlertCity) -> None:
    """It is away because somebody wants it."""
    text = city.file.read_text().replace('name = "park-2"', 'name = "park-2"\nrevoked = 2026-11-01')
    city.file.write_text(text)
    for _ in range(2):
        city.parts.reload.step(0)
    assert ["park-1"] == [one.name for one in gathered(city).routers]


def test_figures_are_those_of_the_newest_prompt_sample(city: AlertCity) -> None:
    """Heat, and what could not be read."""
    agent = AgentState(1, 1, 0, 0, 0, failed=("hostapd",))
    city.changes("park-1", host=Host(temp_c=86.5), agent=agent, clients=9)
    city.passes(30)
    found = router(city)
    assert (86.5, True, 9) == (found.temperature_c, found.unreadable, found.clients)


def test_what_comes_late_changes_nothing(city: AlertCity) -> None:
    """A queue of the broker, twice, and older than what is known."""
    before = gathered(city)
    hot = replace(city.sample("park-1"), host=Host(temp_c=99.0), clients=60)
    older = replace(hot, uptime_ms=hot.uptime_ms - 40_000, seq=hot.seq - 1, first_seq=hot.seq - 1)
    city.arrives(older, prompt=True)
    assert before == gathered(city)
    newer = replace(hot, uptime_ms=hot.uptime_ms + 1)
    city.arrives(newer, prompt=False)
    assert (None, None, None) == (
        *(router(city).temperature_c, router(city).clients, site(city).clients),
    )


def test_a_figure_that_is_old_is_not_known(city: AlertCity) -> None:
    """The router is still connected; only its samples stopped."""
    city.now_ms += 121_000
    found = router(city)
    assert ("online", None, None) == (found.state, found.clients, found.unreadable)


def test_while_the_collector_cannot_hear_it_says_so(city: AlertCity) -> None:
    """What it knows of routers is then not looked at."""
    assert gathered(city).hears
    city.parts.hearing.stop("broker", "gone")
    assert not gathered(city).hears


def test_after_a_fault_of_the_broker_routers_are_in_doubt_until_they_came(city: AlertCity) -> None:
    """Their last words may be those of a broker that ended."""
    city.passes(30)
    with city.db.transaction():
        city.parts.presence.doubt(city.now_ms - 20_000, city.now_ms, broker=True)
    assert router(city).in_doubt
    city.goes_online("park-1")
    assert not router(city).in_doubt


def reach(attempts: int, answered: int) -> Reach:
    time_ms = 9.0 if answered else None
    return Reach(tcp_ms=time_ms, tcp_failures=0, attempts=attempts, answered=answered)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ((), None),
        ((0, 0, 0, 0, 0), False),
        ((1, 1, 1), True),
        ((1, 1, 0), None),
        ((0, 0, 0, 0, 1), None),
        ((0, 0, 1, 1), True),
    ],
)
def test_the_internet_is_gone_when_no_round_of_five_minutes_answers(
    city: AlertCity, answers: tuple[int, ...], expected: bool | None
) -> None:
    """It is back after two that do; between them it is not known."""
    for n, _ in enumerate(answers, 1):
        city.changes("park-1", reach=reach(n, sum(answers[:n])))
        city.passes(60)
    assert expected is router(city).internet


def test_the_internet_is_gone_since_its_first_failed_round(city: AlertCity) -> None:
    """However long ago that was; a round that is reported twice counts once."""
    city.changes("park-1", reach=reach(1, 1))
    city.passes(30)
    begun_ms = city.now_ms + 30_000
    for n in range(2, 12):
        city.changes("park-1", reach=reach(n, 1))
        city.passes(30)
        city.passes(30)
    found = router(city)
    assert (False, begun_ms) == (found.internet, found.internet_since_ms)
    city.now_ms += 301_000
    assert router(city).internet is None


def test_a_site_is_what_the_configuration_says_of_it(tmp_path: Path, db: Database) -> None:
    """Open or closed by the city's clock."""
    facts = 'tier = 2\nprovider = "T"\ndistrict = "D"\nhours = "Mo 10:00-11:00"'
    text = PARK.replace("tier = 1", facts)
    city = AlertCity(tmp_path, db, text)
    found = site(city)  # it is Monday, 10:13
    assert ("park", "Taman", "T", "D", 2, True, 20, 10.0) == (
        *(found.name, found.title, found.provider, found.district, found.tier, found.is_open),
        *(found.capacity, found.uplink_mbps),
    )
    city.now_ms += HOUR_MS
    assert site(city).is_open is False


def test_how_many_were_there_before_a_site_went_away(city: AlertCity) -> None:
    """By the last samples of its routers, also after a restart."""
    city.goes_online("park-2", clients=4)
    city.waits(60)
    assert (7, None) == (site(city).clients, site(city).clients_before)
    city.goes_offline("park-1", "park-2")
    city.waits(60)
    assert (None, 7) == (site(city).clients, site(city).clients_before)


def test_a_mean_is_of_the_last_quarter_of_an_hour(city: AlertCity) -> None:
    """It is not known before most of it was seen, nor after it was not for long."""
    assert site(city).clients_mean is None
    city.waits(15 * 60)
    found = site(city)
    assert (3.0, True) == (found.clients_mean, (found.uplink_down_bps or 0) > 0)
    city.changes("park-1", clients=33)
    city.passes(30)
    city.waits(5 * 60)
    assert 12 < (site(city).clients_mean or 0) < 15
    city.goes_offline("park-1")
    city.waits(10 * 60)
    assert site(city).clients_mean is None


def test_for_how_long_nobody_was_there(city: AlertCity) -> None:
    """Not known where a router of the site that is online has no figure."""
    assert 0 == site(city).without_clients_ms
    city.changes("park-1", clients=0, clients_max=0)
    city.passes(30)
    city.waits(10 * 60)
    assert 590_000 <= (site(city).without_clients_ms or 0) <= 600_000
    city.changes("park-1", clients=0, clients_max=2)  # somebody came and went between two samples
    city.passes(30)
    assert 0 == site(city).without_clients_ms
    city.goes_online("park-2", clients=None)
    assert site(city).without_clients_ms is None


def test_lost_samples_are_those_of_all_runs(city: AlertCity) -> None:
    """Below what the spool still holds, and neither stored nor refused."""
    city.db.execute(
        "INSERT INTO run (router_id, token, highest, floor) VALUES (?, ?, 20, 4), (?, ?, 9, 9)",
        (city.ids["park-1"], "a" * 16, city.ids["park-1"], "b" * 16),
    )
    for token, first, last in (("a", 2, 3), ("a", 5, 9), ("b", 3, 12)):
        city.db.execute(
            "INSERT INTO settled (run_id, kind, first_seq, last_seq)"
            " SELECT id, 'stored', ?, ? FROM run WHERE token = ?",
            (first, last, token * 16),
        )
    law = "SELECT CAST(sum(lost) AS BIGINT) FROM v_conservation WHERE router = 'park-1'"
    assert [(4,)] == city.db.execute(law).fetchall()
    gathered(city)
    assert 4 == router(city).lost


def hours_before(at_ms: int, weeks: int, clients: float | None) -> tuple[WindowKey, RollupRow]:
    """An hour of site 1, so many weeks before."""
    start_ms = at_ms - at_ms % HOUR_MS - weeks * 7 * DAY_MS
    figures = Figures()._replace(clients_mean=clients)
    return WindowKey("site", 1, "1h", start_ms), RollupRow(start_ms + HOUR_MS, 1, figures)


@pytest.mark.parametrize(
    ("weeks", "usual"),
    [
        ({}, None),
        ({1: 9.0}, None),
        ({1: 9.0, 2: None, 3: 5.0}, 7.0),
        ({1: 9.0, 2: 1.0, 3: 30.0, 4: 11.0, 5: 99.0}, 10.0),
    ],
)
def test_usual_is_the_median_of_the_same_hour_of_four_weeks(
    db: Database, weeks: dict[int, float | None], usual: float | None
) -> None:
    """At least two of them have to be known."""
    for week, clients in weeks.items():
        key, row = hours_before(T0, week, clients)
        rollups.put(db, [(key, row)])
    found = UsualClients(db, ZONE)
    found.look([1, 2], T0)
    assert usual == found.of(1)
    assert found.of(2) is None


def test_the_same_hour_is_that_of_the_citys_clocks(db: Database) -> None:
    """Where they are put forward in between, too."""
    berlin = ZoneInfo("Europe/Berlin")
    now = datetime(2026, 4, 6, 18, 30, tzinfo=berlin)  # summer time since March 29
    for day in (30, 23, 16):
        then = datetime(2026, 3, day, 18, tzinfo=berlin).astimezone(UTC)
        start_ms = round(then.timestamp() * 1000)
        figures = Figures()._replace(clients_mean=12.0)
        key = WindowKey("site", 1, "1h", start_ms)
        rollups.put(db, [(key, RollupRow(start_ms + HOUR_MS, 1, figures))])
    found = UsualClients(db, berlin)
    found.look([1], round(now.timestamp() * 1000))
    assert 12.0 == found.of(1)


def test_a_removed_router_is_forgotten(city: AlertCity) -> None:
    """Its memory goes with it."""
    text = city.file.read_text()
    city.file.write_text(text.replace('[[router]]\nname = "park-2"\nsite = "park"\n', ""))
    city.goes_online("park-2")
    for _ in range(2):
        city.parts.reload.step(0)
    del city._online["park-2"]
    assert {city.ids["park-1"]} == city.parts.facts._heard.keys()
