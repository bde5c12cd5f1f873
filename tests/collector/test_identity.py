"""Two collectors at one broker, and a store that was brought back: by id, epoch and acks."""

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.collector.build import OLD_RUN, RUN, Registered, conservation, opened, sample
from tests.collector.test_store import save
from tests.mosquitto import Mosquitto
from tests.wire.examples import topic_of
from titik_collector.access.plugin_file import Access
from titik_collector.broker_link import takeover
from titik_collector.broker_link.takeover import OtherCollector
from titik_collector.broker_setup.broker_conf import plugin
from titik_collector.ingest.batch import BatchWriter
from titik_collector.store import conservation as check
from titik_collector.store import identity
from titik_collector.store.identity import Identity
from titik_collector.store.sqlite import open_writer
from titik_mqtt.endpoint import Endpoint
from titik_mqtt.failures import LinkDown
from titik_wire import codec
from titik_wire.messages import Ack, AckedRun, CollectorStatus, Held

OURS = Identity("ours", 7)
ACK = Ack("tirosa-1", (AckedRun(RUN, 9, ((11, 12),)),))


def test_the_epoch_rises_each_time_and_the_id_stays(tmp_path: Path) -> None:
    """The first time the file is new, then it is where it was."""
    path = tmp_path / "db"
    with closing(open_writer(path)) as db:
        found = [identity.opened(db) for _ in range(3)]

    assert [(1, True), (2, False), (3, False)] == [(one.epoch, one.moved) for one in found]
    assert 1 == len({one.store for one in found})


def test_a_copy_knows_that_it_is_one(tmp_path: Path) -> None:
    """By its path and file; it has the same id."""
    path, copy = tmp_path / "db", tmp_path / "copy"
    with closing(open_writer(path)) as db:
        first = identity.opened(db)
    shutil.copy2(path, copy)
    with closing(open_writer(copy)) as db:
        second = identity.opened(db)

    assert (first.store, 2, True) == (second.store, second.epoch, second.moved)


def test_an_epoch_that_was_published_later_is_passed(tmp_path: Path) -> None:
    """A store brought back from a backup publishes none that another state of it had."""
    path = tmp_path / "db"
    with closing(open_writer(path)) as db:
        raised = identity.raise_above(db, identity.opened(db), 9)
        again = identity.opened(db)

    assert [10, 11] == [raised.epoch, again.epoch]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path) as running:
        yield running


class Other:
    """A collector's status, published by hand."""

    def __init__(self, broker: Mosquitto) -> None:
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        self._client.connect("127.0.0.1", broker.port)
        self._client.loop_start()

    def say(self, message: CollectorStatus | Ack) -> None:
        self._client.publish(
            topic_of(message), codec.encode(message), 1, retain=True
        ).wait_for_publish(60)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        self._client._reset_sockets()


def status(store: str | None, epoch: int | None, beat: int | None = 3) -> CollectorStatus:
    return CollectorStatus(
        "main",
        "online",
        "0.1.0",
        storing=None if beat is None else True,
        beat=beat,
        store=store,
        epoch=epoch,
    )


@contextmanager
def beating(other: Other, make: Callable[[int], CollectorStatus]) -> Iterator[None]:
    """It goes on being published."""
    over = threading.Event()

    def beat() -> None:
        number = 4
        while not over.wait(0.2):
            other.say(make(number))
            number += 1

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def look(broker: Mosquitto, own: Identity = OURS, watch_s: float = 20.0) -> takeover.Found:
    return takeover.look(Endpoint("127.0.0.1", broker.port), "main", own, watch_s)


@pytest.mark.system
@pytest.mark.parametrize(
    ("own", "store", "epoch"),
    [
        (OURS, "another", 1),
        (OURS, "ours", 8),
        (OURS, "ours", 7 - 7),  # moved, below
        (Identity("ours", 7, moved=True), "ours", 6),
    ],
)
@pytest.mark.parametrize("offline", [False, True])
def test_a_collector_that_goes_on_publishing_is_a_twin(
    broker: Mosquitto, own: Identity, store: str, epoch: int, offline: bool
) -> None:
    """Whatever its store does: one whose store fails publishes `offline`, and beats."""
    own = Identity(own.store, own.epoch, moved=own.moved or epoch == 0)

    def make(beat: int) -> CollectorStatus:
        one = status(store, epoch, beat)
        return replace(one, state="offline", storing=False) if offline else one

    other = Other(broker)
    other.say(make(3))
    with (
        beating(other, make),
        pytest.raises(OtherCollector, match=f"store {store}, epoch {epoch}"),
    ):
        look(broker, own)
    other.close()


