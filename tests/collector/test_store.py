"""Every sample once: duplicates, merged ranges, refusals, losses and strangers."""

import itertools
import random
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cases import few
from tests.collector.build import (
    BOOT,
    ENDLESS,
    OLD_RUN,
    RUN,
    T0,
    Registered,
    conservation,
    opened,
    received,
    rows,
    sample,
)
from titik_collector.broker_link.inbox import ReceivedMessage
from titik_collector.ingest.batch import BatchWriter
from titik_collector.ingest.caps import Caps
from titik_collector.ingest.items import to_item
from titik_collector.ingest.saved import Saved
from titik_collector.limits import MAX_UNKNOWN
from titik_collector.live.presence import Presence
from titik_collector.received import Item, Malformed, StatusReceived
from titik_collector.store import conservation as check
from titik_collector.store import retention
from titik_collector.store.counters import unpack
from titik_collector.store.database import StoreError
from titik_collector.store.samples import WIFI
from titik_collector.store.sqlite import SqliteDatabase
from titik_collector.store.unknown_routers import LATELY_MS
from titik_wire.messages import AckedRun, Bss, Held, Sample, Status

NOW = T0 + 3_600_000


def save(store: BatchWriter, *samples: Sample, live: bool = False) -> Saved:
    return store.save([to_item(received(one, live), NOW) for one in samples])


def test_redelivery_is_stored_once_and_acked_twice(tmp_path: Path) -> None:
    """At-least-once delivery becomes exactly-once storage."""
    with opened(tmp_path / "db") as db:
        store = BatchWriter(db, Registered())
        first, second = save(store, sample(1)), save(store, sample(1))

        assert [(1, 0), (0, 1)] == [(one.stored, one.duplicates) for one in (first, second)]
        assert [(1, 1)] == rows(db)
        assert first.routers == second.routers == {1: "tirosa-1"}


@pytest.mark.parametrize("order", few(12, itertools.permutations(range(5))))
def test_a_merged_range_and_its_originals_end_the_same(
    tmp_path: Path, order: tuple[int, ...]
) -> None:
    """Before, after or between its originals: the merged range is what stays."""
    arrivals = [sample(n) for n in (1, 2, 3, 4)] + [sample(4, 1)]
    with opened(tmp_path / "db") as db:
        store = BatchWriter(db, Registered())
        for number in order:
            save(store, arrivals[number])

        assert [(1, 4)] == rows(db)
        assert {RUN: (4, 4, 0, 0, 0)} == conservation(db)
        assert [] == check.findings(db)


def content(db: SqliteDatabase) -> list[object]:
    """Everything that must not depend on the order of arrival."""
    queries = (
        "SELECT token, highest, floor, gone FROM run ORDER BY token",
        "SELECT run.token, kind, first_seq, last_seq FROM settled JOIN run ON run.id = run_id"
        " ORDER BY 1, 2, 3",
        "SELECT run.token, seq, first_seq, at_ms, quality, clients, client_ms, packed FROM sample"
        " JOIN run ON run.id = run_id JOIN body USING (run_id, seq) ORDER BY 1, 2",
    )
    names = {row[0]: row[1:] for row in db.execute("SELECT id, role, ifname, since FROM interface")}
    read = [
        (token, seq, sorted((names[number], value) for number, value in unpack(blob).items()))
        for token, seq, blob in db.execute(
            "SELECT token, seq, counters FROM sample JOIN run ON run.id = run_id ORDER BY 1, 2"
        )
    ]
    return [*(db.execute(query).fetchall() for query in queries), read]


@pytest.mark.parametrize("seed", few(2, range(6)))
def test_shuffled_and_tripled_delivery_gives_the_same_store(tmp_path: Path, seed: int) -> None:
    """Order and repetition change nothing."""
    history = [sample(n, lowest=max(1, n - 3)) for n in range(1, 33) if n not in (7, 21)]
    history += [sample(8, 5), sample(12, 9), sample(16, 9), sample(32, 31)]
    old = [sample(n, run=OLD_RUN, boot="0" * 8) for n in range(1, 9) if n != 4]
    history += [*old, sample(33, others=[Held(OLD_RUN, None)])]
    last = sample(34, others=[Held(OLD_RUN, None)])  # reported until no ack lists the run
    with opened(tmp_path / "a") as straight, opened(tmp_path / "b") as shuffled:
        save(BatchWriter(straight, Registered()), *history, last)
        mixed = history * 3
        random.Random(seed).shuffle(mixed)
        store = BatchWriter(shuffled, Registered())
        while mixed:
            save(store, *(mixed.pop() for _ in range(min(len(mixed), 7))))
        save(store, last)

        assert content(straight) == content(shuffled)
        assert [] == check.findings(shuffled)


