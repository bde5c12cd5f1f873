"""What two samples say about the time between them."""

import itertools
import random
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from titik_collector.figures.figures import Minutes
from titik_collector.figures.rates import (
    BOOT_UP_MS,
    CLIENT,
    WIRE_BPS,
    Reading,
    Step,
    steps,
)
from titik_collector.figures.table import ADDITIVE, COUNTERS, Figures
from titik_collector.rollups.aggregation import plus
from titik_wire.instant import HOUR_MS, MINUTE_MS

T0 = 1_795_400_000_000 // HOUR_MS * HOUR_MS
BOOTED = T0 - 10_000_000


def reading(at_s: float, **fields: object) -> Reading:
    """A sample of run 1, `at_s` seconds after T0."""
    at_ms = T0 + int(at_s * 1000)
    plain = Reading(1, int(at_s) + 1, at_ms - BOOTED, at_ms, 30_000)
    return plain._replace(**fields)  # type: ignore[arg-type]


def figures(*readings: Reading, bps: float = WIRE_BPS, hours: int = 1) -> Figures:
    """Sums over the hours from T0, without what came before the first sample's own time."""
    minutes = Minutes(T0, T0 + hours * HOUR_MS)
    for step in steps(readings, lambda _: bps):
        minutes.add(step)
    total = Figures()
    for _, one in minutes:
        total = plus(total, one)
    return total


@pytest.mark.parametrize("clients", [None, 3])
def test_the_time_in_which_bytes_may_be_too_low_is_known(clients: int | None) -> None:
    """That of the samples which say so, whether they follow as nearly all do or not."""
    people = dict.fromkeys(("clients", "clients_min", "clients_max", "active", "weak"), clients)
    link = {"wifi": {7: (0, 0)}, "uplink": {("wan", 1): (0, 0)}}
    got = figures(*[
        reading(
            10 + 30 * n, **people, **link, client_ms=n * 90_000, observed_ms=n * 30_000,
            flow_offload=n in (2, 3),
        )
        for n in range(5)
    ])  # fmt: skip
    assert (60_000, 130_000) == (got.flow_offload_ms, got.covered_ms)


def test_a_bss_transmits_what_visitors_download() -> None:
    """The growth of one counter is what flowed, seen from the visitor."""
    got = figures(reading(10, wifi={7: (1000, 50_000)}), reading(40, wifi={7: (1500, 80_000)}))
    assert (30_000, 500, 30_000) == (got.wifi_down_bytes, got.wifi_up_bytes, got.wifi_known_ms)


def test_an_uplink_receives_what_visitors_download() -> None:
    """The uplink's own point of view is turned round."""
    got = figures(
        reading(10, uplink={("wan", 1): (1000, 100)}), reading(40, uplink={("wan", 1): (9000, 400)})
    )
    assert (8000, 300) == (got.uplink_down_bytes, got.uplink_up_bytes)


def test_a_counter_that_falls_gives_nothing() -> None:
    """Not its whole value, and nothing negative; the time is unknown."""
    got = figures(
        reading(10, wifi={7: (5000, 5000)}),
        reading(40, wifi={7: (100, 9000)}),
        reading(70, wifi={7: (300, 9900)}),
    )
    assert (900, 200, 30_000) == (got.wifi_down_bytes, got.wifi_up_bytes, got.wifi_known_ms)


def test_a_new_counter_starts_again() -> None:
    """An interface that was made again has another row; the gap is unknown."""
    got = figures(reading(10, wifi={7: (0, 5000)}), reading(40, wifi={8: (0, 700_000)}))
    assert (0, 0) == (got.wifi_down_bytes, got.wifi_known_ms)


def test_bytes_of_a_counter_that_ended_inside_a_merged_sample_count() -> None:
    """The merged sample has its last value, and that of the new one."""
    got = figures(
        reading(10, wifi={7: (0, 5000)}),
        reading(130, wifi={7: (0, 8000), 8: (0, 400)}),
        reading(160, wifi={8: (0, 600)}),
    )
    assert 3000 + 200 == got.wifi_down_bytes


def test_a_sample_without_counters_costs_resolution_not_bytes() -> None:
    """Rates reach over it."""
    got = figures(reading(10, wifi={7: (0, 1000)}), reading(40), reading(70, wifi={7: (0, 4000)}))
    assert (3000, 60_000) == (got.wifi_down_bytes, got.wifi_known_ms)


