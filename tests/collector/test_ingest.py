"""The order of commit and the two acknowledgements, and what each message is to the store."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.collector.build import RUN, T0, Registered, opened, received, rows, sample
from titik_collector.broker_link.inbox import ReceivedMessage
from titik_collector.ingest.batch import BatchWriter
from titik_collector.ingest.ingest import Ingest, fit
from titik_collector.ingest.items import to_item
from titik_collector.ingest.saved import Saved
from titik_collector.live.presence import Presence
from titik_collector.received import Arrived, Item, Malformed, StatusReceived
from titik_collector.store.database import Database, StoreError
from titik_wire import codec, packed, topics
from titik_wire.messages import Ack, AckedRun

ACK = topics.ack("tirosa-1")


class FakeLink:
    """An inbox and an outbox that write down what happens, in one list."""

    def __init__(self, *batches: Sequence[ReceivedMessage]) -> None:
        self.batches = list(batches)
        self.happened: list[str] = []
        self.published: list[tuple[str, bytes]] = []

    def receive(self, most: int, wait_s: float) -> Sequence[ReceivedMessage]:
        assert most == 1000
        assert wait_s >= 0
        return self.batches.pop(0) if self.batches else ()

    def acknowledge(self, letters: Sequence[ReceivedMessage]) -> None:
        self.happened.append(f"puback {len(letters)}")

    def publish(self, topic: str, payload: bytes, retain: bool) -> None:
        assert retain
        self.happened.append(f"publish {topic}")
        self.published.append((topic, payload))

    def flush(self) -> None:
        """Everything left at once."""


class WatchedStore(BatchWriter):
    """A store that says when it has committed, and fails as often as it is asked to."""

    link: FakeLink
    failures = 0

    def save(self, items: Sequence[Item]) -> Saved:
        if self.failures:
            self.failures -= 1
            raise StoreError("disk full")
        saved = super().save(items)
        self.link.happened.append(f"commit {saved.stored}")
        return saved


def ingest(store: WatchedStore, *batches: Sequence[ReceivedMessage]) -> tuple[Ingest, FakeLink]:
    link = store.link = FakeLink(*batches)
    return Ingest(link, link, store, lambda: T0), link


def test_commit_then_puback_then_router_ack(tmp_path: Path) -> None:
    """Whatever dies in between, the message comes again."""
    with opened(tmp_path / "db") as db:
        taking, link = ingest(WatchedStore(db, Registered()), [received(sample(1), live=True)])
        taking.step(0.0)

        assert ["commit 1", "puback 1", f"publish {ACK}"] == link.happened
        assert (AckedRun(RUN, 1),) == codec.decode(ACK, link.published[0][1]).runs  # type: ignore[union-attr]


def test_a_store_that_fails_keeps_the_batch_and_acknowledges_nothing(tmp_path: Path) -> None:
    """Memory holds one batch, and it is saved when the store is back."""
    with opened(tmp_path / "db") as db:
        store = WatchedStore(db, Registered())
        taking, link = ingest(store, [received(sample(1))], [received(sample(2))])
        store.failures = 2
        for _ in range(2):
            with pytest.raises(StoreError):
                taking.step(0.0)

        assert ([], 1) == (link.happened, len(link.batches))
        taking.step(0.0)
        assert "commit 1" == link.happened[0]
        assert [(1, 1)] == rows(db)


def test_what_a_lost_connection_brought_is_forgotten(tmp_path: Path) -> None:
    """The broker delivers it again."""
    with opened(tmp_path / "db") as db:
        store = WatchedStore(db, Registered())
        taking, link = ingest(store, [received(sample(1))])
        store.failures = 1
        with pytest.raises(StoreError):
            taking.step(0.0)
        taking.drop_batch()

        assert taking.step(0.0) is None
        assert [] == link.happened


def test_every_open_ack_is_sent_again(tmp_path: Path) -> None:
    """Nobody knows what the broker still has after a connect."""
    names = ("tirosa-1", "solor-1")
    with opened(tmp_path / "db", names) as db:
        store = WatchedStore(db, Registered(*names))
        taking, link = ingest(store, [received(sample(1, router=name)) for name in names])
        taking.step(0.0)
        link.published.clear()
        taking.acknowledge_all()

        assert sorted(topics.ack(name) for name in names) == sorted(
            topic for topic, _ in link.published
        )


def test_a_cleared_topic_is_not_malformed(tmp_path: Path) -> None:
    """An empty retained message says nothing."""
    with opened(tmp_path / "db") as db:
        taking, link = ingest(
            WatchedStore(db, Registered()),
            [ReceivedMessage(topics.sample("tirosa-1"), b"", (1, 1))],
        )
        saved = taking.step(0.0)

        assert saved is not None
        assert (0, ["commit 0", "puback 1"]) == (saved.malformed, link.happened)


def test_a_packed_sample_is_to_the_store_what_the_sample_is() -> None:
    """It is unpacked at the door, so that everything behind it sees JSON."""
    plain = received(sample(1), live=True)
    for topic in (topics.sample("tirosa-1"), topics.backlog("tirosa-1")):
        one = plain._replace(topic=topic)
        assert to_item(one, T0) == to_item(one._replace(payload=packed.pack(one.payload)), T0)


def test_a_packed_sample_that_breaks_the_contract_is_accounted() -> None:
    """Its run and seq can be read, so they count as refused and the router lets go of it."""
    good = received(sample(1))
    bad = good._replace(payload=packed.pack(good.payload.replace(b'"ntp"', b'"sun"')))
    item = to_item(bad, T0)
    assert isinstance(item, Malformed)
    assert ("tirosa-1", (RUN, 1, 1)) == (item.router, item.span)


def test_a_damaged_packed_sample_is_malformed() -> None:
    """It is kept as it came."""
    good = received(sample(1))
    bad = good._replace(payload=packed.pack(good.payload)[:-1])
    item = to_item(bad, T0)
    assert isinstance(item, Malformed)
    assert (bad.payload, None, "packed: cut short") == (item.payload, item.span, item.rule)


def test_live_is_what_came_on_the_topic_sample() -> None:
    """The backlog is the past."""
    live = [to_item(received(sample(1), one), T0) for one in (True, False)]

    assert [True, False] == [isinstance(one, Arrived) and one.live for one in live]


def test_an_impostor_is_malformed_of_the_router_whose_topic_it_is() -> None:
    """The topic is the authenticated identity."""
    forged = ReceivedMessage(topics.backlog("solor-1"), codec.encode(sample(7)), (1, 1))

    item = to_item(forged, T0)

    assert isinstance(item, Malformed)
    assert ("solor-1", (RUN, 7, 7)) == (item.router, item.span)


def test_an_ack_that_is_too_large_leaves_ranges_out() -> None:
    """A router with many runs and huge seqs cannot stop the collector."""
    top = 2**53 - 1
    also = tuple((top - 40 + 2 * n, top - 40 + 2 * n) for n in range(16))
    ack = Ack("tirosa-1", tuple(AckedRun(f"{n:016x}", 1, also) for n in range(32)))

    reported = codec.decode(ACK, fit(ack))

    assert isinstance(reported, Ack)
    assert [one.run for one in ack.runs] == [one.run for one in reported.runs]
    assert reported.runs[0].also == also[: len(reported.runs[0].also)] != ()


@given(st.text(max_size=80), st.binary(max_size=200))
def test_no_message_can_break_the_collector(topic: str, payload: bytes) -> None:
    """Any topic and any bytes are an item."""
    assert to_item(ReceivedMessage(topic, payload, (1, 1)), T0)


class Buggy(Presence):
    """Something of ours that trips over one router."""

    def record(self, items: Sequence[tuple[int, Arrived | StatusReceived]]) -> None:
        """Like presence, with a bug in it."""
        for router_id, _ in items:
            if router_id == 2:
                raise KeyError(router_id)


BOTH = [received(sample(1)), received(sample(1, router="tirosa-2")), received(sample(2))]


def test_a_message_that_meets_a_bug_holds_up_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its beginning is kept; what was beside it is stored and acknowledged."""
    with opened(tmp_path / "db", ("tirosa-1", "tirosa-2")) as db:
        registry = Registered("tirosa-1", "tirosa-2")
        holds_up_no_other(db, WatchedStore(db, registry, presence=Buggy(db)))
    assert "a bug stops the batch" in caplog.text


