"""What goes out when, and when again; a link and a spool in memory, and a clock we turn."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from titik_agent.broker_link.connection_life import DOUBT_S
from titik_agent.broker_link.lanes import RESERVE
from titik_agent.broker_link.publisher import IDLE_S, Publisher
from titik_agent.spool.spool import Key, Spool
from titik_mqtt.failures import LinkDown
from titik_wire import topics
from titik_wire.codec import decode, encode
from titik_wire.messages import Ack, AckedRun, CollectorStatus, Span, Status
from titik_wire.packed import is_packed

RUN, OLD = "b" * 16, "a" * 16
SAMPLE, BACKLOG = topics.sample("r1"), topics.backlog("r1")
STATUS, ACK = topics.status("r1"), topics.ack("r1")


class FakeLink:
    """Remembers what was published and lets the test answer."""

    def __init__(self, room: int = 32) -> None:
        self.room = room
        self.sent: list[tuple[str, bytes, bool]] = []
        self.open: list[int] = []  # message ids without PUBACK
        self.subscriptions: list[Sequence[str]] = []
        self.fails = False

    def publish(self, topic: str, payload: bytes, retain: bool) -> int:
        if self.fails:
            raise LinkDown("cut")
        self.sent.append((topic, payload, retain))
        self.open.append(len(self.sent))
        return len(self.sent)

    def subscribe(self, topics: Sequence[str], optional: Sequence[str] = ()) -> None:
        self.subscriptions.append((*topics, *optional))


class MergingSpool(Spool):
    """One whose last two records of a run have become one, when the test says so."""

    def __init__(self) -> None:
        super().__init__(None)
        self.merges = False

    def keys(self) -> list[Key]:
        keys = super().keys()
        if self.merges:
            keys[-2:] = [Key(RUN, keys[-2].first_seq, keys[-1].seq)]
        return keys

    def payload(self, key: Key) -> bytes | None:
        if self.merges and key.first_seq != key.seq:
            return b"merged"
        return super().payload(key) if key in self.keys() else None


class World:
    """One router."""

    def __init__(
        self, spool: Spool | None = None, announce: bool = True, compress: bool | None = None
    ) -> None:
        self.now = 1000.0
        self.spool = spool or Spool(None)
        self.link = FakeLink()
        about = Status("r1", "online", RUN, 1, "b00d", "1.0")
        self.publisher = Publisher(
            about, self.spool, lambda: self.now, compress=compress, announce=announce
        )

    def take(self, *seqs: int, run: str = RUN) -> None:
        """Samples land in the spool."""
        for seq in seqs:
            self.spool.append(run, seq, f"{run[0]}{seq}".encode())

    def connect(self, collecting: bool = True, room: int = 32) -> None:
        """A new connection; what it sends at once is answered if a collector is online."""
        self.link = FakeLink(room)
        self.publisher.life.dialled()
        self.publisher.connected(self.link)
        if collecting:
            self.collector("c1", True)

    def cut(self) -> None:
        self.publisher.disconnected()

    def collector(self, name: str, online: bool, packed: bool | None = None) -> None:
        status = CollectorStatus(name, "online" if online else "offline", "1.0", packed=packed)
        self.publisher.received(topics.collector(name), encode(status))

    def ack(self, upto: int, *also: Span, run: str = RUN) -> None:
        self.publisher.received(ACK, encode(Ack("r1", (AckedRun(run, upto, also),))))

    def puback(self, refused: str | None = None) -> None:
        """The broker answers for all that it was sent, and for what that sets free."""
        while self.link.open:
            self.publisher.published(self.link.open.pop(0), refused)

    def later(self, seconds: float) -> None:
        """Time passes; the publisher is called when it wants to be, and the broker answers."""
        end = self.now + seconds
        while self.now < end:
            self.publisher.step()
            self.puback()
            self.now = min(end, self.now + max(self.publisher.rest_s(), 0.1))
        self.publisher.step()

    def out(self) -> list[tuple[str, str]]:
        """Samples sent since the last look: topic's last word and what."""
        sent = [(topic.rsplit("/", 1)[1], text.decode()) for topic, text, _ in self.link.sent]
        self.link.sent = [(STATUS, b"", True)] * len(sent)  # ids go on counting
        return [one for one in sent if one[0] != "status"]