def test_more_than_the_line_carries_is_unknown() -> None:
    """10 Mbit/s for 30 s, with a quarter more for bursts and a second for late counters."""
    most = int(10e6 / 8000 * 1.25 * 31_000)
    before = reading(10, uplink={("wan", 1): (0, 0)})
    fits, exceeds = (
        figures(before, reading(40, uplink={("wan", 1): (n, 0)}), bps=10e6)
        for n in (most, most + 1)
    )
    assert (most, 30_000) == (fits.uplink_down_bytes, fits.uplink_known_ms)
    assert (0, 0) == (exceeds.uplink_down_bytes, exceeds.uplink_known_ms)


def test_a_broken_counter_is_no_traffic() -> None:
    """No interface carries 10 Gbit/s: a jump by 2**53 is unknown."""
    assert (
        0
        == figures(
            reading(10, wifi={7: (0, 0)}), reading(40, wifi={7: (0, 2**53 - 1)})
        ).wifi_down_bytes
    )


def test_several_uplinks_are_summed() -> None:
    """Each is a way out of its own."""
    before = reading(10, uplink={("wan", 2): (0, 0), ("wwan0", 1): (0, 0)})
    got = figures(before, reading(40, uplink={("wan", 2): (1080, 9), ("wwan0", 1): (1000, 8)}))
    assert (2080, 17) == (got.uplink_down_bytes, got.uplink_up_bytes)


def test_the_sum_of_uplinks_is_known_if_each_is() -> None:
    """One that restarted or has just come may have carried anything, and an idle one says 0."""
    before = reading(10, uplink={("wan", 2): (9, 9), ("wwan0", 1): (0, 0)})
    for now in ({("wan", 2): (1, 1)}, {("wan", 3): (1, 1)}, {("wan", 2): (9, 9), ("b", 4): (0, 0)}):
        got = figures(before, reading(40, uplink={("wwan0", 1): (0, 0), **now}))
        assert 0 == got.uplink_known_ms


def test_a_lost_start_of_a_run_costs_no_client_time() -> None:
    """The first sample that is there speaks for all that the run had observed."""
    got = figures(reading(600, client_ms=5_000_000, observed_ms=300_000))
    assert (300_000, 5_000_000) == (got.observed_ms, got.client_ms)


def test_client_time_counts_within_a_run() -> None:
    """A new run starts from zero; nothing is taken from the other's count."""
    got = figures(
        reading(100, client_ms=0, observed_ms=0),
        reading(130, client_ms=90_000, observed_ms=30_000),
        reading(160, run_id=2, client_ms=0, observed_ms=0),
        reading(190, run_id=2, client_ms=60_000, observed_ms=30_000),
    )
    assert (60_000, 150_000) == (got.observed_ms, got.client_ms)


def test_more_time_observed_than_passed_is_unknown() -> None:
    """A broken router adds no endless sums."""
    got = figures(
        reading(10, client_ms=0, observed_ms=0), reading(40, client_ms=9, observed_ms=2**53 - 1)
    )
    assert (0, 0) == (got.observed_ms, got.client_ms)


def rounds(at_s: float, answered: int | None, made: int | None, **fields: object) -> Reading:
    """A sample with the rounds of `reach` that were answered and made so far."""
    known = {"reach_answered": answered, "reach_rounds": made}
    return reading(at_s, counted=tuple(known.get(name) for name in COUNTERS), **fields)


def answered(*readings: Reading) -> tuple[int, int]:
    """How many rounds were answered, and how many were made."""
    found = figures(*readings)
    return found.reach_answered, found.reach_rounds


def test_rounds_count_between_samples_of_a_run() -> None:
    """The next run begins at zero; nothing is taken from what the other had counted."""
    run = [rounds(10, 5, 5), rounds(40, 6, 6), rounds(70, 6, 7)]
    next_run = [rounds(100, 8, 9, run_id=2), rounds(130, 9, 10, run_id=2)]
    assert (1 + 1, 2 + 1) == answered(*run, *next_run)


