"""What a sample says when sources fail, when it is too large, and about the spool."""

from dataclasses import fields, replace
from typing import Any, Literal

import pytest

from titik_agent.sampling.sampler import SHED_ORDER, Sampler, fit
from titik_agent.sampling.source import Source, SourceError
from titik_agent.spool.spool import Spool
from titik_wire import codec, topics
from titik_wire.limits import MAX_PAYLOAD
from titik_wire.messages import (
    AgentState,
    Bss,
    Held,
    Host,
    Net,
    Past,
    Radio,
    Reach,
    Sample,
)

RUN = "9f2c41d07be35a68"


class FakeClock:
    boot = "6b0f"

    def __init__(self) -> None:
        self.now_ms = 1_000_000

    def monotonic(self) -> float:
        return self.now_ms / 1000

    def uptime_ms(self) -> int:
        return self.now_ms

    def wall_ms(self) -> int:
        return 1_795_000_000_000 + self.now_ms

    def quality(self) -> Literal["ntp", "guess"]:
        return "ntp"


class FakeSpool(Spool):
    spooled, merged, lost, corrupt = 4, 1, 2, 3
    complete = True

    def __init__(self, **held: tuple[int, int]) -> None:
        super().__init__(None)
        self._held = held

    def held(self) -> dict[str, tuple[int, int]]:
        return dict(self._held)


class Keeping(FakeSpool):
    """What is held is kept."""

    is_asked = False

    def kept(self) -> dict[str, tuple[int, int]]:
        return dict(self._held)


class Fixed:
    """A source that gives what it is asked to; an exception is raised."""

    def __init__(self, name: str, field: str, *values: Any) -> None:
        self.name, self.field = name, field
        self._values = list(values)

    def read(self) -> Any:
        value = self._values.pop(0) if len(self._values) > 1 else self._values[0]
        if isinstance(value, Exception):
            raise value
        return value


def sampler(
    *sources: Source,
    spool: FakeSpool | None = None,
    open_runs: Any = tuple,
    store: Any = lambda: None,
) -> Sampler:
    return Sampler(
        "tirosa-1",
        RUN,
        FakeClock(),
        spool or FakeSpool(),
        sources,
        open_runs,
        lambda: 20_000_000,
        store,
    )


HOSTAPD = Fixed("hostapd", "bss", (Bss("a", clients=2, active=1), Bss("b", clients=3, active=3)))


def test_a_sample_adds_up_its_bsses() -> None:
    """Totals are of all BSSes, and say what they were since the sample before."""
    sample, payload = sampler(HOSTAPD).take()

    assert (5, 5, 5, 4, 0, 0) == (
        sample.clients,
        sample.clients_min,
        sample.clients_max,
        sample.active,
        sample.client_ms,
        sample.observed_ms,
    )
    assert sample == codec.decode(topics.sample("tirosa-1"), payload)


@pytest.mark.usefixtures("caplog")
def test_a_failed_source_costs_its_section_and_is_named() -> None:
    """The others are not affected, and it is read again next time."""
    flaky = Fixed("host", "host", SourceError("hung"), Host(uptime_s=3))
    taker = sampler(HOSTAPD, flaky)
    first, second = taker.take()[0], taker.take()[0]

    assert (None, ("host",), 5) == (first.host, first.agent.failed, first.clients)
    assert (Host(uptime_s=3), ()) == (second.host, second.agent.failed)


def test_a_machine_without_an_access_point_has_no_client_fields() -> None:
    """Absent is not zero."""
    sample, _ = sampler(Fixed("hostapd", "bss", None)).take()

    assert (None, None, None) == (sample.bss, sample.clients, sample.observed_ms)


OFF = Bss("c", off_air=True)


