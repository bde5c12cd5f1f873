"""A flood: accepted by its heads and committed as it came, placed in time afterwards."""

import random
import zlib
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.collector.build import (
    RUN,
    T0,
    Registered,
    conservation,
    letter,
    opened,
    rows,
    sample,
)
from tests.collector.test_ingest import FakeLink
from tests.collector.test_store import content, save
from tests.wire.strategies import messages
from titik_collector import check, ingest, quick
from titik_collector.caps import Caps
from titik_collector.ingest import PLACED_A_SECOND, Ingest, Letter, glimpse
from titik_collector.store import Glimpsed, Store
from titik_wire import codec, topics
from titik_wire.messages import Ack, AckedRun, Held, Sample

NOW = T0 + 3_600_000


def flood(store: Store, *letters: Letter) -> None:
    """As of a batch too large to be placed at once."""
    store.save([glimpse(one, NOW) for one in letters], place=False)


def drain(store: Store) -> None:
    """Place everything that waits."""
    while store.waiting:
        store.place_waiting(1)


def broken(seq: int) -> Letter:
    """A sample whose head is right and whose end breaks the contract."""
    right = letter(sample(seq))
    return right._replace(payload=right.payload.replace(b'"weak":0', b'"weak":-1'))


def test_what_waits_is_acked_and_not_yet_a_row(tmp_path: Path) -> None:
    """Committed is what the router has to know."""
    with opened(tmp_path / "db") as db:
        store = Store(db, Registered())
        flood(store, *(letter(sample(n)) for n in range(1, 101)))

        assert (100, []) == (store.waiting, rows(db))
        assert (AckedRun(RUN, 100),) == store.ack(1, "tirosa-1").runs
        assert [] == check.findings(db)
        drain(store)
        assert [(n, n) for n in range(1, 101)] == rows(db)
        assert [] == check.findings(db)


@pytest.mark.parametrize("seed", range(6))
def test_a_flood_ends_as_the_same_samples_one_by_one(tmp_path: Path, seed: int) -> None:
    """Floods, quiet batches, repetition, merging and steps of placing, in any order."""
    rand = random.Random(seed)
    history = [sample(n, lowest=max(1, n - 3)) for n in range(1, 65) if n not in (7, 21)]
    history += [sample(8, 5), sample(12, 9), sample(16, 9), sample(32, 31), sample(64, 33)]
    history += [sample(65, others=[Held("0a2c41d07be35a60", (1, 4))])]
    history += [sample(n, run="0a2c41d07be35a60", boot="0" * 8) for n in range(1, 5)]
    with opened(tmp_path / "a") as one_by_one, opened(tmp_path / "b") as flooded:
        save(Store(one_by_one, Registered()), *history)
        mixed = [(one, False) for one in history * 3] + [(one, True) for one in history]
        rand.shuffle(mixed)
        store = Store(flooded, Registered())
        while mixed:
            batch = [mixed.pop() for _ in range(min(len(mixed), rand.randrange(1, 60)))]
            letters = [letter(one, live and one.first_seq == one.seq) for one, live in batch]
            if rand.random() < 0.5:
                flood(store, *letters)
            else:
                store.save([ingest.to_item(one, NOW) for one in letters])
            if rand.random() < 0.3:
                store.place_waiting(1)
            assert conservation(flooded)
        drain(store)

        assert content(one_by_one) == content(flooded)
        assert [] == check.findings(flooded)


def test_a_collector_that_dies_places_what_waits_when_it_is_back(tmp_path: Path) -> None:
    """What waits is in the store, not in memory."""
    with opened(tmp_path / "db") as db:
        flood(Store(db, Registered()), *(letter(sample(n)) for n in range(1, 200)))
    with opened(tmp_path / "db") as db:
        store = Store(db, Registered())
        assert 199 == store.waiting
        drain(store)

        assert 199 == len(rows(db))