def test_rounds_that_no_sample_reports_are_not_known() -> None:
    """A sample without `reach`, or of an agent that counts no answers, adds none."""
    known, silent, older = rounds(10, 5, 5), rounds(40, None, None), rounds(40, None, 6)
    assert [(0, 0), (0, 0)] == [answered(known, one, rounds(70, 7, 7)) for one in (silent, older)]


@pytest.mark.parametrize("claimed", [(2, 1), (32, 32), (2**53 - 1, 2**53 - 1)])
def test_rounds_that_cannot_be_are_not_known(claimed: tuple[int, int]) -> None:
    """More answers than rounds, or more than one a second, and a second for one that was late."""
    answers, made = claimed
    assert (0, 0) == answered(rounds(10, 0, 0), rounds(40, answers, made))
    assert (31, 31) == answered(rounds(10, 0, 0), rounds(40, 31, 31))


def test_a_router_ran_a_while_before_its_first_sample() -> None:
    """Ten minutes, but not before it was switched on."""
    long_up, short_up = (
        figures(one).up_ms for one in (reading(900), reading(900, uptime_ms=45_000))
    )
    assert (BOOT_UP_MS, 45_000) == (long_up, short_up)


def test_a_router_ran_between_samples_of_a_boot() -> None:
    """Also for hours in which no sample is there; covered is only what samples cover."""
    got = figures(reading(0), reading(3500))
    assert (3_500_000, 30_000) == (got.up_ms, got.covered_ms)


def test_a_clock_that_is_set_back_moves_bytes_but_doubles_none() -> None:
    """What passed between two samples is as long as the uptime says."""
    before = reading(3000, wifi={7: (0, 0)})
    after = reading(1800, uptime_ms=before.uptime_ms + 30_000, wifi={7: (0, 600)})
    got = figures(before, after)
    assert (600, 30_000) == (got.wifi_down_bytes, got.wifi_known_ms)


def test_samples_never_cover_the_same_time_twice() -> None:
    """A sample covers at most back to the one before it."""
    got = figures(reading(600), reading(610, covers_ms=300_000))
    assert 40_000 == got.covered_ms


def test_the_peak_is_that_of_the_busiest_pair() -> None:
    """Not of the minute's mean."""
    minutes = Minutes(T0, T0 + MINUTE_MS)
    for step in steps(
        [
            reading(0, wifi={7: (0, 0)}),
            reading(10, wifi={7: (0, 1_000_000)}),
            reading(60, wifi={7: (0, 1_500_000)}),
        ],
        lambda _: 1e9,
    ):
        minutes.add(step)
    assert [800_000] == [one.wifi_down_peak_bps for _, one in minutes]


@pytest.mark.parametrize("lines", [1, 2])
@given(seed=st.integers(0, 2**32))
def test_a_bss_that_comes_and_goes_changes_nothing(seed: int, lines: int) -> None:
    """With it no sample is of the kind that follows as nearly all do, and is read at once."""
    rand = random.Random(seed)
    walk = list(_walk(rand, samples=50))
    if lines == 2:
        walk = [
            one._replace(uplink={**one.uplink, ("wwan0", 99): (0, 0)} if one.uplink else {})
            for one in walk
        ]
    beside = [
        one._replace(wifi={**one.wifi, 100 + number: (0, 0)} if one.wifi else {})
        for number, one in enumerate(walk)
    ]
    bps = rand.choice((WIRE_BPS, 1e6))
    alone, both = Minutes(T0, T0 + HOUR_MS), Minutes(T0, T0 + HOUR_MS)
    for readings, minutes in ((walk, alone), (beside, both)):
        for step in steps(readings, lambda _: bps):
            minutes.add(step)
    assert dict(both) == dict(alone)


