"""Whether the uplink carries traffic: real servers on the loopback answer, or do not."""

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.agent.fake_clock import FakeClock
from titik_agent.sampling.source import SourceError
from titik_agent.sources.reach import (
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
    """A DNS server that answers with `flags` and 127.0.0.1, or keeps silent.

    `nowhere`: what it answers for names below `example`, which do not exist. `six`: names have an
    address of IPv6 alone.
    """

    def __init__(self, flags: int | None = 0x8180, noise: bytes = b"") -> None:
        self.flags = flags
        self.noise = noise
        self.nowhere: str | None = None
        self.six = False
        self.asked: list[bytes] = []
        self.nowhere_asked: list[bytes] = []
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
            name, (kind,) = query[12:-4], struct.unpack("!H", query[-4:-2])
            nowhere = name.endswith(b"\x07example\0")
            (self.nowhere_asked if nowhere else self.asked).append(name)
            if self.noise:
                self._sock.sendto(self.noise, sender)
            if self.flags is not None:
                address = self.nowhere if nowhere else HERE
                raw = b"" if address is None or self.six else socket.inet_aton(address)
                if self.six and kind == 28 and not nowhere:
                    raw = socket.inet_pton(socket.AF_INET6, "::1")
                record = b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 0, len(raw)) + raw
                header = query[:2] + struct.pack("!HHHHH", self.flags, 1, bool(raw), 0, 0)
                self._sock.sendto(header + query[12:] + (record if raw else b""), sender)

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
    targets: Targets, *servers: tuple[str, int], timeout_s: float = 60.0
) -> Iterator[ReachSource]:
    """A source that asks these servers."""
    source = ReachSource(targets, 60.0, timeout_s=timeout_s, servers=lambda: servers)
    try:
        yield source
    finally:
        source.close()


def hasty_round(source: ReachSource) -> Reach:
    """One in which somebody does not answer; he is not waited for as long as for an answer."""
    source._timeout_s, patience_s = SHORT_S, source._timeout_s
    try:
        return source.round()
    finally:
        source._timeout_s = patience_s


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
        reach(Targets(("titik.test",)), dns.address) as source,
    ):
        started = time.monotonic()
        assert hasty_round(source) == Reach(dns_failures=1, attempts=1, answered=0)
        assert SHORT_S <= time.monotonic() - started
        assert hasty_round(source) == Reach(dns_failures=2, attempts=2, answered=0)
        dns.flags = 0x8180
        found = ReachSource.round(source)
        assert (found.dns_failures, found.attempts, found.answered) == (2, 3, 1)


@pytest.mark.usefixtures("caplog")  # it warns of the uplink
def test_a_resolver_that_is_cut_off_is_a_failure() -> None:
    """It answers, but with SERVFAIL or REFUSED: the uplink carries nothing."""
    for flags in (0x8182, 0x8185):
        with resolver(flags) as dns, reach(Targets(("titik.test",)), dns.address) as source:
            assert source.round().dns_failures == 1


@pytest.mark.usefixtures("caplog")  # it warns of the uplink
def test_a_portal_s_answers_are_no_internet() -> None:
    """It answers for every name, also for one that cannot exist, and accepts every connection."""
    with resolver() as dns, listener() as port:
        dns.nowhere = HERE
        targets = Targets(("*.titik.test",), (("a.test", port), ("b.test", port)))
        with reach(targets, dns.address) as source:
            assert source.round() == Reach(dns_failures=3, tcp_failures=0, attempts=1, answered=0)
            dns.nowhere = None
            found = source.round()
            assert failures(found) == (3, 0)
            assert found.tcp_ms is not None


def test_a_provider_s_page_for_names_that_do_not_exist_is_no_portal() -> None:
    """What it answers for those is not what it answers for others."""
    with resolver() as dns, listener() as port:
        dns.nowhere = "192.0.2.80"
        targets = Targets(("*.titik.example",), (("a.test", port),))
        with reach(targets, dns.address) as source:
            assert failures(source.round()) == (0, 0)


def test_a_round_asks_for_one_name_that_cannot_exist() -> None:
    """A new one each time, and none at all where no answer could be a portal's."""
    with resolver() as dns, reach(Targets(("a.test", "b.test")), dns.address) as source:
        source.round()
        source.round()
        assert 2 == len(set(dns.nowhere_asked)) == len(dns.nowhere_asked)
        dns.six = True
        source.round()
        assert 2 == len(dns.nowhere_asked)


def listening_on_six() -> socket.socket:
    sock = socket.socket(socket.AF_INET6)
    sock.bind(("::1", 0))
    sock.listen()
    return sock


