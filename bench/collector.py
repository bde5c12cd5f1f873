"""How fast samples become durable, as a share of what a C subscriber takes from the same broker.

The C subscriber is `mosquitto_sub`, which acknowledges and drops. Messages are real samples of
about 1 kB, sent by plain sockets as fast as mosquitto takes them.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from bench import stages
from bench.city import Everybody, Router
from bench.results import ROOT, Length, Result
from bench.window import WindowBroker
from tests.mosquitto import Mosquitto
from tests.ports import free_port
from titik_collector.broker_link.inbox import ReceivedMessage
from titik_collector.ingest.batch import BatchWriter
from titik_collector.ingest.caps import Caps
from titik_collector.ingest.items import to_item
from titik_collector.live.presence import Presence
from titik_collector.store.database import Database
from titik_collector.store.sqlite import open_reader, open_writer

COMMAND = "python -m bench.run --only collector"
PATIENCE_S = 120.0
PUBLISHERS = 8
OPENSSL = (
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3"
    " -keyout key.pem -out cert.pem -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
)


class Server:
    """A broker with a plain and a TLS listener, and a folder with a collector's configuration."""

    def __init__(self, folder: Path) -> None:
        subprocess.run(OPENSSL.split(), cwd=folder, check=True, capture_output=True)
        self.folder = folder
        self.tls = free_port()
        files = "certfile {folder}/cert.pem\nkeyfile {folder}/key.pem\n"
        self.broker = Mosquitto(
            folder,
            f"allow_anonymous true\nset_tcp_nodelay true\nmax_queued_messages 0\n"
            "max_inflight_messages 1000\n"
            f"listener {self.tls} 127.0.0.1\n{files}",
        )

    @contextlib.contextmanager
    def collector(self, tls: bool, port: int | None = None) -> Iterator[Path]:
        """`titik collect` on a new store, connected; gives the store's path."""
        place = self.configured(port or (self.tls if tls else self.broker.port), tls)
        log = (place / "log").open("wb")
        process = subprocess.Popen(
            [sys.executable, "-c", "from titik_collector.cli import main; main()", "collect",
             "--config", str(place / "titik.toml")],
            env={**os.environ, "PYTHONPATH": f"{ROOT / 'agent'}:{ROOT / 'broker'}"},
            stdout=log, stderr=log,
        )  # fmt: skip
        try:
            _until(lambda: b"broker connected" in (place / "log").read_bytes(), "a collector")
            yield place / "db"
        finally:
            process.terminate()
            process.wait(PATIENCE_S)
            log.close()
            self.forget()

    def configured(self, port: int, tls: bool = False) -> Path:
        """A folder of its own with the configuration of a collector that has no store yet."""
        place = Path(tempfile.mkdtemp(dir=self.folder))
        ca = f'ca_file = "{self.folder / "cert.pem"}"\n' if tls else ""
        text = '[city]\nname = "k"\ntitle = "K"\ntimezone = "Asia/Makassar"\n[store]\npath = "db"\n'
        text += "max_samples_per_hour = 1000000\nmax_runs_per_hour = 10000\n"
        text += f'[broker]\nport = {port}\n{ca}[[site]]\nname = "s"\ntitle = "S"\n'
        text += "".join(
            f'[[router]]\nname = "bench-{n}"\nsite = "s"\n' for n in range(1, PUBLISHERS + 1)
        )
        (place / "titik.toml").write_text(text)
        return place

    def forget(self) -> None:
        """End the collector's session, or the broker would keep what the next run sends for it."""
        client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id="titik:main", clean_session=True
        )
        client.connect("127.0.0.1", self.broker.port)
        deadline = time.monotonic() + PATIENCE_S
        while not client.is_connected():
            client.loop(0.1)
            assert time.monotonic() < deadline
        client.disconnect()


