"""Connecting, staying connected and coming back; stepped by hand, and as a thread."""

import os
import random
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.agent.fake_broker import (
    CONNECT,
    DISCONNECT,
    PINGREQ,
    PINGRESP,
    PUBACK,
    FakeBroker,
    Session,
)
from tests.agent.test_publisher import ACK, RUN, SAMPLE, STATUS
from tests.mosquitto import Mosquitto
from tests.ports import free_port
from tests.until import PATIENCE_S
from titik_agent.broker_link.backoff import Backoff
from titik_agent.broker_link.connector import Connector, Dial, Timing
from titik_agent.broker_link.lanes import Pace
from titik_agent.broker_link.link import Link
from titik_agent.broker_link.publisher import SOON_S, Publisher
from titik_agent.spool.spool import Key, Spool
from titik_mqtt.connection import Events, Will
from titik_mqtt.endpoint import Endpoint
from titik_mqtt.failures import LinkDown, Redial
from titik_wire import topics
from titik_wire.codec import decode, encode
from titik_wire.messages import Ack, AckedRun, CollectorStatus, Status

ABOUT = Status("r1", "online", RUN, 1, "b00d", "1.0")


class Router:
    """A connector over a spool, in memory without a folder; its clock is turned by the test."""

    def __init__(
        self,
        port: int,
        wait_s: float = 0.0,
        keepalive_s: int = 2,
        directory: str | None = None,
        **timing: float,
    ) -> None:
        self.now = 1000.0
        self.spool = Spool(directory, monotonic=lambda: self.now)
        self.publisher = Publisher(ABOUT, self.spool, lambda: self.now)
        self.connector = Connector(
            self.publisher,
            dialler(port, lambda: self.now, keepalive_s=keepalive_s),
            Backoff(random.Random(7)),
            wait_s=wait_s,
            timing=Timing(**timing),
            monotonic=lambda: self.now,
        )

    def later(self, seconds: float) -> float:
        """Turn the clock and step."""
        self.now += seconds
        return self.connector.step()

    def is_up(self) -> bool:
        """Accepted by the broker."""
        return self.connector.is_connected

    def is_over(self) -> bool:
        """Stopped."""
        return self.connector.is_over

    def pump(self, until: Callable[[], bool]) -> None:
        """Drive the socket, the clock standing still."""
        deadline = time.monotonic() + 60
        while not until():
            assert time.monotonic() < deadline, "it did not come to that"
            if self.connector.fileno() >= 0 and select.select([self.connector], [], [], 0.02)[0]:
                self.connector.on_readable()

    def accepted(self, broker: FakeBroker) -> Session:
        """The next connection, up, its first words read and answered."""
        session = broker.accept()
        assert session.read().kind == CONNECT
        session.connack()
        self.pump(self.is_up)
        session.puback(session.published().mid)
        session.suback(1, 1)
        self.pump(lambda: not self.publisher.lanes.in_flight())
        return session


def dialler(
    port: int,
    monotonic: Callable[[], float] = time.monotonic,
    name: str = "r1",
    keepalive_s: int = 2,
) -> Dial:
    """Links to this machine."""

    def dial(will: Will, events: Events) -> Link:
        broker = Endpoint("127.0.0.1", port, name)
        return Link(broker, will, events, keepalive_s=keepalive_s, monotonic=monotonic)

    return dial


@pytest.fixture
def broker() -> Iterator[FakeBroker]:
    """A broker that a test plays."""
    with FakeBroker() as fake:
        yield fake


@pytest.fixture
def router(broker: FakeBroker) -> Iterator[Router]:
    """One that dials that broker, closed at the end."""
    router = Router(broker.port)
    yield router
    router.connector.stop_soon()
    router.later(10)


def test_connects_on_the_first_step(router: Router, broker: FakeBroker) -> None:
    """And publishes as soon as it is accepted, not before."""
    take(router.spool, 1)
    router.connector.step()
    session = broker.accept()
    session.read()
    session.connack()
    router.pump(router.is_up)
    assert STATUS == session.published().topic
    session.suback(1, 1)
    assert (SAMPLE, b"b1", True) == session.published()[:3]


def test_first_connection_waits_as_asked(broker: FakeBroker) -> None:
    """The delay of a boot."""
    router = Router(broker.port, wait_s=20.0)
    assert 20 == router.connector.step()
    assert -1 == router.connector.fileno()
    router.later(20)
    assert router.connector.fileno() >= 0
    router.connector.stop_soon()
    router.connector.step()
    assert router.is_over()


