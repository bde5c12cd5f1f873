"""Devices with a DHCP lease, from what dnsmasq really writes."""

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.agent.fake_clock import FakeClock
from titik_agent.limits import MAX_LEASE_FILE
from titik_agent.sampling.source import SourceError
from titik_agent.sources.leases import LeasesSource, count_devices

CAPTURES = Path(__file__).parents[1] / "captures"
NOW_S = 1_795_450_000
LATER = NOW_S + 60
EARLIER = NOW_S - 60


def row(expiry: int, mac: str = "02:00:00:00:00:01", host: str = "*") -> bytes:
    """One IPv4 lease."""
    return f"{expiry} {mac} 192.0.2.9 {host} 01:{mac}\n".encode()


def test_every_device_of_a_real_file_counts() -> None:
    """Six devices asked for an address in the lab."""
    text = (CAPTURES / "hwsim" / "dnsmasq_leases_after.txt").read_bytes()
    assert count_devices([text], NOW_S) == 6


def test_durations_are_not_times_long_ago() -> None:
    """A dnsmasq built for boards without a clock writes 43200, and all five leases are held."""
    text = (CAPTURES / "s-dhcp-leases-durations-broken-rtc.txt").read_bytes()
    assert count_devices([text], NOW_S) == 5


@pytest.mark.parametrize(
    ("expiry", "now_s", "held"),
    [
        (LATER, NOW_S, 1),
        (EARLIER, NOW_S, 0),
        (NOW_S, NOW_S, 0),
        (EARLIER, None, 1),  # the clock is not believed, so it cannot say that this has ended
        (0, NOW_S, 1),  # for ever
        (43200, NOW_S, 1),  # a duration
        (999_999_999, NOW_S, 1),
        (1_000_000_000, NOW_S, 0),
        (10**19, NOW_S, 1),
    ],
)
def test_a_lease_is_held_until_a_time_that_has_passed(
    expiry: int, now_s: int | None, held: int
) -> None:
    """And only a believed clock says that it has."""
    assert count_devices([row(expiry)], now_s) == held


def test_a_device_counts_once() -> None:
    """In however many files and rows, however its address is spelt, on IPv4 and IPv6."""
    one = row(LATER, "02:00:00:00:00:AA") + row(LATER, "02:00:00:00:00:aa")
    six = b"duid 00:01:00:01:2d:aa\n%d 1234567 2001:db8::9 phone 00:01:00:01:02\n" % LATER
    assert count_devices([one + six, row(LATER, "02:00:00:00:00:aa")], NOW_S) == 1


def test_a_device_without_a_hardware_address_is_known_by_its_lease() -> None:
    """dnsmasq writes `00-`; two such devices are two."""
    text = b"0 00- 192.0.2.7 * 01:02\n0 00- 192.0.2.8 * 01:03\n"
    assert count_devices([text], NOW_S) == 2


@pytest.mark.parametrize(
    "host", [b"\xff\xfe\x00", b"1795469680", b"duid", b"'; DROP TABLE", b"a" * 4000, b"\xc3\xa9"]
)
def test_a_hostname_is_only_a_hostname(host: bytes) -> None:
    """Visitors choose it, so it may be anything."""
    text = b"0 02:00:00:00:00:01 192.0.2.9 " + host + b" 01:02\n"
    assert count_devices([text], NOW_S) == 1


def test_a_line_that_is_no_lease_counts_nobody() -> None:
    """The rest of the file still counts."""
    text = b"garbage\n\n\x00\x01 \xff\n-1 02:00:00:00:00:02 192.0.2.3 * *\n" + row(0)
    assert count_devices([text], NOW_S) == 1


def test_a_file_of_something_else_is_an_error() -> None:
    """It is no DHCP server without clients."""
    with pytest.raises(SourceError, match="not a lease file"):
        count_devices([b"<html>\n"], NOW_S)


@pytest.mark.parametrize("text", [b"", b"\n", b"duid 00:01:00:01:2d\n"])
def test_a_server_without_clients_has_zero(text: bytes) -> None:
    """Zero is a number, and not the absence of one."""
    assert count_devices([text], NOW_S) == 0


@given(st.binary(max_size=300), st.none() | st.integers(0, 2**40))
def test_any_bytes_give_a_count_or_a_source_error(text: bytes, now_s: int | None) -> None:
    """Nothing else ever comes out of the parser."""
    try:
        assert count_devices([text + b"\n" + row(0)], now_s) >= 1
        assert count_devices([text], now_s) >= 0
    except SourceError:
        pass


def test_no_file_is_no_server(tmp_path: Path) -> None:
    """The section is absent, which is no failure."""
    assert LeasesSource(FakeClock(), (str(tmp_path / "none"),)).read() is None


def test_several_servers_are_counted_together(tmp_path: Path) -> None:
    """One that has no file yet does not hide the others."""
    (tmp_path / "a").write_bytes(row(0, "02:00:00:00:00:01"))
    (tmp_path / "b").write_bytes(row(0, "02:00:00:00:00:02"))
    paths = tuple(str(tmp_path / name) for name in ("a", "none", "b"))
    assert LeasesSource(FakeClock(), paths).read() == 2


def test_a_guessed_clock_ends_no_lease(tmp_path: Path) -> None:
    """A board without a clock wakes in the past or the future; NTP settles it."""
    file = tmp_path / "leases"
    file.write_bytes(row(EARLIER))
    clock = FakeClock(trust="guess")
    source = LeasesSource(clock, (str(file),))
    assert source.read() == 1
    clock.trust = "ntp"
    assert source.read() == 0


def test_half_a_file_is_not_read_as_fewer_devices(tmp_path: Path) -> None:
    """dnsmasq writes in place, so the last row may lack its end."""
    file = tmp_path / "leases"
    file.write_bytes(row(0) + row(0, "02:00:00:00:00:02")[:-5])
    with pytest.raises(SourceError, match="still being written"):
        LeasesSource(FakeClock(), (str(file),)).read()


@pytest.mark.parametrize("end", [b"", b"\n\0\0\0", b"\0" * 512, b"\n0 02:00:00:00:0\0\0"])
def test_a_file_that_was_left_alone_ends_where_it_ends(tmp_path: Path, end: bytes) -> None:
    """A power cut takes the last newline, or leaves NULs for what was not on the disk yet."""
    file = tmp_path / "leases"
    file.write_bytes(row(0) + row(0, "02:00:00:00:00:02").rstrip(b"\n") + end)
    os.utime(file, ns=(0, time.time_ns() - 3600 * 10**9))
    assert LeasesSource(FakeClock(), (str(file),)).read() == 2


def test_a_huge_file_is_refused(tmp_path: Path) -> None:
    """Memory stays bounded, whoever wrote it."""
    file = tmp_path / "leases"
    file.write_bytes(b"x" * (MAX_LEASE_FILE + 1))
    with pytest.raises(SourceError, match="larger than"):
        LeasesSource(FakeClock(), (str(file),)).read()


def test_a_directory_in_its_place_is_an_error(tmp_path: Path) -> None:
    """The operator named the wrong path; the source says so instead of falling over."""
    with pytest.raises(SourceError, match="Is a directory"):
        LeasesSource(FakeClock(), (str(tmp_path),)).read()