@pytest.fixture
def world() -> World:
    """A router that was never connected."""
    return World()


def backlog(*seqs: int, run: str = RUN) -> list[tuple[str, str]]:
    """What `out` says of these on backlog."""
    return [("backlog", f"{run[0]}{seq}") for seq in seqs]


def test_says_online_and_listens_first(world: World) -> None:
    """The status is retained and numbered; the ack is asked for before collectors are."""
    world.take(1)
    world.connect(collecting=False)
    topic, payload, retain = world.link.sent[0]
    assert (STATUS, True) == (topic, retain)
    assert decode(topic, payload) == Status("r1", "online", RUN, 1, "b00d", "1.0")
    assert [(ACK, topics.ALL_COLLECTORS)] == world.link.subscriptions


def test_will_bears_the_number_of_the_connection_it_is_for(world: World) -> None:
    """An attempt that never sent CONNECT takes no number; one that did keeps it."""
    numbers = []
    for dialled in (False, True, True):
        topic, payload = world.publisher.life.will()
        message = decode(topic, payload)
        assert isinstance(message, Status)
        assert message.state == "offline"
        numbers.append(message.connection)
        if dialled:
            world.publisher.life.dialled()
    assert [1, 1, 2] == numbers


def test_newest_first_then_the_rest_oldest_first(world: World) -> None:
    """The present is shown before the past is published."""
    world.take(1, 2, run=OLD)
    world.take(1, 2, 3)
    world.connect()
    assert [("sample", "b3"), *backlog(1, 2, run=OLD), *backlog(1, 2)] == world.out()


def test_what_a_collector_lacks_goes_behind_all_that_was_never_acknowledged(tmp_path: Path) -> None:
    """The present has its own way; then the backlog, then what is sent again, oldest first."""
    world = World(Spool(str(tmp_path)))
    world.take(*range(1, 5))
    world.connect()
    world.puback()
    world.ack(4)
    world.cut()
    world.take(5, 6, 7)
    world.connect(collecting=False)
    world.out()
    lacks = Ack("r1", (AckedRun(RUN, 1, lacks=((2, 4),)),), "5b1f", 3)
    world.publisher.received(ACK, encode(lacks))
    world.collector("c1", True)
    world.publisher.step()
    assert backlog(5, 6, 2, 3, 4) == world.out()
    world.puback()
    world.take(8)
    world.publisher.step()
    assert [("sample", f"{RUN[0]}8")] == world.out()
    world.ack(8)
    world.later(600)
    assert [] == world.out()
    world.spool.close()


def test_what_is_sent_again_and_lost_on_the_way_comes_once_more(tmp_path: Path) -> None:
    """As any other record, within the same waits."""
    world = World(Spool(str(tmp_path)))
    world.take(1, 2, 3)
    world.connect()
    world.puback()
    world.ack(3)
    world.out()
    lacks = Ack("r1", (AckedRun(RUN, 0, lacks=((1, 2),)),), "5b1f", 3)
    world.publisher.received(ACK, encode(lacks))
    world.later(50)
    assert backlog(1, 2) == world.out()
    world.later(60)
    assert backlog(1, 2) == world.out()
    world.ack(1, (3, 3))
    world.later(30)
    assert [] == world.out()
    world.spool.close()


LONG = b'{"v":1,"router":"r1","run":"","first_seq":1,"seq":1,"covers_ms":30000}'


def forms(world: World) -> list[tuple[str, bool]]:
    """Of what was sent since the last look: topic's last word, and whether it is packed."""
    sent = [(topic.rsplit("/", 1)[1], is_packed(payload)) for topic, payload, _ in world.link.sent]
    world.link.sent.clear()
    return sent


@pytest.mark.parametrize("compress", [None, True, False])
def test_samples_are_packed_where_collectors_take_it_unless_a_key_decides(
    compress: bool | None,
) -> None:
    """On both topics, never a status; the spool keeps what it was given."""
    world = World(compress=compress)
    world.spool.append(RUN, 1, LONG)
    world.spool.append(RUN, 2, LONG)
    world.connect(collecting=False)
    first = compress is True  # no status has come yet
    assert [("status", False), ("sample", first)] == forms(world)
    world.collector("c1", True, packed=True)
    assert [("backlog", compress is not False)] == forms(world)
    world.spool.append(RUN, 3, LONG)
    world.publisher.step()
    assert [("sample", compress is not False)] == forms(world)
    assert LONG == world.spool.payload(Key(RUN, 2, 2))


