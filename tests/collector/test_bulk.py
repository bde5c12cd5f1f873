"""Reading many packets at a time gives what paho gives reading one, and paho stays replaceable."""

import itertools
import logging
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from paho.mqtt import __version__ as paho_version

from tests.mosquitto import Mosquitto
from titik_collector.broker_link import fast_paho
from titik_collector.broker_link.connection import Link
from titik_collector.broker_link.fast_paho import (
    READ_BYTES,
    BulkClient,
    Packet,
    StockClient,
    split_packets,
)
from titik_mqtt.dial import dial
from titik_mqtt.endpoint import Endpoint, Tls
from titik_mqtt.failures import LinkDown, Remedies
from titik_wire import topics

CONNACK = b"\x20\x03\x00\x00\x00"
PINGRESP = b"\xd0\x00"
SUBACK = b"\x90\x04\x00\x01\x00\x01"
EXPIRES = b"\x05\x02\x00\x00\x00\x3c"  # a property, with the length of all in front


def publish(
    topic: bytes,
    payload: bytes,
    packet: int = 0,
    qos: int = 0,
    flags: int = 0,
    properties: bytes = b"\0",
) -> bytes:
    """A PUBLISH of MQTT 5 as a broker sends it."""
    body = len(topic).to_bytes(2, "big") + topic
    body += packet.to_bytes(2, "big") if qos else b""
    body += properties + payload
    return bytes([0x30 | qos << 1 | flags]) + remaining(len(body)) + body


def remaining(length: int) -> bytes:
    """A variable byte integer."""
    out = bytearray()
    while True:
        length, low = divmod(length, 128)
        out.append(low | (128 if length else 0))
        if not length:
            return bytes(out)


class Fed:
    """A client at one end of a socket pair, connected as far as it knows."""

    def __init__(self, kind: type[StockClient]) -> None:
        self.taken: list[Packet] = []
        self.client: Any = kind(self.taken.extend)
        near, self.far = socket.socketpair()
        near.setblocking(False)
        self.far.setblocking(False)
        self.client._sock = near
        self.client._keepalive = 60

    def feed(self, data: bytes) -> int | type[Exception]:
        """Send it and let the client read until it has all, or has closed; its verdict."""
        if self.client._sock is not None:
            self.far.sendall(data)
        verdict: int | type[Exception] = 0
        for _ in range(4 * len(data) + 4):  # paho reads one packet at a time
            if verdict != 0 or self.client._sock is None:
                break
            try:
                verdict = int(self.client.loop_read())
            except Exception as error:  # what paho trips over; the connection ends with it
                verdict = type(error)
        return verdict

    def sent(self) -> bytes:
        """What the client wrote."""
        try:
            return self.far.recv(1 << 20)
        except ConnectionResetError:  # closed with bytes unread; logged once, before what was sent
            return self.sent()
        except BlockingIOError:
            return b""

    def close(self) -> None:
        self.client._sock_close()
        self.far.close()


@pytest.fixture
def make() -> Iterator[Callable[[type[StockClient]], Fed]]:
    """Clients that are closed afterwards."""
    made: list[Fed] = []

    def one(kind: type[StockClient]) -> Fed:
        made.append(Fed(kind))
        return made[-1]

    yield one
    for fed in made:
        fed.close()


Make = Callable[[type[StockClient]], Fed]

PACKETS = st.one_of(
    st.builds(publish, st.just(b"titik/v1/router/a/sample"), st.binary(max_size=300)),
    st.builds(
        publish,
        st.binary(max_size=6),
        st.binary(max_size=20),
        packet=st.integers(0, 3),
        qos=st.integers(0, 3),
        flags=st.sampled_from((0, 1, 8, 9)),
        properties=st.sampled_from(
            (b"\0", EXPIRES, b"\x01", b"\x01\x02", b"\x80", b"\x02\x24\x01")
        ),
    ),
    st.sampled_from((PINGRESP, CONNACK, SUBACK, b"\xe0\x00", b"\x40\x02\x00\x09", b"\x00\x00")),
    st.binary(min_size=1, max_size=12),
)