def test_a_hole_below_the_floor_is_lost_and_passed_over(tmp_path: Path) -> None:
    """What the spool let go of and nobody stored is lost for good; the ack goes on."""
    with opened(tmp_path / "db") as db:
        store = BatchWriter(db, Registered())
        save(store, sample(1), sample(2), sample(9, lowest=5))

        assert {RUN: (9, 3, 0, 2, 4)} == conservation(db)
        assert (AckedRun(RUN, 4, ((9, 9),)),) == store.acks({1: "tirosa-1"})[0].runs


def test_a_late_arrival_turns_lost_into_stored(tmp_path: Path) -> None:
    """Lost is what is known so far."""
    with opened(tmp_path / "db") as db:
        store = BatchWriter(db, Registered())
        save(store, sample(9, lowest=9))
        save(store, sample(3))

        assert {RUN: (9, 2, 0, 7, 0)} == conservation(db)


def test_a_closed_run_is_lost_up_to_its_highest_and_no_longer_acked(tmp_path: Path) -> None:
    """`[]` says that the spool holds nothing of a run any more."""
    with opened(tmp_path / "db") as db:
        store = BatchWriter(db, Registered())
        save(store, sample(1, run=OLD_RUN), sample(4, run=OLD_RUN))
        save(store, sample(1, others=[Held(OLD_RUN, None)]))

        assert (4, 2, 0, 2, 0) == conservation(db)[OLD_RUN]
        assert [RUN] == [one.run for one in store.acks({1: "tirosa-1"})[0].runs]


def test_an_older_run_in_the_spool_is_learnt_of_before_it_arrives(tmp_path: Path) -> None:
    """The collector knows what is still to come."""
    with opened(tmp_path / "db") as db:
        save(BatchWriter(db, Registered()), sample(1, others=[Held(OLD_RUN, (3, 8))]))

        assert (8, 0, 0, 2, 6) == conservation(db)[OLD_RUN]


def malformed(payload: bytes) -> ReceivedMessage:
    return ReceivedMessage("titik/v1/router/tirosa-1/backlog", payload, (1, 1))


def test_a_malformed_message_with_a_seq_is_refused_and_acked(tmp_path: Path) -> None:
    """A router must not keep for ever what can never be stored."""
    broken = f'{{"v":1,"run":"{RUN}","first_seq":2,"seq":2,"clients":-1}}'.encode()
    with opened(tmp_path / "db") as db:
        store = BatchWriter(db, Registered())
        store.save([to_item(received(sample(1)), NOW), to_item(malformed(broken), NOW)])

        assert {RUN: (2, 1, 1, 0, 0)} == conservation(db)
        assert (AckedRun(RUN, 2),) == store.acks({1: "tirosa-1"})[0].runs
        assert 1 == db.execute("SELECT count(*) FROM quarantine").fetchone()[0]


def test_a_refused_seq_that_arrives_after_all_is_stored(tmp_path: Path) -> None:
    """Inside a merged range a refused sample may be sound."""
    broken = f'{{"v":1,"run":"{RUN}","seq":2}}'.encode()
    with opened(tmp_path / "db") as db:
        store = BatchWriter(db, Registered())
        store.save([to_item(malformed(broken), NOW)])
        save(store, sample(2, 1))
        store.save([to_item(malformed(broken), NOW)])

        assert {RUN: (2, 2, 0, 0, 0)} == conservation(db)
        assert [] == check.findings(db)


def test_an_unknown_version_is_neither_refused_nor_acked(tmp_path: Path) -> None:
    """The router keeps it until the collector is upgraded."""
    later = f'{{"v":2,"run":"{RUN}","seq":1}}'.encode()
    with opened(tmp_path / "db") as db:
        saved = BatchWriter(db, Registered()).save([to_item(malformed(later), NOW)])

        assert (1, {}) == (saved.later_version, saved.routers)
        assert {} == conservation(db)
        assert [("later_version", 1)] == db.execute("SELECT * FROM tally").fetchall()


def test_an_unknown_router_is_counted_and_leaves_no_rows(tmp_path: Path) -> None:
    """Unknown routers get no ack and no rows, but are seen to report."""
    with opened(tmp_path / "db") as db:
        saved = save(
            BatchWriter(db, Registered()), *(sample(1, router=f"new-{n}") for n in range(30))
        )

        assert (30, {}) == (saved.unregistered, saved.routers)
        assert 0 == db.execute("SELECT count(*) FROM run").fetchone()[0]
        assert 20 == db.execute("SELECT count(*) FROM knock").fetchone()[0]


