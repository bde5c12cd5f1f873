"""Bytes that only grow, from counters that wrap, restart and lie."""

from collections.abc import Iterable
from itertools import pairwise

import pytest

from titik_agent.limits import MAX_COUNTED
from titik_agent.sources.counted import Counted, CountedInterfaces
from titik_agent.sources.since import Since
from titik_agent.sources.traffic import Traffic

ROUND = 2**32
DAY_S = 86_400


def traffic(rx_bytes: int, rx_packets: int, tx_bytes: int = 0, tx_packets: int = 0) -> Traffic:
    """Counters of one interface."""
    return Traffic(rx_bytes, tx_bytes, rx_packets, tx_packets, 0, 0, 0, 0)


def counters_of(
    readings: Iterable[Traffic], line_bps: float = 1e9, every_s: float = 30.0
) -> list[tuple[str, int] | None]:
    """Token and received bytes at each reading."""
    counting = CountedInterfaces(Since())
    found = []
    for number, one in enumerate(readings):
        counted = counting.read("b/1", one, number * every_s, lambda: line_bps)
        found.append(counted and (counted.since, counted.rx_bytes))
    return found


def day(mbps: float, every_s: int, line_bps: float, width: int = ROUND) -> tuple[int, int, int]:
    """Of a day: bytes that passed, bytes that are known, and intervals that are unknown."""
    each = int(mbps * 1e6 / 8 * every_s)
    numbers = range(DAY_S // every_s + 1)
    found = counters_of(
        [traffic(each * number % width, each * number // 1500) for number in numbers],
        line_bps,
        every_s,
    )
    pairs = list(pairwise(found))
    known = [now[1] - was[1] for was, now in pairs if was and now and was[0] == now[0]]
    return each * (len(numbers) - 1), sum(known), len(pairs) - len(known)


@pytest.mark.parametrize("mbps", [1, 100, 600, 950])
def test_a_32_bit_counter_loses_nothing_at_a_gigabit(mbps: float) -> None:
    """Between two samples of 30 s it wraps once at most, and its packets go on."""
    passed, known, unknown = day(mbps, 30, 1e9)
    assert (passed, 0) == (known, unknown)


@pytest.mark.parametrize(("mbps", "every_s"), [(1200, 30), (600, 60), (2400, 30)])
def test_a_32_bit_counter_that_may_have_come_round_unseen_is_unknown(
    mbps: float, every_s: int
) -> None:
    """More than 4 GiB an interval: no figure rather than a wrong one."""
    _, known, unknown = day(mbps, every_s, 2.5e9)
    assert (0, DAY_S // every_s) == (known, unknown)


def test_bytes_that_cannot_be_known_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """A shorter interval would make them known."""
    with caplog.at_level("INFO"):
        day(1200, 30, 2.5e9)
    assert ["bytes unknown, its 32-bit counter may wrap unseen ifindex=1"] == caplog.messages


def test_a_64_bit_counter_is_known_at_any_speed() -> None:
    """Once it is above 2**32 it is no counter of 32 bits."""
    passed, known, unknown = day(2400, 30, 10e9, 2**64)
    assert (passed, 0) == (known, unknown)


def test_a_quiet_interface_of_unknown_speed_is_known() -> None:
    """Its packets could not have carried 4 GiB."""
    found = counters_of([traffic(1000, 10), traffic(3000, 12)], line_bps=10e9)
    assert [("b/1", 1000), ("b/1", 3000)] == found


@pytest.mark.parametrize(
    "now",
    [
        traffic(5, 0),  # the driver was reset
        traffic(5, 200),  # the packets are not as many as the bytes would need
        traffic(5, 100),  # the packets stood still
    ],
)
def test_what_fell_otherwise_has_restarted(now: Traffic) -> None:
    """The bytes until now are unknown, and nothing is invented."""
    found = counters_of([traffic(2_000_000_000, 100), now], line_bps=10e9)
    assert [("b/1", 2_000_000_000), ("b/1#1", 5)] == found


def test_bytes_that_are_unknown_for_long_cost_one_token() -> None:
    """Each would be a row of the store that stays; the first known ones after it begin again."""
    busy = traffic(5, 10_000_000), traffic(9, 20_000_000), traffic(7, 30_000_000)
    found = counters_of([traffic(4, 0), *busy, traffic(8, 30_000_001)], line_bps=10e9)
    assert [("b/1", 4), None, None, None, ("b/1#1", 8)] == found


def test_more_than_the_line_carries_has_restarted() -> None:
    """Packets would allow it, 10 Mbit/s do not."""
    found = counters_of([traffic(2_000_000_000, 0), traffic(5, 2_000_000)], line_bps=10e6)
    assert ("b/1#1", 5) == found[-1]


def test_a_64_bit_counter_that_fell_has_restarted() -> None:
    """However many packets went by."""
    found = counters_of([traffic(ROUND + 5, 0), traffic(5, 4_000_000)])
    assert ("b/1#1", 5) == found[-1]


def test_both_directions_come_round_for_themselves() -> None:
    """One token for both."""
    counting = CountedInterfaces(Since())
    late = ROUND - 1000
    for number, (rx, tx) in enumerate([(late, late), (late + 10, 500), (500, 700)]):
        found = counting.read(
            "b/1", traffic(rx, number * 1000, tx, number * 1000), number, lambda: 1e9
        )
    assert Counted("b/1", ROUND + 500, ROUND + 700) == found


def test_impossible_bytes_are_no_reading() -> None:
    """The next one follows the one before."""
    counting = CountedInterfaces(Since())
    values = (5, None, 9)
    found = [
        counting.read("b/1", traffic(0, 0)._replace(tx_bytes=value), at, lambda: 1e9)
        for at, value in enumerate(values)
    ]
    assert [Counted("b/1", 0, 5), None, Counted("b/1", 0, 9)] == found


def test_interfaces_that_come_and_go_are_forgotten() -> None:
    """The least recently read first: one in use is not."""
    counting = CountedInterfaces(Since())
    for number in range(2 * MAX_COUNTED):
        counting.read(f"b/{number}", traffic(9, 0), 0, lambda: 1e9)
        counting.read("b/live", traffic(9, 0), 0, lambda: 1e9)
    found = counting.read("b/live", traffic(1, 0), 0, lambda: 1e9)
    assert Counted("b/live#1", 1, 0) == found