@pytest.mark.parametrize(
    ("bss", "expected"),
    [
        ((Bss("a", clients=2, active=1), OFF), (2, 1, None)),
        ((Bss("a", clients=0, active=0),), (0, 0, None)),
        ((OFF,), (None, None, True)),
        ((), (None, None, True)),
        (None, (None, None, None)),
    ],
)
def test_off_the_air_is_neither_zero_clients_nor_a_failure(
    bss: tuple[Bss, ...] | None, expected: tuple[int | None, int | None, bool | None]
) -> None:
    """A BSS that is off adds nothing; where none transmits, or there is none, Wi-Fi is off."""
    sample, payload = sampler(Fixed("hostapd", "bss", bss)).take()

    assert (*expected, ()) == (sample.clients, sample.active, sample.off_air, sample.agent.failed)
    assert sample == codec.decode(topics.sample("tirosa-1"), payload)


def test_time_off_the_air_is_not_observed() -> None:
    """So that the mean number of clients is of the time in which there was Wi-Fi."""
    on, clock = (Bss("a", clients=4),), FakeClock()
    source = Fixed("hostapd", "bss", on, on, (OFF,), (OFF,), on, on)
    taker = Sampler("a", RUN, clock, FakeSpool(), (source,), rss_bytes=lambda: 1)
    samples = []
    for _ in range(6):
        samples.append(taker.take()[0])
        clock.now_ms += 1000

    assert [0, 1000, None, None, 1000, 2000] == [one.observed_ms for one in samples]
    assert [0, 4000, None, None, 4000, 8000] == [one.client_ms for one in samples]


def test_samples_are_numbered_and_say_what_time_they_cover() -> None:
    """The first of a run covers nothing."""
    clock = FakeClock()
    taker = Sampler("tirosa-1", RUN, clock, FakeSpool(), (), rss_bytes=lambda: 1)
    samples = []
    for _ in range(3):
        samples.append(taker.take()[0])
        clock.now_ms += 30_000

    assert [(1, 0), (2, 30_000), (3, 30_000)] == [(one.seq, one.covers_ms) for one in samples]


def test_the_spool_is_reported_with_runs_that_are_gone() -> None:
    """A run that the ack lists and the spool no longer holds is closed by `[]`."""
    old, gone = "0" * 16, "1" * 16
    spool = FakeSpool(**{old: (3, 9), RUN: (1, 1)})
    sample, _ = sampler(spool=spool, open_runs=lambda: (RUN, gone, old)).take()

    assert (Held(RUN, (1, 1)), Held(old, (3, 9)), Held(gone, None)) == sample.spool
    assert AgentState(20_000_000, 5, 1, 2, 3) == sample.agent


def test_nothing_is_reported_of_older_runs_before_they_have_been_read() -> None:
    """What the collector takes for gone would be thrown away by its ack once it is found."""
    spool = FakeSpool(**{"0" * 16: (3, 9), RUN: (1, 1)})
    spool.complete = False
    taker = sampler(spool=spool, open_runs=lambda: (RUN, "1" * 16, "0" * 16))

    assert (Held(RUN, (1, 1)),) == taker.take()[0].spool
    spool.complete = True
    assert 3 == len(taker.take()[0].spool)


def test_many_runs_take_turns() -> None:
    """A crash-looping router's runs are all reported within a few samples."""
    runs = {f"{n:016x}": (1, 1) for n in range(100)}
    taker = sampler(spool=FakeSpool(**runs))
    reported = [taker.take()[0].spool for _ in range(4)]

    assert [32] * 4 == [len(held) for held in reported]
    assert set(runs) | {RUN} == {one.run for held in reported for one in held}


def test_what_can_be_sent_again_is_reported_now_and_then_and_while_it_is_asked_for() -> None:
    """The sample's own run and open ones first, then the newest; nothing is `{}` to who asks."""
    old, older = "0" * 16, "1" * 16

    spool = Keeping(**{older: (1, 5), old: (2, 7), RUN: (1, 1)})
    taker = sampler(spool=spool, open_runs=lambda: (older,))
    found = [taker.take()[0].kept for _ in range(17)]
    every = (Held(older, (1, 5)), Held(RUN, (1, 1)), Held(old, (2, 7)))
    assert [every, *[None] * 15, every] == found
    spool.is_asked = True
    assert every == taker.take()[0].kept
    spool.complete = False
    assert taker.take()[0].kept is None
    spool.complete, spool._held = True, {}
    assert () == taker.take()[0].kept
    spool._held = {f"{n:016x}": (1, 1) for n in range(100)}
    assert 32 == len(taker.take()[0].kept or ())


