"""What hostapd prints becomes stations and a status, or an error; never something smaller."""

import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.agent.fake_hostapd import printf_encode, station
from titik_agent.hostapd.bss_status import BssStatus
from titik_agent.hostapd.control_replies import (
    CannotListError,
    list_stations,
    parse_station,
    parse_status,
    unescape,
)
from titik_agent.hostapd.control_socket import ControlError
from titik_agent.hostapd.station import Station
from titik_agent.limits import MAX_STATIONS

CAPTURES = Path(__file__).parent.parent / "captures" / "hwsim"


def captured_stations(name: str) -> list[str]:
    """The replies that hostapd_cli printed one after another."""
    replies: list[str] = []
    for line in (CAPTURES / f"hostapd_all_sta_{name}.txt").read_text().splitlines(keepends=True):
        if "=" not in line:
            replies.append("")
        replies[-1] += line
    return replies


def answering(*replies: str) -> Callable[[bytes], bytes]:
    """A hostapd that gives these answers whatever it is asked, and then none."""
    rest = iter(replies)
    return lambda _question: next(rest, "").encode()


def walking(replies: list[str]) -> Callable[[bytes], bytes]:
    """A hostapd with these stations."""

    def ask(question: bytes) -> bytes:
        macs = [reply[:17] for reply in replies]
        command, _, mac = question.decode().partition(" ")
        if command == "STA-NEXT" and mac not in macs:
            return b"FAIL\n"
        index = macs.index(mac) + 1 if mac else 0
        return replies[index].encode() if index < len(replies) else b""

    return ask


def test_captured_stations_are_all_listed() -> None:
    """The list of a real BSS with three clients has three stations with the driver's figures."""
    stations = list_stations(walking(captured_stations("wlan0_after")))
    expected = [
        Station("02:00:00:00:03:00", True, signal_dbm=-30, received=17, inactive_ms=4668),
        Station("02:00:00:00:02:00", True, signal_dbm=-30, received=18, inactive_ms=4452),
        Station("02:00:00:00:01:00", True, signal_dbm=-30, received=319, inactive_ms=3760),
    ]
    assert expected == stations


def test_no_station_is_an_empty_list() -> None:
    """Zero clients is an answer."""
    assert [] == list_stations(walking([]))


def test_a_wrong_key_is_no_client() -> None:
    """A station that is associated but not authorized says so."""
    output = station("02:00:00:00:02:00", flags="[AUTH][ASSOC][SHORT_PREAMBLE][WMM][HT]")
    assert not parse_station(output.encode()).authorized


def test_a_station_without_the_drivers_word_is_a_station() -> None:
    """hostapd prints no figures at all when the driver cannot be read."""
    output = station(
        "02:00:00:00:02:00", rx_packets=None, tx_packets=None, inactive_msec=None, signal=None
    )
    expected = Station("02:00:00:00:02:00", True, signal_dbm=None, received=None, inactive_ms=None)
    assert expected == parse_station(output.encode())


def test_a_station_that_counts_bytes_alone_has_sent_those() -> None:
    """A driver reports either."""
    output = station("02:00:00:00:02:00", rx_packets=None, rx_bytes=900, tx_bytes=70)
    assert 900 == parse_station(output.encode()).received


def test_the_addresses_of_a_stations_links_are_known() -> None:
    """One for each link (MLO)."""
    output = station("02:00:5e:00:00:01") + (
        "peer_addr[0]=02:00:5e:00:10:01\npeer_addr[1]=02:00:5e:00:11:01\n"
    )
    expected = ("02:00:5e:00:10:01", "02:00:5e:00:11:01")
    assert expected == parse_station(output.encode()).aliases


def test_a_list_begins_again_when_a_station_leaves() -> None:
    """A station that left cannot be asked for its next; hostapd says FAIL."""
    one, two = station("02:00:00:00:01:00"), station("02:00:00:00:02:00")
    stations = list_stations(answering(one, "FAIL\n", two))
    assert ["02:00:00:00:02:00"] == [each.mac for each in stations]


def test_a_list_begins_again_when_a_station_comes_back() -> None:
    """A station that left and came back is at the front again, and would be listed twice."""
    one, two = station("02:00:00:00:01:00"), station("02:00:00:00:02:00")
    stations = list_stations(answering(one, two, one, two, one))
    assert ["02:00:00:00:02:00", "02:00:00:00:01:00"] == [each.mac for each in stations]


def test_a_list_that_never_ends_is_an_error() -> None:
    """A loop in the list ends the read, after a few tries."""
    one, two = station("02:00:00:00:01:00"), station("02:00:00:00:02:00")
    with pytest.raises(ControlError, match="faster than they can be listed"):
        list_stations(answering(*[one, two] * 100))


def test_a_list_that_breaks_off_is_an_error() -> None:
    """It is never the shorter list."""
    with pytest.raises(ControlError):
        list_stations(answering(*[station("02:00:00:00:01:00"), "FAIL\n"] * 100))


