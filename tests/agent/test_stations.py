"""Counting the stations of a BSS."""

import pytest

from titik_agent.stations import Station, Tally, Tracker


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def station(
    mac: str = "a",
    authorized: bool = True,
    signal: int | None = -50,
    packets: int | None = 1,
    inactive: int | None = None,
) -> Station:
    return Station(mac, authorized, signal, packets, inactive)


def test_only_authorized_stations_are_clients() -> None:
    """One that is still in the handshake, or has the wrong key, is none."""
    tally = Tracker().tally("ap0", [station("a"), station("b", authorized=False)])
    assert Tally(clients=1, active=1, weak=0) == tally


def test_no_stations_are_zero_of_each() -> None:
    """Zero is known here, not missing."""
    assert Tally(clients=0, active=0, weak=0) == Tracker().tally("ap0", [])


def test_a_client_whose_packets_stand_still_is_no_longer_active() -> None:
    """Ghosts stay clients; they are active for 60 s after their last packet."""
    time = Time()
    tracker = Tracker(time)
    tracker.tally("ap0", [station(packets=5)])
    time.now += 60
    assert 1 == tracker.tally("ap0", [station(packets=5)]).active
    time.now += 0.1
    assert Tally(clients=1, active=0, weak=0) == tracker.tally("ap0", [station(packets=5)])


def test_a_client_whose_packets_move_again_is_active_again() -> None:
    """Any change counts: the counters of a client that came back start from zero."""
    time = Time()
    tracker = Tracker(time)
    for packets, active in [(5, 1), (5, 0), (2, 1), (2, 0), (3, 1)]:
        assert active == tracker.tally("ap0", [station(packets=packets)]).active
        time.now += 61


def test_a_client_that_left_and_came_back_is_new() -> None:
    """Nothing is remembered of one that is gone."""
    time = Time()
    tracker = Tracker(time)
    tracker.tally("ap0", [station(packets=5)])
    time.now += 61
    tracker.tally("ap0", [])
    assert not tracker.knows("a")
    assert 1 == tracker.tally("ap0", [station(packets=5)]).active


def test_active_is_unknown_if_it_is_unknown_of_any_client() -> None:
    """A driver that failed to tell the packets of one leaves no count of the active."""
    stations = [station("a"), station("b", packets=None)]
    assert Tally(clients=2, active=None, weak=0) == Tracker().tally("ap0", stations)


def test_inactive_time_tells_where_packets_do_not() -> None:
    """Up to 60 s."""
    stations = [station(f"{ms}", packets=None, inactive=ms) for ms in (60_000, 60_001)]
    assert 1 == Tracker().tally("ap0", stations).active


def test_an_inactive_time_that_wrapped_is_unknown() -> None:
    """mwlwifi reports just under 2**32 ms."""
    stations = [station(packets=None, inactive=4294825206)]
    assert None is Tracker().tally("ap0", stations).active


@pytest.mark.parametrize(
    ("signal", "weak"), [(-76, 1), (-75, 0), (-120, 1), (-121, None), (0, None), (48, None)]
)
def test_signals_that_cannot_be_are_unknown(signal: int, weak: int | None) -> None:
    """Weak is below -75 dBm; -120 to -1 is what a radio can hear."""
    assert weak == Tracker().tally("ap0", [station(signal=signal)]).weak


def test_weak_counts_those_whose_signal_is_known() -> None:
    """One unknown signal does not hide the others."""
    stations = [station("a", signal=-80), station("b", signal=None)]
    assert 1 == Tracker().tally("ap0", stations).weak


def test_bsses_are_counted_apart() -> None:
    """The same address on two BSSes is a client of each."""
    tracker = Tracker()
    tracker.tally("ap0", [station("a")])
    assert 1 == tracker.tally("ap1", [station("a")]).clients


def test_clients_above_the_limit_are_counted_and_not_tracked() -> None:
    """Counts are still right, activity is unknown, and it says so."""
    tracker = Tracker(limit=4096)
    stations = [station(f"{i}") for i in range(5000)]
    assert Tally(clients=5000, active=None, weak=0) == tracker.tally("ap0", stations)
    assert tracker.saturated
    assert 4096 == sum(map(len, tracker._moved.values()))


def test_the_limit_is_for_all_bsses_together() -> None:
    """A second BSS finds what the first left."""
    tracker = Tracker(limit=3)
    tracker.tally("ap0", [station("a"), station("b")])
    assert not tracker.saturated
    assert None is tracker.tally("ap1", [station("c"), station("d")]).active
    assert tracker.saturated


def test_saturation_ends_with_the_crowd() -> None:
    """It speaks of now."""
    tracker = Tracker(limit=1)
    tracker.tally("ap0", [station("a"), station("b")])
    tracker.tally("ap0", [station("a")])
    assert not tracker.saturated


def test_a_bss_that_is_gone_is_forgotten() -> None:
    """Its clients and its saturation with it."""
    tracker = Tracker(limit=1)
    tracker.tally("ap0", [station("a"), station("b")])
    tracker.keep({"ap1"})
    assert not tracker.saturated
    assert not tracker.knows("a")