def unknown_after(db: SqliteDatabase, name: str, at_ms: int) -> list[str]:
    """The sample of an unknown router; who is listed after it."""
    BatchWriter(db, Registered()).save([to_item(received(sample(1, router=name), True), at_ms)])
    return [one for (one,) in db.execute("SELECT name FROM knock ORDER BY name")]


def test_an_unknown_router_takes_the_place_of_one_that_reports_no_more(tmp_path: Path) -> None:
    """The longest unheard goes; a flood of names displaces none that was heard lately."""
    with opened(tmp_path / "db") as db:
        names = [f"old-{n:02}" for n in range(MAX_UNKNOWN)]
        for at, name in enumerate(names):
            unknown_after(db, name, T0 + at)
        later_ms = T0 + LATELY_MS + 1

        assert names == unknown_after(db, "flood", later_ms - 1)
        assert ["new", *names[1:]] == unknown_after(db, "new", later_ms)
        assert ["new", *names[1:]] == unknown_after(db, "flood", later_ms)


def test_who_knocks_no_more_is_forgotten(tmp_path: Path) -> None:
    """After a week; it may come to the list again."""
    with opened(tmp_path / "db") as db:
        unknown_after(db, "gone", T0)
        retention.prune(db, T0 + 8 * 86_400_000, retention.Days(1, 30, 90))

        assert ["new"] == unknown_after(db, "new", T0 + 8 * 86_400_000)


def test_over_the_cap_nothing_is_stored_or_acked(tmp_path: Path) -> None:
    """A stolen key cannot fill the disk; what an honest router has over the cap waits."""
    with opened(tmp_path / "db") as db:
        store = BatchWriter(db, Registered(), Caps(samples=2, runs=1))
        saved = save(store, sample(1), sample(2), sample(3), sample(1, run=OLD_RUN))

        assert (2, 2) == (saved.stored, saved.capped)
        assert {RUN: (2, 2, 0, 0, 0)} == conservation(db)


@pytest.mark.sqlite("locks the file")
def test_a_failed_transaction_keeps_nothing_and_can_be_tried_again(tmp_path: Path) -> None:
    """A locked database stops acknowledgements and is used again when it is free."""
    with opened(tmp_path / "db") as db:
        db.execute("PRAGMA busy_timeout = 10")
        store = BatchWriter(db, Registered())
        save(store, sample(1))
        other = sqlite3.connect(tmp_path / "db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked"):
            save(store, sample(2))
        other.execute("ROLLBACK")
        other.close()

        assert {RUN: (1, 1, 0, 0, 0)} == conservation(db)
        assert 1 == save(store, sample(2)).stored
        assert {RUN: (2, 2, 0, 0, 0)} == conservation(db)


@pytest.mark.sqlite("refuses by SQLite's authorizer")
def test_a_failed_commit_is_forgotten_though_the_disk_does_not_read_either(tmp_path: Path) -> None:
    """A failing disk fails more than once; memory must not run ahead of the store."""
    failing = False

    def refuse(action: int, what: str | None, *_: object) -> int:
        nonlocal failing
        failing = failing or (action == sqlite3.SQLITE_TRANSACTION and what == "COMMIT")
        return sqlite3.SQLITE_DENY if failing and what != "ROLLBACK" else sqlite3.SQLITE_OK

    with opened(tmp_path / "db") as db:
        presence = Presence(db)
        store = BatchWriter(db, Registered(), presence=presence)
        online = Status("tirosa-1", "online", RUN, 1, BOOT, "0.1.0")
        store.save([StatusReceived(online, NOW)])
        store.save([StatusReceived(replace(online, state="offline"), NOW + 1000)])
        back = StatusReceived(replace(online, connection=2), NOW + 60_000)
        db.raw.set_authorizer(refuse)
        with pytest.raises(StoreError):
            store.save([back])
        db.raw.set_authorizer(None)
        store.save([back])

        assert [("online",)] == db.execute("SELECT state FROM presence").fetchall()
        assert [(NOW + 60_000,)] == db.execute("SELECT to_ms FROM outage").fetchall()


@pytest.mark.sqlite("counts by SQLite's trace")
def test_an_ack_sent_again_writes_nothing(tmp_path: Path) -> None:
    """On each connect all are; the next batch writes the runs that it touches."""
    with opened(tmp_path / "db") as db:
        store = BatchWriter(db, Registered())
        save(store, *(sample(1, run=f"{number:016x}") for number in range(1, 6)))
        store.acks({1: "tirosa-1"})
        asked: list[str] = []
        db.raw.set_trace_callback(asked.append)
        save(store, sample(1))

        assert 1 == sum("INTO run " in one or one.startswith("UPDATE run") for one in asked)


