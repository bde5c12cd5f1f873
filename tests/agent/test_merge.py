"""Merging two samples loses resolution and nothing else."""

from collections.abc import Callable
from dataclasses import replace
from functools import reduce
from itertools import pairwise
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.agent.spooled import OTHER_RUN, sample
from tests.wire.examples import BARE_SAMPLE, FULL_SAMPLE
from titik_agent.spool.merge import CannotMerge, merge, merge_encoded
from titik_wire import topics
from titik_wire.codec import decode, encode
from titik_wire.limits import MAX_PAST
from titik_wire.messages import Bss, Held, Host, Net, Past, Reach, Sample, Visitors

BSS = Bss("ap0", clients=3, clients_min=2, clients_max=5, client_ms=100, since="a")
NET = Net("wan", role="uplink", up=True, since="a", rx_bytes=10, tx_bytes=20)


def test_the_merged_sample_speaks_at_the_instant_of_the_newer() -> None:
    """Identity, clock, agent and gauges are the newer's; the range and the time cover both."""
    older, newer = sample(1), replace(sample(2), leases=3, host=Host(load_1m=0.5))

    merged = merge(older, newer)
    assert replace(newer, first_seq=1, clients_min=1, clients_max=14) == merged
    assert 30_000 == merged.covers_ms
    assert 60_000 == merge(sample(3), sample(4)).covers_ms


def test_what_is_kept_is_of_the_newer() -> None:
    """An older one's word of what can be sent again is out of date."""
    merged = merge(replace(sample(1), kept=(Held(OTHER_RUN, (1, 9)),)), sample(2))
    assert merged.kept is None


@pytest.mark.parametrize(
    ("older", "newer", "expected"),
    [((1, 5), (2, 4), (1, 5)), ((3, 3), (0, 9), (0, 9)), (None, (2, 4), (2, 4)),
     ((2, 4), None, (2, 4)), (None, None, None)],
)  # fmt: skip
def test_minima_and_maxima_are_over_what_was_observed(
    older: tuple[int, int] | None, newer: tuple[int, int] | None, expected: tuple[int, int] | None
) -> None:
    """A section that failed observed nothing: it is no zero."""

    def seen(seq: int, range_: tuple[int, int] | None) -> Sample:
        least, most = range_ or (None, None)
        return replace(sample(seq), clients=None, clients_min=least, clients_max=most)

    merged = merge(seen(1, older), seen(2, newer))
    assert (expected or (None, None)) == (merged.clients_min, merged.clients_max)


@pytest.mark.parametrize(("older", "newer"), [(True, None), (None, True)])
def test_wifi_is_off_where_it_is_at_the_end(older: bool | None, newer: bool | None) -> None:
    """As `clients` is who is there at the end."""
    merged = merge(replace(sample(1), off_air=older), replace(sample(2), off_air=newer))
    assert newer == merged.off_air


@pytest.mark.parametrize(("older", "newer"), [(True, None), (None, True)])
def test_bytes_that_passed_the_counters_by_stay_in_doubt(
    older: bool | None, newer: bool | None
) -> None:
    """The merged sample has the bytes of both."""
    merged = merge(replace(sample(1), flow_offload=older), replace(sample(2), flow_offload=newer))
    assert merged.flow_offload is True


def test_a_bss_has_the_extremes_of_both() -> None:
    """Per BSS as for the router."""
    older = replace(sample(1), bss=(BSS,))
    newer = replace(
        sample(2),
        bss=(
            replace(BSS, clients=9, clients_min=4, clients_max=9, client_ms=200),
            Bss("ap1", clients=1),
        ),
    )

    merged = (replace(BSS, clients=9, clients_min=2, clients_max=9, client_ms=200),)
    assert (*merged, Bss("ap1", clients=1)) == merge(older, newer).bss


def test_a_counter_that_ended_goes_to_past() -> None:
    """An interface re-created, a BSS renamed: the last value of each `since` survives."""
    older = replace(
        sample(1),
        bss=(replace(BSS, rx_bytes=7, tx_bytes=8),),
        net=(NET, replace(NET, ifname="br-lan", role="lan")),
    )
    newer = replace(sample(2), bss=(), net=(replace(NET, since="b", rx_bytes=1, tx_bytes=1),))

    merged = merge(older, newer)
    assert (
        Past("ap0", "bss", "a", 7, 8),
        Past("br-lan", "lan", "a", 10, 20),
        Past("wan", "uplink", "a", 10, 20),
    ) == merged.past
    assert newer.net == merged.net
    assert () == merged.bss