class Flood:
    """Samples of PUBLISHERS routers as packets, sent once by as many connections."""

    def __init__(self, each: int, base_ms: int) -> None:
        self.count = each * PUBLISHERS
        self._packets = []
        streams = []
        for number in range(1, PUBLISHERS + 1):
            router = Router(number)
            topic = f"titik/v1/router/bench-{number}/backlog"
            start_ms = base_ms - each * 30_000
            payloads = [router.take(start_ms + n * 30_000).payload for n in range(each)]
            streams.append([(topic, one) for one in payloads])
            self._packets.append(
                b"".join(_publish(topic, n % 65_535 + 1, one) for n, one in enumerate(payloads))
            )
        self.messages = [one for each_router in zip(*streams, strict=True) for one in each_router]

    def send(self, port: int) -> list[threading.Thread]:
        """In threads of their own; each ends when all its messages are acknowledged."""
        threads = [
            threading.Thread(target=self._send, args=(port, n, one), daemon=True)
            for n, one in enumerate(self._packets)
        ]
        for one in threads:
            one.start()
        return threads

    def send_all(self, port: int) -> None:
        """All of them, until the broker has acknowledged the last."""
        for one in self.send(port):
            one.join(PATIENCE_S)

    def _send(self, port: int, number: int, packets: bytes) -> None:
        with socket.create_connection(("127.0.0.1", port)) as sock:
            name = f"flood-{number}".encode()
            body = b"\x00\x04MQTT\x04\x02\x00\x3c" + len(name).to_bytes(2, "big") + name
            sock.sendall(bytes((0x10, len(body))) + body)
            sock.recv(4)
            reader = threading.Thread(target=self._drain, args=(sock,), daemon=True)
            reader.start()
            sock.sendall(packets)
            reader.join(PATIENCE_S)

    def _drain(self, sock: socket.socket) -> None:
        left = self.count // PUBLISHERS * 4
        while left > 0:
            left -= len(sock.recv(65_536)) or left


def _publish(topic: str, mid: int, payload: bytes) -> bytes:
    body = len(topic).to_bytes(2, "big") + topic.encode() + mid.to_bytes(2, "big") + payload
    left, size = len(body), bytearray()
    while True:
        size.append(left & 127 | (128 if left > 127 else 0))
        left >>= 7
        if not left:
            return b"\x32" + bytes(size) + body


def run(length: Length) -> list[Result]:
    """Every figure of the collector."""
    quick = length == "quick"
    each, rounds = (50, 1) if quick else (1500, 5)
    rates: dict[str, list[float]] = {}
    spent: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = Server(folder)
        server.broker.start()
        try:
            for _ in range(rounds):
                spent.append(_measure(server, each, rates))
            waits = _waits(server, 100 if quick else 3000)
        finally:
            server.broker.stop()
        commits = _commits(folder / "commits", 100 if quick else 3000)
    return _results(rates, waits, commits) + _of_stages(spent)