def _walk(rand: random.Random, samples: int) -> Iterator[Reading]:
    """Samples of a boot that mostly follow each other as they should."""
    at_s, shift_ms, run_id = 600.0, 0, 1
    wifi, wan = {n: (10**6, 10**6) for n in (1, 2)}, (10**6, 10**6)
    client_ms = observed_ms = busy_ms = active_ms = made = 0
    for _ in range(samples):
        odd = rand.choice(_ODD) if rand.random() < 0.4 else ""
        passed_ms = rand.choice((30_000, 29_990, 5000, 400))
        at_s += passed_ms / 1000
        shift_ms = rand.choice((-50, 90, -4000, -40_000)) if odd == "clock" else shift_ms
        run_id += odd == "run"
        clients = rand.choice((70_000, 65_535)) if odd == "clients" else rand.randrange(40)
        if odd == "run":
            client_ms = observed_ms = 0
        client_ms += clients * passed_ms * (10_000 if odd == "client_ms" else 1)
        observed_ms += passed_ms * (3 if odd == "observed" else 1)
        busy_ms += passed_ms * (2 if odd == "busy" else 0) + passed_ms // 3
        active_ms += passed_ms * (40 if odd == "active" else 1)
        made = 0 if odd == "run" else made + rand.randrange(4)
        most = 10**12 if odd == "bytes" else 10**6
        wifi = {
            n: (a + rand.randrange(most), b + rand.randrange(10**6)) for n, (a, b) in wifi.items()
        }
        wan = wan[0] + rand.randrange(most), wan[1] + rand.randrange(10**6)
        if odd == "falls":
            wifi, wan = rand.choice((({**wifi, 1: (0, 10**7)}, wan), (wifi, (5, 5))))
        if odd == "interface":
            wifi = {max(wifi) + 1: (0, 0), max(wifi): wifi[max(wifi)]}
        covers_ms = rand.choice((0, 10**10, 50)) if odd == "covers" else passed_ms
        one = reading(
            at_s, run_id=run_id, covers_ms=covers_ms, clients=clients, clients_min=clients,
            clients_max=clients + 1, active=clients // 2, weak=clients // 3, client_ms=client_ms,
            observed_ms=observed_ms, counted=(busy_ms, active_ms, made // 2, made),
            wifi=wifi, uplink={("wan", 3): wan},
        )  # fmt: skip
        one = one._replace(at_ms=one.at_ms + shift_ms)
        if odd == "missing":
            lacks = rand.choice(Reading._fields[5:])
            one = one._replace(**{lacks: Reading._field_defaults[lacks]})
        yield one


_ODD = (
    "clock", "run", "clients", "client_ms", "observed", "busy", "active", "bytes", "falls",
    "interface", "covers", "missing",
)  # fmt: skip


@given(
    cuts=st.lists(st.integers(1, 3 * HOUR_MS), min_size=1, max_size=6, unique=True),
    amount=st.integers(0, 2**53 - 1),
    from_ms=st.integers(T0 - HOUR_MS, T0 + HOUR_MS),
)
def test_parts_sum_to_the_whole_however_time_is_cut(
    cuts: list[int], amount: int, from_ms: int
) -> None:
    """Minutes of any stretches, computed apart, sum to exactly what was spread."""
    edges = sorted({T0 - 2 * HOUR_MS, T0 + 6 * HOUR_MS, *(_whole(T0 + cut) for cut in cuts)})
    step = Step(
        from_ms, from_ms + cuts[0], [amount if one == CLIENT else 0 for one in range(len(ADDITIVE))]
    )
    found = {}
    for start_ms, end_ms in itertools.pairwise(edges):
        minutes = Minutes(start_ms, end_ms)
        minutes.add(step)
        found.update({at_ms: one.client_ms for at_ms, one in minutes})
    assert amount == sum(found.values())
    at_once = Minutes(edges[0], edges[-1])
    at_once.add(step)
    assert found == {at_ms: one.client_ms for at_ms, one in at_once}


def _whole(at_ms: int) -> int:
    return at_ms - at_ms % MINUTE_MS


def test_deltas_sum_to_the_growth_of_the_counter() -> None:
    """Of a day with jitter, in which a third of the samples is lost."""
    rand = random.Random(5)
    history, at_s, count = [], 0.0, 0
    while at_s < 5 * 3600:
        history.append(reading(at_s, wifi={7: (count // 3, count)}))
        at_s += rand.choice((30, 30.25, 5, 61))
        count += rand.randrange(10**8)
    kept = [history[0], *(one for one in history[1:-1] if rand.random() > 0.3), history[-1]]
    got = figures(*kept, hours=6)
    assert history[-1].wifi[7] == (got.wifi_up_bytes, got.wifi_down_bytes)
    assert history[-1].at_ms - history[0].at_ms == got.wifi_known_ms