def test_a_section_that_failed_at_the_end_keeps_its_counters_in_past() -> None:
    """It stays absent, because who is there at the end is not known; the bytes are."""
    older = replace(sample(1), bss=(replace(BSS, rx_bytes=7, tx_bytes=8),), net=(NET,))

    merged = merge(older, sample(2))
    assert merged.bss is None
    assert merged.net is None
    assert (
        Past("ap0", "bss", "a", 7, 8),
        Past("wan", "uplink", "a", 10, 20),
    ) == merged.past


def test_a_counter_that_is_back_leaves_past() -> None:
    """It failed to be read in between; its value now says it all."""
    older = merge(replace(sample(1), net=(NET,)), sample(2))
    newer = merge(sample(3), replace(sample(4), net=(replace(NET, rx_bytes=30, tx_bytes=30),)))

    assert older.past is not None
    merged = merge(older, newer)
    assert merged.past is None
    assert (replace(NET, rx_bytes=30, tx_bytes=30),) == merged.net


def test_of_a_counter_in_both_pasts_the_later_value_stays() -> None:
    """The newer knew it longer."""
    older = merge(replace(sample(1), net=(NET,)), sample(2))
    newer = merge(replace(sample(3), net=(replace(NET, rx_bytes=11),)), sample(4))

    assert (Past("wan", "uplink", "a", 11, 20),) == merge(older, newer).past


def test_a_bss_whose_bytes_failed_keeps_the_last_it_had() -> None:
    """The same counter is not reported in `past` besides, which the contract forbids."""
    older = replace(sample(1), bss=(replace(BSS, rx_bytes=7, tx_bytes=8),))
    newer = replace(sample(2), bss=(replace(BSS, clients=4),))

    merged = merge(older, newer)
    assert (replace(BSS, clients=4, rx_bytes=7, tx_bytes=8),) == merged.bss
    assert merged.past is None
    later = merge(sample(3), replace(sample(4), bss=newer.bss))
    assert merged.bss == merge(merge(older, sample(2)), later).bss


def test_the_client_time_of_a_bss_is_the_last_that_was_read() -> None:
    """It counts up, so a reading that failed at the end loses none of it."""
    older = replace(sample(1), bss=(Bss("phy0-ap0", clients=3, client_ms=90),))
    newer = replace(sample(2), bss=(Bss("phy0-ap0"),))

    assert (Bss("phy0-ap0", client_ms=90),) == merge(older, newer).bss


def test_what_counts_up_or_changes_slowly_is_the_last_that_was_read() -> None:
    """Cumulative values above all: they would be lost for good."""
    older = replace(
        sample(1),
        client_ms=5,
        observed_ms=6,
        visitors=Visitors(7, 0),
        leases=8,
        reach=Reach(attempts=9),
        host=Host(uptime_s=10),
        radios=FULL_SAMPLE.radios,
        probe=FULL_SAMPLE.probe,
    )
    newer = replace(sample(2), client_ms=None, observed_ms=None)

    merged = merge(older, newer)
    assert merged.client_ms == 5
    assert merged.observed_ms == 6
    assert older.visitors == merged.visitors
    assert merged.leases == 8
    assert older.reach == merged.reach
    assert older.host == merged.host
    assert older.radios == merged.radios
    assert older.probe == merged.probe


def _renamed(count: int) -> tuple[Net, ...]:
    return tuple(replace(NET, ifname=f"eth{n}") for n in range(count))


def _two_blocks(count: int) -> tuple[Sample, Sample]:
    """Two blocks whose pasts have `count` counters together."""
    half = count // 2
    older = merge(replace(sample(1), net=_renamed(half)), sample(2))
    others = tuple(replace(net, since="b") for net in _renamed(count - half))
    return older, merge(replace(sample(3), net=others), sample(4))


def test_past_holds_64_counters_and_then_the_two_stay_apart() -> None:
    """Better a finer sample than lost bytes."""
    full = merge(*_two_blocks(MAX_PAST)).past
    assert full is not None
    assert len(full) == MAX_PAST
    with pytest.raises(CannotMerge, match="65 counters ended"):
        merge(*_two_blocks(MAX_PAST + 1))