@pytest.mark.system
def test_a_status_that_stands_still_is_a_ghost(broker: Mosquitto) -> None:
    """A broker lost power with its collector, and never published the will."""
    other = Other(broker)
    other.say(status("another", 3))
    other.say(ACK)

    assert (ACK,) == look(broker, watch_s=0.5).acks
    other.close()


@pytest.mark.system
def test_a_collector_that_stops_while_it_is_watched_is_none(broker: Mosquitto) -> None:
    """Its last word is `offline`."""
    other = Other(broker)
    other.say(status("another", 3))
    gone = CollectorStatus("main", "offline", "0.1.0", store="another", epoch=3)
    with beating(other, lambda _: gone):
        assert look(broker).status is not None
    other.close()


@pytest.mark.system
@pytest.mark.parametrize(
    ("last", "acks"),
    [
        (None, (ACK,)),
        (CollectorStatus("main", "offline", "0.1.0", store="ours", epoch=6), ()),
        (status("ours", 6), ()),  # killed together with the broker, and ours is the file
        (CollectorStatus("main", "offline", "0.1.0", store="ours", epoch=9), (ACK,)),
        (CollectorStatus("main", "offline", "0.1.0", store="another", epoch=6), (ACK,)),
        (CollectorStatus("main", "offline", "0.1.0"), (ACK,)),  # of a version without epochs
        (status(None, None, None), (ACK,)),
    ],
)
def test_an_ordinary_start_waits_for_nothing(
    broker: Mosquitto, last: CollectorStatus | None, acks: tuple[Ack, ...]
) -> None:
    """The acks are read only where another state of a store may have published them."""
    other = Other(broker)
    if last is not None:
        other.say(last)
    other.say(ACK)
    found = look(broker, watch_s=1e9)
    other.close()

    assert (last, acks) == (found.status, found.acks)


@pytest.mark.system
def test_a_look_changes_nothing(broker: Mosquitto) -> None:
    """What is retained stays, and a collector that is connected too."""
    other = Other(broker)
    gone = CollectorStatus("main", "offline", "0.1.0")
    other.say(gone)
    other.say(ACK)

    assert [(gone, (ACK,))] * 2 == [(one.status, one.acks) for one in (look(broker), look(broker))]
    other.close()


@pytest.mark.system
def test_a_look_that_is_refused_is_none(tmp_path: Path) -> None:
    """A broker that has nothing for us looks the same as one that shows us nothing."""
    (tmp_path / "users.json").write_text(Access().text())
    conf = (
        f"allow_anonymous true\nplugin {plugin()}\nplugin_opt_config_file {{folder}}/users.json\n"
    )
    with (
        Mosquitto(tmp_path, conf) as refusing,
        pytest.raises(LinkDown, match=r"status cannot be read: not authorized"),
    ):
        look(refusing)


def test_a_broker_that_is_not_there_is_no_twin() -> None:
    """The collector connects when it comes."""
    with pytest.raises(LinkDown):
        takeover.look(Endpoint("127.0.0.1", 1), "main", OURS)


def test_what_a_newer_state_acknowledged_and_is_not_here_is_lost(tmp_path: Path) -> None:
    """Counted once, whatever is read again; a router's own word and late arrivals come first."""
    with opened(tmp_path / "db") as db:
        store = BatchWriter(db, Registered())
        save(store, *(sample(n) for n in (1, 2, 3, 7)))
        acks = [Ack("tirosa-1", (AckedRun(RUN, 9), AckedRun(OLD_RUN, 4))), Ack("foreign", ())]
        assert [{"tirosa-1": 9}, {}] == [store.believe(acks), store.believe(acks)]
        assert {RUN: (9, 4, 0, 5, 0), OLD_RUN: (4, 0, 0, 4, 0)} == conservation(db)
        assert [("restored", 9)] == db.execute("SELECT * FROM tally").fetchall()
        save(store, sample(5), sample(11, lowest=10, others=[Held(OLD_RUN, (4, 4))]))

        assert {RUN: (11, 6, 0, 4, 1), OLD_RUN: (4, 0, 0, 3, 1)} == conservation(db)
        assert [] == check.findings(db)


def test_acks_that_the_store_has_are_no_loss(tmp_path: Path) -> None:
    """As after any restart."""
    with opened(tmp_path / "db") as db:
        store = BatchWriter(db, Registered())
        save(store, *(sample(n) for n in range(1, 6)), sample(9, lowest=8))
        before = conservation(db)

        assert {} == store.believe([store.acks({1: "tirosa-1"})[0]])
        assert before == conservation(db)
        assert [] == db.execute("SELECT * FROM tally").fetchall()
