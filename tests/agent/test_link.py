"""One connection over paho, against a broker that says what we want, and against mosquitto."""

import os
import signal
import ssl
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from select import select
from typing import Any

import pytest

from tests.agent.fake_broker import (
    CONNECT,
    DISCONNECT,
    PINGREQ,
    PUBACK,
    FakeBroker,
    Session,
)
from tests.mosquitto import Mosquitto
from tests.ports import free_port
from tests.until import until
from titik_agent.broker_link.link import Link
from titik_agent.limits import MAX_IN_FLIGHT
from titik_mqtt.connection import Will
from titik_mqtt.endpoint import Endpoint, Tls
from titik_mqtt.failures import LinkDown
from titik_wire import packed

WILL = Will("titik/v1/router/r1/status", b"gone")


class Heard:
    """Remembers the events of a link, and can do something upon one."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []
        self.then: Callable[[], None] = lambda: None

    def connected(self) -> None:
        self._note("connected")

    def subscribed(self, refused: str | None) -> None:
        self._note("subscribed", refused)

    def published(self, mid: int, refused: str | None) -> None:
        self._note("published", mid, refused)

    def received(self, topic: str, payload: bytes) -> None:
        self._note("received", topic, payload)

    def _note(self, *event: Any) -> None:
        self.events.append(event)
        then, self.then = self.then, lambda: None
        then()


def make(
    port: int, heard: Heard | None = None, password: str | None = None, **changes: Any
) -> Link:
    """A link to this machine, not open yet."""
    broker = Endpoint("127.0.0.1", port, "r1", password)
    return Link(broker, WILL, heard or Heard(), **changes)


def pump(link: Link, until: Callable[[], bool], seconds: float = 60.0) -> None:
    """Drive the link as its owner would."""
    deadline = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < deadline, "it did not come to that"
        link.tick()
        writers = [link] if link.want_write() else []
        readable, writable, _ = select([link], writers, [], 0.02)
        if readable:
            link.on_readable()
        if writable:
            link.on_writable()


def down(link: Link) -> LinkDown:
    """Drive the link until it ends."""
    with pytest.raises(LinkDown) as caught:
        pump(link, lambda: False)
    return caught.value


@pytest.fixture
def broker() -> Iterator[FakeBroker]:
    """A broker that a test plays."""
    with FakeBroker() as fake:
        yield fake


def connect(broker: FakeBroker, heard: Heard, **changes: Any) -> tuple[Link, Session]:
    """A link that was accepted."""
    link = make(broker.port, heard, **changes)
    link.open()
    session = broker.accept()
    assert session.read().kind == CONNECT
    session.connack()
    pump(link, lambda: ("connected",) in heard.events)
    return link, session


def test_connect_asks_for_mqtt_5_the_old_session_and_a_late_will(broker: FakeBroker) -> None:
    """A clean start would fire the old will; the session lives as long as the will is delayed."""
    link = make(broker.port, password="secret")
    link.open()
    packet = broker.accept().read()
    name, version, flags, _ = struct.unpack_from("!6sBBH", packet.body)
    assert (b"\0\4MQTT", 5) == (name, version)
    clean_start, will, will_qos, will_retain = flags & 2, flags & 4, flags >> 3 & 3, flags & 32
    assert (0, 4, 1, 32) == (clean_start, will, will_qos, will_retain)
    assert bytes([0x11, 0, 0, 0, 30]) in packet.body  # session expiry
    assert bytes([0x18, 0, 0, 0, 30]) in packet.body  # will delay
    assert b"\0\x08titik:r1" in packet.body  # the client id
    assert b"\0\2r1\0\6secret" in packet.body  # user name and password
    link.close()


def test_publishing_before_the_broker_answered_is_refused(broker: FakeBroker) -> None:
    """paho would keep the message in memory, say 'no connection', and send it later."""
    link = make(broker.port)
    with pytest.raises(LinkDown):
        link.publish("t", b"early", False)
    link.open()
    with pytest.raises(LinkDown):
        link.publish("t", b"early", False)
    session = broker.accept()
    session.read()
    link.close()
    with pytest.raises(EOFError):
        session.read()


def test_a_receiver_may_publish(broker: FakeBroker) -> None:
    """Events come after paho returned: its locks are free, and the bytes go out at once."""
    heard = Heard()
    link, session = connect(broker, heard)
    heard.then = lambda: void(link.publish("t", b"from inside", True))
    session.publish("hello", b"x")
    pump(link, lambda: len(heard.events) > 1)
    assert session.published()[:3] == ("t", b"from inside", True)
    link.close()


def test_a_packed_payload_has_its_content_type(broker: FakeBroker) -> None:
    """A tool that shows properties shows what it is; JSON has none, and no byte more."""
    link, session = connect(broker, Heard())
    for payload in (packed.MARKER + b"x", b"{}"):
        link.publish("t", payload, False)
    kinds = [session.published().properties for _ in range(2)]
    assert [b"\x03\0\x13application/x-titik", b""] == kinds
    link.close()


def void(_: object) -> None:
    """Nothing, of something."""


def test_puback_carries_its_reason(broker: FakeBroker) -> None:
    """paho 1.6.1 parses the reason of a PUBACK and hides it; only MQTT 5 has it at all."""
    heard = Heard()
    link, session = connect(broker, heard)
    mids = [link.publish("t", b"x", False) for _ in range(4)]
    for mid, code in zip(mids, (None, 0x10, 0x87, 0x97), strict=True):
        session.puback(mid, code)
    pump(link, lambda: len(heard.events) == 5)
    reported = [event[2] for event in heard.events[1:]]
    assert reported[:2] == [None, None]
    assert "not authorized" in reported[2]
    assert "quota" in reported[3]
    link.close()


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (PUBACK, b"\0\1\x95"),  # what mosquitto 2.0.11 sends over message_size_limit
        (PUBACK, b"\0\1\xee"),
        (PUBACK, b"\0"),
        (3, b"\0\xffnot that long"),
        (3, b"\0\1t\5\xff\xff\xff\xff\xff"),
        (9, b"\0\1\0\x42"),
        (15, b""),
        (0, b""),
        (14, b"\x42\0"),
    ],
)
def test_a_malformed_packet_is_a_lost_connection(
    broker: FakeBroker, kind: int, body: bytes
) -> None:
    """paho raises half a dozen kinds of exception on these, and its own thread would die."""
    link, session = connect(broker, Heard())
    link.publish("t", b"x", False)
    session.send(kind, body)
    trouble = down(link)
    assert trouble.step == "lost"
    assert not trouble.slow
    assert link.fileno() == -1
    with pytest.raises(LinkDown):
        link.publish("t", b"x", False)


def test_bytes_that_are_no_packet_are_named_as_such(broker: FakeBroker) -> None:
    """Nobody hung up, so it is no lost line that an installer should look for."""
    link, session = connect(broker, Heard())
    session.send(15)
    assert "the broker sent bytes that are not valid MQTT" == down(link).reason


def test_an_exception_of_a_receiver_is_not_swallowed(broker: FakeBroker) -> None:
    """A bug of ours reaches our own log; paho's thread would die of it and look connected."""
    heard = Heard()
    link, session = connect(broker, heard)

    def fail() -> None:
        raise ZeroDivisionError

    heard.then = fail
    session.publish("t", b"x")
    with pytest.raises(ZeroDivisionError):
        pump(link, lambda: False)
    session.publish("t", b"y")
    pump(link, lambda: ("received", "t", b"y") in heard.events)
    link.close()