def test_a_host_of_ipv6_alone_is_connected_to() -> None:
    """Its other kind of address is asked for where the usual one is not there."""
    with resolver() as dns, listening_on_six() as sock:
        dns.six = True
        targets = Targets(("name.test",), (("six.test", sock.getsockname()[1]),))
        with reach(targets, dns.address) as source:
            found = source.round()
    assert failures(found) == (0, 0)
    assert found.tcp_ms is not None
    assert 2 == dns.asked.count(b"\x03six\x04test\0")
    assert 1 == dns.asked.count(b"\x04name\x04test\0")  # nobody is to connect to it


def test_a_host_without_any_address_cannot_be_reached() -> None:
    """Its name is answered for, so that alone is no failure of DNS."""
    with resolver(0x8183) as dns, listener() as port:
        targets = Targets(hosts=(("a.example", port),))
        with reach(targets, dns.address) as source:
            assert failures(source.round()) == (0, 1)


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
        assert source.round() == Reach(tcp_failures=1, attempts=1, answered=0)


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
        with reach(targets, dns.address) as source:
            source.round()
            dns.flags = None
            found = hasty_round(source)
        assert (failures(found), found.tcp_ms is None) == ((1, 0), False)
        with reach(targets, dns.address, timeout_s=SHORT_S) as source:
            assert source.round() == Reach(dns_failures=1, tcp_failures=0, attempts=1, answered=0)


@pytest.mark.usefixtures("caplog")  # it warns of the uplink
def test_a_round_is_answered_where_a_host_is() -> None:
    """A name proves less, for the router may remember it; one host of two is enough."""
    nowhere = ("255.255.255.255", 9)  # no connection leads there
    with resolver() as dns, reach(Targets(("titik.test",), (nowhere,)), dns.address) as source:
        found = source.round()
        assert (found.dns_failures, found.attempts, found.answered) == (0, 1, 0)
    with listener() as port, reach(Targets((), ((HERE, port), nowhere))) as source:
        found = source.round()
        assert (found.tcp_failures, found.attempts, found.answered) == (1, 1, 1)


def test_a_starred_name_is_new_in_every_round() -> None:
    """So that a cache on the way cannot answer for the uplink."""
    with resolver() as dns, reach(Targets(("*.titik.test",)), dns.address) as source:
        source.round()
        source.round()
    assert len(set(dns.asked)) == 2
    assert all(name.endswith(b"\x05titik\x04test\0") for name in dns.asked)
    assert full_name("titik.test") == "titik.test"


def test_losing_and_finding_traffic_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """One line per change, not per round."""
    caplog.set_level("INFO")
    with resolver() as dns, reach(Targets(("t.test",)), dns.address) as source:
        for flags in (0x8180, None, None, 0x8180, 0x8180):
            dns.flags = flags
            source.round() if flags else hasty_round(source)
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
    with resolver(None) as dns, reach(Targets(("t.test",)), dns.address, timeout_s=600) as source:
        source.start()
        while not dns.asked:
            time.sleep(0.001)
        started = time.monotonic()
        source.close()
        assert time.monotonic() - started < 60


def test_the_thread_makes_rounds() -> None:
    """The first at once, the next at its time."""
    with resolver() as dns:
        source = ReachSource(Targets(("t.test",)), 0.01, 5.0, servers=lambda: (dns.address,))
        source.start()
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            found = source.read()
            if found is not None and found.attempts is not None and found.attempts >= 3:
                break
            time.sleep(0.001)
        else:
            raise AssertionError("no three rounds in a minute")
        source.close()


@pytest.mark.usefixtures("caplog")  # it warns of the uplink
def test_a_dead_thread_is_a_failed_source() -> None:
    """Its last figures would otherwise be reported for ever."""
    source = ReachSource(Targets(("t.test",)), 60.0, servers=lambda: ())
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
        clock.now_s += 5 * 80 + 1
        with pytest.raises(SourceError, match="hangs"):
            source.read()
        source.close()


def test_a_closed_source_makes_no_round() -> None:
    """`once` and `check` call it without the thread."""
    with resolver(None) as dns:
        source = ReachSource(Targets(("t.test",)), 60.0, servers=lambda: (dns.address,))
        source.close()
        with pytest.raises(Closed):
            source.round()


@pytest.mark.parametrize("targets", [Targets(("a..test",)), Targets(hosts=(("a b" * 100, 1),))])
def test_targets_that_cannot_be_are_refused(targets: Targets) -> None:
    """At start, as a ValueError that the configuration turns into words."""
    with pytest.raises(ValueError, match="host name"):
        ReachSource(targets, 60.0)


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