def test_one_old_collector_is_enough_for_plain_samples(world: World) -> None:
    """While it is online; and where none is, one may come back as an older one."""
    world.connect(collecting=False)
    found = []
    for seq, (name, online, packed) in enumerate(
        [
            ("new", True, True),
            ("old", True, None),
            ("old", False, None),
            ("new", True, None),  # its key is off now
            ("new", True, True),
            ("new", False, True),
        ],
        1,
    ):
        world.collector(name, online, packed=packed)
        forms(world)
        world.spool.append(RUN, seq, LONG)
        world.publisher.step()
        world.puback()
        found += forms(world)
    assert [("sample", one) for one in (True, False, True, False, True, False)] == found


def test_what_a_collector_left_packed_comes_again_plain_for_an_older_one() -> None:
    """It went back a version: what it cannot read it does not ack, and no sample is lost."""
    world = World()
    world.connect(collecting=False)
    world.collector("c1", True, packed=True)
    world.spool.append(RUN, 1, LONG)
    world.publisher.step()
    world.puback()
    assert ("sample", True) == forms(world)[-1]
    world.collector("c1", False, packed=True)
    world.collector("c1", True)
    world.later(120)
    assert ("backlog", False) in forms(world)


def test_only_the_present_is_retained(world: World) -> None:
    """A late sample must never replace a newer one on a screen."""
    world.take(1, 2)
    world.connect()
    assert {STATUS: True, SAMPLE: True, BACKLOG: False} == {t: r for t, _, r in world.link.sent}


def test_an_old_runs_sample_is_never_the_present(world: World) -> None:
    """A run that ended has no present."""
    world.take(7, run=OLD)
    world.connect()
    assert backlog(7, run=OLD) == world.out()


def test_live_samples_go_out_at_once(world: World) -> None:
    """Each on `sample`, whether or not anyone collects."""
    world.connect(collecting=False)
    for seq in (1, 2):
        world.take(seq)
        world.publisher.step()
    assert [("sample", "b1"), ("sample", "b2")] == world.out()


def test_of_several_live_samples_only_the_newest_is_the_present(world: World) -> None:
    """The others are published, not shown."""
    world.connect()
    world.take(1, 2, 3)
    world.publisher.step()
    assert [("sample", "b3"), *backlog(1, 2)] == world.out()


def test_sample_is_always_newer_than_the_one_before(world: World) -> None:
    """What was in flight when the connection broke may have arrived: it goes to backlog."""
    world.take(1)
    world.connect()
    assert [("sample", "b1")] == world.out()
    world.cut()
    world.connect()
    assert backlog(1) == world.out()
    world.take(2)
    world.publisher.step()
    assert [("sample", "b2")] == world.out()


def test_backlog_has_at_most_a_window_without_puback(world: World) -> None:
    """A PUBACK lets one more out; live samples do not count."""
    world.take(*range(1, 51))
    world.connect()
    assert 1 + 20 == len(world.out())
    world.publisher.published(world.link.open.pop(), None)
    assert backlog(21) == world.out()
    world.take(51)
    world.publisher.step()
    assert [("sample", "b51")] == world.out()


def test_a_brokers_smaller_window_leaves_room_for_the_present(world: World) -> None:
    """mosquitto allows 20 in all; backlog may not fill them."""
    world.take(*range(1, 51))
    world.connect(room=20)
    assert 20 - RESERVE == len(world.link.open)
    world.take(51)
    world.publisher.step()
    assert ("sample", "b51") in world.out()


def test_a_brokers_tiny_window_still_lets_everything_through(world: World) -> None:
    """One at a time, if it must be."""
    world.take(1, 2, 3)
    world.connect(room=1)
    assert len(world.link.open) == 1
    world.puback()
    world.later(5)
    assert sorted(["b1", "b2", "b3"]) == sorted(text for _, text in world.out())