def test_what_is_kept_of_malformed_messages_is_bounded(tmp_path: Path) -> None:
    """Malformed messages for ever cost a fixed number of rows, the newest kept."""
    with opened(tmp_path / "db") as db:
        store = BatchWriter(db, Registered())
        store.save([to_item(malformed(b"x%d" % n), NOW) for n in range(1100)])

        assert (1000, b"x1099") == db.execute(
            "SELECT count(*), (SELECT head FROM quarantine ORDER BY id DESC LIMIT 1)"
            " FROM quarantine"
        ).fetchone()


@pytest.mark.sqlite("copies the file")
def test_a_store_restored_from_an_older_copy_declares_what_nobody_has(tmp_path: Path) -> None:
    """The routers have forgotten what the copy lacks: it is lost, not resent for ever."""
    with opened(tmp_path / "old") as old, opened(tmp_path / "copy") as copy:
        store = BatchWriter(old, Registered())
        save(store, *(sample(n) for n in range(1, 5)))
        old.raw.backup(copy.raw)
        save(store, *(sample(n, lowest=n) for n in range(5, 9)))
        restored = BatchWriter(copy, Registered())
        save(restored, sample(9, lowest=9))

        assert {RUN: (9, 5, 0, 4, 0)} == conservation(copy)
        assert (AckedRun(RUN, 9),) == restored.acks({1: "tirosa-1"})[0].runs


def flood(number: int) -> list[Item]:
    """What a stolen key sends to make rows that stay: each time another of everything."""
    bss = tuple(Bss(f"p{n}", since=f"{number}", rx_bytes=1, tx_bytes=1) for n in range(64))
    boot = f"{number:08x}"
    return [
        StatusReceived(Status("tirosa-1", "online", RUN, number, boot, "0"), NOW),
        to_item(received(sample(number, bss=bss)), NOW),
        to_item(received(sample(number, run=OLD_RUN, boot=boot)), NOW),
        Malformed("", b"", "", NOW, "tirosa-1", ("f" * 16, 2 * number, 2 * number)),
    ]


@pytest.mark.parametrize(("table", "most"), [("boot", 5), ("interface", 1000), ("settled", 200)])
@pytest.mark.thorough
def test_no_message_makes_rows_without_end(tmp_path: Path, table: str, most: int) -> None:
    """Whatever a router sends counts against its caps: rows of these tables are never pruned."""
    with opened(tmp_path / "db") as db:
        store = BatchWriter(db, Registered(), Caps(samples=200, runs=5))
        for number in range(1, 301):
            store.save(flood(number))

        assert db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] <= most
        assert [] == check.findings(db)


@pytest.mark.parametrize("live", [(True, False), (False, True)])
def test_a_live_copy_places_its_boot_in_any_order(tmp_path: Path, live: tuple[bool, ...]) -> None:
    """A sample that came as backlog first still shows, live, that the router was heard."""
    with opened(tmp_path / "db") as db:
        store = BatchWriter(db, Registered())
        for one in live:
            save(store, sample(1, clock="guess"), live=one)

        assert [("arrival", NOW)] == db.execute("SELECT quality, at_ms FROM sample").fetchall()


def test_a_status_places_what_came_before_it(tmp_path: Path) -> None:
    """The router was heard in this boot, so its samples are not older than the boot."""
    with opened(tmp_path / "db") as db:
        store = BatchWriter(db, Registered())
        save(store, sample(1, clock="guess"))
        store.save([StatusReceived(Status("tirosa-1", "online", RUN, 1, BOOT, "0"), NOW)])

        assert [("arrival",)] == db.execute("SELECT quality FROM sample").fetchall()


def test_a_bss_off_the_air_hides_nothing_of_the_others(tmp_path: Path) -> None:
    """It has no stations and perhaps no interface: weak clients and bytes are those on the air."""
    with opened(tmp_path / "db") as db:
        on = sample(1)
        save(
            BatchWriter(db, Registered()),
            replace(on, bss=(*(on.bss or ()), Bss("b", off_air=True))),
        )

        assert [(0, WIFI)] == db.execute(
            "SELECT weak, sections & ? FROM sample", (WIFI,)
        ).fetchall()


def test_what_takes_longer_than_anybody_waits_is_given_up(tmp_path: Path) -> None:
    """However it is asked; the next answer comes."""
    with opened(tmp_path / "db") as db:
        for ask in (db.execute, lambda sql: list(db.stream(sql))):
            with pytest.raises(StoreError), db.snapshot(0.1):
                ask(ENDLESS)
            with db.snapshot(60):
                assert [(1,)] == db.execute("SELECT 1")