def test_a_collector_that_stopped_asking_hears_once_more_what_is_kept() -> None:
    """After a batch that failed it no longer knows, and asks for nothing."""
    spool = Keeping()
    taker = sampler(spool=spool)
    found = []
    for spool.is_asked in (False, True, False, False, True):
        found.append(taker.take()[0].kept)

    assert [None, (), (), None, ()] == found


def test_a_store_that_was_just_opened_hears_at_once_what_is_kept() -> None:
    """It may be a restored one. Where nothing is kept it hears that, once."""
    stores = [None, ("5b1f", 7), ("5b1f", 7), ("5b1f", 8), ("77aa", 8), ("77aa", 8)]
    taker = sampler(spool=Keeping(), store=iter(stores).__next__)
    assert [None, (), None, (), (), None] == [taker.take()[0].kept for _ in stores]


PAST = tuple(Past(f"a{n}", "bss", f"6b0f/{n}", 1, 1) for n in range(64))


def crowded(bsses: int) -> Sample:
    bss = tuple(
        Bss(
            f"phy0-ap{n}", "Kupang Smart City " + "é" * 14, "2g", 6, 0.5, 1, 1, 1, 10**9, 1, 0,
            f"6b0f0000-0000-4000-8000-000000000001/{n}", 10**12, 10**12,
        )
        for n in range(bsses)
    )  # fmt: skip
    return replace(
        sampler(HOSTAPD).take()[0],
        bss=bss,
        reach=Reach(attempts=1),
        host=Host(uptime_s=1),
        radios=tuple(Radio(f"phy{n}") for n in range(16)),
        net=(Net("wan", "uplink", True, "6b0f/3", 1, 1),),
    )


def test_what_does_not_fit_is_shed_in_order_and_reported() -> None:
    """Sections that can be missed go first; counters never."""
    sample, payload = fit(crowded(40), {})

    assert len(payload) <= MAX_PAYLOAD
    assert (True, None, None) == (sample.truncated, sample.probe, sample.reach)
    assert 40 == len(sample.bss or ())


def test_a_full_house_still_fits() -> None:
    """64 BSSes with every counter."""
    sample, payload = fit(crowded(64), {})

    assert len(payload) <= MAX_PAYLOAD
    assert 10**12 == (sample.bss or ())[63].tx_bytes
    assert "bss" == SHED_ORDER[-1]


def test_every_section_is_shed_or_kept_on_purpose() -> None:
    """A new section needs no place in the order: it is left out first."""
    kept = {"clients", "clients_min", "clients_max", "active", "client_ms", "observed_ms"}
    kept |= {"past", "net", "truncated", "off_air", "flow_offload"}  # of `net` the uplink is kept

    assert {one.name for one in fields(Sample) if one.default is None} == kept | (
        set(SHED_ORDER) - {"bss details", "lan"}
    )


def test_totals_and_the_uplink_outlive_any_crowd() -> None:
    """Even a router with more than fits reports how many clients it has and what its uplink did."""
    lan = tuple(Net(f"lan{n}", "lan", True, f"6b0f/{n}", *[10**12] * 8) for n in range(31))
    crowd = crowded(64)
    sample, payload = fit(replace(crowd, net=(*(crowd.net or ()), *lan), past=PAST), {})

    assert len(payload) <= MAX_PAYLOAD
    assert (5, 1, 64) == (sample.clients, len(sample.net or ()), len(sample.past or ()))


@pytest.mark.usefixtures("caplog")
def test_a_section_outside_the_contract_is_left_out_and_named() -> None:
    """A driver that reports nonsense must not stop the sample."""
    strange = Fixed("netdev", "net", (Net("wan", "uplink", True, "x", -1, 1),))
    sample, _ = sampler(HOSTAPD, strange).take()

    assert (None, ("net",), 5) == (sample.net, sample.agent.failed, sample.clients)


