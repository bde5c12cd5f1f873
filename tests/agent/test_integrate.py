"""Client time: exact means from counts that hold until the next reading."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from titik_agent.limits import MAX_SUMMED
from titik_agent.sampling.client_time import ClientMeter, ClientTime, Meters, on_air
from titik_wire.messages import Bss


def test_a_count_holds_until_the_next_reading() -> None:
    """Client time is clients times the time that they were known for."""
    meter = ClientMeter()
    readings = [meter.observe(at_ms, count) for at_ms, count in ((1000, 3), (4000, 5), (6000, 0))]

    assert readings == [
        ClientTime(3, 3, 0, 0),
        ClientTime(3, 5, 9000, 3000),
        ClientTime(0, 5, 19000, 5000),
    ]


def test_a_failed_reading_adds_no_observed_time() -> None:
    """What lies on either side of a failure is unknown, not zero."""
    meter = ClientMeter()
    readings = [
        meter.observe(at_ms, count) for at_ms, count in ((0, 4), (10, None), (20, 4), (30, 4))
    ]

    assert readings == [
        ClientTime(4, 4, 0, 0),
        None,
        ClientTime(4, 4, 0, 0),
        ClientTime(4, 4, 40, 10),
    ]


READINGS = st.lists(st.tuples(st.integers(1, 1000), st.integers(0, 50)), min_size=2, max_size=30)


@given(READINGS)
def test_the_mean_is_exact_however_readings_are_left_out(readings: list[tuple[int, int]]) -> None:
    """The last reading alone gives the whole run's client time."""
    meter, at_ms, expected, last = ClientMeter(), 0, 0, None
    reading = None
    for elapsed, count in readings:
        at_ms += elapsed
        expected += 0 if last is None else last * elapsed
        reading, last = meter.observe(at_ms, count), count

    assert reading is not None
    assert (expected, at_ms - readings[0][0]) == (reading.client_ms, reading.observed_ms)


def test_one_unread_bss_makes_the_total_unknown_but_not_the_others() -> None:
    """A partial sum would be a smaller number."""
    meters = Meters()
    whole, bss = meters.observe(0, (Bss("a", clients=2), Bss("b", clients=None)))

    assert bss is not None
    assert (None, 2, None) == (whole, bss[0].clients_max, bss[1].clients_max)


def test_a_router_without_a_bss_is_not_observed() -> None:
    """Its Wi-Fi is off: nobody can be a client, so the time is left out of the mean."""
    meters = Meters()
    meters.observe(0, (Bss("a", clients=2),))
    meters.observe(10, ())
    whole, _ = meters.observe(30, (Bss("a", clients=1),))

    assert ClientTime(1, 1, 0, 0) == whole


def test_a_bss_that_vanished_and_returned_is_not_counted_meanwhile() -> None:
    """`wifi reload` takes a BSS away for seconds; nobody was its client then."""
    meters = Meters()
    for at_ms, clients in ((0, 2), (10, None), (20, 2), (30, 2)):
        _, bss = meters.observe(at_ms, () if clients is None else (Bss("a", clients=clients),))

    assert bss is not None
    assert 20 == bss[0].client_ms


def test_interfaces_that_never_return_are_forgotten() -> None:
    """A driver that renames its interfaces for ever costs no memory."""
    meters = Meters()
    for number in range(10 * MAX_SUMMED):
        meters.observe(number, (Bss(f"a{number}", clients=1),))

    assert len(meters._bss) <= MAX_SUMMED + 1


OFF = Bss("off", off_air=True)


@pytest.mark.parametrize(
    ("counts", "sum_"), [([1, 2], 3), ([0], 0), ([], None), ([1, None], None), ([None], None)]
)
@pytest.mark.parametrize("off", [(), (OFF,)])
def test_a_total_is_known_only_when_every_part_on_the_air_is(
    counts: list[int | None], sum_: int | None, off: tuple[Bss, ...]
) -> None:
    """None is contagious; a BSS that is off the air adds nothing, and alone it is no zero."""
    bss = tuple(Bss(f"a{n}", clients=count) for n, count in enumerate(counts))
    assert sum_ == on_air((*bss, *off), lambda one: one.clients)


def test_without_bsses_there_is_no_total() -> None:
    """They could not be read."""
    assert on_air(None, lambda one: one.clients) is None
