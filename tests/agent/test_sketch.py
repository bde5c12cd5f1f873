"""How many different clients there were today."""

import time
from collections.abc import Iterator
from typing import Literal

import pytest

from tests.cases import few
from titik_agent.sources.visitors import Sketch
from titik_wire.instant import from_text
from titik_wire.messages import Visitors

HOUR_MS = 3_600_000


class FakeClock:
    """A clock that stands until it is asked to go; `wall` can be set like a router's."""

    boot = "b"

    def __init__(self, wall: str = "2026-11-23T02:00:00.000Z") -> None:  # 10:00 in Kupang
        self.wall = from_text(wall)
        self.uptime = 5_000

    def go(self, ms: int) -> None:
        self.wall += ms
        self.uptime += ms

    def monotonic(self) -> float:
        return self.uptime / 1000

    def uptime_ms(self) -> int:
        return self.uptime

    def wall_ms(self) -> int:
        return self.wall

    def quality(self) -> Literal["ntp", "guess"]:
        return "ntp"


@pytest.fixture(autouse=True)
def kupang(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """UTC+8, no summer time."""
    monkeypatch.setenv("TZ", "WITA-8")
    time.tzset()
    yield
    monkeypatch.undo()  # also what the test set
    time.tzset()


def keys() -> Iterator[bytes]:
    number = 0
    while True:
        number += 1
        yield number.to_bytes(32, "big")


def sketch(clock: FakeClock) -> Sketch:
    stream = keys()
    return Sketch(clock, random=lambda _: next(stream))


def macs(count: int) -> list[str]:
    return [f"02:00:5e:{i >> 16:02x}:{i >> 8 & 255:02x}:{i & 255:02x}" for i in range(count)]


@pytest.mark.parametrize("count", few(6, [0, 1, 10, 100, 1000, 5000, 20000, 60000]))
def test_the_estimate_is_within_five_per_cent(count: int) -> None:
    """Three standard errors of 4096 registers, and one client of few."""
    counted = sketch(FakeClock())
    counted.add(*macs(count))
    assert abs(counted.count() - count) <= max(count * 0.05, 0.5)


def test_the_same_client_counts_once() -> None:
    """However often it is seen, and in whichever case its address is written."""
    counted = sketch(FakeClock())
    for _ in range(100):
        counted.add("02:00:5e:00:53:0a", "02:00:5E:00:53:0A")
    assert 1 == counted.count()


def test_two_runs_cannot_be_compared() -> None:
    """The same clients leave different marks, because the key is drawn each day."""
    first, second = Sketch(FakeClock()), Sketch(FakeClock())
    first.add(*macs(100))
    second.add(*macs(100))
    assert first._ranks != second._ranks


def test_the_key_is_drawn_again_each_day() -> None:
    """So that yesterday's marks mean nothing today."""
    clock = FakeClock()
    counted = sketch(clock)
    counted.add(*macs(100))
    before = counted._key, bytes(counted._ranks)
    clock.go(24 * HOUR_MS)
    counted.add(*macs(100))
    assert before[0] != counted._key
    assert before[1] != bytes(counted._ranks)


def test_counting_starts_with_the_run() -> None:
    """Its first day is shorter."""
    counted = sketch(FakeClock())
    counted.add("a")
    since = from_text("2026-11-23T02:00:00.000Z")
    assert Visitors(count=1, since=since) == counted.read()


def test_local_midnight_starts_a_new_count() -> None:
    """16:00 UTC in Kupang; those who are still there are counted again."""
    clock = FakeClock("2026-11-23T15:59:40.000Z")
    counted = sketch(clock)
    counted.add("a", "b", "c")
    clock.go(30_000)
    counted.add("c")
    since = from_text("2026-11-23T16:00:00.000Z")
    assert Visitors(count=1, since=since) == counted.read()


def test_midnight_passes_once_though_the_clock_wavers() -> None:
    """NTP steering the clock back over midnight by a little does not start another day."""
    clock = FakeClock("2026-11-23T15:59:40.000Z")
    counted = sketch(clock)
    clock.go(20_010)
    counted.add("a")
    clock.wall -= 50
    counted.add("b")
    clock.go(30_000)
    since = from_text("2026-11-23T16:00:00.000Z")
    assert Visitors(count=2, since=since) == counted.read()


def test_a_clock_set_after_the_start_keeps_the_count() -> None:
    """A router wakes up months behind: its visitors of the first minutes are today's."""
    clock = FakeClock("2026-06-01T02:00:00.000Z")
    counted = sketch(clock)
    counted.add("a")
    clock.go(5 * 60_000)
    clock.wall = from_text("2026-11-23T02:00:00.000Z")
    counted.add("b")
    since = from_text("2026-11-23T01:55:00.000Z")
    assert Visitors(count=2, since=since) == counted.read()


def test_a_clock_set_to_another_day_starts_a_new_count_now() -> None:
    """Which of those counted came after midnight is not known, so none is claimed."""
    clock = FakeClock("2026-06-01T02:00:00.000Z")
    counted = sketch(clock)
    counted.add("a")
    for _ in range(3):
        clock.go(60 * 60_000)
        counted.add("a")
    clock.go(30_000)
    clock.wall = from_text("2026-11-22T17:00:00.000Z")  # an hour after midnight
    counted.add("b")
    since = from_text("2026-11-22T17:00:00.000Z")
    assert Visitors(count=1, since=since) == counted.read()


def test_midnight_is_midnight_when_summer_time_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """That day has 25 hours; noon minus twelve hours is not its beginning."""
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    clock = FakeClock("2026-10-24T21:59:50.000Z")
    counted = sketch(clock)
    counted.add("a")
    clock.go(14 * HOUR_MS)
    counted.add("b")
    # Seen at 21:59:50 UTC and again hours later: the day turned in between.
    since = from_text("2026-10-24T22:00:00.000Z")
    assert Visitors(count=1, since=since) == counted.read()


def test_nothing_is_reported_before_anyone_looked() -> None:
    """Not seen is not zero."""
    counted = sketch(FakeClock())
    assert counted.read() is None
    counted.add()
    visitors = counted.read()
    assert visitors is not None
    assert 0 == visitors.count


UTC_RUN = "2026-11-23T15:00:00.000Z"  # 23:00 in Kupang


@pytest.mark.parametrize("ahead", [1, 4])
def test_a_day_is_the_city_s_where_a_collector_says_when_it_begins(
    ahead: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The router's own zone is UTC, as on every new one; also days after it last heard."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    first = from_text("2026-11-22T16:00:00.000Z")
    clock, stream = FakeClock(UTC_RUN), keys()
    starts = [first + day * 24 * HOUR_MS for day in range(ahead)]
    counted = Sketch(clock, lambda _: next(stream), lambda: starts)
    sinces = []
    for _ in range(6 * 24):
        counted.add("02:00:5e:00:00:01")
        visitors = counted.read()
        assert visitors is not None
        sinces.append(visitors.since)
        clock.go(HOUR_MS)
    midnights = [first + day * 24 * HOUR_MS for day in range(1, 7)]
    assert [from_text(UTC_RUN), *midnights] == sorted(set(sinces))


def test_a_day_of_25_hours_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The collector knows when the city puts its clocks back; the router need not."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    first = from_text("2026-10-24T22:00:00.000Z")  # Berlin
    starts = [first, first + 25 * HOUR_MS, first + 49 * HOUR_MS]
    clock, stream = FakeClock("2026-10-24T22:00:00.000Z"), keys()
    counted = Sketch(clock, lambda _: next(stream), lambda: starts)
    sinces = set()
    for _ in range(48):
        counted.add("02:00:5e:00:00:01")
        visitors = counted.read()
        assert visitors is not None
        sinces.add(visitors.since)
        clock.go(HOUR_MS)
    assert set(starts[:2]) == sinces