def test_a_later_batch_waits_behind_the_flood(tmp_path: Path) -> None:
    """One order of placing; the last word on a range is the last accepted."""
    with opened(tmp_path / "db") as db:
        store = Store(db, Registered())
        flood(store, letter(sample(1)), letter(sample(2)))
        save(store, sample(2, 1))
        assert (3, []) == (store.waiting, rows(db))
        drain(store)

        assert [(1, 2)] == rows(db)


def test_poison_behind_a_good_head_is_refused_in_the_end(tmp_path: Path) -> None:
    """Settled either way, so the ack stands; accounted as what it is."""
    with opened(tmp_path / "db") as db:
        store = Store(db, Registered())
        flood(store, letter(sample(1)), broken(2), letter(sample(3)))
        assert {RUN: (3, 3, 0, 0, 0)} == conservation(db)
        drain(store)

        assert {RUN: (3, 2, 1, 0, 0)} == conservation(db)
        assert [(1, 1), (3, 3)] == rows(db)
        assert (AckedRun(RUN, 3),) == store.ack(1, "tirosa-1").runs
        assert [("bss[0].weak: must be 0 to 1000000",)] == db.execute(
            "SELECT rule FROM quarantine"
        ).fetchall()
        assert [] == check.findings(db)


def test_a_good_sample_after_poison_of_its_seq_is_stored(tmp_path: Path) -> None:
    """As everywhere: refused becomes stored when it comes whole."""
    with opened(tmp_path / "db") as db:
        store = Store(db, Registered())
        flood(store, broken(1))
        drain(store)
        save(store, sample(1))

        assert {RUN: (1, 1, 0, 0, 0)} == conservation(db)


def test_a_merged_sample_is_read_whole_at_once(tmp_path: Path) -> None:
    """A false range could swallow true rows; so it is poison before it is accepted."""
    wrong = letter(sample(4, 1))
    wrong = wrong._replace(payload=wrong.payload.replace(b'"weak":0', b'"weak":-1'))
    with opened(tmp_path / "db") as db:
        store = Store(db, Registered())
        flood(store, letter(sample(1)), wrong)

        assert {RUN: (4, 1, 3, 0, 0)} == conservation(db)


def test_new_interfaces_of_a_flood_are_counted_once(tmp_path: Path) -> None:
    """The same two interfaces in a thousand samples are two rows, whatever waits."""
    with opened(tmp_path / "db") as db:
        store = Store(db, Registered())
        flood(store, *(letter(sample(n)) for n in range(1, 1001)))
        save(store, *(sample(n) for n in range(1001, 1011)))
        drain(store)

        assert 1010 == len(rows(db))
        assert [(2,)] == db.execute("SELECT count(*) FROM interface").fetchall()


def test_a_flood_of_new_interfaces_is_refused(tmp_path: Path) -> None:
    """A stolen key must not fill a disk this way either."""
    with opened(tmp_path / "db") as db:
        store = Store(db, Registered(), Caps(samples=5000))
        made = [sample(n, boot=f"{n:08x}") for n in range(1, 151)]
        flood(store, *(letter(one) for one in made))
        drain(store)

        assert (300,) == db.execute("SELECT count(*) FROM interface").fetchone()
        flood(store, *(letter(sample(n, net=None, bss=_radios(n))) for n in range(151, 1000)))
        drain(store)
        assert (1000,) == db.execute("SELECT count(*) FROM interface").fetchone()
        taken, stored, refused, *_ = conservation(db)[RUN]
        assert (999, 999) == (taken, stored + refused)
        assert stored == len(rows(db)) == 850


def _radios(n: int) -> object:
    bss = sample(1).bss
    assert bss
    return tuple(type(bss[0])("phy0-ap0", since=f"n{n}", rx_bytes=1, tx_bytes=1) for _ in "1")


