"""A collector that starts goes on with what places and routers were in the last hour."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.collector.alert_city import PARK, AlertCity
from tests.collector.build import T0, opened
from titik_collector.alerts.facts import LiveFacts
from titik_collector.figures.table import Figures
from titik_collector.live import last_hour
from titik_collector.live.last_hour import ReachRound
from titik_collector.store import alert_rows, rollups
from titik_collector.store.database import Database
from titik_collector.store.rollups import RollupRow, SiteWindow, WindowKey
from titik_wire.instant import DAY_MS, HOUR_MS, MINUTE_MS
from titik_wire.messages import Reach

NOW = T0 - T0 % MINUTE_MS
NOBODY, SOME, PASSING, UNKNOWN = (0.0, 0), (2.5, 4), (0.0, 1), (None, None)
Minute = tuple[float | None, int | None]


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    """An empty store."""
    with opened(tmp_path / "titik.db", ()) as empty:
        yield empty


@pytest.mark.parametrize(
    ("minutes", "since"),
    [
        ([], None),
        ([NOBODY] * 9, 9),
        ([SOME, SOME, NOBODY, NOBODY], 2),
        ([NOBODY, NOBODY, SOME], None),
        ([NOBODY, PASSING, NOBODY], 1),
        ([NOBODY, UNKNOWN, UNKNOWN, NOBODY], 4),  # few are not known
        ([NOBODY, *[UNKNOWN] * 6, NOBODY], 1),
        ([NOBODY, *[UNKNOWN] * 5], 6),
        ([NOBODY, *[UNKNOWN] * 6], None),  # the collector was away for long
    ],
)
def test_it_is_known_for_how_many_minutes_nobody_was_there(
    minutes: Sequence[Minute], since: int | None
) -> None:
    """As long as few of them are missing, in between or last."""
    first_ms = NOW - len(minutes) * MINUTE_MS
    rows = [SiteWindow(1, first_ms + n * MINUTE_MS, *one, None) for n, one in enumerate(minutes)]
    expected = None if since is None else NOW - since * MINUTE_MS
    assert expected == last_hour.empty_since_ms(rows, NOW)


def test_minutes_of_a_place_and_rounds_of_a_router_are_those_of_the_last_hour(db: Database) -> None:
    """Of these alone, in order; a minute in which some rounds failed has both."""
    for site in (1, 2):
        for minute in (1, 71, 2, 70):
            put(db, "site", site, NOW - minute * MINUTE_MS, clients_mean=float(minute))
    put(db, "router", 7, NOW - 3 * MINUTE_MS, reach_rounds=2, reach_answered=1)
    put(db, "router", 7, NOW - 4 * MINUTE_MS, reach_rounds=1)
    put(db, "router", 8, NOW - 4 * MINUTE_MS, reach_rounds=1)
    found = last_hour.of_sites(db, [1, 3], NOW + 59_000)
    assert {1: [70, 2, 1], 3: []} == {
        site: [one.clients_mean for one in its] for site, its in found.items()
    }
    assert {7: [(-3, False), (-2, False), (-2, True)], 9: []} == {
        router: [((at_ms - NOW) // MINUTE_MS, answers) for at_ms, answers in its]
        for router, its in last_hour.rounds_of(db, [7, 9], NOW + 59_000).items()
    }
    assert [ReachRound(NOW - 2 * MINUTE_MS, True)] == last_hour.rounds_of(db, [7], NOW)[7][2:]


def put(db: Database, scope: str, number: int, start_ms: int, **figures: object) -> None:
    """A minute."""
    key = WindowKey(scope, number, "1m", start_ms)  # type: ignore[arg-type]
    made = Figures()._replace(**figures)  # type: ignore[arg-type]
    rollups.put(db, [(key, RollupRow(start_ms + MINUTE_MS, 1, made))])


class EmptyPark:
    """Nobody is there, though many usually are, and its internet is cut after 80 minutes."""

    def __init__(self, folder: Path, db: Database) -> None:
        folder.mkdir()
        self.city = AlertCity(folder, db, PARK)
        self._answered = self._minutes = 0
        for week in range(1, 5):
            for hour in range(-1, 4):
                start_ms = T0 - T0 % HOUR_MS - week * 7 * DAY_MS + hour * HOUR_MS
                key = WindowKey("site", 1, "1h", start_ms)
                row = RollupRow(start_ms + HOUR_MS, 1, Figures()._replace(clients_mean=30.0))
                rollups.put(db, [(key, row)])
        self.city.goes_online("park-1", clients=0, clients_max=0)

    def passes(self, minutes: int) -> None:
        """With looks, samples and the minutes that are computed of them."""
        for _ in range(minutes):
            self._minutes += 1
            answers = self._minutes < 80
            self._answered += answers
            reach = Reach(
                tcp_ms=9.0 if answers else None,
                tcp_failures=0,
                attempts=self._minutes,
                answered=self._answered,
            )
            self.city.changes("park-1", clients=0, clients_max=0, reach=reach)
            self.city.waits(60)
            start_ms = self.city.now_ms // MINUTE_MS * MINUTE_MS - MINUTE_MS
            put(self.city.db, "site", 1, start_ms, clients_mean=0.0, clients_max=0)
            figures = {"reach_rounds": 1, "reach_answered": int(answers)}
            put(self.city.db, "router", 1, start_ms, **figures)

    def facts(self) -> LiveFacts:
        """As the rules have them."""
        return self.city.parts.facts.gather(self.city.now_ms)

    def fired(self) -> dict[str, float]:
        """When each alert did, in minutes."""
        return {
            one.event.key.kind: (one.event.at_ms - T0) / MINUTE_MS
            for one in alert_rows.newest_events(self.city.db, 99)
            if one.event.became == "firing"
        }


@pytest.mark.sqlite
@pytest.mark.thorough
@pytest.mark.parametrize("restarts", [(), (15,), (45, 59), (82, 84)])
def test_a_restart_delays_no_rule_that_looks_back(
    tmp_path: Path, db: Database, restarts: Sequence[int]
) -> None:
    """Neither a radio that hangs for an hour, nor an internet that fails for ten minutes."""
    park, past = EmptyPark(tmp_path / "park", db), 0
    for minute in (*restarts, 100):
        park.passes(minute - past)
        past = minute
        park.city.start()
    fired = park.fired()
    assert {"radio-stuck", "no-internet"} == fired.keys()
    assert 60 <= fired["radio-stuck"] <= 62
    assert 84 <= fired["no-internet"] <= 86
    park.passes(2)
    (site,), (router,) = park.facts().sites, park.facts().routers
    assert (0.0, False) == (site.clients_mean, router.internet)
    assert 70 * MINUTE_MS <= (site.without_clients_ms or 0)
    assert router.internet_since_ms is not None
    assert 79 <= (router.internet_since_ms - T0) / MINUTE_MS <= 90