def test_trouble_is_logged_once_and_tried_ever_more_rarely(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One line per change of state, not per attempt."""
    router = Router(free_port())
    waits = [router.later(0)]
    for _ in range(20):
        waits.append(router.later(waits[-1] + 0.001))
    assert ["broker unreachable"] == [record.getMessage()[:18] for record in caplog.records]
    assert "nothing listens" in caplog.text
    assert waits[0] <= 30
    assert 100 < max(waits) <= 300


def test_a_lost_connection_comes_back_with_the_next_number(
    router: Router, broker: FakeBroker, caplog: pytest.LogCaptureFixture
) -> None:
    """Will and status carry it, so that an old will never overrules a new status."""
    for number in (1, 2, 3):
        router.connector.step()
        session = broker.accept()
        assert f'"connection":{number}'.encode() in session.read().body
        session.connack()
        router.pump(router.is_up)
        status = decode(STATUS, session.published().payload)
        assert isinstance(status, Status)
        assert ("online", number) == (status.state, status.connection)
        router.now += 61
        session.close()
        router.pump(lambda: not router.is_up())
        router.now += 300
    assert "does another device use this router's name?" not in caplog.text


def test_attempts_without_connect_take_no_number(
    broker: FakeBroker, caplog: pytest.LogCaptureFixture
) -> None:
    """The number counts connections."""
    port = free_port()
    router = Router(port)
    for _ in range(5):
        router.later(300)
    assert "nothing listens" in caplog.text
    router.connector._dial = dialler(broker.port)
    router.later(300)
    assert b'"connection":1,' in broker.accept().read().body
    router.connector.stop_soon()
    router.connector.step()


def test_each_loss_of_the_connection_says_why(
    router: Router, broker: FakeBroker, caplog: pytest.LogCaptureFixture
) -> None:
    """Also the second for the same reason."""
    caplog.set_level("INFO")
    for _ in range(3):
        router.later(300)
        router.accepted(broker).close()
        router.pump(lambda: not router.is_up())
    downs = [line for line in caplog.messages if line.startswith("broker unreachable")]
    assert 3 == len(downs)
    assert all("reason=the broker closed the connection" in line for line in downs)


def test_a_connection_that_we_end_is_no_trouble(
    router: Router, broker: FakeBroker, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody has to act: nothing of it is a warning, and the next attempt is soon."""
    caplog.set_level("INFO")
    router.connector.step()
    router.accepted(broker)

    router.connector._lose(Redial("the city sent another certificate"))
    assert not router.is_up()
    (line,) = [one for one in caplog.records if one.getMessage().startswith("connecting again")]
    assert ("INFO", True) == (line.levelname, "another certificate" in line.getMessage())
    assert [] == [one for one in caplog.records if one.levelname == "WARNING"]
    router.later(41)
    router.accepted(broker)


def test_a_malformed_packet_is_survived(
    router: Router, broker: FakeBroker, caplog: pytest.LogCaptureFixture
) -> None:
    """What kills paho's own thread is a reconnect here, and the sample is still there."""
    router.connector.step()
    session = router.accepted(broker)
    take(router.spool, 1)
    router.connector.wake()
    router.connector.step()
    mid = session.published().mid
    session.send(PUBACK, mid.to_bytes(2, "big") + b"\x95")
    router.pump(lambda: not router.is_up())
    assert "broker unreachable" in caplog.text
    router.later(31)
    router.accepted(broker)
    assert [Key(RUN, 1, 1)] == router.spool.keys()


def test_an_evicted_router_comes_back_slowly_and_says_so_once(
    router: Router, broker: FakeBroker, caplog: pytest.LogCaptureFixture
) -> None:
    """Two with one name would otherwise evict each other for ever, at full speed."""
    for _ in range(4):
        router.connector.step()
        session = router.accepted(broker)
        session.send(DISCONNECT, b"\x8e")
        router.pump(lambda: not router.is_up())
        wait = router.connector.step()
        assert 150 <= wait <= 300
        router.now += wait
    reported = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    (line,) = [line for line in reported if "taken over" in line]
    assert line.endswith(", a restart of the agent tries at once")


def test_short_connections_in_a_row_are_guessed_to_be_evictions(
    router: Router, broker: FakeBroker, caplog: pytest.LogCaptureFixture
) -> None:
    """mosquitto 2.0.11 gives no reason; the waits grow, and the installer gets a hint, once."""
    waits = []
    for _ in range(8):
        router.connector.step()
        router.accepted(broker).close()
        router.pump(lambda: not router.is_up())
        waits.append(router.connector.step())
        router.now += waits[-1]
    assert 1 == caplog.text.count("does another device use this router's name?")
    assert max(waits) > 60


def test_a_broker_that_takes_and_never_answers_is_left(
    router: Router, broker: FakeBroker, caplog: pytest.LogCaptureFixture
) -> None:
    """Two minutes without a PUBACK."""
    router.connector.step()
    router.accepted(broker)
    take(router.spool, 1)
    router.connector.wake()
    router.later(1)
    router.later(119)
    assert router.is_up()
    router.later(2)
    assert not router.is_up()
    assert "no longer answers" in caplog.text


def test_a_connection_on_which_all_is_answered_is_left_alone(broker: FakeBroker) -> None:
    """No look whether the PUBACK came, and none at the keep-alive before it is over."""
    router = Router(broker.port, keepalive_s=45)
    router.connector.step()
    session = router.accepted(broker)
    for seq in (1, 2):
        take(router.spool, seq)
        router.connector.wake()
        assert SOON_S == router.later(10)
        session.puback(session.published().mid)
        router.pump(lambda: not router.publisher.lanes.in_flight())
        assert 45 == round(router.connector.step())
    router.connector.stop_soon()
    router.later(10)


def test_a_sample_that_comes_with_a_puback_is_sent_at_once(
    router: Router, broker: FakeBroker
) -> None:
    """One wait ends for both: that all is answered does not put off what is new."""
    router.connector.step()
    session = router.accepted(broker)
    router.connector._bell = bell = os.pipe2(os.O_NONBLOCK)
    take(router.spool, 1)
    router.connector.wake()
    router.connector.turn(0)
    router.connector.turn(0)
    session.puback(session.published().mid)
    take(router.spool, 2)
    router.connector.wake()
    assert select.select([router.connector], [], [], 60)[0]
    router.connector.turn(0)
    assert not router.publisher.lanes.in_flight()
    router.connector.turn(0)
    assert b"b2" == session.published().payload
    router.connector._bell = None
    for fd in bell:
        os.close(fd)


@pytest.mark.system
def test_a_quiet_router_pings_when_the_keepalive_is_over(
    router: Router, broker: FakeBroker
) -> None:
    """It sleeps until then; brokers allow half a keep-alive more."""
    router.connector.step()
    session = router.accepted(broker)
    for _ in range(2):
        turns = 0
        while not select.select([session.sock], [], [], 0)[0]:
            assert router.connector.step() < 2.1
            router.connector.turn()
            turns += 1
        assert turns <= 3  # for the answer before, for the time to ping and to do so
        assert session.read().kind == PINGREQ
        session.send(PINGRESP)


@pytest.mark.long
def test_mosquitto_with_a_short_keepalive_keeps_us(tmp_path: Path) -> None:
    """Ten seconds, where we ask for 45: quiet for two of them, then with a sample in each."""
    with Mosquitto(tmp_path, "allow_anonymous true\nmax_keepalive 10\n") as mosquitto:
        spool = Spool(None)
        publisher = Publisher(ABOUT, spool, time.monotonic)
        dial = dialler(mosquitto.port, keepalive_s=45)
        connector = Connector(publisher, dial, Backoff(random.Random(1)))
        connector.start()
        wait_for(lambda: connector.is_connected)
        time.sleep(24)
        for seq in (1, 2, 3):
            take(spool, seq)
            connector.wake()
            time.sleep(8)
        assert connector.stop()
        log = mosquitto.log()
    assert 1 == log.count("New client connected")
    assert 2 == log.count("Received PINGREQ")


def test_clean_stop_waits_for_the_last_puback_and_says_goodbye(
    router: Router, broker: FakeBroker
) -> None:
    """The broker then drops the will."""
    router.connector.step()
    session = router.accepted(broker)
    router.connector.stop_soon()
    assert router.connector.step() <= 2
    assert not router.is_over()
    last = session.published()
    status = decode(STATUS, last.payload)
    assert isinstance(status, Status)
    assert ("stopping", True) == (status.state, last.retain)
    session.puback(last.mid)
    router.pump(lambda: not router.publisher.lanes.in_flight())
    router.connector.step()
    assert router.is_over()
    assert (DISCONNECT, b"") == session.read()[::2]


def test_clean_stop_does_not_wait_for_ever(router: Router, broker: FakeBroker) -> None:
    """procd kills after five seconds."""
    router.connector.step()
    session = router.accepted(broker)
    router.connector.stop_soon()
    router.later(1.9)
    assert not router.is_over()
    router.later(0.2)
    assert router.is_over()
    assert session.hung_up()


def test_a_link_that_breaks_while_stopping_ends_it(
    router: Router, broker: FakeBroker, caplog: pytest.LogCaptureFixture
) -> None:
    """There is nothing left to wait for."""
    router.connector.step()
    session = router.accepted(broker)
    router.connector.stop_soon()
    session.close()
    router.pump(lambda: not router.is_up())
    router.connector.step()
    assert router.is_over()
    assert "broker unreachable" in caplog.text


def make(port: int, spool: Spool) -> tuple[Publisher, Connector]:
    """A connector with real time and short waits, for a thread."""
    publisher = Publisher(ABOUT, spool, time.monotonic, Pace(resend_s=0.5))
    backoff = Backoff(random.Random(1), first_s=0.2, cap_s=0.4)
    timing = Timing(stop_s=60.0, join_s=60.0)
    return publisher, Connector(publisher, dialler(port), backoff, timing=timing)


def wait_for(what: Callable[[], object], seconds: float = 60.0) -> None:
    """Real time passes."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.02)


class Collector:
    """Takes samples and publishes acks, over a link of its own, in a thread."""

    def __init__(self, port: int) -> None:
        self.seen: list[tuple[str, bytes]] = []
        self.seqs: set[int] = set()
        self._owes_ack = False
        will = Will(topics.collector("c1"), encode(CollectorStatus("c1", "offline", "1")))
        self._link = Link(Endpoint("127.0.0.1", port, "c1"), will, self, keepalive_s=2)
        self._link.open()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def connected(self) -> None:
        self._link.subscribe(["titik/v1/router/#"])
        status = encode(CollectorStatus("c1", "online", "1"))
        self._link.publish(topics.collector("c1"), status, True)

    def subscribed(self, refused: str | None) -> None:
        assert refused is None

    def published(self, mid: int, refused: str | None) -> None:
        assert refused is None, mid

    def received(self, topic: str, payload: bytes) -> None:
        self.seen.append((topic, payload))
        if topic in (SAMPLE, topics.backlog("r1")):
            self.seqs.add(int(payload[1:]))
            self._owes_ack = True

    def _ack(self) -> None:
        upto = next(n for n in range(1000) if n + 1 not in self.seqs)
        also = ((max(self.seqs), max(self.seqs)),) if max(self.seqs) > upto else ()
        ack = Ack("r1", (AckedRun(RUN, upto, also),))
        self._link.publish(ACK, encode(ack), True)
        self._owes_ack = False

    def states(self) -> list[str]:
        """What `status` printed."""
        statuses = [decode(topic, text) for topic, text in self.seen if topic == STATUS]
        return [status.state for status in statuses if isinstance(status, Status)]

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self._link.close(disconnect=True)

    def _run(self) -> None:
        while not self._stop.is_set():
            if select.select([self._link], [], [], 0.05)[0]:
                self._link.on_readable()
            self._link.tick()
            if self._owes_ack:
                self._ack()


def take(spool: Spool, *seqs: int) -> None:
    """Samples land in the spool."""
    for seq in seqs:
        spool.append(RUN, seq, b"b%d" % seq)


@pytest.mark.system
def test_thread_delivers_and_stops(tmp_path: Path) -> None:
    """A backlog and live samples, acked end to end; then `stopping`, and no will."""
    with Mosquitto(tmp_path) as mosquitto:
        collector = Collector(mosquitto.port)
        spool = Spool(None)
        take(spool, *range(1, 101))
        _, connector = make(mosquitto.port, spool)
        connector.start()
        wait_for(lambda: not spool.spooled)
        take(spool, 101)
        connector.wake()
        wait_for(lambda: not spool.spooled)
        assert connector.stop()
        wait_for(lambda: len(collector.states()) == 2)
        collector.close()
    assert ["online", "stopping"] == collector.states()
    assert set(range(1, 102)) == collector.seqs


@pytest.mark.system
def test_a_broker_that_forgets_everything_costs_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Killed with its database deleted, between PUBACK and ack: the records are sent again."""
    with Mosquitto(tmp_path) as mosquitto:
        spool = Spool(None)
        publisher, connector = make(mosquitto.port, spool)
        connector.start()
        wait_for(lambda: connector.is_connected)
        take(spool, 1)
        connector.wake()
        wait_for(lambda: publisher.unacked._sent)  # the broker has it, nobody else
        mosquitto.restart(forget=True)
        collector = Collector(mosquitto.port)
        take(spool, 2)
        connector.wake()
        wait_for(lambda: not spool.spooled)
        assert connector.stop()
        collector.close()
    assert {1, 2} == collector.seqs
    assert "broker unreachable" in caplog.text


@pytest.mark.system
def test_a_hanging_broker_is_left_and_found_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """SIGSTOP for longer than two keep-alives."""
    with Mosquitto(tmp_path) as mosquitto:
        spool = Spool(None)
        _, connector = make(mosquitto.port, spool)
        connector.start()
        wait_for(lambda: connector.is_connected)
        mosquitto.signal(signal.SIGSTOP)
        wait_for(lambda: not connector.is_connected)
        mosquitto.signal(signal.SIGCONT)
        wait_for(lambda: connector.is_connected)
        assert connector.stop()
    assert "no answer from the broker" in caplog.text


class FailingSpool(Spool):
    """One with a bug, while the test wants it."""

    def __init__(self) -> None:
        super().__init__(None)
        self.fails = False

    def keys(self) -> list[Key]:
        """What is held, or an exception that nobody foresaw."""
        return [][1] if self.fails else super().keys()


@pytest.mark.system
def test_a_bug_does_not_end_reporting(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """paho's thread would die, and its client would go on looking connected."""
    with Mosquitto(tmp_path) as mosquitto:
        spool = FailingSpool()
        publisher, connector = make(mosquitto.port, spool)
        connector.start()
        wait_for(lambda: connector.is_connected)
        spool.fails = True
        connector.wake()
        wait_for(lambda: "a bug ended the connection" in caplog.text)
        spool.fails = False
        wait_for(lambda: connector.is_connected)
        assert connector.stop()
        assert not publisher.lanes.in_flight()
    assert "IndexError" in caplog.text


def test_nor_does_one_in_what_follows_a_change(caplog: pytest.LogCaptureFixture) -> None:
    """It follows the end of a connection too, and may fail again."""

    def fail() -> None:
        raise KeyError("field")

    _, connector = make(free_port(), Spool(None))
    connector.changed = fail
    connector.start()
    wait_for(lambda: "a bug ended the connection" in caplog.text)
    assert (True, True) == (connector.stop(), connector.is_over)


def test_stop_does_not_wait_for_a_lookup(caplog: pytest.LogCaptureFixture) -> None:
    """`getaddrinfo` cannot be interrupted; the thread is a daemon and is left behind."""
    free = threading.Event()

    def hang(_will: Will, _events: Events) -> Link:
        free.wait()
        raise LinkDown("no address at last", "dns")

    publisher = Publisher(ABOUT, Spool(None), time.monotonic)
    backoff = Backoff(random.Random(1))
    connector = Connector(publisher, hang, backoff, timing=Timing(join_s=0.05))
    connector.start()
    assert not connector.stop()
    free.set()
    thread = connector._thread
    assert thread is not None
    thread.join()
    assert connector.stop()  # it is gone now: the pipe can be closed
    assert "no address at last" in caplog.text


@pytest.mark.system
def test_hundreds_share_one_loop(tmp_path: Path) -> None:
    """The fleet simulator's way: no thread, one epoll; all are delivered and all say goodbye."""
    count = 300
    with Mosquitto(tmp_path) as mosquitto:
        fleet: dict[int, tuple[Connector, Spool]] = {}
        for n in range(count):
            spool = Spool(None)
            take(spool, 1)
            about = Status(f"r{n}", "online", RUN, 1, "b00d", "1.0")
            publisher = Publisher(about, spool, lambda: 0.0)  # no collector is missed so soon
            dial = dialler(mosquitto.port, name=f"r{n}", keepalive_s=60)
            timing = Timing(stop_s=PATIENCE_S)
            connector = Connector(publisher, dial, Backoff(random.Random(n)), timing=timing)
            fleet[n] = (connector, spool)
        drive([connector for connector, _ in fleet.values()], lambda one: one.is_connected)
        for connector, _ in fleet.values():
            connector.stop_soon()
        drive([connector for connector, _ in fleet.values()], lambda one: one.is_over)
    assert count == mosquitto.log().count("Received DISCONNECT from titik:r")
    assert count == mosquitto.log().count("/sample', ... (2 bytes))")


def drive(fleet: list[Connector], until: Callable[[Connector], bool]) -> None:
    """One epoll loop for all."""
    deadline = time.monotonic() + 5 * PATIENCE_S
    with select.epoll() as epoll:
        by_fd: dict[int, Connector] = {}
        while not all(until(connector) for connector in fleet):
            assert time.monotonic() < deadline
            for connector in fleet:
                connector.step()
                fd = connector.fileno()
                if fd >= 0 and by_fd.get(fd) is not connector:
                    epoll.register(fd, select.EPOLLIN)
                    by_fd[fd] = connector
            for fd, _ in epoll.poll(0.05):
                by_fd[fd].on_readable()