APART: list[tuple[str, Sample, Sample]] = [
    ("of different runs", sample(1), sample(2, run=OTHER_RUN)),
    ("of different runs", sample(1), replace(sample(2), router="other")),
    ("not neighbours", sample(1), sample(3)),
    ("not neighbours", sample(2), sample(1)),
    ("not neighbours", merge(sample(1), sample(2)), sample(3)),
    ("aligned", sample(2), sample(3)),
    (
        "counter fell",
        replace(sample(1), net=(NET,)),
        replace(sample(2), net=(replace(NET, rx_bytes=9),)),
    ),
]


@pytest.mark.parametrize(("reason", "older", "newer"), APART)
def test_these_stay_apart(reason: str, older: Sample, newer: Sample) -> None:
    """Other runs, gaps, unaligned blocks, and a counter that restarted under its old name."""
    with pytest.raises(CannotMerge, match=reason):
        merge(older, newer)


@pytest.mark.parametrize(
    "payload", [b"", b"{}", b'{"router":"tirosa-1"}', b'{"v":2,"router":"tirosa-1"}']
)
def test_what_this_contract_cannot_read_stays_apart(payload: bytes) -> None:
    """Also a record of a later contract."""
    with pytest.raises(CannotMerge):
        merge_encoded(payload, encode(sample(2)))


def test_a_result_above_the_packet_limit_stays_apart() -> None:
    """Two samples that are full of interfaces."""
    long = [replace(NET, ifname=f"{n:015}", since=f"{n:0199}") for n in range(40)]
    older = replace(sample(1), net=tuple(long[:20]))
    newer = replace(sample(2), net=tuple(long[20:]))

    assert len(encode(older)) < 8000
    with pytest.raises(CannotMerge, match="bytes, at most"):
        merge_encoded(encode(older), encode(replace(newer, bss=_many_bss())))


def _many_bss() -> tuple[Bss, ...]:
    return tuple(Bss(f"ap{n}", ssid="x" * 32, since="s" * 90) for n in range(18))


def test_encoded_samples_merge_like_samples() -> None:
    """The spool keeps bytes."""
    assert encode(merge(sample(1), sample(2))) == merge_encoded(
        encode(sample(1)), encode(sample(2))
    )


# For any course of a run

Counter = tuple[str, str, str]
Step = tuple[bool, bool, int, int, int]


@st.composite
def runs(draw: st.DrawFn) -> list[Sample]:
    """A run of 2**n samples: interfaces come, go, restart and cannot be read."""
    steps = draw(
        st.lists(
            st.tuples(
                st.booleans(),  # the BSSes can be read
                st.booleans(),  # so can the interfaces
                st.integers(0, 1000),  # bytes since the sample before
                st.integers(0, 9),  # which interface is re-created, if any
                st.integers(0, 20),  # clients
            ),
            min_size=16,
            max_size=16,
        )
    )
    return _samples(steps)


def _samples(steps: list[Step]) -> list[Sample]:
    created = [0, 0, 0, 0]
    count = [0, 0, 0, 0]
    taken = []
    for seq, (reads_bss, reads_net, grown, recreated, clients) in enumerate(steps, 1):
        count = [value + grown + n for n, value in enumerate(count)]
        if recreated < 4:
            created[recreated], count[recreated] = created[recreated] + 1, grown
        bss = tuple(
            Bss(
                f"ap{n}",
                clients=clients,
                clients_min=clients // 2,
                clients_max=clients + n,
                since=f"{n}/{created[n]}",
                rx_bytes=count[n],
                tx_bytes=2 * count[n],
            )
            for n in range(2)
        )
        roles: tuple[tuple[int, Literal["uplink", "lan"]], ...] = ((2, "uplink"), (3, "lan"))
        net = tuple(
            Net(f"eth{n}", role, True, f"{n}/{created[n]}", count[n], 3 * count[n])
            for n, role in roles
        )
        taken.append(
            replace(
                sample(seq),
                bss=bss if reads_bss else None,
                net=net if reads_net else None,
                clients=clients if reads_bss else None,
                clients_min=clients // 2 if reads_bss else None,
                clients_max=clients + 2 if reads_bss else None,
            )
        )
    return taken


