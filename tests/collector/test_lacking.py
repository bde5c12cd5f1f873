"""A store that lacks what it once acknowledged names it, as far as routers can send it again."""

from pathlib import Path

from tests.collector.build import OLD_RUN, RUN, Registered, conservation, opened, sample
from tests.collector.test_store import save
from titik_collector.ingest.batch import BatchWriter
from titik_collector.store import conservation as check
from titik_collector.store.conservation import SampleTotals
from titik_wire.messages import Ack, AckedRun, Held, Sample, Span

OWN = {1: "tirosa-1"}


def keeping(seq: int, kept: Span | None, *others: Held, run: str = RUN) -> Sample:
    """A sample of a router that holds nothing else, and can send these again."""
    own = () if kept is None else (Held(run, kept),)
    return sample(seq, lowest=seq, run=run, kept=(*own, *others))


def acked(store: BatchWriter) -> tuple[AckedRun, ...]:
    """What the router's ack lists."""
    return store.acks(OWN)[0].runs


def test_what_a_router_keeps_and_the_store_lacks_is_not_lost(tmp_path: Path) -> None:
    """It counts as in the spool, no ack covers it, and it comes again once."""
    with opened(tmp_path / "db") as db:
        store = BatchWriter(db, Registered())
        save(store, *(sample(n) for n in (1, 2, 3)), sample(9, lowest=9))
        assert {RUN: (9, 4, 0, 5, 0)} == conservation(db)
        save(store, keeping(10, (2, 9)))

        assert {RUN: (10, 5, 0, 0, 5)} == conservation(db)
        assert (AckedRun(RUN, 3, ((9, 10),), ((4, 8),)),) == acked(store)
        save(store, sample(11, lowest=11))
        assert {RUN: (11, 6, 0, 0, 5)} == conservation(db)
        save(store, *(sample(n, lowest=n) for n in (4, 5, 6, 5)))
        assert (AckedRun(RUN, 6, ((9, 11),), ((7, 8),)),) == acked(store)
        save(store, sample(7), sample(8))
        assert (AckedRun(RUN, 11),) == acked(store)
        assert {RUN: (11, 11, 0, 0, 0)} == conservation(db)
        assert [] == check.findings(db)


def test_what_is_kept_no_longer_is_lost(tmp_path: Path) -> None:
    """New samples took its room, or all of it went with the router's power."""
    with opened(tmp_path / "db") as db:
        store = BatchWriter(db, Registered())
        save(store, sample(1), keeping(10, (2, 9)))
        assert {RUN: (10, 2, 0, 0, 8)} == conservation(db)
        save(store, keeping(11, (6, 10)))
        assert {RUN: (11, 3, 0, 4, 4)} == conservation(db)
        assert (AckedRun(RUN, 5, ((10, 11),), ((6, 9),)),) == acked(store)
        save(store, keeping(12, None))
        assert {RUN: (12, 4, 0, 8, 0)} == conservation(db)
        assert (AckedRun(RUN, 12),) == acked(store)
        assert [] == check.findings(db)


def test_a_store_that_lacks_nothing_asks_for_nothing(tmp_path: Path) -> None:
    """Refused, lost and stored are settled; so is what an old store keeps no ranges of."""
    with opened(tmp_path / "db") as db:
        store = BatchWriter(db, Registered())
        save(store, *(sample(n) for n in range(1, 5)), keeping(5, (1, 4)))
        assert (AckedRun(RUN, 5),) == acked(store)
        assert {RUN: (5, 5, 0, 0, 0)} == conservation(db)


def test_a_new_store_asks_for_every_run_that_is_kept(tmp_path: Path) -> None:
    """Also for one that it has never heard of, and that is over."""
    with opened(tmp_path / "db") as db:
        store = BatchWriter(db, Registered())
        save(store, keeping(10, (1, 9), Held(OLD_RUN, (3, 7))))

        assert {RUN: (10, 1, 0, 0, 9), OLD_RUN: (7, 0, 0, 0, 7)} == conservation(db)
        assert {
            AckedRun(RUN, 0, ((10, 10),), ((1, 9),)),
            AckedRun(OLD_RUN, 0, (), ((3, 7),)),
        } == {*acked(store)}
        save(store, *(sample(n, run=OLD_RUN) for n in range(3, 8)))
        save(store, sample(11, lowest=11, others=[Held(OLD_RUN, None)]))
        assert (7, 5, 0, 2, 0) == conservation(db)[OLD_RUN]
        assert [RUN] == [one.run for one in acked(store)]


def test_a_run_without_anything_left_is_over(tmp_path: Path) -> None:
    """A power cut took what the router had kept of it."""
    with opened(tmp_path / "db") as db:
        store = BatchWriter(db, Registered())
        save(store, keeping(10, (1, 9), run=OLD_RUN))
        assert (10, 1, 0, 0, 9) == conservation(db)[OLD_RUN]
        save(store, sample(1, others=[Held(OLD_RUN, None)], kept=()))

        assert {RUN: (1, 1, 0, 0, 0), OLD_RUN: (10, 1, 0, 9, 0)} == conservation(db)
        assert (AckedRun(RUN, 1),) == acked(store)


