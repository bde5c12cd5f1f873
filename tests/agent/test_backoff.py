"""Waiting before the next connection."""

import random
from bisect import bisect_right

import pytest

from tests.cases import few
from titik_agent.broker_link.backoff import BOOTING_S, CAP_S, REDIALS, Backoff


@pytest.mark.parametrize("routers", few(1, [1000, 3000]))
@pytest.mark.parametrize("outage_s", [0, 5, 17, 30, 40, 60, 100, 240, 600])
def test_a_fleet_returns_at_no_more_than_a_thirtieth_a_second(outage_s: int, routers: int) -> None:
    """However long the broker was away: the mean of any five seconds, chance included."""
    moments = sorted(_returned(random.Random(n), outage_s) for n in range(routers))
    assert moments[-1] <= outage_s + 2 * CAP_S
    most = max(bisect_right(moments, moment + 5) - at for at, moment in enumerate(moments))
    assert most <= 5 * len(moments) / 30


def test_routers_that_boot_before_their_broker_do_not_meet_again() -> None:
    """A power cut of a whole city: the wait at start is the first window."""
    moments = sorted(_returned(random.Random(n), 20, boots=True) for n in range(3000))
    most = max(bisect_right(moments, moment + 5) - at for at, moment in enumerate(moments))
    assert most <= 5 * len(moments) / 30


def test_windows_double_to_the_cap() -> None:
    """They are 40, 80 and then 150 seconds long, and one attempt is anywhere in each."""
    ends = [40, 120, 270, 420, 570, 720]
    for rand, expected in ((_Highest(), ends), (_Lowest(), [0, *ends[:-1]])):
        backoff, now, moments = Backoff(rand), 0.0, []
        for _ in ends:
            now += backoff.failed(now)
            moments.append(now)
        assert expected == moments


def test_waits_stay_bounded_without_the_attempts_between() -> None:
    """An error in the agent may ask for the next wait before the last one is over."""
    backoff = Backoff(_Highest())
    assert [40, 120, 270, 300, 300] == [backoff.failed(1.0) for _ in range(5)]


def test_a_short_connection_does_not_reset_the_window() -> None:
    """Two clients that evict each other meet ever more rarely, although each connects."""
    backoff = Backoff(_Highest())
    now = 0.0
    waits = []
    for _ in range(5):
        backoff.connected(now)
        now += 59.9
        waits.append(backoff.failed(now))
        now += waits[-1]
    assert [40, 80, 150, 150, 150] == waits


def test_a_stable_connection_resets_the_window() -> None:
    """After 60 s of connection the next wait is a first one again."""
    backoff = Backoff(_Highest())
    for _ in range(5):
        backoff.failed(0.0)
    backoff.connected(100.0)
    assert backoff.stable(160.0)
    assert backoff.failed(160.0) == 40


def test_an_old_connection_counts_once() -> None:
    """Failures after a stable connection grow again, however long ago it was."""
    backoff = Backoff(_Highest())
    backoff.connected(0.0)
    assert [40, 80, 150] == [backoff.failed(now) for now in (100.0, 200.0, 900.0)]


def test_who_ends_a_good_connection_is_soon_back() -> None:
    """However young the connection was; asked again and again, a router comes ever more rarely."""
    backoff = Backoff(_Highest())
    assert [40, 80] == [backoff.failed(0.0), backoff.failed(40.0)]
    waits, now = [], 120.0
    for _ in range(REDIALS + 2):
        backoff.connected(now)
        waits.append(backoff.redialled(now + 2))
        now += 2 + waits[-1]
    assert [40, 40, 40, 80, 150] == waits
    backoff.connected(now)
    assert 40 == backoff.redialled(now + 60)


def evicted(rand: random.Random) -> float:
    """The wait of one whose connection another device took."""
    backoff = Backoff(rand)
    backoff.connected(0.0)
    return backoff.failed(0.0, slow=True)


def test_what_a_person_must_mend_is_retried_slowly() -> None:
    """Between 150 and 300 seconds where it was connected, from the first time on."""
    waits = [evicted(random.Random(n)) for n in range(500)]
    assert 150 <= min(waits) < 155
    assert 295 < max(waits) <= 300


def test_a_login_that_is_refused_is_retried_soon_at_first() -> None:
    """A technician who adds the router need not wait; a fleet is no more than at any return."""
    backoff, now, moments = Backoff(_Highest()), 0.0, []
    for _ in range(5):
        now += backoff.failed(now, slow=True)
        moments.append(now)
    assert [40, 120, 270, 570, 870] == moments


def test_start_is_delayed_only_while_booting() -> None:
    """After a power cut a district boots together; an agent restarted by hand connects at once."""
    backoff = Backoff(_Highest())
    assert backoff.at_start(BOOTING_S, 0.0) == 0
    assert backoff.at_start(BOOTING_S - 1, 0.0) == 40


def _returned(rand: random.Random, outage_s: float, boots: bool = False) -> float:
    """When a router whose connection broke at 0 is back, the broker being away until then."""
    backoff = Backoff(rand)
    now = backoff.at_start(0.0, 0.0) if boots else backoff.failed(0.0)
    while now < outage_s:
        now += backoff.failed(now)
    return now


class _Highest(random.Random):
    """Always the upper end."""

    def uniform(self, a: float, b: float) -> float:
        return max(a, b)


class _Lowest(random.Random):
    """Always the lower end."""

    def uniform(self, a: float, b: float) -> float:
        return min(a, b)