@pytest.mark.usefixtures("caplog")
@pytest.mark.parametrize(
    ("field", "strange", "mended"),
    [
        (
            "bss",
            (Bss("a", clients=1), Bss("b", clients=2, since="s", rx_bytes=2**63, tx_bytes=7)),
            (Bss("a", clients=1), Bss("b", clients=2, since="s", tx_bytes=7)),
        ),
        ("bss", (Bss("a", clients=1, ssid="x" * 33, weak=-1),), (Bss("a", clients=1),)),
        (
            "net",
            (Net("wan", "uplink", True, "x", 10, 20, rx_drops=2**64 - 1, rx_errors=2**64 - 7),),
            (Net("wan", "uplink", True, "x", 10, 20),),
        ),
        ("radios", (Radio("phy0", 300), Radio("phy1", 6)), (Radio("phy0"), Radio("phy1", 6))),
        ("host", Host(uptime_s=3, temp_c=1e9), Host(uptime_s=3)),
    ],
)
def test_an_impossible_number_is_unknown_alone(field: str, strange: Any, mended: Any) -> None:
    """A driver says 2**63 bytes for as long as it runs; what stands beside it is right."""
    sample, payload = sampler(Fixed("some", field, strange)).take()

    filled = [replace(one, clients_min=None, clients_max=None, client_ms=None)
              for one in sample.bss or ()]  # fmt: skip
    assert mended == (tuple(filled) if field == "bss" else getattr(sample, field))
    assert () == sample.agent.failed
    assert sample == codec.decode(topics.sample("tirosa-1"), payload)


def test_past_counters_are_never_shed() -> None:
    """They are bytes that nothing else reports."""
    past = tuple(Past(f"a{n}", "bss", f"6b0f/{n}", 1, 1) for n in range(64))
    sample, _ = fit(replace(crowded(30), past=past), {})

    assert past == sample.past


@pytest.mark.usefixtures("caplog")
def test_a_bug_in_a_source_costs_its_section_alone() -> None:
    """A kernel that answers as none before it must not end the agent."""
    sample, _ = sampler(HOSTAPD, Fixed("leases", "leases", ValueError("no number"))).take()

    assert (("leases",), None, 5) == (sample.agent.failed, sample.leases, sample.clients)


def test_a_section_outside_the_contract_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """A router's log is a few hundred lines, and this happens at every sample."""
    good = (Net("wan", "uplink", True, "x", 1, 1),)
    strange = (Net("wan", "uplink", True, "x", -1, 1),)
    taker = sampler(Fixed("netdev", "net", strange, strange, strange, good, strange))
    lines = []
    for _ in range(5):
        taker.take()
        lines.append(len(caplog.records))

    assert [1, 1, 1, 1, 2] == lines


class SlowSource:
    """A device that takes five seconds."""

    name = field = "leases"

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock

    def read(self) -> int:
        self._clock.now_ms += 5_000
        return 1


def test_the_clocks_of_a_sample_are_read_together() -> None:
    """A slow source does not move `taken_at` away from the uptime that belongs to it."""
    clock = FakeClock()
    taker = Sampler("a", RUN, clock, FakeSpool(), (SlowSource(clock),), rss_bytes=lambda: 1)
    sample, _ = taker.take()

    assert 1_795_000_000_000 == sample.taken_at - sample.uptime_ms


class JustSet(FakeClock):
    """A clock that NTP sets between any two questions."""

    def __init__(self) -> None:
        super().__init__()
        self._set = False

    def wall_ms(self) -> int:
        before, self._set = self._set, True
        return 1_795_000_000_000 if before else 0

    def quality(self) -> Literal["ntp", "guess"]:
        before, self._set = self._set, True
        return "ntp" if before else "guess"


def test_a_time_from_before_the_clock_was_set_is_never_called_good() -> None:
    """It would be believed, months off."""
    sample, _ = Sampler("a", RUN, JustSet(), FakeSpool(), (), rss_bytes=lambda: 1).take()

    assert ("guess", 1_795_000_000_000) == (sample.clock, sample.taken_at)