def test_a_run_that_is_kept_and_not_held_stays_open(tmp_path: Path) -> None:
    """`[]` says that nothing waits, and `kept` of the same sample what can be sent again."""
    with opened(tmp_path / "db") as db:
        store = BatchWriter(db, Registered())
        save(store, keeping(10, (1, 9), run=OLD_RUN))
        kept = (Held(OLD_RUN, (4, 10)),)
        save(store, sample(1, others=[Held(OLD_RUN, None)], kept=kept))

        assert (10, 1, 0, 3, 6) == conservation(db)[OLD_RUN]
        assert ((4, 9),) == dict((one.run, one.lacks) for one in acked(store))[OLD_RUN]


def test_a_store_that_is_behind_asks_for_an_earlier_run(tmp_path: Path) -> None:
    """Its router was restarted with samples waiting: `spool` names these, and `kept` the rest."""
    with opened(tmp_path / "db") as db:
        store = BatchWriter(db, Registered())
        save(store, *(sample(n, run=OLD_RUN, lowest=n) for n in range(1, 6)))
        waits, kept = Held(OLD_RUN, (10, 12)), Held(OLD_RUN, (1, 9))
        save(store, sample(1, others=[waits], kept=(kept,)))

        assert (12, 5, 0, 0, 7) == conservation(db)[OLD_RUN]
        assert ((6, 9),) == {one.run: one.lacks for one in acked(store)}[OLD_RUN]
        assert [] == check.findings(db)


def test_a_new_store_that_first_gets_what_waited_asks_for_the_rest(tmp_path: Path) -> None:
    """That sample reports only what waits, and `kept` comes later, in the next run's."""
    with opened(tmp_path / "db") as db:
        store = BatchWriter(db, Registered())
        save(store, sample(10, run=OLD_RUN, lowest=10))
        assert (10, 1, 0, 9, 0) == conservation(db)[OLD_RUN]
        kept = (Held(OLD_RUN, (1, 10)),)
        save(store, sample(1, others=[Held(OLD_RUN, None)], kept=kept))

        assert (10, 1, 0, 0, 9) == conservation(db)[OLD_RUN]
        assert ((1, 9),) == {one.run: one.lacks for one in acked(store)}[OLD_RUN]


def test_only_a_runs_newest_sample_says_what_is_kept(tmp_path: Path) -> None:
    """What comes late, or again, says what was kept then."""
    with opened(tmp_path / "db") as db:
        store = BatchWriter(db, Registered())
        save(store, keeping(10, None), keeping(6, (2, 5)), keeping(10, (1, 9)))

        assert {RUN: (10, 2, 0, 8, 0)} == conservation(db)
        assert (AckedRun(RUN, 10),) == acked(store)


def test_what_is_kept_above_what_was_taken_is_not_believed(tmp_path: Path) -> None:
    """One message would make a city's books absurd."""
    with opened(tmp_path / "db") as db:
        store = BatchWriter(db, Registered())
        far = 2**53 - 1
        save(store, keeping(2, (1, far), Held(OLD_RUN, (1, far))))

        assert {RUN: (2, 1, 0, 1, 0)} == conservation(db)


def test_a_restarted_collector_hears_it_again(tmp_path: Path) -> None:
    """What it forgot counts as lost until then, and the books close all the time."""
    with opened(tmp_path / "db") as db:
        save(BatchWriter(db, Registered()), sample(1), keeping(10, (1, 9)))
        store = BatchWriter(db, Registered())
        assert (AckedRun(RUN, 1, ((10, 10),)),) == acked(store)
        save(store, sample(11, lowest=11))
        assert SampleTotals(11, 3, 0, 8, 0) == check.totals(db)
        save(store, keeping(12, (1, 11)))
        assert SampleTotals(12, 4, 0, 0, 8) == check.totals(db)
        assert ((2, 9),) == acked(store)[0].lacks


def test_what_a_newer_state_acknowledged_comes_back(tmp_path: Path) -> None:
    """The broker's acks make it lost at the start; then routers say that they have it."""
    with opened(tmp_path / "db") as db:
        store = BatchWriter(db, Registered())
        save(store, sample(1), sample(2))
        store.believe([Ack("tirosa-1", (AckedRun(RUN, 9), AckedRun(OLD_RUN, 4)))])
        assert {RUN: (9, 2, 0, 7, 0), OLD_RUN: (4, 0, 0, 4, 0)} == conservation(db)
        save(store, keeping(10, (1, 9), Held(OLD_RUN, (2, 4))))

        assert {RUN: (10, 3, 0, 0, 7), OLD_RUN: (4, 0, 0, 1, 3)} == conservation(db)
        assert [] == check.findings(db)


def test_an_ack_lists_some_holes_and_the_others_later(tmp_path: Path) -> None:
    """Sixteen of a run, oldest first."""
    with opened(tmp_path / "db") as db:
        store = BatchWriter(db, Registered())
        save(store, *(sample(n) for n in range(2, 81, 2)), keeping(81, (1, 80)))

        assert tuple((n, n) for n in range(1, 33, 2)) == acked(store)[0].lacks
