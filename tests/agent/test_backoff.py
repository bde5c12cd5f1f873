"""Waiting before the next connection."""

import random

from titik_agent.backoff import BOOTING_S, Backoff


def test_first_wait_is_spread_over_the_whole_first_ceiling() -> None:
    """A thousand routers cut off together come back at no more than about N/30 a second."""
    waits = [Backoff(random.Random(n)).failed(0.0) for n in range(3000)]
    per_second = [sum(1 for wait in waits if second <= wait < second + 1) for second in range(34)]
    assert sum(per_second) == 3000
    assert max(per_second) < 150


def test_ceiling_doubles_to_the_cap() -> None:
    """The waits stay below 34, 68, 136, 272 and then 300 seconds, and come near to them."""
    highest = [0.0] * 7
    for n in range(500):
        backoff = Backoff(random.Random(n))
        for turn in range(7):
            highest[turn] = max(highest[turn], backoff.failed(0.0))
    for ceiling, most in zip((34, 68, 136, 272, 300, 300, 300), highest, strict=True):
        assert ceiling * 0.97 < most <= ceiling


def test_a_short_connection_does_not_reset_the_ceiling() -> None:
    """Two clients that evict each other meet ever more rarely, although each connects."""
    backoff = Backoff(_Highest())
    now = 0.0
    waits = []
    for _ in range(6):
        backoff.connected(now)
        now += 59.9
        waits.append(backoff.failed(now))
    assert [34, 68, 136, 272, 300, 300] == waits


def test_a_stable_connection_resets_the_ceiling() -> None:
    """After 60 s of connection the next wait is a first one again."""
    backoff = Backoff(_Highest())
    for _ in range(5):
        backoff.failed(0.0)
    backoff.connected(100.0)
    assert backoff.stable(160.0)
    assert backoff.failed(160.0) == 34


def test_an_old_connection_counts_once() -> None:
    """Failures after a stable connection grow again, however long ago it was."""
    backoff = Backoff(_Highest())
    backoff.connected(0.0)
    assert [34, 68, 136] == [backoff.failed(now) for now in (100.0, 200.0, 900.0)]


def test_what_a_person_must_mend_is_retried_slowly() -> None:
    """Between 150 and 300 seconds, from the first time on."""
    waits = [Backoff(random.Random(n)).failed(0.0, slow=True) for n in range(500)]
    assert 150 <= min(waits) < 155
    assert 295 < max(waits) <= 300


def test_start_is_delayed_only_while_booting() -> None:
    """After a power cut a district boots together; an agent restarted by hand connects at once."""
    backoff = Backoff(_Highest())
    assert backoff.at_start(BOOTING_S - 1) == 34
    assert backoff.at_start(BOOTING_S) == 0


class _Highest(random.Random):
    """Always the upper end."""

    def uniform(self, a: float, b: float) -> float:
        return max(a, b)