def test_backlog_waits_for_a_collector(world: World) -> None:
    """Without one the broker's memory would be the store."""
    world.take(1, 2, 3)
    world.connect(collecting=False)
    assert [("sample", "b3")] == world.out()
    world.collector("c1", False)
    assert [] == world.out()
    world.collector("c2", True)
    assert backlog(1, 2) == world.out()


def test_collectors_are_online_while_any_is(world: World) -> None:
    """One of two may go."""
    world.connect()
    world.collector("c2", True)
    world.collector("c1", False)
    world.take(1, 2)
    world.publisher.step()
    assert [("sample", "b2"), *backlog(1)] == world.out()
    world.publisher.received(topics.collector("c2"), b"")  # its retained status was cleared
    world.take(3, 4)
    world.publisher.step()
    assert [("sample", "b4")] == world.out()


def test_a_collector_is_forgotten_with_the_connection(world: World) -> None:
    """It may have gone meanwhile; the broker publishes again."""
    world.connect()
    world.cut()
    world.take(1, 2)
    world.connect(collecting=False)
    assert [("sample", "b2")] == world.out()


def test_puback_does_not_empty_the_spool(world: World) -> None:
    """It says 'in the broker's memory', no more."""
    world.take(1, 2, 3)
    world.connect()
    world.puback()
    assert world.spool.spooled == 3
    world.ack(2)
    assert [Key(RUN, 3, 3)] == world.spool.keys()
    assert [RUN] == list(world.publisher.unacked.acked)


def test_what_was_acked_while_waiting_is_not_sent(world: World) -> None:
    """The retained ack often comes before the backlog's turn."""
    world.take(1, 2, 3, 4)
    world.connect(collecting=False)
    world.out()
    world.ack(2)
    world.collector("c1", True)
    assert backlog(3) == world.out()


def test_a_merged_record_goes_out_as_a_new_one() -> None:
    """Its originals are gone from the spool and are skipped."""
    spool = MergingSpool()
    world = World(spool)
    world.connect(collecting=False)
    world.take(*range(1, 31))
    world.collector("c1", True)
    world.publisher.step()
    world.out()
    spool.merges = True
    world.puback()
    world.later(2)
    assert [*backlog(*range(21, 29)), ("backlog", "merged")] == world.out()


def test_in_flight_at_a_cut_counts_as_unsent_and_acknowledged_waits(world: World) -> None:
    """Only what the broker never answered for is sent again at once."""
    world.take(1, 2, 3, 4)
    world.connect()
    assert [("sample", "b4"), *backlog(1, 2, 3)] == world.out()
    world.publisher.published(2, None)  # after the status and the sample: b1 was the third
    world.publisher.published(3, None)
    world.cut()
    world.connect()
    assert backlog(2, 3) == world.out()


def test_missing_acks_make_a_resend_after_a_minute(world: World) -> None:
    """On backlog, whichever way they went out first, oldest first."""
    world.take(1, 2, 3)
    world.connect()
    world.puback()
    world.out()
    world.later(59)
    assert [] == world.out()
    world.later(2)
    assert backlog(1, 2, 3) == world.out()


def test_the_wait_doubles_to_a_quarter_of_an_hour(world: World) -> None:
    """A collector that is behind, or does not know us, is left in peace."""
    world.take(1)
    world.connect()
    world.puback()
    world.out()
    gaps: list[int] = []
    begin = world.now
    while len(gaps) < 7:
        world.later(1)
        if world.out():
            gaps.append(round(world.now - begin))
            begin = world.now
    for wanted, gap in zip((60, 120, 240, 480, 900, 900, 900), gaps, strict=True):
        assert wanted <= gap <= wanted + 4


def test_progress_makes_the_wait_short_again(world: World) -> None:
    """The oldest of what waits got through, so the collector is at work."""
    world.take(1, 2)
    world.connect()
    world.puback()
    world.later(200)  # resent twice
    world.out()
    world.ack(1)
    world.later(58)
    assert [] == world.out()
    world.later(4)
    assert backlog(2) == world.out()