def test_a_damaged_row_of_what_waits_is_told(tmp_path: Path) -> None:
    """`titik db check` reads it."""
    with opened(tmp_path / "db") as db:
        flood(Store(db, Registered()), letter(sample(1)))
        db.execute("UPDATE waiting SET packed = ?", (zlib.compress(b"\x91\x01"),))

        assert ["waiting row 1: damaged: Expected `array`, got `int` - at `$[0]`"] == [
            one for one in check.findings(db)
        ]


def test_a_damaged_row_holds_up_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is said, and what waits behind it is placed."""
    with opened(tmp_path / "db") as db:
        store = Store(db, Registered())
        flood(store, *(letter(sample(n)) for n in range(1, 101)))
        db.execute("UPDATE waiting SET packed = x'00' WHERE id = 1")
        drain(store)

        assert (0, 36) == (store.waiting, len(rows(db)))
        assert "samples that waited are damaged" in caplog.text


def batch(count: int) -> Sequence[Letter]:
    return [letter(sample(n)) for n in range(1, count + 1)]


@pytest.mark.parametrize("over", [0, 1])
def test_only_a_flood_is_placed_later(tmp_path: Path, over: int) -> None:
    """A quiet collector writes each sample once; what counts is a second, not a batch."""
    now = [5.0]
    batches = [
        batch(100),
        batch(300)[100:],
        batch(PLACED_A_SECOND + over)[300:],
        batch(PLACED_A_SECOND + 1)[PLACED_A_SECOND:],
    ]
    with opened(tmp_path / "db") as db:
        store, link = Store(db, Registered()), FakeLink(*batches)
        taking = Ingest(link, link, store, lambda: NOW, lambda: now[0])
        for now[0] in (5.0, 5.2, 5.9):
            taking.step(0.0)
        assert over * (PLACED_A_SECOND - 300 + over) == store.waiting
        drain(store)
        now[0] = 6.3  # of the second before, some 500 are left
        taking.step(0.0)

        assert 0 == store.waiting


def test_a_full_store_of_waiting_samples_reads_them_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then poison is refused at the door again, as in quiet times."""
    monkeypatch.setattr(ingest, "MAX_WAITING", 10)
    with opened(tmp_path / "db") as db:
        store = Store(db, Registered())
        flood(store, *batch(10))
        link = FakeLink([*batch(600)[10:], broken(601)])
        Ingest(link, link, store, lambda: NOW).step(0.0)

        assert {RUN: (601, 600, 1, 0, 0)} == conservation(db)


@given(messages(Sample))
def test_the_head_is_that_of_the_whole(one: Sample) -> None:
    """Or there is none, at any doubt."""
    topic = topics.backlog(one.router)
    payload = codec.encode(one)
    found = quick.head(topic, payload)
    if found is not None:
        assert one.first_seq == one.seq
        assert (one.router, one.run, one.first_seq, one.seq, one.spool, one.boot) == found


@given(st.binary(max_size=200))
def test_any_bytes_have_a_head_or_none(payload: bytes) -> None:
    """It is total, and what it doubts `to_item` reads."""
    for data in (payload, b'{"v":1,' + payload):
        item = glimpse(Letter(topics.backlog("r"), data, (1, 1)), NOW)
        assert not isinstance(item, Glimpsed)


def test_acks_of_a_flood_are_said_together(tmp_path: Path) -> None:
    """A router need not hear of each batch; when the flood is over it hears of all."""
    now = [5.0]
    with opened(tmp_path / "db") as db:
        store, link = Store(db, Registered()), FakeLink(batch(600), batch(700)[600:])
        taking = Ingest(link, link, store, lambda: NOW, lambda: now[0])
        for now[0] in (5.0, 5.01, 5.02):
            taking.step(0.0)

    said = [codec.decode(topic, payload) for topic, payload in link.published]
    assert [(AckedRun(RUN, 600),), (AckedRun(RUN, 700),)] == [
        one.runs for one in said if isinstance(one, Ack)
    ]
    assert ["puback 600", "publish", "puback 100", "publish"] == [
        one.split(" titik")[0] for one in link.happened
    ]
