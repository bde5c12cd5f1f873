"""What no router can have taken changes no figure."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.collector.build import (
    OLD_RUN,
    RUN,
    T0,
    Registered,
    conservation,
    opened,
    received,
    sample,
)
from tests.collector.test_store import NOW, malformed, save
from titik_collector.ingest.batch import BatchWriter
from titik_collector.ingest.items import to_item
from titik_collector.ingest.plausible import MIN_SPACING_MS, SPARE
from titik_collector.limits import MAX_LEAP, MAX_UPTIME_MS
from titik_collector.store import conservation as check
from titik_wire.messages import AckedRun, Held

TOP = 2**53 - 1
UPTIME_MS = 3_600_000
MOST = SPARE + UPTIME_MS // MIN_SPACING_MS


@pytest.mark.parametrize(
    ("seq", "uptime_ms", "stored"),
    [
        (MOST, UPTIME_MS, 1),
        (MOST + 1, UPTIME_MS, 0),
        (TOP, UPTIME_MS, 0),
        (TOP, TOP, 0),
        (SPARE + MAX_UPTIME_MS // MIN_SPACING_MS + 1, TOP, 0),
    ],
)
def test_a_seq_that_the_boot_has_no_time_for_is_refused_and_not_counted(
    tmp_path: Path, seq: int, uptime_ms: int, stored: int
) -> None:
    """One message would make the city's losses absurd for ever."""
    with opened(tmp_path / "db") as db:
        store = BatchWriter(db, Registered())
        save(store, sample(1))
        odd = sample(seq, lowest=seq, uptime_ms=uptime_ms, taken_at=T0, bss=None, net=None)
        saved = save(store, replace(odd, client_ms=None, observed_ms=None, covers_ms=0))

        assert (stored, 1 - stored) == (saved.stored, saved.malformed)
        lost = seq - 2 if stored else 0
        assert {RUN: (seq if stored else 1, 1 + stored, 0, lost, 0)} == conservation(db)
        assert 1 - stored == db.execute("SELECT count(*) FROM quarantine").fetchone()[0]


def test_an_older_run_with_too_much_is_reported_is_not_believed(tmp_path: Path) -> None:
    """What it really holds is accounted as it comes."""
    with opened(tmp_path / "db") as db:
        store = BatchWriter(db, Registered())
        save(store, sample(1, others=[Held(OLD_RUN, (MAX_LEAP + 1, MAX_LEAP + 1))]))
        assert [RUN] == list(conservation(db))
        save(store, sample(2, others=[Held(OLD_RUN, (MAX_LEAP, MAX_LEAP))]))

        assert (MAX_LEAP, 0, 0, MAX_LEAP - 1, 1) == conservation(db)[OLD_RUN]


def test_a_broken_message_cannot_refuse_more_than_a_run_can_have(tmp_path: Path) -> None:
    """Its beginning is kept; nothing is counted."""
    broken = f'{{"v":1,"run":"{RUN}","first_seq":1,"seq":{2**52}}}'.encode()
    with opened(tmp_path / "db") as db:
        store = BatchWriter(db, Registered())
        save(store, sample(1))
        store.save([to_item(malformed(broken), NOW)])

        assert {RUN: (1, 1, 0, 0, 0)} == conservation(db)
        assert 1 == db.execute("SELECT count(*) FROM quarantine").fetchone()[0]


def test_a_floor_above_the_sample_itself_is_none(tmp_path: Path) -> None:
    """Its own sample is in its spool when it is taken; nothing that comes later is lost."""
    lie = replace(sample(1), spool=(Held(RUN, (TOP, TOP)),))
    with opened(tmp_path / "db") as db:
        store = BatchWriter(db, Registered())
        store.save([to_item(received(lie), NOW)])
        save(store, sample(9, lowest=2))

        assert {RUN: (9, 2, 0, 0, 7)} == conservation(db)
        assert (AckedRun(RUN, 1, ((9, 9),)),) == store.acks({1: "tirosa-1"})[0].runs
        assert [] == check.findings(db)
