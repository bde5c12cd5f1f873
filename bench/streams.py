"""How long a router waits for its ack while people look at the page: no stream, and many.

Both take turns at one broker, collector and page, so that what else the machine does meets both.
The readers are in a process of their own at the lowest priority: elsewhere they are other machines.
"""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from bench.city import Router
from bench.flood import Server, until
from bench.procfs import cpu_s
from bench.results import ROOT, Length, Result
from tests.ports import free_port
from titik_collector.accounts import sessions, users
from titik_collector.accounts.audit import Actor
from titik_collector.config import model
from titik_collector.limits import MAX_SESSIONS, MAX_STREAMS
from titik_collector.store import desk_opening
from titik_collector.store.desk_accounts import Account
from titik_wire.instant import HOUR_MS

COMMAND: Final = "python -m bench.run --only streams"
PROGRAM: Final = "from titik_collector.cli import main; main()"
SETTLE_S = 3.0
MOST_OF_A_PROCESSOR: Final = "<= 0.05"  # set for 300 streams; here are as many as there may be
PER_SITE = 4


@dataclass(frozen=True, slots=True)
class Setting:
    """A city, and how many samples a second all its routers send."""

    routers: int
    rate: int

    def __str__(self) -> str:
        return f"{self.routers:,} routers, {self.rate} samples/s"


@dataclass(frozen=True, slots=True)
class Turn:
    """What was measured in one turn: waits in ms, and the page's share of a processor."""

    waits: list[float]
    page: float

    def at(self, percent: int) -> float:
        """The percentile of the waits."""
        return statistics.quantiles(self.waits, n=100, method="inclusive")[percent - 1]


def run(length: Length) -> list[Result]:
    """Of ten hotspots, and of a city at the rate of 9,000 routers."""
    if length == "quick":
        return _setting(Setting(10, 20), 1, 3.0, 40)
    found = _setting(Setting(10, 20), 5, 8.0, MAX_STREAMS)
    return found + _setting(Setting(1000, 300), 5, 8.0, MAX_STREAMS)


def _setting(setting: Setting, rounds: int, seconds: float, streams: int) -> list[Result]:
    alone, looked_at = [], []
    with tempfile.TemporaryDirectory() as name, Server(Path(name)) as server:
        port = free_port()
        file = _configured(Path(name), server.broker.port, port, setting.routers)
        secrets = _sessions(file, streams)
        with (
            _program(file, "collect", "broker connected"),
            _program(file, "web", "the page is at") as page,
            _routers(server.broker.port, setting) as routers,
        ):
            routers.send(SETTLE_S)  # what the first samples bring is made
            for _ in range(rounds):
                alone.append(_turn(routers, seconds, page))
                with _readers(port, secrets):
                    looked_at.append(_turn(routers, seconds, page))
    return _results(setting, streams, alone, looked_at)


def _turn(routers: "Routers", seconds: float, page: int) -> Turn:
    routers.send(SETTLE_S)
    before = cpu_s(page)
    waits = routers.send(seconds)
    return Turn(waits, (cpu_s(page) - before) / seconds)