def test_paho_never_holds_more_than_the_window(broker: FakeBroker) -> None:
    """The spool is the queue; paho's is in memory, invisible, and flooded out on reconnect."""
    link, _ = connect(broker, Heard())
    for _n in range(MAX_IN_FLIGHT):
        link.publish("t", b"x" * 100, False)
    with pytest.raises(LinkDown, match="Message queue full"):
        link.publish("t", b"one too many", False)


@pytest.mark.parametrize(("properties", "room"), [(b"", 32), (b"\x21\0\2", 2), (b"\x21\1\0", 32)])
def test_the_brokers_receive_maximum_is_reported(
    broker: FakeBroker, properties: bytes, room: int
) -> None:
    """More without PUBACK than it allows would make the broker hang up."""
    heard = Heard()
    link = make(broker.port, heard)
    link.open()
    session = broker.accept()
    session.read()
    session.connack(0, properties)
    pump(link, lambda: bool(heard.events))
    assert room == link.room
    link.close()


@pytest.mark.parametrize(("properties", "seconds"), [(b"", 45), (b"\x13\0\x12", 18)])
def test_a_link_is_looked_at_when_its_keepalive_has_something_to_do(
    broker: FakeBroker, properties: bytes, seconds: int
) -> None:
    """Ours is 45 s, this broker's wish 18; rarely, because waking up is most of what idling costs.

    Before the broker has answered, deadlines are looked at every second.
    """
    heard = Heard()
    link = make(broker.port, heard)
    link.open()
    assert link.tick() == 1.0
    session = broker.accept()
    session.read()
    session.connack(0, properties)
    pump(link, lambda: bool(heard.events))
    assert seconds == round(link.tick())
    link.close()