@example(packets=[publish(b"", b"", properties=b"\x01\x02")], cuts=[])  # a property cut short
@given(packets=st.lists(PACKETS, max_size=6), cuts=st.lists(st.integers(0, 900), max_size=6))
def test_any_slices_of_any_bytes_give_what_paho_gives(
    packets: list[bytes], cuts: list[int]
) -> None:
    """Same messages, same answers, same end."""
    stream = b"".join(packets)
    edges = [0, *sorted(min(one, len(stream)) for one in cuts), len(stream)]
    ends = []
    for kind in (StockClient, BulkClient):
        fed = Fed(kind)
        try:
            verdicts = [fed.feed(stream[a:b]) for a, b in itertools.pairwise(edges) if a < b]
            closed = fed.client._sock is None
            bad = [one for one in verdicts if one != 0]
            ends.append((fed.taken, fed.sent(), closed, bad[:1]))
        finally:
            fed.close()
    assert ends[0] == ends[1]


@pytest.mark.parametrize("step", [1, 2, 3, 7, 1000])
def test_a_message_may_come_in_any_pieces(make: Make, step: int) -> None:
    """What a read cut in two waits for the next."""
    stream = b"".join(publish(b"t", bytes(200), n, 1) + PINGRESP for n in range(1, 6))
    fed = make(BulkClient)
    for at in range(0, len(stream), step):
        assert 0 == fed.feed(stream[at : at + step])
    assert [("t", bytes(200), n) for n in range(1, 6)] == fed.taken
    assert b"" == fed.client._unread


def test_one_read_takes_all_that_is_there(make: Make) -> None:
    """Not three reads for each message."""
    fed = make(BulkClient)
    fed.far.sendall(b"".join(publish(b"t", b"x" * 900, n, 1) for n in range(1, 51)))
    fed.client.loop_read()
    assert 50 == len(fed.taken)


def test_one_read_is_bounded(make: Make) -> None:
    """What the link reads beyond a full batch fits in memory."""
    fed = make(BulkClient)
    fed.far.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * READ_BYTES)
    one = publish(b"t", bytes(4000))
    sent = 0
    try:
        while sent < 3 * READ_BYTES:
            sent += fed.far.send(one)
    except BlockingIOError:
        pass  # the pair holds less; the read is bounded all the same
    fed.client.loop_read()
    assert sum(len(payload) for _, payload, _ in fed.taken) <= READ_BYTES


def test_a_message_larger_than_a_read_arrives(make: Make) -> None:
    """It grows in paho's hands instead of being copied with each read."""
    fed = make(BulkClient)
    stream = publish(b"t", b"x" * (READ_BYTES + 10), 1, 1) + publish(b"u", b"y", 2, 1)
    for at in range(0, len(stream), 50_000):
        fed.far.sendall(stream[at : at + 50_000])
        fed.client.loop_read()
    assert [("t", READ_BYTES + 10, 1), ("u", 1, 2)] == [
        (topic, len(payload), packet) for topic, payload, packet in fed.taken
    ]


def test_a_batch_is_acknowledged_in_one_write(make: Make) -> None:
    """Byte for byte what paho would have sent one by one."""
    stock, fast = make(StockClient), make(BulkClient)
    for fed in (stock, fast):
        fed.client.acknowledge([1, 2, 65535])
    assert b"\x40\x02\x00\x01\x40\x02\x00\x02\x40\x02\xff\xff" == fast.sent()
    stock_sent = stock.sent()
    assert stock_sent == b"\x40\x02\x00\x01\x40\x02\x00\x02\x40\x02\xff\xff"


def test_acknowledgements_that_do_not_fit_the_socket_go_on_in_order(make: Make) -> None:
    """A partial write is finished before what was queued after it."""
    fed = make(BulkClient)
    fed.client._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    numbers = list(range(1, 20_001))
    fed.client.acknowledge(numbers)
    assert fed.client.want_write()
    fed.client.publish("later", b"last")
    received = b""
    while fed.client.want_write():
        received += fed.sent()
        fed.client.loop_write()
    received += fed.sent()
    acks = b"".join(b"\x40\x02" + n.to_bytes(2, "big") for n in numbers)
    assert acks == received[: len(acks)]
    assert received[len(acks) :].endswith(b"last")


def test_many_words_leave_in_one_write_as_paho_would_write_them(make: Make) -> None:
    """Byte for byte, whatever their size."""
    stock, fast = make(StockClient), make(BulkClient)
    words = [("t", b"", True), ("a/b", b"x" * 120, False), ("é", b"y" * 20_000, True)]
    for fed in (stock, fast):
        fed.client.publish_all(words)
    output = fast.sent()
    assert output == stock.sent()
    assert 20_000 < len(output)


