"""Receivers that hang: how long a message to another takes, and a router waits for its ack.

Both take turns at one broker and collector: one receiver that answers, and the same beside many
that accept a connection and are silent. Each of those has messages that wait: all lanes are busy.
"""

import contextlib
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.flood import Server, until
from bench.results import Length, Result
from bench.streams import SETTLE_S, Routers, Setting, _configured, _program, _routers
from tests.notify.messages import notification
from tests.notify.programs import Program, serving, silent
from tests.ports import free_port
from titik_collector.config import model
from titik_collector.config.model import Config
from titik_collector.store import opening, outbox_rows

COMMAND: Final = "python -m bench.run --only hung"
APART_S = 0.5  # between two messages
HUNG = 20
WAITING = 30  # messages for each that hangs


@dataclass(frozen=True, slots=True)
class Turn:
    """In ms: of each sample until its ack, and of each message from when it was due."""

    acks: list[float]
    messages: list[float]


def run(length: Length) -> list[Result]:
    """Of ten hotspots."""
    rounds, seconds = (1, 3.0) if length == "quick" else (5, 8.0)
    setting = Setting(10, 20)
    alone, beside = list[Turn](), list[Turn]()
    with tempfile.TemporaryDirectory() as name, Server(Path(name)) as server:
        folder = Path(name)
        file = _configured(folder, server.broker.port, free_port(), setting.routers)
        with (
            _program(file, "collect", "broker connected"),
            _routers(server.broker.port, setting) as routers,
            serving(Program()) as answers,
            silent() as port,
        ):
            routers.send(SETTLE_S)
            both = [_notifying(file, answers, 0, port), _notifying(file, answers, HUNG, port)]
            for number in range(rounds):
                for place, (one, found) in enumerate(zip(both, (alone, beside), strict=True)):
                    first = 100_000 * (2 * number + place + 1)
                    found.append(_turn(one, routers, answers, seconds, first))
    return _results(setting, alone, beside)


def _notifying(file: Path, answers: Program, hung: int, port: int) -> Path:
    """A configuration with so many receivers that hang."""
    text = file.read_text() + '\n[alerts]\non = false\n[[route]]\nreceivers = ["answers"]\n'
    addresses = {"answers": answers.url.partition("?")[0]}
    addresses |= {f"hung-{n}": f"http://127.0.0.1:{port}/" for n in range(hung)}
    for name, url in addresses.items():
        text += f'[[receiver]]\nname = "{name}"\ntype = "webhook"\nurl = "{url}"\n'
    made = file.with_name(f"titik-{hung}.toml")
    made.write_text(text)
    return made


def _turn(file: Path, routers: Routers, answers: Program, seconds: float, first: int) -> Turn:
    settings = model.load(file)
    names = [one.name for one in settings.receiver if one.name != "answers"]
    _put(settings, [(first + n, name) for n, name in enumerate(names * WAITING)])
    due: dict[int, float] = {}
    with _program(file, "notify", "notifier started"), _asking(settings, first + 50_000, due):
        routers.send(SETTLE_S)
        acks = routers.send(seconds)
        until(lambda: len(due) > 3 and set(list(due)[:3]) <= set(_arrived(answers)), "a message")
        time.sleep(SETTLE_S)
        arrived = _arrived(answers)
    waits = [(arrived[n] - at) * 1000 for n, at in due.items() if n in arrived]
    return Turn(acks, waits)


def _arrived(answers: Program) -> dict[int, float]:
    """When each message came, by its number."""
    numbers = [int(body["notification"].split("-")[-2]) for body in list(answers.bodies)]
    return dict(zip(numbers, list(answers.at), strict=False))


@contextlib.contextmanager
def _asking(settings: Config, first: int, due: dict[int, float]) -> Iterator[None]:
    """A message to the one that answers, again and again."""
    over = threading.Event()

    def ask() -> None:
        number = first
        while not over.wait(APART_S):
            due[number] = time.time()
            _put(settings, [(number, "answers")])
            number += 1

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _put(settings: Config, wanted: list[tuple[int, str]]) -> None:
    """Into the outbox, beside the collector."""
    now_ms = time.time_ns() // 1_000_000
    db = opening.open_writer(settings.store)
    try:
        with db.transaction():
            outbox_rows.put(db, [notification(n, "test", now_ms, name, None) for n, name in wanted])
    finally:
        db.close()


def _results(setting: Setting, alone: list[Turn], beside: list[Turn]) -> list[Result]:
    found = []
    for what, most in (("acks", "<= 1.5"), ("messages", "<= 1.2")):
        name = "a sample to its ack" if what == "acks" else "a message from its time to its arrival"
        both = [
            tuple(statistics.median(getattr(one, what)) for one in turns)
            for turns in (alone, beside)
        ]
        for of, runs in zip(("no other receiver", f"{HUNG} that hang"), both, strict=True):
            found.append(Result(f"{name}, {setting}, {of}", "ms", runs, None, COMMAND))
        ratios = tuple(many / none for none, many in zip(*both, strict=True))
        found.append(Result(f"{name}, {HUNG} that hang to none", "ratio", ratios, most, COMMAND))
    return found
