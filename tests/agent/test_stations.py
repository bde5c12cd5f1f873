"""Counting the stations of a BSS."""

import re
from pathlib import Path

import pytest

from tests.agent import fake_hostapd
from titik_agent.hostapd.control_replies import parse_station
from titik_agent.hostapd.station import Station, one_each
from titik_agent.sampling.stations import StationTally, Tracker

CAPTURES = Path(__file__).parent.parent / "captures"


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def station(
    mac: str = "a",
    authorized: bool = True,
    signal: int | None = -50,
    received: int | None = 1,
    inactive: int | None = None,
) -> Station:
    return Station(mac, authorized, signal, received, inactive)


def test_only_authorized_stations_are_clients() -> None:
    """One that is still in the handshake, or has the wrong key, is none."""
    tally = Tracker().tally("ap0", [station("a"), station("b", authorized=False)])
    assert StationTally(clients=1, active=1, weak=0) == tally


def test_no_stations_are_zero_of_each() -> None:
    """Zero is known here, not missing."""
    assert StationTally(clients=0, active=0, weak=0) == Tracker().tally("ap0", [])


def test_a_client_that_sends_nothing_is_no_longer_active() -> None:
    """Ghosts stay clients; they are active for 60 s after their last packet."""
    time = Time()
    tracker = Tracker(time)
    tracker.tally("ap0", [station(received=5)])
    time.now += 60
    assert 1 == tracker.tally("ap0", [station(received=5)]).active
    time.now += 0.1
    assert StationTally(clients=1, active=0, weak=0) == tracker.tally("ap0", [station(received=5)])


def test_a_client_that_sends_again_is_active_again() -> None:
    """Any change counts: the counters of a client that came back start from zero."""
    time = Time()
    tracker = Tracker(time)
    for received, active in [(5, 1), (5, 0), (2, 1), (2, 0), (3, 1)]:
        assert active == tracker.tally("ap0", [station(received=received)]).active
        time.now += 61


def test_a_client_that_left_and_came_back_is_new() -> None:
    """Nothing is remembered of one that is gone."""
    time = Time()
    tracker = Tracker(time)
    tracker.tally("ap0", [station(received=5)])
    time.now += 61
    tracker.tally("ap0", [])
    assert not tracker.knows("a")
    assert 1 == tracker.tally("ap0", [station(received=5)]).active


def test_active_is_unknown_if_it_is_unknown_of_any_client() -> None:
    """A driver that failed to say what one sent leaves no count of the active."""
    stations = [station("a"), station("b", received=None)]
    assert StationTally(clients=2, active=None, weak=0) == Tracker().tally("ap0", stations)


def test_inactive_time_shows_where_counters_do_not() -> None:
    """Up to 60 s."""
    stations = [station(f"{ms}", received=None, inactive=ms) for ms in (60_000, 60_001)]
    assert 1 == Tracker().tally("ap0", stations).active


def captured(name: str, sent_more: int = 0, transmitted_more: int = 0) -> list[Station]:
    """What hostapd says of the stations that a driver listed so, some packets later."""
    text = (CAPTURES / f"s-iw-{name}.txt").read_text()
    found = []
    for chunk in text.split("Station ")[1:]:
        output = dict(re.findall(r"^\t([a-z ]+):\s+(-?\d+)", chunk, re.M))
        reply = fake_hostapd.station(
            chunk[:17],
            rx_packets=int(output["rx packets"]) + sent_more,
            tx_packets=int(output["tx packets"]) + transmitted_more,
            rx_bytes=int(output["rx bytes"]) + 100 * sent_more,
            tx_bytes=int(output["tx bytes"]) + 100 * transmitted_more,
            inactive_msec=output["inactive time"],
            signal=output["signal"],
        )
        found.append(parse_station(reply.encode()))
    return found


@pytest.mark.parametrize(
    ("name", "clients", "at_first"),
    [
        ("ath9k-ath10k-pair", 2, 2),
        ("mt7612-ghosts", 6, 1),  # five are gone for 80 s to 4 h
        ("mt7975-near-2pow32", 1, 1),
        ("mt76x2-minus101", 1, 1),
        ("mt76x2-positive-signal", 1, 1),
        ("mwlwifi-inactive-wrap", 1, 1),  # it cannot say how long ago: new here is active
        ("ipq4019-4chains", 1, 1),
        ("6.x-reordered-fields", 1, 1),
    ],
)
def test_a_phone_that_is_gone_is_not_active_however_much_is_sent_to_it(
    name: str, clients: int, at_first: int
) -> None:
    """Whatever the driver: only what a client sends, once a minute, makes it active."""
    time = Time()
    tracker = Tracker(time)
    assert (clients, at_first) == tracker.tally("ap0", captured(name))[:2]
    for minute in range(1, 4):  # the driver goes on transmitting, and calls it just heard
        time.now += 61
        assert 0 == tracker.tally("ap0", captured(name, transmitted_more=minute)).active
    time.now += 61
    assert clients == tracker.tally("ap0", captured(name, sent_more=1)).active


def test_an_inactive_time_that_starts_again_does_not_revive_a_phone() -> None:
    """A driver of 24.10 says 0 ms of a phone that was switched off."""
    time = Time()
    tracker = Tracker(time)
    tracker.tally("ap0", [station(received=5, inactive=0)])
    time.now += 61
    assert 0 == tracker.tally("ap0", [station(received=5, inactive=0)]).active


def test_a_counter_that_stays_zero_is_a_driver_that_does_not_count() -> None:
    """Nobody is authorized without a word; the inactive time shows it, if it is reported."""
    stations = [station("a", received=0, inactive=10), station("b", received=0, inactive=61_000)]
    assert 1 == Tracker().tally("ap0", stations).active
    assert None is Tracker().tally("ap0", [station(received=0)]).active


def test_a_reading_without_counters_revives_nobody() -> None:
    """The driver failed once; what it reported before is remembered."""
    time = Time()
    tracker = Tracker(time)
    tracker.tally("ap0", [station(received=5)])
    time.now += 61
    assert None is tracker.tally("ap0", [station(received=None)]).active
    assert 0 == tracker.tally("ap0", [station(received=5)]).active


def test_a_client_on_two_links_is_one() -> None:
    """By any address that both name; with the better signal, and what it sent on either."""
    links = [
        Station("a", True, -70, 3, 900, ("a0", "a1")),
        Station("b", False, None, None, None),
        Station("a1", False, -50, 4, 20),
        Station("c", True, None, None, None),
        Station("b", True, None, 1, None),
    ]
    expected = [
        Station("a", True, -50, 7, 20, ("a0", "a1")),
        Station("b", True, None, 1, None),
        Station("c", True, None, None, None),
    ]
    assert expected == one_each(links)


def test_an_inactive_time_that_wrapped_is_unknown() -> None:
    """mwlwifi reports just under 2**32 ms."""
    stations = [station(received=None, inactive=4294825206)]
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
    assert StationTally(clients=5000, active=None, weak=0) == tracker.tally("ap0", stations)
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