def test_reading_counts_as_hearing_the_broker(make: Make) -> None:
    """Otherwise a busy connection would be pinged, and given up in the end."""
    fed = make(BulkClient)
    clock = fast_paho._last_heard(fed.client)
    setattr(fed.client, clock, 0.0)
    before = time.monotonic()
    fed.feed(publish(b"t", b"x"))
    assert before <= getattr(fed.client, clock) <= time.monotonic()


def test_the_end_of_the_stream_ends_the_connection(make: Make) -> None:
    """As paho does it, with the callback."""
    fed = make(BulkClient)
    output: list[object] = []
    fed.client.on_disconnect = lambda *arguments: output.append(arguments[3])
    fed.far.close()
    assert paho.MQTT_ERR_CONN_LOST == fed.client.loop_read()
    assert fed.client.socket() is None
    assert 1 == len(output)


def test_a_new_connection_begins_with_a_new_packet() -> None:
    """Half a packet of the connection before would spoil it."""
    client: Any = BulkClient(len)
    client._unread = b"\x32\x7f"
    with pytest.raises(ValueError, match="Invalid host"):
        client.reconnect()
    assert b"" == client._unread


def test_this_paho_has_what_is_used() -> None:
    """The contract: every version that setup allows reads fast; a new one that does not fails."""
    assert paho_version.startswith("2.")
    assert "" == fast_paho._absent(BulkClient)


class WithoutQueue(BulkClient):
    """A paho that queues its packets otherwise."""

    _packet_queue = None  # type: ignore[assignment]


class WithOtherRead(BulkClient):
    """One whose read takes another argument."""

    def _packet_read(self, most: int) -> Any:  # type: ignore[override]
        raise AssertionError(most)


class WithOwnSocket(BulkClient):
    """One that reads past `_sock_recv`: nothing is missing, and it does not work."""

    def _packet_read(self) -> Any:
        return paho.MQTT_ERR_NO_CONN


class WithOtherClock(BulkClient):
    """One that keeps the time of the last packet elsewhere."""

    def __getattribute__(self, name: str) -> Any:
        if name in fast_paho._LAST_HEARD:
            raise AttributeError(name)
        return super().__getattribute__(name)


WILL = (topics.collector("c"), b"offline")
CHANGED = [WithoutQueue, WithOtherRead, WithOwnSocket, WithOtherClock]


@pytest.mark.parametrize("changed", CHANGED)
def test_a_changed_paho_is_used_as_it_is(
    changed: type[StockClient], caplog: pytest.LogCaptureFixture
) -> None:
    """Slower, logged once, and not an error."""
    fast_paho._log_slow.cache_clear()
    with caplog.at_level(logging.WARNING):
        kinds = {type(fast_paho.make(len, changed)) for _ in range(3)}
    assert {StockClient} == kinds
    assert 1 == len(caplog.records)


def test_a_missing_ca_file_is_an_unreachable_broker(tmp_path: Path) -> None:
    """It may be put there later; the collector says so and tries again."""
    absent = str(tmp_path / "absent.crt")
    with socket.create_server(("127.0.0.1", 0)) as server:
        there = Endpoint("127.0.0.1", server.getsockname()[1], tls=Tls(absent))
        link = Link(there, "c", lambda: WILL, lambda: None, len)
        with pytest.raises(LinkDown, match=r"absent\.crt"):
            link._open()


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", r"nothing listens at 127\.0\.0\.1:\d+: does the broker run\? if else"),
        ("mq..example", r"no address for mq\.\.example: check broker\.host"),
    ],
)
def test_a_broker_that_is_not_there_is_reported_with_its_key(host: str, expected: str) -> None:
    """The operator's first mistake is the port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    link = Link(Endpoint(host, port), "c", lambda: WILL, lambda: None, len)
    with pytest.raises(LinkDown, match=expected):
        link._open()


def test_what_is_cut_ends_before_the_first_unfinished_packet() -> None:
    """The rest waits, or is paho's."""
    whole = publish(b"t", b"x", 1, 1)
    assert ([("t", b"x", 1)], len(whole), False) == split_packets(whole + whole[:-1])
    assert ([("t", b"x", 1)], len(whole), True) == split_packets(whole + PINGRESP)
    assert ([], 0, True) == split_packets(publish(b"t", b"x", 1, 2))