@pytest.mark.parametrize(
    ("code", "slow", "words"),
    [
        (0x86, True, "user name or password"),
        (0x87, True, "not authorized"),
        (0x8A, True, "banned"),
        (0x88, False, "not available"),
        (0x01, True, "does not speak MQTT 5"),
    ],
)
def test_a_refused_connection_says_why(
    broker: FakeBroker, code: int, slow: bool, words: str
) -> None:
    """What only a person can mend is distinguished from what passes."""
    link = make(broker.port)
    link.open()
    session = broker.accept()
    session.read()
    session.connack(code)
    trouble = down(link)
    assert ("login", slow) == (trouble.step, trouble.slow)
    assert words in trouble.reason


@pytest.mark.parametrize("properties", [b"", b"\0"])
def test_takeover_is_distinguished_from_a_lost_connection(
    broker: FakeBroker, properties: bytes
) -> None:
    """paho 1.6.1 overlooks the reason of a DISCONNECT that carries nothing else."""
    link, session = connect(broker, Heard())
    session.send(DISCONNECT, b"\x8e" + properties)
    trouble = down(link)
    assert trouble.slow
    assert "taken over" in trouble.reason


def test_a_broker_that_shuts_down_is_tried_again_soon(broker: FakeBroker) -> None:
    """Its DISCONNECT is no fault of the router's."""
    link, session = connect(broker, Heard())
    session.send(DISCONNECT, b"\x8b")
    trouble = down(link)
    assert not trouble.slow
    assert "shutting down" in trouble.reason


def test_answers_read_with_the_hang_up_are_delivered(broker: FakeBroker) -> None:
    """A PUBACK just before the end counts."""
    heard = Heard()
    link, session = connect(broker, heard)
    mids = [link.publish("t", b"x", False) for _ in range(3)]
    for mid in mids:
        assert session.published().mid == mid
        session.puback(mid)
    session.close()
    trouble = down(link)
    assert not trouble.slow
    assert [("published", mid, None) for mid in mids] == heard.events[1:]


def test_a_silent_listener_is_given_up(broker: FakeBroker) -> None:
    """Something that accepts and never answers CONNECT costs one timeout."""
    link = make(broker.port, connect_timeout_s=0.1)
    link.open()
    trouble = down(link)
    assert trouble.step == "login"
    assert "no answer to CONNECT" in trouble.reason


@pytest.mark.parametrize("read", [True, False], ids=["closed", "reset"])
def test_a_port_for_tls_that_hangs_up_on_plain_words_is_guessed(
    broker: FakeBroker, read: bool
) -> None:
    """It takes CONNECT for a broken handshake, and says nothing of it."""
    link = make(broker.port)
    link.open()
    session = broker.accept()
    if read:
        session.read()
    session.close()
    assert "before it answered: check broker.port and broker.tls" in down(link).reason


def test_nobody_listening_is_reported_in_words() -> None:
    """The installer's first mistake is the port."""
    with pytest.raises(LinkDown, match=r"nothing listens at 127\.0\.0\.1") as caught:
        make(free_port()).open()
    assert caught.value.step == "tcp"


