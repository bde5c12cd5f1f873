"""How fast samples become durable, as a share of what a C subscriber takes from the same broker.

The C subscriber is `mosquitto_sub`, which acknowledges and drops.
"""

import contextlib
import json
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from bench.city import Everybody, Router
from bench.flood import PATIENCE_S, Flood, Server, until
from bench.results import Length, Result
from bench.window import WindowBroker
from titik_collector.broker_link.inbox import ReceivedMessage
from titik_collector.ingest.batch import BatchWriter
from titik_collector.ingest.caps import Caps
from titik_collector.ingest.items import to_item
from titik_collector.live.presence import Presence
from titik_collector.store.database import Database
from titik_collector.store.sqlite import open_reader, open_writer
from titik_wire.instant import HOUR_MS

COMMAND = "python -m bench.run --only collector"
HEADLINE = "a flood durable and placed, as a share of a C subscriber's rate"


def run(length: Length) -> list[Result]:
    """Every figure of the collector."""
    quick = length == "quick"
    each, rounds = (50, 1) if quick else (1500, 5)
    rates: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Server(folder) as server:
            for _ in range(rounds):
                _measure(server, each, rates)
            waits = _waits(server, 100 if quick else 3000)
        commits = _commits(folder / "commits", 100 if quick else 3000)
    return _results(rates, waits, commits)


def _measure(server: Server, each: int, rates: dict[str, list[float]]) -> None:
    """In turn, so that a neighbour's load meets all of them."""
    flood = Flood(each, time.time_ns() // 1_000_000)
    rates.setdefault("null", []).append(_null(server, flood))
    for name in ("plain", "tls"):
        rates.setdefault(name, []).append(_durable(server, flood, name == "tls"))
    for window in (1000, 20):
        rates.setdefault(f"window {window}", []).append(_windowed(server, flood, window))


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
        began = time.perf_counter()
        threads = flood.send(server.broker.port)
        until(lambda: _stored(db) >= flood.count, "rows")
        took_s = time.perf_counter() - began
        assert flood.count == _rows(db)
        for one in threads:
            one.join(PATIENCE_S)
        db.close()
    return flood.count / took_s


def _stored(db: Database) -> int:
    """As many as there are rows, at less cost: to count them would slow down what is measured."""
    ranges = "SELECT coalesce(sum(last_seq - first_seq + 1), 0) FROM settled WHERE kind = 'stored'"
    return int(db.execute(ranges).fetchone()[0])


def _rows(db: Database) -> int:
    return int(db.execute("SELECT count(*) FROM sample").fetchone()[0])


def _commits(folder: Path, count: int) -> list[float]:
    """Saving one sample at a time, 300 a second, in ms: what lies between message and PUBACK."""
    router, took = Router(1, 3, HOUR_MS), []
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
    router, done = Router(1, 3, HOUR_MS), threading.Event()
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
        Result(HEADLINE, "ratio", ratio("plain", "null"), ">= 0.3", COMMAND,
               "each is decoded, placed and committed before its ack"),
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


def _deciles(values: list[float]) -> tuple[float, ...]:
    ordered = sorted(values)
    return tuple(ordered[len(ordered) * n // 10] for n in range(1, 10))