@pytest.mark.thorough
def test_a_list_longer_than_any_bss_is_an_error() -> None:
    """What a liar can make us hold is bounded."""
    macs = (f"02:00:00:{n >> 16:02x}:{n >> 8 & 255:02x}:{n & 255:02x}" for n in range(1 << 20))
    replies = (station(mac).encode() for mac in macs)
    asked: list[bytes] = []

    def ask(question: bytes) -> bytes:
        asked.append(question)
        return next(replies)

    with pytest.raises(ControlError, match="more than"):
        list_stations(ask)
    assert MAX_STATIONS + 1 == len(asked)


def test_a_stripped_hostapd_says_that_it_cannot_list() -> None:
    """Small builds leave the commands out."""
    with pytest.raises(CannotListError, match="cannot list stations"):
        list_stations(answering("UNKNOWN COMMAND\n"))


@pytest.mark.parametrize(
    "reply",
    [b"OK\n", b"PONG\n", b"UNKNOWN COMMAND\n", b"02:00:00:00:01:00\naid=1\n", b"\n", b"\0" * 99],
)
def test_what_is_no_station_is_an_error(reply: bytes) -> None:
    """An answer to something else, or one without flags, is not counted."""
    with pytest.raises(ControlError, match="no station"):
        parse_station(reply)


@given(st.binary(max_size=300))
def test_any_bytes_give_a_station_or_an_error(rest: bytes) -> None:
    """Nothing else is raised."""
    assert parse_station(b"02:00:00:00:01:00\nflags=[AUTHORIZED]\n" + rest).authorized
    for reply in (rest, b"02:00:00:00:01:00\n" + rest):
        try:
            parse_station(reply)
        except ControlError:
            continue


@given(st.binary(max_size=300))
def test_any_bytes_give_a_status_or_an_error(rest: bytes) -> None:
    """Nothing else is raised."""
    try:
        parse_status("wlan0", rest)
    except ControlError:
        return


def test_a_captured_status_is_that_of_its_own_bss() -> None:
    """Every BSS of a radio is in the STATUS of each; its own is found by its interface."""
    raw = (CAPTURES / "hostapd_status_wlan0.txt").read_bytes()
    expected = BssStatus("wlan0", "Hotspot-Open", freq_mhz=2437, channel=6)
    assert expected == parse_status("wlan0", raw)


def test_a_captured_ssid_of_odd_bytes_is_shown() -> None:
    """Quote and backslash stay, newline, escape and Latin-1 become U+FFFD, UTF-8 is decoded."""
    raw = (CAPTURES / "hostapd_status_wlan0-1.txt").read_bytes()
    status = parse_status("wlan0-1", raw)
    assert status is not None
    assert 'Kupang "A\\ \ufffd\ufffd\ufffd \U0001f600' == status.ssid
    assert status.utilization_ratio is None


@given(st.binary(max_size=32))
def test_unescape_is_the_inverse_of_hostapds_printing(ssid: bytes) -> None:
    """An SSID is any 32 bytes."""
    assert ssid == unescape(printf_encode(ssid).encode())


@given(st.binary(max_size=32))
def test_every_ssid_fits_the_contract(ssid: bytes) -> None:
    """Whatever somebody names his network, the sample can be sent."""
    reply = f"state=ENABLED\nbss[0]=wlan0\nssid[0]={printf_encode(ssid)}\n"
    status = parse_status("wlan0", reply.encode())
    assert status is not None
    text = status.ssid or ""
    assert len(text) <= 32
    assert not {unicodedata.category(char) for char in text} & {"Cc", "Cs", "Zl", "Zp"}


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("chan_util_avg=128", 0.502),
        ("chan_util_avg=999", 1.0),
        ("chan_util_avg=0", None),
        ("", None),
    ],
)
def test_utilization_is_of_255(output: str, expected: float | None) -> None:
    """hostapd says it in 255ths, and 0 while it has not measured."""
    status = parse_status("wlan0", f"state=ENABLED\n{output}\n".encode())
    assert status is not None
    assert expected == status.utilization_ratio


def test_a_bss_without_a_channel_yet_has_none() -> None:
    """While it looks for one, hostapd says 0."""
    expected = BssStatus("x", freq_mhz=0, off_air=True)
    assert expected == parse_status("x", b"state=ACS\nfreq=0\nchannel=0\n")


@pytest.mark.parametrize(
    ("state", "off_air"),
    [
        ("ENABLED", False),
        ("DISABLED", True),
        ("DFS", True),
        ("ACS", True),
        ("HT_SCAN", True),
        ("UNINITIALIZED", True),
        ("COUNTRY_UPDATE", True),
        ("NO_IR", True),
        ("SOMETHING_NEW", False),
    ],
)
def test_a_state_says_whether_it_is_on_the_air(state: str, off_air: bool) -> None:
    """A word that is not known leaves the count as it is."""
    status = parse_status("x", f"state={state}\n".encode())
    assert status is not None
    assert off_air == status.off_air


@pytest.mark.parametrize("reply", [b"FAIL\n", b"UNKNOWN COMMAND\n"])
def test_the_global_socket_is_no_bss(reply: bytes) -> None:
    """It may have any name; it refuses STATUS."""
    assert parse_status("wlan0", reply) is None