def test_a_slow_collector_is_not_sent_everything_again(world: World) -> None:
    """While acks of the oldest keep coming, nothing counts as missed."""
    world.take(*range(1, 101))
    world.connect()
    world.puback()
    world.later(1)
    world.out()
    for upto in range(5, 100, 5):
        world.later(50)
        world.ack(upto)
    assert [] == world.out()


def test_a_lost_record_is_sent_again_although_the_present_flows(world: World) -> None:
    """Acks of newer samples are no progress of an older one that got lost on the way."""
    world.connect()
    world.take(1)
    world.publisher.step()
    world.puback()
    again = []
    for seq in range(2, 8):
        world.take(seq)
        world.later(30)
        world.puback()
        world.ack(0, (2, seq))
        again += [one for one in world.out() if one[0] == "backlog"]
    assert 1 <= len(again) <= 2
    assert set(backlog(1)) == set(again)


def test_a_record_that_never_gets_through_is_sent_ever_more_slowly(world: World) -> None:
    """The others that do get through do not make it urgent again."""
    world.connect()
    again = 0
    for seq in range(1, 121):
        world.take(seq)
        world.later(30)
        if seq > 1:
            world.ack(0, (2, seq))
        again += world.out().count(("backlog", "b1"))
    assert 5 <= again <= 7  # in an hour: after 60, 120, 240, 480, 900, 900 seconds


def test_what_gets_through_behind_a_blocked_record_hastens_the_rest(world: World) -> None:
    """After a broker forgot everything, one poisoned record delays nobody."""
    world.take(*range(1, 101))
    world.connect()
    world.later(70)
    world.out()
    world.later(125)  # a window was tried; all of it but the first gets through
    world.out()
    world.ack(0, (2, 20))
    world.later(65)
    assert set(world.out()) >= set(backlog(*range(21, 81)))


@pytest.mark.usefixtures("caplog")
def test_no_resend_without_a_collector(world: World) -> None:
    """Its silence is no loss; the minute counts from when it is back."""
    world.take(1)
    world.connect(collecting=False)
    world.puback()
    world.later(600)
    assert [("sample", "b1")] == world.out()
    world.collector("c1", True)
    world.later(59)
    assert [] == world.out()
    world.later(3)
    assert backlog(1) == world.out()


def test_a_router_nobody_knows_does_not_send_its_whole_spool_again_and_again(world: World) -> None:
    """After the first resend only a window of records is tried, until something gets through."""
    world.take(*range(1, 101))
    world.connect()
    world.puback()
    world.out()
    world.later(70)
    assert len(world.out()) == 100
    world.later(130)
    tried = world.out()
    assert len(tried) == 20
    assert backlog(*range(1, 21)) == tried
    world.ack(20)  # registered at last
    world.later(65)
    assert set(world.out()) >= set(backlog(*range(21, 81)))