def test_an_unknown_name_is_reported_in_words() -> None:
    """A label of 64 letters is no name, which is known without asking anyone."""
    link = Link(Endpoint("x" * 64, 1883, "r1"), WILL, Heard())
    with pytest.raises(LinkDown, match="no address for xxx") as caught:
        link.open()
    assert caught.value.step == "dns"


def test_a_proxy_of_the_environment_is_not_followed(
    broker: FakeBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """paho asks the environment for `mqtt_proxy`; a router's reports go where the config says."""
    monkeypatch.setenv("mqtt_proxy", "http://127.0.0.1:1")
    link, _ = connect(broker, Heard())
    link.close()


def test_goodbye_is_reported_before_closing(broker: FakeBroker) -> None:
    """DISCONNECT with reason 0 makes the broker forget the will."""
    link, session = connect(broker, Heard())
    link.close(disconnect=True)
    packet = session.read()
    assert (DISCONNECT, b"") == (packet.kind, packet.body)
    assert session.hung_up()


def test_fifty_connections_leave_no_descriptor(broker: FakeBroker) -> None:
    """Whether they end by us, by the broker, or never begin."""
    first, session = connect(broker, Heard())
    first.close()
    session.close()
    before = len(os.listdir("/proc/self/fd"))
    for turn in range(50):
        heard = Heard()
        link, session = connect(broker, heard)
        if turn % 3 == 0:
            session.send(PUBACK, b"\0\1\x95")
            link.publish("t", b"x", False)
            down(link)
        elif turn % 3 == 1:
            session.close()
            down(link)
        else:
            link.close(disconnect=True)
        session.close()
        with pytest.raises(LinkDown):
            make(1).open()
    # What is left of other tests may open and close some meanwhile.
    assert until(lambda: len(os.listdir("/proc/self/fd")) <= before, True)


@pytest.mark.system
def test_a_peer_that_goes_silent_is_given_up_after_one_ping(broker: FakeBroker) -> None:
    """Its kernel still confirms our bytes, so only an unanswered ping shows it."""
    link, session = connect(broker, Heard(), keepalive_s=1)
    assert "no answer" in down(link).reason
    link.close()
    assert session.read().kind == PINGREQ
    with pytest.raises(EOFError):
        session.read()


@pytest.mark.system
def test_a_peer_that_goes_silent_is_noticed_while_we_publish(broker: FakeBroker) -> None:
    """Bytes going out do not count as a sign of life."""
    link, _ = connect(broker, Heard(), keepalive_s=1)
    with pytest.raises(LinkDown, match="no answer"):
        keep_publishing(link)


@pytest.mark.system
def test_a_link_that_publishes_does_not_ping(broker: FakeBroker) -> None:
    """A publish shows the broker as much; a ping and its answer cost 200 bytes more."""
    link, session = connect(broker, Heard(), keepalive_s=2)
    for _ in range(12):
        link.publish("t", b"x", False)
        session.puback(session.published().mid)
        pump_for(link, 0.2)
    link.close()


def keep_publishing(link: Link) -> None:
    """Five times a second, for as long as paho takes it."""
    for _ in range(MAX_IN_FLIGHT):
        link.publish("t", b"x", False)
        pump_for(link, 0.2)


def pump_for(link: Link, seconds: float) -> None:
    """Drive the link for a while."""
    deadline = time.monotonic() + seconds
    pump(link, lambda: time.monotonic() >= deadline)


@pytest.mark.system
def test_a_stopped_mosquitto_is_noticed(tmp_path: Path) -> None:
    """SIGSTOP is a broker whose machine hangs."""
    with Mosquitto(tmp_path) as mosquitto:
        heard = Heard()
        link = make(mosquitto.port, heard, keepalive_s=1)
        link.open()
        pump(link, lambda: bool(heard.events))
        mosquitto.signal(signal.SIGSTOP)
        assert "no answer" in down(link).reason
        mosquitto.signal(signal.SIGCONT)


@pytest.mark.parametrize(
    ("codes", "refused"),
    [((1, 1, 1), None), ((1, 1, 0x87), None), ((1, 0x87, 1), True), ((0x87, 1, 0x87), True)],
)
def test_an_optional_subscription_may_be_refused(
    broker: FakeBroker, codes: tuple[int, ...], refused: bool | None
) -> None:
    """A broker that does not offer it keeps the link; one of the others must be granted."""
    heard = Heard()
    link, session = connect(broker, heard)
    link.subscribe(["r1/ack", "all/status"], optional=["r1/settings"])
    session.suback(*codes)
    pump(link, lambda: len(heard.events) == 2)
    assert ("subscribed", refused) == (heard.events[1][0], heard.events[1][1] and True)
    link.publish("r1/mine", b"x", False)
    assert "r1/mine" == session.published().topic
    link.close()


@pytest.mark.system
def test_mosquitto_says_what_an_acl_forbids(tmp_path: Path) -> None:
    """Under MQTT 3.1.1 the same publish would be acknowledged as a success."""
    (tmp_path / "acl").write_text("pattern write %u/mine\n")
    with Mosquitto(tmp_path, "allow_anonymous true\nacl_file {folder}/acl\n") as mosquitto:
        heard = Heard()
        link = make(mosquitto.port, heard)
        link.open()
        pump(link, lambda: len(heard.events) == 1)
        link.publish("r1/mine", b"x", False)
        link.publish("r2/mine", b"x", False)
        pump(link, lambda: len(heard.events) == 3)
        link.close(disconnect=True)
    refusals = [event[2] for event in heard.events[1:]]
    assert refusals[0] is None
    assert "not authorized" in refusals[1]


@pytest.mark.system
def test_mosquitto_evicts_the_older_of_two(tmp_path: Path) -> None:
    """Since 2.1 it says why; 2.0.11 just hangs up, which only the back-off can meet."""
    with Mosquitto(tmp_path) as mosquitto:
        heard = Heard()
        first, second = make(mosquitto.port, heard), make(mosquitto.port)
        first.open()
        pump(first, lambda: bool(heard.events))
        second.open()
        trouble = down(first)
        second.close()
    assert trouble.slow == ("taken over" in trouble.reason)


@pytest.mark.system
def test_mosquitto_over_its_size_limit_is_a_lost_connection(tmp_path: Path) -> None:
    """mosquitto 2.0.11 answers with a reason that PUBACK does not have, which breaks paho."""
    with Mosquitto(tmp_path, "allow_anonymous true\nmessage_size_limit 100\n") as mosquitto:
        heard = Heard()
        link = make(mosquitto.port, heard)
        link.open()
        pump(link, lambda: bool(heard.events))
        link.publish("t", b"x" * 101, False)
        trouble = down(link)
    assert not trouble.slow


@pytest.mark.system
def test_will_is_kept_back_while_the_session_lives(tmp_path: Path) -> None:
    """A short cut does not flap the status: a resumed session never fires its will."""
    with Mosquitto(tmp_path) as mosquitto:
        heard, watching = Heard(), Heard()
        watcher = Link(Endpoint("127.0.0.1", mosquitto.port, "w"), Will("w", b""), watching)
        watcher.open()
        pump(watcher, lambda: bool(watching.events))
        watcher.subscribe([WILL.topic])
        pump(watcher, lambda: len(watching.events) == 2)
        for _n in range(3):
            link = make(mosquitto.port, heard)
            link.open()
            pump(link, lambda: bool(heard.events))
            heard.events.clear()
            link.close()
        pump_for(watcher, 0.5)
        watcher.close(disconnect=True)
    assert [("connected",), ("subscribed", None)] == watching.events


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CA, a broker's certificate for `localhost`, a router's, and another CA."""
    folder = tmp_path_factory.mktemp("keys")
    for ca in ("ca", "other"):
        run(
            folder,
            f"req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
            f"-keyout {ca}.key -out {ca}.pem -subj /CN={ca}",
        )
    for name, host, days in (
        ("broker", "localhost", 1),
        ("router", "r1", 1),
        ("old", "localhost", -1),
    ):
        (folder / "ext").write_text(f"subjectAltName=DNS:{host}\n")
        run(
            folder,
            f"req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes "
            f"-keyout {name}.key -out {name}.csr -subj /CN={host}",
        )
        run(
            folder,
            f"x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial "
            f"-days {days} -extfile ext -out {name}.pem",
        )
    return folder


def run(folder: Path, arguments: str) -> None:
    """openssl, in that folder."""
    subprocess.run(["openssl", *arguments.split()], cwd=folder, check=True, capture_output=True)


def tls_conf(keys: Path, cert: str = "broker", more: str = "") -> str:
    """A TLS listener's part of mosquitto.conf."""
    return (
        f"allow_anonymous true\ncafile {keys}/ca.pem\ncertfile {keys}/{cert}.pem\n"
        f"keyfile {keys}/{cert}.key\n{more}"
    )


def dial_tls(port: int, host: str, tls: Tls, heard: Heard) -> Link:
    """A link over TLS, open."""
    link = Link(Endpoint(host, port, "r1", tls=tls), WILL, heard)
    link.open()
    return link


@pytest.mark.system
def test_tls_carries_both_ways(tmp_path: Path, keys: Path) -> None:
    """The context checks the name itself: paho's own check needs a function gone since 3.12."""
    with Mosquitto(tmp_path, tls_conf(keys)) as mosquitto:
        heard = Heard()
        link = dial_tls(mosquitto.port, "localhost", Tls(f"{keys}/ca.pem"), heard)
        assert isinstance(link._sock, ssl.SSLSocket)
        assert (link._sock.version() or "") >= "TLSv1.2"
        pump(link, lambda: bool(heard.events))
        link.subscribe(["t"])
        pump(link, lambda: len(heard.events) == 2)
        for n in range(MAX_IN_FLIGHT):
            link.publish("t", b"%d" % n * 500, False)
        pump(link, lambda: len(heard.events) == 2 + 2 * MAX_IN_FLIGHT)
        link.close(disconnect=True)


@pytest.mark.system
def test_tls_with_an_ascii_name_loads_no_idna_tables(tmp_path: Path, keys: Path) -> None:
    """They are half a megabyte, and an extra package on OpenWrt."""
    code = (
        "import sys; from titik_mqtt.dial import dial; from titik_mqtt.endpoint import *\n"
        "from titik_mqtt.failures import Remedies\n"
        "there = Endpoint('localhost', int(sys.argv[1]), 'r1', tls=Tls(sys.argv[2]))\n"
        "dial(there, Remedies, 10.0).close()\n"
        "print({'encodings.idna', 'unicodedata'} & set(sys.modules))"
    )
    with Mosquitto(tmp_path, tls_conf(keys)) as mosquitto:
        done = subprocess.run(
            [sys.executable, "-c", code, str(mosquitto.port), f"{keys}/ca.pem"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    assert "set()\n" == done.stdout


@pytest.mark.system
def test_tls_packets_that_no_poll_sees_are_read(broker: FakeBroker, keys: Path) -> None:
    """Several packets in one TLS record: the socket is readable once, for all of them."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(f"{keys}/broker.pem", f"{keys}/broker.key")
    sessions: list[Session] = []

    def serve() -> None:
        plain = broker.accept()
        session = Session(context.wrap_socket(plain.sock, server_side=True))
        sessions.append(session)
        session.read()
        session.connack()

    thread = threading.Thread(target=serve)
    thread.start()
    heard = Heard()
    link = dial_tls(broker.port, "localhost", Tls(f"{keys}/ca.pem"), heard)
    pump(link, lambda: bool(heard.events))
    thread.join()
    with sessions[0].sock as sock:
        sock.sendall(bytes([0x30, 5, 0, 1]) + b"t\0x" + bytes([0x30, 5, 0, 1]) + b"t\0y")
        pump(link, lambda: len(heard.events) == 3)
        link.close()
    assert [("received", "t", b"x"), ("received", "t", b"y")] == heard.events[1:]


@pytest.mark.system
@pytest.mark.parametrize(
    ("cert", "ca", "host", "words"),
    [
        ("broker", "ca", "127.0.0.1", "broker.host must be an address"),
        ("broker", "other", "localhost", "check broker.ca_file"),
        ("old", "ca", "localhost", "expired"),
        ("broker", "missing", "localhost", "cannot load"),
    ],
)
def test_a_certificate_that_does_not_fit_says_what_to_check(
    tmp_path: Path, keys: Path, cert: str, ca: str, host: str, words: str
) -> None:
    """Each of them is a person's to mend, so it is tried slowly."""
    with (
        Mosquitto(tmp_path, tls_conf(keys, cert)) as mosquitto,
        pytest.raises(LinkDown, match=words) as caught,
    ):
        dial_tls(mosquitto.port, host, Tls(f"{keys}/{ca}.pem"), Heard())
    assert ("tls", True) == (caught.value.step, caught.value.slow)


@pytest.mark.system
def test_plain_port_is_distinguished_from_tls(tmp_path: Path, keys: Path) -> None:
    """The wrong one of two ports is a common mistake."""
    with (
        Mosquitto(tmp_path) as mosquitto,
        pytest.raises(LinkDown, match=r"check broker\.port and broker\.tls"),
    ):
        dial_tls(mosquitto.port, "localhost", Tls(f"{keys}/ca.pem"), Heard())


@pytest.mark.system
@pytest.mark.parametrize(("cert", "accepted"), [("router", True), (None, False), ("old", False)])
def test_the_brokers_verdict_on_our_certificate_is_reported(
    tmp_path: Path, keys: Path, cert: str | None, accepted: bool
) -> None:
    """Under TLS 1.3 it comes after the handshake, inside paho, which makes a number of it."""
    conf = tls_conf(keys, more="require_certificate true\n")
    own = (f"{keys}/{cert}.pem", f"{keys}/{cert}.key") if cert else (None, None)
    with Mosquitto(tmp_path, conf) as mosquitto:
        verdict = ask(mosquitto.port, Tls(f"{keys}/ca.pem", *own))
    assert accepted == (verdict is None)
    if verdict is not None:
        assert verdict.slow
        assert "broker.cert_file" in verdict.reason


@pytest.mark.system
def test_a_revoked_certificate_is_distinguished_from_a_wrong_one(
    tmp_path: Path, keys: Path
) -> None:
    """Nothing in the router's files is wrong, so the installer is sent for new ones."""
    (keys / "index").touch()
    (keys / "ca.conf").write_text(
        f"[ca]\ndefault_ca=one\n[one]\ndatabase={keys}/index\ndefault_md=sha256\n"
        f"default_crl_days=1\ncertificate={keys}/ca.pem\nprivate_key={keys}/ca.key\n"
    )
    run(keys, "ca -config ca.conf -revoke router.pem")
    run(keys, "ca -config ca.conf -gencrl -out crl.pem")
    conf = tls_conf(keys, more=f"require_certificate true\ncrlfile {keys}/crl.pem\n")
    with Mosquitto(tmp_path, conf) as mosquitto:
        own = f"{keys}/router.pem", f"{keys}/router.key"
        verdict = ask(mosquitto.port, Tls(f"{keys}/ca.pem", *own))
    assert verdict is not None
    assert verdict.slow
    assert verdict.reason.endswith("it was revoked; ask for a new bundle (titik router rotate)")


def ask(port: int, tls: Tls) -> LinkDown | None:
    """Connect and hang up; why it did not work, if so."""
    heard = Heard()
    try:
        link = dial_tls(port, "localhost", tls, heard)
        pump(link, lambda: bool(heard.events))
    except LinkDown as trouble:
        return trouble
    link.close(disconnect=True)
    return None


@pytest.mark.system
def test_wrong_password_is_reported_in_words(tmp_path: Path) -> None:
    """mosquitto 2.0.11 says 'not authorized' for it."""
    (tmp_path / "passwords").write_text("")
    conf = "allow_anonymous false\npassword_file {folder}/passwords\n"
    with Mosquitto(tmp_path, conf) as mosquitto:
        link = make(mosquitto.port, password="guess")
        link.open()
        trouble = down(link)
    assert ("login", True) == (trouble.step, trouble.slow)
    assert "password" in trouble.reason
