"""Counters of the metrics: each minute once, never backwards, from zero with the process."""

import pytest

from titik_collector.figures.windows import Span
from titik_collector.metrics.growing import KNOWN_MS, Growth, RouterCounters, RouterTotals
from titik_collector.store.rollups import RouterBytes
from titik_wire.instant import HOUR_MS, MINUTE_MS

NOON_MS = 1_790_000_040_000  # a whole minute


class Minutes:
    """The minutes of one router in a store, and who counts them."""

    def __init__(self) -> None:
        self.bytes: dict[int, int] = {}  # Wi-Fi down, by the minute's number after noon
        self.counting = RouterCounters()

    def look(self, at: int, *routers: str) -> dict[str, RouterTotals]:
        """What is counted in the middle of that minute after noon."""
        now_ms = NOON_MS + at * MINUTE_MS + MINUTE_MS // 2
        asked = self.counting.asked(now_ms)
        read = self._read(asked.settled), self._read(asked.open)
        return self.counting.look(asked, *read, routers or ("a",), now_ms)

    def total(self, at: int) -> int | None:
        """Of the router; None: it has none."""
        found = self.look(at).get("a")
        return None if found is None else found.total[0]

    def _read(self, span: Span) -> list[RouterBytes]:
        found = [at for at in self.bytes if span.start_ms <= NOON_MS + at * MINUTE_MS < span.end_ms]
        if not found:
            return []
        known_ms = NOON_MS + (max(found) + 1) * MINUTE_MS
        total = sum(self.bytes[at] for at in found)
        return [RouterBytes("a", total, 0, 0, 0, known_ms, None)]


def test_what_was_there_before_the_process_is_not_counted() -> None:
    """The first look shows a zero, so that Prometheus sees what comes after it grow."""
    store = Minutes()
    store.bytes = {-2: 70, -1: 80}
    assert 0 == store.total(0)


def test_each_minute_is_counted_once() -> None:
    """However often somebody asks, and over the hours."""
    store, totals = Minutes(), []
    for at in range(200):
        store.bytes[at] = 100
        totals.append((store.total(at), store.total(at))[1])
    # The first look finds a minute that is there already.
    assert [100 * at for at in range(200)] == totals


def test_a_minute_that_becomes_more_is_counted_with_what_it_grew_by() -> None:
    """A sample that is late by a minute or two changes it."""
    store = Minutes()
    store.total(0)
    store.bytes = {1: 50}
    assert 50 == store.total(2)
    store.bytes = {1: 90}
    assert 90 == store.total(3)


def test_a_counter_never_falls() -> None:
    """A minute that is computed again may become less; Prometheus would take it for a restart."""
    store = Minutes()
    store.total(0)
    store.bytes = {1: 90}
    store.total(2)
    store.bytes = {1: 50}
    assert 90 == store.total(3)


def test_a_spool_that_empties_is_no_peak() -> None:
    """Minutes of half an hour ago come with a backlog; none of them is published either."""
    store = Minutes()
    for at in range(60):
        store.total(at)
    store.bytes = {at: 1000 for at in range(20, 40)}
    store.bytes[59] = 7
    assert 7 == store.total(60)


def test_after_hours_without_a_question_it_goes_on_from_where_it_was() -> None:
    """It asks for no more than an hour."""
    store = Minutes()
    store.total(0)
    store.bytes = {1: 90}
    store.total(2)
    store.bytes |= {at: 5 for at in range(3, 300)}
    assert 90 == store.total(299)
    store.bytes[300] = 5
    assert 95 == store.total(301)


def test_one_question_is_of_an_hour_and_twenty_minutes_at_most() -> None:
    """Whenever it comes, the clock set back included."""
    counting, longest_ms = RouterCounters(), 0
    for at in (0, 5, 61, 119, 700, 3, 4, 90):
        now_ms = NOON_MS + at * MINUTE_MS
        asked = counting.asked(now_ms)
        longest_ms = max(longest_ms, asked.open.end_ms - asked.settled.start_ms)
        counting.look(asked, (), (), ("a",), now_ms)
    assert longest_ms <= HOUR_MS + 20 * MINUTE_MS


def test_a_clock_that_is_set_back_stops_nothing() -> None:
    """Counting goes on from there."""
    store = Minutes()
    store.total(300)
    store.bytes = {301: 90}
    assert 90 == store.total(302)
    store.bytes = {1: 5}
    assert 90 == store.total(1)
    store.bytes[2] = 5
    assert 95 == store.total(3)


@pytest.mark.parametrize(("late", "is_known"), [(0, True), (KNOWN_MS // MINUTE_MS, False)])
def test_bytes_are_known_for_some_minutes(late: int, is_known: bool) -> None:
    """Whatever a router says of itself: one whose Wi-Fi cannot be read stands still."""
    store = Minutes()
    store.bytes = {0: 1}
    found = store.look(1 + late)["a"]
    assert (is_known, False) == (found.is_wifi_known, found.is_uplink_known)


def test_a_router_that_is_gone_is_forgotten() -> None:
    """So what is remembered is bounded by the registry."""
    store = Minutes()
    store.look(0)
    store.bytes = {1: 90}
    assert {} == store.look(2, "b")
    assert (
        0
        == store.counting.look(
            store.counting.asked(NOON_MS + 3 * MINUTE_MS), (), (), ("a",), NOON_MS
        )
        .get("a", RouterTotals((0, 0, 0, 0), False, False))
        .total[0]
    )


@pytest.mark.parametrize(
    ("values", "grown"),
    [((7,), 0), ((7, 9), 2), ((7, 9, 4), 2), ((7, 9, 4, 6), 4), ((0, 1, 0, 1), 2)],
)
def test_a_number_grows_from_when_it_was_first_seen(values: tuple[int, ...], grown: int) -> None:
    """What was lost and came after all makes less lost; that is no growth."""
    growth = Growth()
    found = [growth.look({"lost": one})["lost"] for one in values]
    assert grown == found[-1]
    assert sorted(found) == found
