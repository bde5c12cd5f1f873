"""When the hours and days that go on are computed: as they begin, then every ten minutes."""

import time
from pathlib import Path

import pytest

from tests.collector.test_rollup import SITE, START, ZONE, City, at, city
from titik_collector.figures.scope import CITY_ID, Scope
from titik_collector.figures.windows import Window
from titik_collector.rollups.worker import GRACE_MS, Rollups
from titik_wire.instant import MINUTE_MS
from titik_wire.messages import Sample

PLACES: tuple[tuple[Scope, int], ...] = (("router", 1), ("site", SITE), ("city", CITY_ID))


def taken(seq: int) -> Sample:
    """One every 30 s, and none on a minute's edge, where it belongs to two."""
    at_ms = (seq - 1) * 30_000 + 5000
    return at(seq, uptime_ms=at_ms, taken_at=START + at_ms)


def live(here: City, first: int, last: int) -> None:
    """These minutes, one after the other, each computed when it is over."""
    for number in range(first, last + 1):
        here.save(*(taken(2 * number + n) for n in (-1, 0, 1)))
        roll_at(here, number)


def roll_at(here: City, minutes: int) -> None:
    """All that is due when so many minutes are over."""
    here.now_ms = START + minutes * MINUTE_MS + GRACE_MS
    here.roll()


def covered(here: City, window: Window) -> list[int]:
    """Minutes that the windows of router, site and city are of."""
    return [
        round(sum(one.covered_ms for one in here.windows(*place, window).values()) / MINUTE_MS)
        for place in PLACES
    ]


def test_an_hour_and_a_day_that_go_on_are_computed_every_ten_minutes(tmp_path: Path) -> None:
    """And as they begin; minutes at once."""
    found = []
    with city(tmp_path / "db") as here:
        for number in range(1, 22):
            live(here, number, number)
            assert [number] * 3 == covered(here, "1m")
            found.append({*covered(here, "1h"), *covered(here, "1d")})
    assert [{1}] * 9 + [{10}] * 10 + [{20}] * 2 == found


def test_an_hour_is_computed_at_its_end(tmp_path: Path) -> None:
    """With the minute that ends it."""
    with city(tmp_path / "db") as here:
        live(here, 1, 60)
        assert [60] * 3 == covered(here, "1h") == covered(here, "1d")


@pytest.mark.parametrize("crash", [False, True])
def test_a_silent_router_has_its_last_minutes_in_hour_and_day(tmp_path: Path, crash: bool) -> None:
    """Ten minutes later, though no sample comes and the collector was killed meanwhile."""
    with city(tmp_path / "db") as here:
        live(here, 1, 17)
        before = covered(here, "1h")
        if crash:
            here.rollups = Rollups(here.db, ZONE, lambda: here.now_ms)
        for minutes in (18, 20):
            roll_at(here, minutes)
        assert [10] * 3 == before
        assert [17] * 3 == covered(here, "1h") == covered(here, "1d")


def test_late_samples_of_earlier_minutes_are_in_hour_and_day_at_once(tmp_path: Path) -> None:
    """Nothing waits of ten minutes that are over."""
    with city(tmp_path / "db") as here:
        live(here, 1, 4)
        live(here, 9, 12)
        assert 9 > max(covered(here, "1h"))
        here.save(*(taken(n) for n in range(10, 17)))
        here.roll()
        assert [12] * 3 == covered(here, "1h") == covered(here, "1d")


def test_at_the_end_hour_and_day_are_of_all_minutes(tmp_path: Path) -> None:
    """So that the store of a collector that is stopped shows what it holds."""
    with city(tmp_path / "db") as here:
        live(here, 1, 17)
        while here.rollups.finish(10, time.monotonic):
            pass
        assert [17] * 3 == covered(here, "1h") == covered(here, "1d")