# --- with a real broker ---


def certificate(folder: Path) -> None:
    """A self-signed one for 127.0.0.1."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext",
         "subjectAltName=IP:127.0.0.1", "-keyout", str(folder / "key"),
         "-out", str(folder / "crt")],
        check=True, stderr=subprocess.DEVNULL,
    )  # fmt: skip


TLS = "allow_anonymous true\ncertfile {folder}/crt\nkeyfile {folder}/key\n"
MANY = 3000


def exchange(kind: type[StockClient], port: int, ca_file: Path | None = None) -> list[Packet]:
    """What a client of this kind receives of MANY messages that it published itself."""
    taken: list[Packet] = []
    client = fast_paho.make(taken.extend, kind, client_id="c")
    client.max_inflight_messages_set(0)
    tls = None if ca_file is None else Tls(str(ca_file))
    client.dial = lambda: dial(Endpoint("127.0.0.1", port, tls=tls), Remedies, 5.0)
    granted: list[int] = []
    client.on_connect = lambda one, *_: one.subscribe("t/#", 1)
    client.on_subscribe = lambda *_: granted.append(1)
    client.connect("127.0.0.1", port, 60, clean_start=True)
    deadline = time.monotonic() + 120
    sent = acked = 0
    while len(taken) < MANY and time.monotonic() < deadline:
        client.loop_read()
        client.loop_write()
        client.loop_misc()
        if granted and sent < MANY:
            client.publish(f"t/{sent % 7}", f"{sent} ".encode() * 200, 1)
            sent += 1
        if len(taken) - acked >= 10 or len(taken) == MANY:
            client.acknowledge([packet for _, _, packet in taken[acked:]])
            acked = len(taken)
    assert acked == MANY
    client.disconnect()
    while client.socket() is not None and client.want_write():
        client.loop_write()
    sock = client.socket()
    if sock is not None:
        sock.close()
    return taken


def check(taken: Sequence[Packet]) -> None:
    """All of them, each whole."""
    assert {(f"t/{n % 7}", f"{n} ".encode() * 200) for n in range(MANY)} == {
        (topic, payload) for topic, payload, _ in taken
    }
    assert all(packet for _, _, packet in taken)


@pytest.mark.system
def test_every_message_of_a_real_broker_arrives(tmp_path: Path) -> None:
    """And every acknowledgement gets there: without them the broker would stop at twenty."""
    with Mosquitto(tmp_path, "allow_anonymous true\nmax_inflight_messages 20\n") as broker:
        check(exchange(BulkClient, broker.port))


@pytest.mark.system
def test_every_message_arrives_over_tls(tmp_path: Path) -> None:
    """Though one read there gives one record."""
    certificate(tmp_path)
    with Mosquitto(tmp_path, TLS) as broker:
        check(exchange(BulkClient, broker.port, tmp_path / "crt"))


@pytest.mark.system
@pytest.mark.parametrize("changed", CHANGED)
def test_a_changed_paho_still_receives(
    changed: type[StockClient], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The fallback is a working client."""
    with Mosquitto(tmp_path) as broker, caplog.at_level(logging.WARNING):
        check(exchange(changed, broker.port))


@pytest.mark.system
@pytest.mark.parametrize("kind", [BulkClient, StockClient])
def test_the_last_words_of_routers_are_heard_again(
    kind: type[StockClient], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a connect, and that is logged once."""
    monkeypatch.setattr(fast_paho, "make", lambda take, **options: kind(take, **options))
    connects: list[int] = []
    with Mosquitto(tmp_path) as broker:
        login = Endpoint("127.0.0.1", broker.port)
        link = Link(login, "c", lambda: WILL, lambda: connects.append(1), len)
        topic = topics.status("park-1")
        until(lambda: not link.receive(1, 0.1) and link.connected)
        link.publish(topic, b"online", retain=True)
        until(lambda: [topic] == heard(link))
        link.hear_statuses_again()
        until(lambda: [topic] == heard(link))
        link.close()
    assert [1] == connects


def heard(link: Link) -> list[str]:
    """The topics of what came, which is acknowledged."""
    messages = link.receive(10, 0.1)
    link.acknowledge(messages)
    return [one.topic for one in messages]


def until(condition: Callable[[], bool]) -> None:
    """Within a minute."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
