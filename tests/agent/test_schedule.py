"""When samples are taken; no test sleeps."""

import itertools
import random

import pytest

from titik_agent.sampling.schedule import EXTRA_EVERY_S, Schedule


def taken(schedule: Schedule, end: float, changes: tuple[float, ...] = ()) -> list[float]:
    """The moments of samples when the loop wakes as asked, and changes happen at these moments."""
    now, moments, left = 0.0, list[float](), sorted(changes)
    while now < end:
        now += min(schedule.wait_s(now), left[0] - now if left else end)
        if left and now >= left[0]:
            left.pop(0)
            schedule.changed(now)
        if schedule.take(now):
            moments.append(round(now, 6))
    return [moment for moment in moments if moment <= end]


def test_samples_come_every_interval_from_a_random_offset() -> None:
    """A fleet that was powered on together does not report together."""
    first = [taken(Schedule(30, 0.0, random.Random(seed)), 29.99)[0] for seed in range(200)]

    assert min(first) < 3
    assert max(first) > 27
    moments = taken(Schedule(30, 0.0, random.Random(1)), 200)
    assert [30.0] * 5 == [round(b - a, 6) for a, b in itertools.pairwise(moments)][:5]


def test_a_change_is_sampled_within_a_second() -> None:
    """An engineer sees a join when it happens."""
    schedule = Schedule(1000, 0.0, random.Random(1))

    assert [10.2] == taken(schedule, 50, (10.0, 10.1))


def test_a_crowd_that_comes_and_goes_costs_one_extra_sample_in_five_seconds() -> None:
    """Changes are many at a bus stop; the uplink is thin."""
    schedule = Schedule(1000, 0.0, random.Random(1))
    moments = taken(schedule, 60, tuple(n / 10 for n in range(1, 600)))

    assert all(b - a > EXTRA_EVERY_S - 0.001 for a, b in itertools.pairwise(moments))
    assert 11 <= len(moments) <= 13


@pytest.mark.parametrize("late", [31.0, 3600.0, 1e6])
def test_after_a_suspend_there_is_one_sample_and_no_burst(late: float) -> None:
    """Missed samples are skipped."""
    schedule = Schedule(30, 0.0, random.Random(1))
    schedule.take(30.0)

    assert schedule.take(30.0 + late)
    assert not schedule.take(30.0 + late)