def _measure(server: Server, each: int, rates: dict[str, list[float]]) -> dict[str, float]:
    """In turn, so that a neighbour's load meets all of them; gives the time of each stage."""
    flood = Flood(each, time.time_ns() // 1_000_000)
    rates.setdefault("null", []).append(_null(server, flood))
    for name in ("plain", "tls"):
        rates.setdefault(name, []).append(_durable(server, flood, name == "tls"))
    for window in (1000, 20):
        rates.setdefault(f"window {window}", []).append(_windowed(server, flood, window))
    port = server.broker.port
    try:
        return stages.measure(server.configured(port), flood.count, lambda: flood.send_all(port))
    finally:
        server.forget()


def _windowed(server: Server, flood: Flood, window: int) -> float:
    """Messages a second acknowledged to a broker that keeps to the window."""
    broker = WindowBroker(flood.messages, window)
    with server.collector(False, broker.port), contextlib.closing(broker):
        began = time.perf_counter()
        broker.go.set()
        assert broker.done.wait(PATIENCE_S), f"window {window}: not all acknowledged"
        return flood.count / (time.perf_counter() - began)


def _null(server: Server, flood: Flood) -> float:
    command = ["mosquitto_sub", "-V", "5", "-p", str(server.broker.port), "-q", "1", "-N", "-F", ""]
    topics = ["-t", "titik/v1/router/+/backlog", "-C", str(flood.count)]
    reader = subprocess.Popen([*command, *topics], stdout=subprocess.DEVNULL)
    time.sleep(0.3)  # its subscription; a message before it would be missed and the run would hang
    began = time.perf_counter()
    threads = flood.send(server.broker.port)
    reader.wait(PATIENCE_S)
    took_s = time.perf_counter() - began
    for one in threads:
        one.join(PATIENCE_S)
    return flood.count / took_s


def _durable(server: Server, flood: Flood, tls: bool) -> float:
    """Messages a second until all are committed, each with its place in time."""
    with server.collector(tls) as path:
        db = open_reader(path)
        assert 0 == _rows(db)
        began = time.perf_counter()
        threads = flood.send(server.broker.port)
        _until(lambda: _rows(db) >= flood.count, "rows")
        took_s = time.perf_counter() - began
        for one in threads:
            one.join(PATIENCE_S)
        db.close()
    return flood.count / took_s


def _rows(db: Database) -> int:
    return int(db.execute("SELECT count(*) FROM sample").fetchone()[0])


def _commits(folder: Path, count: int) -> list[float]:
    """Saving one sample at a time, 300 a second, in ms: what lies between message and PUBACK."""
    router, took = Router(1, 3), []
    with contextlib.closing(open_writer(folder / "db")) as db:
        db.execute("INSERT INTO router VALUES (1, 'bench-1', 1, 0)")
        store = BatchWriter(db, Everybody(), Caps(1_000_000, 1000), Presence(db))
        begun = time.perf_counter()
        for n in range(count):
            now_ms = time.time_ns() // 1_000_000
            payload = router.take(now_ms).payload
            received = ReceivedMessage("titik/v1/router/bench-1/sample", payload, (1, 1))
            time.sleep(max(0.0, begun + n / 300 - time.perf_counter()))
            began = time.perf_counter()
            store.save([to_item(received, now_ms)])
            took.append((time.perf_counter() - began) * 1000)
    return took


def _waits(server: Server, count: int) -> list[float]:
    """From publishing a sample to its router's ack, in ms, at 300 a second."""
    router, done = Router(1, 3), threading.Event()
    sent: dict[int, float] = {}
    waits: list[float] = []

    def heard(_client: object, _data: object, message: paho.MQTTMessage) -> None:
        now = time.perf_counter()
        upto = next(iter(json.loads(message.payload)["runs"].values()))["upto"]
        waits.extend((now - sent.pop(seq)) * 1000 for seq in list(sent) if seq <= upto)
        if upto >= count:
            done.set()

    with server.collector(False):
        client = paho.Client(CallbackAPIVersion.VERSION2)
        client.on_message = heard
        client.connect("127.0.0.1", server.broker.port)
        client.subscribe("titik/v1/router/bench-1/ack")
        client.loop_start()
        began = time.perf_counter()
        for seq in range(1, count + 1):
            payload = router.take(time.time_ns() // 1_000_000).payload
            time.sleep(max(0.0, began + seq / 300 - time.perf_counter()))
            sent[seq] = time.perf_counter()
            client.publish("titik/v1/router/bench-1/sample", payload, qos=1)
        assert done.wait(PATIENCE_S)
        client.loop_stop()
        client.disconnect()
    return waits


def _results(
    rates: dict[str, list[float]], waits: list[float], commits: list[float]
) -> list[Result]:
    def ratio(one: str, other: str) -> tuple[float, ...]:
        return tuple(a / b for a, b in zip(rates[one], rates[other], strict=True))

    def rate(name: str, key: str) -> Result:
        return Result(name, "messages/s", tuple(rates[key]), None, COMMAND)

    return [
        rate("a C subscriber that only acknowledges", "null"),
        rate("the collector, durable and placed", "plain"),
        Result("the collector as a share of it", "ratio", ratio("plain", "null"),
               ">= 0.3", COMMAND, "durable and placed"),
        Result("over TLS as a share of plain", "ratio", ratio("tls", "plain"),
               ">= 0.7", COMMAND),
        Result("at a receive window of 20, as a share of 1000", "ratio",
               ratio("window 20", "window 1000"), ">= 0.5", COMMAND,
               "a broker that keeps to the window, which mosquitto 2.0.11 does not"),
        Result("commit of a sample, at 300 a second (deciles)", "ms", _deciles(commits),
               "<= 3", COMMAND, "decoded, placed and committed with synchronous=FULL"),
        Result("from publishing to the router's ack, at 300 a second (deciles)", "ms",
               _deciles(waits), None, COMMAND, "through the broker twice, the commit between"),
    ]  # fmt: skip


def _of_stages(spent: list[dict[str, float]]) -> list[Result]:
    """The table of a message's way."""
    return [
        Result(
            f"a message: {stage}",
            "us of CPU",
            tuple(one[stage] for one in spent),
            None,
            COMMAND,
            meaning,
        )
        for stage, meaning in stages.STAGES.items()
    ]


def _deciles(values: list[float]) -> tuple[float, ...]:
    ordered = sorted(values)
    return tuple(ordered[len(ordered) * n // 10] for n in range(1, 10))


def _until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not in {PATIENCE_S} s"
        time.sleep(0.005)
