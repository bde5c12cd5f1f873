"""Whether the uplink carries traffic: real servers on the loopback answer, or do not."""

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.agent.fake_clock import FakeClock
from titik_agent.sources import SourceError
from titik_agent.sources.reach import (
    MAX_TARGETS,
    Closed,
    ReachSource,
    Targets,
    full_name,
    median_ms,
    system_servers,
)
from titik_wire.messages import Reach

HERE = "127.0.0.1"
SHORT_S = 0.05  # what a test waits for somebody who does not answer


class Resolver:
    """A DNS server that answers every question with `flags` and 127.0.0.1, or keeps silent."""

    def __init__(self, flags: int | None = 0x8180, noise: bytes = b"") -> None:
        self.flags = flags
        self.noise = noise
        self.asked: list[bytes] = []
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.bind((HERE, 0))
        self.address: tuple[str, int] = self._sock.getsockname()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            query, sender = self._sock.recvfrom(512)
            if not query:
                return
            self.asked.append(query[12:-4])
            if self.noise:
                self._sock.sendto(self.noise, sender)
            if self.flags is not None:
                record = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 0, 4) + socket.inet_aton(HERE)
                header = query[:2] + struct.pack("!HHHHH", self.flags, 1, 1, 0, 0)
                self._sock.sendto(header + query[12:] + record, sender)

    def close(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", self.address)
        self._thread.join()
        self._sock.close()


@contextmanager
def resolver(flags: int | None = 0x8180, noise: bytes = b"") -> Iterator[Resolver]:
    """A resolver for the time of a test."""
    made = Resolver(flags, noise)
    try:
        yield made
    finally:
        made.close()


@contextmanager
def listener(*, full: bool = False) -> Iterator[int]:
    """A TCP port; a full one lets no more connections in, and answers nothing."""
    with socket.socket() as sock, socket.socket() as first, socket.socket() as second:
        sock.bind((HERE, 0))
        sock.listen(0 if full else 16)
        port: int = sock.getsockname()[1]
        for filler in (first, second) if full else ():
            filler.setblocking(False)
            filler.connect_ex((HERE, port))
        yield port


@contextmanager
def reach(
    targets: Targets, *servers: tuple[str, int], timeout_s: float = 5.0
) -> Iterator[ReachSource]:
    """A source that asks these servers."""
    source = ReachSource(targets, timeout_s=timeout_s, servers=lambda: servers)
    try:
        yield source
    finally:
        source.close()


def failures(found: Reach) -> tuple[int | None, int | None]:
    """Of DNS and of TCP."""
    return found.dns_failures, found.tcp_failures


def test_an_uplink_that_works_is_timed() -> None:
    """The host's name is asked for, and its address connected to."""
    with resolver() as dns, listener() as port:
        targets = Targets(("titik.test",), (("host.test", port),))
        with reach(targets, dns.address) as source:
            found = source.round()
    assert (found.attempts, failures(found)) == (1, (0, 0))
    assert found.dns_ms is not None
    assert found.tcp_ms is not None
    assert sorted(dns.asked) == [b"\x04host\x04test\0", b"\x05titik\x04test\0"]


def test_what_was_not_asked_for_is_absent() -> None:
    """No names: no DNS figures; no hosts: no TCP figures."""
    with resolver() as dns, reach(Targets(("titik.test",)), dns.address) as source:
        found = source.round()
        assert (found.tcp_ms, found.tcp_failures) == (None, None)
    with listener() as port, reach(Targets(hosts=((HERE, port),))) as source:
        found = source.round()
        assert (found.dns_ms, found.dns_failures) == (None, None)


@pytest.mark.usefixtures("caplog")  # it warns of the uplink
def test_a_silent_resolver_fails_at_its_deadline() -> None:
    """And is counted for ever, while the time is of the last round only."""
    with (
        resolver(flags=None) as dns,
        reach(Targets(("titik.test",)), dns.address, timeout_s=SHORT_S) as source,
    ):
        started = time.monotonic()
        assert source.round() == Reach(dns_failures=1, attempts=1)
        assert SHORT_S <= time.monotonic() - started < 2
        assert source.round() == Reach(dns_failures=2, attempts=2)
        dns.flags = 0x8180
        found = ReachSource.round(source)
        assert (found.dns_failures, found.attempts) == (2, 3)


@pytest.mark.usefixtures("caplog")  # it warns of the uplink
def test_a_resolver_that_is_cut_off_is_a_failure() -> None:
    """It answers, but with SERVFAIL or REFUSED: the uplink carries nothing."""
    for flags in (0x8182, 0x8185):
        with resolver(flags) as dns, reach(Targets(("titik.test",)), dns.address) as source:
            assert source.round().dns_failures == 1


def test_the_next_resolver_is_asked_when_one_is_dead() -> None:
    """Within the one deadline."""
    closed = (HERE, 1)
    with resolver() as dns, reach(Targets(("titik.test",)), closed, dns.address) as source:
        assert source.round().dns_failures == 0


@pytest.mark.usefixtures("caplog")  # it warns of the uplink
def test_noise_is_no_answer() -> None:
    """The wait goes on until the real one."""
    with (
        resolver(noise=b"\x00\x01noise") as dns,
        reach(Targets(("titik.test",)), dns.address) as source,
    ):
        assert source.round().dns_failures == 0
    with (
        resolver(None, noise=b"\x00\x01noise") as dns,
        reach(Targets(("titik.test",)), dns.address, timeout_s=SHORT_S) as source,
    ):
        assert source.round().dns_failures == 1


@pytest.mark.usefixtures("caplog")  # it warns of the uplink
def test_a_host_that_does_not_answer_fails_at_its_deadline() -> None:
    """Nobody accepts, nobody refuses."""
    with (
        listener(full=True) as port,
        reach(Targets(hosts=((HERE, port),)), timeout_s=SHORT_S) as source,
    ):
        assert source.round() == Reach(tcp_failures=1, attempts=1)


def test_a_host_that_refuses_has_answered() -> None:
    """The packets went there and back."""
    with listener() as port:
        pass
    with reach(Targets(hosts=((HERE, port),))) as source:
        assert source.round().tcp_failures == 0


@pytest.mark.usefixtures("caplog")  # it warns of the uplink
def test_tcp_outlives_a_dead_resolver() -> None:
    """The address last known serves on; one never known is a failure of DNS alone."""
    with resolver() as dns, listener() as port:
        targets = Targets(hosts=(("host.test", port),))
        with reach(targets, dns.address, timeout_s=SHORT_S) as source:
            source.round()
            dns.flags = None
            found = source.round()
        assert (failures(found), found.tcp_ms is None) == ((1, 0), False)
        with reach(targets, dns.address, timeout_s=SHORT_S) as source:
            assert source.round() == Reach(dns_failures=1, tcp_failures=0, attempts=1)


def test_a_starred_name_is_new_in_every_round() -> None:
    """So that a cache on the way cannot answer for the uplink."""
    with resolver() as dns, reach(Targets(("*.titik.test",)), dns.address) as source:
        source.round()
        source.round()
    assert len(set(dns.asked)) == 2
    assert all(name.endswith(b"\x05titik\x04test\0") for name in dns.asked)
    assert full_name("titik.test") == "titik.test"


def test_losing_and_finding_traffic_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """One line per change, not per round."""
    caplog.set_level("INFO")
    with resolver() as dns, reach(Targets(("t.test",)), dns.address, timeout_s=SHORT_S) as source:
        for flags in (0x8180, None, None, 0x8180, 0x8180):
            dns.flags = flags
            source.round()
    assert [record.getMessage() for record in caplog.records] == [
        "uplink carries no traffic",
        "uplink carries traffic again",
    ]


def test_reading_never_waits() -> None:
    """While the thread waits for a silent resolver there is no section yet."""
    with resolver(None) as dns, reach(Targets(("t.test",)), dns.address, timeout_s=60) as source:
        source.start()
        assert source.read() is None


def test_closing_ends_any_wait_at_once() -> None:
    """The agent's stop does not hang on a dead uplink."""
    with resolver(None) as dns, reach(Targets(("t.test",)), dns.address, timeout_s=60) as source:
        source.start()
        while not dns.asked:
            time.sleep(0.001)
        started = time.monotonic()
        source.close()
        assert time.monotonic() - started < 1


def test_the_thread_makes_rounds() -> None:
    """The first at once, the next at its time."""
    with resolver() as dns:
        source = ReachSource(Targets(("t.test",)), 0.01, 5.0, servers=lambda: (dns.address,))
        source.start()
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            found = source.read()
            if found is not None and found.attempts is not None and found.attempts >= 3:
                break
            time.sleep(0.001)
        else:
            raise AssertionError("no three rounds in 5 s")
        source.close()


@pytest.mark.usefixtures("caplog")  # it warns of the uplink
def test_a_dead_thread_is_a_failed_source() -> None:
    """Its last figures would otherwise be reported for ever."""
    source = ReachSource(Targets(("t.test",)), servers=lambda: ())
    source.start()
    source.close()
    with pytest.raises(SourceError, match="ended"):
        source.read()


def test_a_hanging_thread_is_a_failed_source() -> None:
    """What it last found becomes history."""
    clock = FakeClock()
    with resolver(None) as dns:
        source = ReachSource(
            Targets(("t.test",)), 60.0, 10.0, servers=lambda: (dns.address,),
            monotonic=clock.monotonic,
        )  # fmt: skip
        dns.flags = 0x8180
        source.round()
        dns.flags = None
        source.start()
        assert source.read() is not None
        clock.now_s += 5 * 70 + 1
        with pytest.raises(SourceError, match="hangs"):
            source.read()
        source.close()


def test_a_closed_source_makes_no_round() -> None:
    """`once` and `check` call it without the thread."""
    with resolver(None) as dns:
        source = ReachSource(Targets(("t.test",)), servers=lambda: (dns.address,))
        source.close()
        with pytest.raises(Closed):
            source.round()


@pytest.mark.parametrize(
    "targets",
    [
        Targets(("a.test",) * (MAX_TARGETS + 1)),
        Targets(hosts=((HERE, 1),) * (MAX_TARGETS + 1)),
        Targets(("a..test",)),
        Targets(hosts=(("a b" * 100, 1),)),
    ],
)
def test_targets_that_cannot_be_are_refused(targets: Targets) -> None:
    """At start, as a ValueError that the configuration turns into words."""
    with pytest.raises(ValueError, match=r"targets|host name"):
        ReachSource(targets)


@pytest.mark.parametrize(
    ("took_s", "median"),
    [([], None), ([None], None), ([0.001], 1.0), ([0.003, None, 0.001], 2.0), ([3, 1, 9], 3000)],
)
def test_the_median_is_of_those_that_answered(
    took_s: list[float | None], median: float | None
) -> None:
    """In milliseconds."""
    assert median_ms(took_s) == median


def test_this_machine_has_resolvers() -> None:
    """At least one, at the port of DNS."""
    assert {port for _, port in system_servers()} == {53}