def test_resent_ten_times_while_later_ones_were_acked_is_given_up(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """So that nothing blocks a spool for ever; it is declared lost, and logged."""
    world.take(1, 2)
    world.connect()
    world.puback()
    world.ack(0, (2, 2))
    world.out()
    world.later(12 * 900)
    assert (1, 0) == (world.spool.lost, world.spool.spooled)
    assert backlog(*[1] * 10) == world.out()
    assert "sample given up" in caplog.text


def test_never_given_up_while_nothing_later_was_acked(world: World) -> None:
    """A collector that knows nothing of us may still come to know us."""
    world.take(1, run=OLD)
    world.take(1, 2)
    world.connect()
    world.puback()
    world.ack(1, run=OLD)
    world.later(20 * 900)
    assert (0, 2) == (world.spool.lost, world.spool.spooled)


def test_what_was_resent_while_nobody_knew_the_router_is_not_given_up_when_it_is_known(
    world: World,
) -> None:
    """A router that was taken out of the registry and put back loses nothing of that time."""
    world.take(*range(1, 41))
    world.connect()
    world.puback()
    world.later(20 * 900)
    world.take(41)
    world.later(1)
    world.ack(0, (41, 41))  # the first live sample after it is registered again
    world.out()
    world.later(905)
    assert (0, 40) == (world.spool.lost, world.spool.spooled)
    assert set(world.out()) >= set(backlog(*range(1, 21)))


def test_a_sample_each_second_holds_back_no_resend(world: World) -> None:
    """The present is on its way at every step; what was missed comes after a minute anyway."""
    world.connect()
    for seq in range(1, 100):
        world.take(seq)
        world.publisher.step()
        world.puback()
        if seq > 20:
            world.ack(0, (21, seq))
        world.now += 1
    assert backlog(1)[0] in world.out()


def test_an_ack_the_spool_ignores_changes_nothing(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody can have committed what was not taken."""
    world.take(1)
    world.connect()
    world.ack(99)
    assert "ack ignored" in caplog.text
    assert [] == list(world.publisher.unacked.acked)


def test_a_cleared_topic_that_is_no_collector_s_is_ignored(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """What any client may retain and clear ends no connection."""
    world.connect()
    world.publisher.received("titik/v1/collector/UPPER/status", b"")
    assert "message ignored" in caplog.text


def test_garbled_messages_are_logged_once(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Until the topic makes sense again."""
    world.connect(collecting=False)
    for payload in (b"{", b"\xff", b'{"v":1,"runs":[]}', b'{"v":2}'):
        world.publisher.received(ACK, payload)
        world.publisher.received(topics.collector("c1"), payload)
        world.publisher.received("titik/v1/nonsense", payload)
    assert 3 == len(caplog.records)
    world.ack(0)
    world.publisher.received(ACK, b"{")
    assert 4 == len(caplog.records)


def test_a_cleared_ack_is_nothing(world: World) -> None:
    """The collector clears what is retained when a router is removed."""
    world.take(1)
    world.connect()
    world.publisher.received(ACK, b"")
    assert [Key(RUN, 1, 1)] == world.spool.keys()


def test_a_refused_topic_is_logged_once_and_tried_slowly(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """One record every four minutes, not a window of them in a loop."""
    world.take(*range(1, 101))
    world.connect()
    world.out()
    while world.link.open:
        world.publisher.published(world.link.open.pop(0), "not authorized (0x87)")
    assert [] == world.out()
    world.later(239)
    assert [] == world.out()
    world.now += 2
    world.publisher.step()
    assert backlog(21) == world.out()
    world.publisher.published(world.link.open.pop(), "not authorized (0x87)")
    assert [] == world.out()
    warnings = [record.getMessage() for record in caplog.records]
    assert 3 == len(warnings)  # status, sample, backlog: once each
    assert all("0x87" in warning for warning in warnings)


def test_a_refused_topic_opens_again(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Once the tried record is taken, the window is whole, and what was refused is resent."""
    world.take(*range(1, 101))
    world.connect()
    world.puback("quota exceeded (0x97)")
    world.out()
    world.now += 241
    world.publisher.step()
    world.puback()
    world.later(65)
    assert {f"b{seq}" for seq in range(1, 101)} == {text for _, text in world.out()}
    assert 3 == len(caplog.records)


def test_a_sample_refused_as_the_present_still_reaches_the_collector(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """A typo in the ACL of one topic loses nothing."""
    world.take(1)
    world.connect()
    world.publisher.published(2, "not authorized (0x87)")
    assert "not authorized" in caplog.text
    world.publisher.published(1, None)
    world.out()
    world.later(62)
    assert backlog(1) == world.out()
    world.take(2)
    world.publisher.step()
    assert backlog(2) == world.out()


def test_a_refused_subscription_is_asked_for_again(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Without the ack nothing leaves the spool; the present is still shown."""
    world.connect(collecting=False)
    world.publisher.life.subscribed("not authorized (0x87)")
    world.puback()
    assert "subscription refused" in caplog.text
    world.later(239)
    assert 1 == len(world.link.subscriptions)
    world.later(2)
    assert 2 == len(world.link.subscriptions)


def test_stopping_is_reported_and_nothing_after_it(world: World) -> None:
    """The last word is retained and has the connection's number."""
    world.take(*range(1, 40))
    world.connect()
    world.publisher.life.stop()
    topic, payload, retain = world.link.sent[-1]
    message = decode(topic, payload)
    assert isinstance(message, Status)
    assert ("stopping", 1, True) == (message.state, message.connection, retain)
    world.out()
    assert world.publisher.lanes.in_flight()
    world.puback()
    world.take(40)
    world.publisher.step()
    assert not world.publisher.lanes.in_flight()
    assert [] == world.out()


def test_a_run_that_nobody_is_to_miss_says_nothing_of_itself() -> None:
    """A check's sample goes out; its beginning and its end are not those of an agent."""
    world = World(announce=False)
    world.take(1)
    world.connect()
    world.puback()
    world.publisher.life.stop()
    assert [SAMPLE] == [topic for topic, _, _ in world.link.sent]


def test_stopping_without_a_connection_is_nothing(world: World) -> None:
    """There is nobody to report to."""
    world.publisher.life.stop()
    assert not world.publisher.lanes.in_flight()
    world.publisher.step()
    assert IDLE_S == world.publisher.rest_s()


def test_a_link_that_breaks_while_publishing_loses_nothing(world: World) -> None:
    """What it was about to send is sent on the next."""
    world.take(1, 2, 3)
    world.connect(collecting=False)
    world.link.fails = True
    with pytest.raises(LinkDown):
        world.collector("c1", True)
    world.cut()
    world.connect()
    assert {"b1", "b2", "b3"} == {text for _, text in world.out()}


def test_a_broker_that_never_answers_is_stuck(world: World) -> None:
    """Pings alone do not make a broker."""
    world.take(1)
    world.connect()
    world.now += 119
    assert not world.publisher.is_stuck()
    world.now += 1
    assert world.publisher.is_stuck()
    world.cut()
    assert not world.publisher.is_stuck()


def test_a_quiet_publisher_asks_for_little(world: World) -> None:
    """All acked: nothing to do until the next sample."""
    world.take(1)
    world.connect()
    world.puback()
    world.ack(1)
    world.publisher.step()
    assert IDLE_S == world.publisher.rest_s()


def test_a_puback_nobody_waits_for_is_nothing(world: World) -> None:
    """Brokers have been seen to repeat themselves."""
    world.connect()
    world.publisher.published(4711, None)


def test_everything_arrives_whatever_breaks(world: World) -> None:
    """Every record reaches a collector's ack, over cuts at every point of a small backlog."""
    for cut_after in range(1, 12):
        world = World()
        world.take(*range(1, 9))
        arrived: set[str] = set()
        while world.spool.spooled:
            world.connect()
            for _ in range(cut_after):
                if world.link.open:
                    world.publisher.published(world.link.open.pop(0), None)
            arrived |= {text for _, text in world.out()}
            world.cut()
            world.connect()
            world.later(61)
            world.puback()
            arrived |= {text for _, text in world.out()}
            upto = 0
            while f"b{upto + 1}" in arrived:
                upto += 1
            world.ack(upto)
            world.cut()
        assert {f"b{seq}" for seq in range(1, 9)} == arrived


@pytest.mark.usefixtures("caplog")
def test_a_topic_that_opened_again_with_nobody_to_collect_is_not_polled() -> None:
    """A refused backlog may be tried again, but without a collector there is nothing to do."""
    world = World()
    world.connect()
    world.take(1, 2)
    world.publisher.step()
    for mid, (topic, _, _) in enumerate(list(world.link.sent), 1):
        world.publisher.published(mid, "quota exceeded" if topic == BACKLOG else None)
    world.take(3, 4)
    world.publisher.step()
    world.publisher.published(len(world.link.sent), None)
    world.collector("c1", False)
    world.now += 300.0

    world.publisher.step()
    assert 0.0 < world.publisher.rest_s()


def test_a_broker_where_no_collector_ever_reported_is_doubted_once(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Another mosquitto that lets anybody in looks well otherwise, and no ack ever comes."""
    world.connect(collecting=False)
    world.later(DOUBT_S - 1)
    assert [] == caplog.messages
    world.later(2 * DOUBT_S)
    world.connect(collecting=False)
    world.later(2 * DOUBT_S)
    assert ["no collector has ever reported at the broker"] == [
        line.partition(":")[0] for line in caplog.messages
    ]
    caplog.clear()


def test_a_collector_that_is_offline_raises_no_doubt(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Its status is kept by the city's broker, so this is the right one."""
    world.connect(collecting=False)
    world.collector("c1", False)
    world.later(2 * DOUBT_S)
    assert (None, []) == (world.publisher.life.doubt, caplog.messages)