class Routers:
    """All routers of a city over one connection, sending in turn."""

    def __init__(self, client: paho.Client, setting: Setting) -> None:
        self._client, self._rate = client, setting.rate
        step_ms = 1000 * setting.routers // setting.rate
        numbers = range(1, setting.routers + 1)
        self._routers = {f"bench-{n}": Router(n, step_ms, HOUR_MS) for n in numbers}
        self._sent: dict[tuple[str, int], float] = {}
        self._waits: list[float] = []
        self._next = self._take()
        client.on_message = self._heard

    def _take(self) -> Iterator[tuple[str, int, bytes]]:
        while True:
            for name, one in self._routers.items():
                taken = one.take(time.time_ns() // 1_000_000)
                yield name, taken.sample.seq, taken.payload

    def send(self, seconds: float) -> list[float]:
        """For so long; how long each sample's router waited for its ack, in ms."""
        self._waits = []
        began = time.perf_counter()
        for number in range(round(seconds * self._rate)):
            name, seq, payload = next(self._next)
            time.sleep(max(0.0, began + number / self._rate - time.perf_counter()))
            self._sent[name, seq] = time.perf_counter()
            self._client.publish(f"titik/v1/router/{name}/sample", payload, qos=1)
        until(lambda: not self._sent, "acks")
        return self._waits

    def _heard(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        now, name = time.perf_counter(), message.topic.split("/")[3]
        upto = next(iter(json.loads(message.payload)["runs"].values()))["upto"]
        for sent in [one for one in list(self._sent) if one[0] == name and one[1] <= upto]:
            self._waits.append((now - self._sent.pop(sent)) * 1000)


@contextlib.contextmanager
def _routers(port: int, setting: Setting) -> Iterator[Routers]:
    client = paho.Client(CallbackAPIVersion.VERSION2)
    routers = Routers(client, setting)
    client.connect("127.0.0.1", port)
    client.subscribe("titik/v1/router/+/ack")
    client.loop_start()
    try:
        yield routers
    finally:
        client.loop_stop()
        client.disconnect()


@contextlib.contextmanager
def _readers(port: int, secrets: Sequence[str]) -> Iterator[None]:
    """One stream for each session; each got something when they are over."""
    with subprocess.Popen(
        [sys.executable, "-m", "bench.stream_readers", str(port)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        cwd=ROOT, env=_environment(), preexec_fn=lambda: os.nice(19),
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(" ".join(secrets) + "\n")
        process.stdin.flush()
        assert process.stdout.readline() == "open\n"
        yield
        process.stdin.close()
        events = int(process.stdout.readline())
        assert events > 2 * len(secrets), f"{events} events of {len(secrets)} streams"


@contextlib.contextmanager
def _program(file: Path, command: str, started: str) -> Iterator[int]:
    """`titik COMMAND` of the city: its process's number."""
    log = file.with_name(f"{command}.log")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, command, "--config", str(file)],
            env=_environment(), stdout=output, stderr=output,
        )  # fmt: skip
    try:
        until(lambda: started in log.read_text(), f"titik {command}")
        yield process.pid
    finally:
        process.terminate()
        process.wait(60)


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": f"{ROOT / 'agent'}:{ROOT / 'broker'}:{ROOT}"}


def _configured(folder: Path, broker: int, port: int, routers: int) -> Path:
    text = f"""
[city]
name = "k"
title = "K"
timezone = "Asia/Makassar"
[store]
path = "db"
max_samples_per_hour = 1000000
max_runs_per_hour = 10000
[broker]
port = {broker}
[web]
port = {port}
"""
    sites = range(-(-routers // PER_SITE))
    text += "".join(f'[[site]]\nname = "s-{n}"\ntitle = "S {n}"\n' for n in sites)
    for n in range(routers):
        text += f'[[router]]\nname = "bench-{n + 1}"\nsite = "s-{n // PER_SITE}"\n'
    file = folder / "titik.toml"
    file.write_text(text)
    return file


def _sessions(file: Path, many: int) -> list[str]:
    """The secrets of so many logins, of as few users as may have them."""
    secrets = []
    actor = Actor("bench", None, time.time_ns() // 1_000_000)
    with desk_opening.opened(model.load(file).page_store) as db:
        for number in range(many):
            name = f"user-{number // MAX_SESSIONS}"
            account = Account(name, "no password", "viewer", None, None, actor.now_ms)
            if number % MAX_SESSIONS == 0:
                users.add(db, account, actor)
            secrets.append(sessions.begin(db, account, None, actor))
    return secrets


def _results(
    setting: Setting, streams: int, alone: list[Turn], looked_at: list[Turn]
) -> list[Result]:
    found = []
    for percent, most in ((50, "<= 1.5"), (99, "<= 2")):
        name = f"from a sample to its ack, {setting}, p{percent}"
        both = [[one.at(percent) for one in turns] for turns in (alone, looked_at)]
        for what, runs in zip(("no stream", f"{streams} streams"), both, strict=True):
            found.append(Result(f"{name}, {what}", "ms", tuple(runs), None, COMMAND))
        ratios = tuple(many / none for none, many in zip(*both, strict=True))
        found.append(Result(f"{name}, {streams} streams to none", "ratio", ratios, most, COMMAND))
    for what, turns in (("no stream", alone), (f"{streams} streams", looked_at)):
        shares = tuple(one.page for one in turns)
        name = f"processor of the page, {setting}, {what}"
        found.append(Result(name, "share of one", shares, MOST_OF_A_PROCESSOR, COMMAND))
    return found
