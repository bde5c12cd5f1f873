"""Minutes are the same in whatever stretches they are computed, however a router's clock is set."""

import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cases import few
from tests.collector.build import (
    BOOT,
    RUN,
    T0,
    Registered,
    all_readings,
    opened,
    readings_of,
    rebuild,
    sample,
)
from titik_collector.figures.figures import EMPTY, Minutes
from titik_collector.figures.rates import WIRE_BPS, Reading, steps
from titik_collector.figures.table import ADDITIVE, Figures
from titik_collector.figures.windows import Span
from titik_collector.ingest.batch import BatchWriter
from titik_collector.limits import MAX_AHEAD_MS, MAX_BEHIND_MS
from titik_collector.received import Arrived
from titik_collector.rollups.worker import Rollups
from titik_collector.store import rollups
from titik_collector.store.rollups import Series
from titik_collector.store.sqlite import SqliteDatabase
from titik_wire import codec
from titik_wire.instant import HOUR_MS, MINUTE_MS
from titik_wire.messages import Reach, Sample

START = T0 // MINUTE_MS * MINUTE_MS
EVER = Span(START - 60 * MINUTE_MS, START + 24 * 60 * MINUTE_MS)
SECOND_RUN = "0b2c41d07be35a61"
NEVER_SET_MS = 1_700_000_000_000
# How far the clock is off: as believed of a router that is heard, but for what arrivals differ by.
WRONG_MS = (0, 0, 1, -1000, 1000, -20_000, 40_000, 1000 - MAX_BEHIND_MS, MAX_AHEAD_MS)
SPACES_MS = (1000, 1000, 7000, 29_990, 30_000, 30_000, 61_000, 400_000)