@pytest.mark.sqlite("is stopped by a trigger, in SQLite's words")
def test_a_message_that_the_tables_refuse_holds_up_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nor does what breaks a rule of the tables."""
    with opened(tmp_path / "db", ("tirosa-1", "tirosa-2")) as db:
        db.execute(
            "CREATE TRIGGER bug BEFORE INSERT ON sample WHEN new.router_id = 2"
            " BEGIN SELECT raise(ABORT, 'bug'); END"
        )
        holds_up_no_other(db, WatchedStore(db, Registered("tirosa-1", "tirosa-2")))
    assert "a bug stops the batch" in caplog.text


def holds_up_no_other(db: Database, store: WatchedStore) -> None:
    """Of three messages the second is not stored."""
    taking, link = ingest(store, BOTH)
    saved = taking.step(0.0)

    assert saved is not None
    assert (2, 1) == (saved.stored, saved.malformed)
    assert "puback 3" in link.happened
    assert [ACK] == [topic for topic, _ in link.published]
    assert [("tirosa-2",)] == db.execute("SELECT substr(topic, 17, 8) FROM quarantine").fetchall()
    assert [] == db.execute("SELECT * FROM run WHERE router_id = 2").fetchall()


def test_a_store_that_fails_is_no_bug_of_a_message(tmp_path: Path) -> None:
    """Nothing counts as malformed because a disk is full."""
    with opened(tmp_path / "db") as db:
        store = WatchedStore(db, Registered())
        taking, _ = ingest(store, [received(sample(1))])
        store.failures = 1
        with pytest.raises(StoreError):
            taking.step(0.0)
        assert [] == db.execute("SELECT * FROM quarantine").fetchall()