def _readings(one: Sample) -> dict[Counter, tuple[int, int]]:
    """Every counter value in a sample."""
    reported = {
        ("bss", bss.ifname, bss.since or ""): (bss.rx_bytes or 0, bss.tx_bytes or 0)
        for bss in one.bss or ()
    }
    reported |= {(n.role, n.ifname, n.since): (n.rx_bytes, n.tx_bytes) for n in one.net or ()}
    return reported | {
        (p.role, p.ifname, p.since): (p.rx_bytes, p.tx_bytes) for p in one.past or ()
    }


def _bytes_after(first: Sample, rest: list[Sample]) -> dict[Counter, tuple[int, int]]:
    """What each counter that `first` has grew by until its last reading."""
    last: dict[Counter, tuple[int, int]] = {}
    for one in rest:
        last |= _readings(one)
    return {
        counter: (last[counter][0] - rx, last[counter][1] - tx)
        for counter, (rx, tx) in _readings(first).items()
        if counter in last
    }


def _last_readings(samples: list[Sample]) -> dict[Counter, tuple[int, int]]:
    last: dict[Counter, tuple[int, int]] = {}
    for one in samples:
        last |= _readings(one)
    return last


def _merge_some(samples: list[Sample], choose: Callable[[int], int], times: int) -> list[Sample]:
    """Merge `times` pairs, each chosen among all that can be."""
    for _ in range(times):
        pairs = [
            n for n, (older, newer) in enumerate(pairwise(samples)) if _are_halves(older, newer)
        ]
        if pairs:
            at = pairs[choose(len(pairs))]
            samples = [*samples[:at], merge(samples[at], samples[at + 1]), *samples[at + 2 :]]
    return samples


def _are_halves(older: Sample, newer: Sample) -> bool:
    size = older.seq - older.first_seq + 1
    return newer.seq - older.seq == size and not newer.seq % (2 * size)


@pytest.mark.thorough
@given(samples=runs(), data=st.data(), times=st.integers(1, 15))
def test_merging_keeps_every_byte_measured(
    samples: list[Sample], data: st.DataObject, times: int
) -> None:
    """The last value of every counter; so, from any sample on, what each of its counters grew."""

    def choose(count: int) -> int:
        return data.draw(st.integers(0, count - 1))

    merged = _merge_some(samples, choose, times)
    assert _last_readings(samples) == _last_readings(merged)
    for at, one in enumerate(merged[:-1]):
        behind = samples[one.seq :]
        assert _bytes_after(samples[one.seq - 1], behind) == {
            counter: grown
            for counter, grown in _bytes_after(one, merged[at + 1 :]).items()
            if counter in _readings(samples[one.seq - 1])
        }


@given(samples=runs(), data=st.data(), times=st.integers(1, 15))
def test_merging_keeps_time_and_extremes(
    samples: list[Sample], data: st.DataObject, times: int
) -> None:
    """The time covered, the fewest and the most clients, and the newest's own words."""

    def choose(count: int) -> int:
        return data.draw(st.integers(0, count - 1))

    merged = _merge_some(samples, choose, times)
    assert sum(one.covers_ms for one in samples) == sum(one.covers_ms for one in merged)
    for bound in ("clients_min", "clients_max"):
        best = min if bound == "clients_min" else max
        known = [getattr(one, bound) for one in samples]
        kept = [getattr(one, bound) for one in merged]
        assert best((n for n in known if n is not None), default=None) == best(
            (n for n in kept if n is not None), default=None
        )
    for one in merged:
        last = samples[one.seq - 1]
        assert (last.clients, last.agent, last.net) == (one.clients, one.agent, one.net)


@given(samples=runs(), data=st.data())
def test_when_pairs_are_merged_does_not_matter(samples: list[Sample], data: st.DataObject) -> None:
    """Alignment makes the tree unique: any order ends in the same sample, and it can be sent."""

    def choose(count: int) -> int:
        return data.draw(st.integers(0, count - 1))

    first_pairs_first = reduce(
        lambda level, _: [merge(*level[n : n + 2]) for n in range(0, len(level), 2)],
        range(4),
        samples,
    )
    assert first_pairs_first == _merge_some(samples, choose, 15)
    [whole] = first_pairs_first
    assert whole == decode(topics.sample(BARE_SAMPLE.router), encode(whole))