class Walk:
    """One boot of a router whose clock is set back and forward, drawn at random."""

    def __init__(self, rand: random.Random, *, lacking: bool = True) -> None:
        """`lacking`: samples lack counters, client time or a clock here and there."""
        self._rand, self._lacking = rand, lacking
        self._true_ms = START + rand.randrange(MINUTE_MS)
        self._uptime_ms = rand.choice((40_000, 1_000_000))
        self._wrong_ms = 0
        self.lived_ms = 0  # between the first sample of each run and its last
        self.rounds = 0  # between these too
        self.arrivals: list[Arrived] = []
        space_ms = rand.choice(SPACES_MS[:6])
        for run in (RUN, SECOND_RUN)[: rand.choice((1, 1, 2))]:
            self._live(run, rand.randrange(3, 60), space_ms)

    def _live(self, run: str, samples: int, space_ms: int) -> None:
        rand, observed_ms, lacks = self._rand, 0, ""
        for seq in range(1, samples + 1):
            passed_ms = rand.choice((space_ms, space_ms, space_ms, rand.choice(SPACES_MS)))
            self._true_ms, self._uptime_ms = self._true_ms + passed_ms, self._uptime_ms + passed_ms
            observed_ms += passed_ms if seq > 1 else 0
            if rand.random() < 0.2:
                self._wrong_ms = rand.choice(WRONG_MS)
            if self._lacking and rand.random() < 0.3:
                lacks = rand.choice(("", "", "clients", "bss", "net", "clock", "reach"))
            taken = replace(
                sample(seq, run=run, covers_ms=passed_ms if seq > 1 else 0),
                uptime_ms=self._uptime_ms,
                taken_at=self._true_ms + self._wrong_ms,
                client_ms=3 * observed_ms,
                observed_ms=observed_ms,
                bss=tuple(replace(one, **self._counters()) for one in sample(1).bss or ()),
                net=tuple(replace(one, **self._counters()) for one in sample(1).net or ()),
                reach=Reach(attempts=seq - 1, answered=seq // 2),
            )
            self._deliver(_without(taken, lacks))
        self.lived_ms += observed_ms
        self.rounds += samples - 1

    def _counters(self) -> dict[str, Any]:
        """A thousand bytes a millisecond since the boot."""
        return {"rx_bytes": 1000 * self._uptime_ms, "tx_bytes": 1000 * self._uptime_ms}

    def _deliver(self, one: Sample) -> None:
        at_ms = self._true_ms + self._rand.randrange(50, 500)
        self.arrivals.append(Arrived(one, codec.encode(one), True, at_ms))


def _without(one: Sample, lacks: str) -> Sample:
    if lacks == "clients":
        return replace(one, client_ms=None, observed_ms=None)
    if lacks == "clock":
        return replace(one, clock="guess", taken_at=NEVER_SET_MS + one.uptime_ms)
    return replace(one, **{lacks: None}) if lacks else one  # type: ignore[arg-type]


def stored(db: SqliteDatabase, arrivals: Sequence[Arrived]) -> int:
    """Save them; the row of their boot."""
    BatchWriter(db, Registered()).save(arrivals)
    (boot_id,) = db.execute("SELECT id FROM boot WHERE token = ?", (BOOT,)).fetchone()
    return int(boot_id)


def minutes(readings: Sequence[Reading], span: Span) -> dict[int, Figures]:
    """What readings give in a stretch."""
    found = Minutes(*span)
    for step in steps(readings, lambda _: WIRE_BPS):
        found.add(step)
    return {start_ms: one for start_ms, one in found if one != EMPTY}


def whole(db: SqliteDatabase, boot_id: int) -> dict[int, Figures]:
    """What all samples of a boot give, walked once from end to end."""
    return minutes(all_readings(db, boot_id), EVER)


def stretches(rand: random.Random, last_ms: int) -> Iterator[Span]:
    """Whole minutes of all time, cut anywhere."""
    from_ms = EVER.start_ms
    while from_ms < EVER.end_ms:
        near = START - 20 * MINUTE_MS <= from_ms <= last_ms + 5 * MINUTE_MS
        length = rand.choice((1, 1, 1, 2, 5)) if near else 10
        yield Span(from_ms, from_ms + length * MINUTE_MS)
        from_ms += length * MINUTE_MS


@pytest.mark.thorough
@given(seed=st.integers(0, 2**32))
def test_a_stretch_has_what_the_whole_boot_has_in_it(seed: int) -> None:
    """Where order by uptime and order by stamp differ near its ends, too."""
    rand = random.Random(seed)
    walk = Walk(rand)
    with tempfile.TemporaryDirectory() as folder, opened(Path(folder) / "db") as db:
        boot_id = stored(db, walk.arrivals)
        apart: dict[int, Figures] = {}
        for span in stretches(rand, walk.arrivals[-1].arrived_ms):
            apart |= minutes(readings_of(db, boot_id, span), span)
        assert whole(db, boot_id) == apart


@pytest.mark.thorough
@given(seed=st.integers(0, 2**32))
def test_minutes_computed_as_samples_come_are_those_of_the_whole_boot(seed: int) -> None:
    """Whatever the worker computes when, and in whatever order the samples come."""
    rand = random.Random(seed)
    walk = Walk(rand)
    if rand.random() < 0.3:
        rand.shuffle(walk.arrivals)
    with tempfile.TemporaryDirectory() as folder, opened(Path(folder) / "db") as db:
        boot_id = roll_as_they_come(db, walk.arrivals, rand)
        assert whole(db, boot_id) == rolled(db)


@pytest.mark.thorough
@given(seed=st.integers(0, 2**32))
def test_the_minutes_of_a_router_are_what_it_lived(seed: int) -> None:
    """All its client time and bytes, once each, however its clock is set back and forward."""
    rand = random.Random(seed)
    walk = Walk(rand, lacking=False)
    with tempfile.TemporaryDirectory() as folder, opened(Path(folder) / "db") as db:
        roll_as_they_come(db, walk.arrivals, rand)
        found = rolled(db).values()
    first, *_, last = [one.sample.uptime_ms for one in walk.arrivals]
    sums = {name: sum(getattr(one, name) for one in found) for name in ADDITIVE}
    assert (walk.lived_ms, 3 * walk.lived_ms) == (sums["observed_ms"], sums["client_ms"])
    assert walk.rounds == sums["reach_rounds"]
    assert [1000 * (last - first)] * 4 == [
        sums[f"{link}_{way}_bytes"] for link in ("wifi", "uplink") for way in ("down", "up")
    ]


def roll_as_they_come(db: SqliteDatabase, arrivals: Sequence[Arrived], rand: random.Random) -> int:
    """Save them in batches, and roll up between these; the row of their boot."""
    now_ms, boot_id, todo = START, 0, list(arrivals)
    worker = Rollups(db, ZoneInfo("Asia/Makassar"), lambda: now_ms, grace_ms=0)
    while todo:
        size = rand.choice((1, 2, 5, 20))
        now_ms = max([now_ms, *(one.arrived_ms for one in todo[:size])])
        boot_id = stored(db, todo[:size])
        del todo[:size]
        while worker.work(10, time.monotonic):
            pass
    now_ms += 10 * MINUTE_MS
    while worker.work(10, time.monotonic):
        pass
    return boot_id


def rolled(db: SqliteDatabase) -> dict[int, Figures]:
    """The router's minutes as they are stored; none that nothing is known of."""
    rows = rollups.read(db, Series("router", 1, "1m"), Span(0, 2**60))
    return {start_ms: row.figures for start_ms, row in rows.items() if row.figures != EMPTY}


def a_second(n: int, wrong_ms: int, waited_ms: int = 0) -> Arrived:
    """The sample of second `n` of the minute, by a clock that is wrong; later if it waited."""
    true_ms = START + n * 1000 + 500 + waited_ms
    passed_ms = 1000 * (n - 1) + waited_ms
    one = replace(
        sample(n, covers_ms=1000 if n > 1 else 0),
        uptime_ms=1_000_000 + passed_ms,
        taken_at=true_ms + wrong_ms,
        client_ms=3 * passed_ms,
        observed_ms=passed_ms,
    )
    return Arrived(one, codec.encode(one), True, true_ms + 50)


@pytest.mark.parametrize("late_ms", [-2, 2])
@pytest.mark.parametrize("set_after", few(2, range(59, 63)))
def test_a_clock_set_back_at_the_end_of_a_minute_loses_nothing_of_it(
    tmp_path: Path, set_after: int, late_ms: int
) -> None:
    """Two samples of a second beyond the end reach into it, and their stamps are 2 ms apart."""
    arrivals = [a_second(n, late_ms - 1000 if n >= set_after else 0) for n in range(1, 121)]
    span = Span(START, START + MINUTE_MS)
    with opened(tmp_path / "db") as db:
        boot_id = stored(db, arrivals)
        everything = all_readings(db, boot_id)
        found = readings_of(db, boot_id, span)
        assert minutes(everything, span) == minutes(found, span)


def test_a_clock_set_back_within_a_batch_brings_back_the_minute_before(tmp_path: Path) -> None:
    """Its stamps rise: the second waited half a minute, in which the clock was set back so far."""
    arrivals = [a_second(n, 0) for n in range(1, 64)]
    with opened(tmp_path / "db") as db:
        now_ms = START + 63_000
        worker = Rollups(db, ZoneInfo("Asia/Makassar"), lambda: now_ms, grace_ms=0)
        stored(db, arrivals[:62])
        rebuild(db, worker)
        boot_id = stored(db, [arrivals[62], a_second(64, -29_000, waited_ms=29_000)])
        now_ms += 30_000
        while worker.work(10, time.monotonic):
            pass
        minute = Span(START, START + MINUTE_MS)
        everything = all_readings(db, boot_id)
        assert minutes(everything, minute)[START] == rolled(db)[START]


def test_a_batch_before_a_sample_whose_clock_was_set_back_takes_all_it_stood_for(
    tmp_path: Path,
) -> None:
    """The first of a boot stands for ten minutes before it; the batch begins later than these."""
    batch = [a_second(n, 0) for n in range(1, 6)]
    with opened(tmp_path / "db") as db:
        worker = Rollups(db, ZoneInfo("Asia/Makassar"), lambda: START + HOUR_MS, grace_ms=0)
        for arrivals in ([a_second(20, -29_000)], batch):
            boot_id = stored(db, arrivals)
            while worker.work(10, time.monotonic):
                pass
        assert whole(db, boot_id) == rolled(db)
