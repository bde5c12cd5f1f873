"""How long until an engineer sees that a client joined: real agents, broker and collector.

Only the access points are stand-ins, which answer on hostapd's control sockets. A change is seen
when a message with the right number of clients arrives.
"""

import json
import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from bench.results import Length, Result
from tests.agent.fake_hostapd import FakeBss, FakeHostapd
from tests.system.city import City
from titik_wire.packed import unpack

COMMAND = "python -m bench.run --only latency"
APART_S = 5.5
PATIENCE_S = 30.0


class Seen(NamedTuple):
    """A message at an engineer's."""

    at: float
    topic: str
    clients: int | None
    taken_ms: float | None  # from the sample's time to its arrival here


def run(length: Length) -> list[Result]:
    """Every figure of latency."""
    quick = length == "quick"
    routers, changes = (2, 2) if quick else (10, 20)
    names = tuple(f"tirosa-{n}" for n in range(1, routers + 1))
    with tempfile.TemporaryDirectory() as folder, City(Path(folder), *names) as city:
        city.collect()
        with _listening(city) as seen, ExitStack() as stack:
            interval_s = 5 if quick else 30
            points = {name: _agent(city, name, interval_s, stack) for name in names}
            _wait(lambda: {one.topic.split("/")[-2] for one in seen if "sample" in one.topic}
                  >= set(names), "every agent's first sample", interval_s + PATIENCE_S)  # fmt: skip
            _settle()
            slow = _joins(points, changes, APART_S, seen)
            _settle()
            fast = _joins(points, changes, 1.0, seen)
            trips = [one.taken_ms for one in seen if one.taken_ms is not None]
    found = []
    for text, waits, target in (("5.5 s", slow, "<= 1.2"), ("1 s", fast, "<= 6")):
        for leaf in ("sample", "now"):
            found += _percentiles(
                f"a join to `{leaf}`, joins {text} apart", "s", waits[leaf], target
            )
    return found + _percentiles("a sample to its subscriber", "ms", trips, "<= 50")


def _percentiles(name: str, unit: str, values: list[float], target: str) -> list[Result]:
    ordered = sorted(values)
    note = f"{len(ordered)} changes" if unit == "s" else f"{len(ordered)} samples"
    found = []
    for part in (50, 99):
        value = ordered[min(len(ordered) - 1, len(ordered) * part // 100)]
        limit = target if part == 99 else None
        found.append(Result(f"{name}, p{part}", unit, (value,), limit, COMMAND, note))
    return found


@contextmanager
def _listening(city: City) -> Iterator[list[Seen]]:
    """Everything that an engineer receives, as it arrives."""
    seen: list[Seen] = []

    def heard(_client: object, _data: object, message: paho.MQTTMessage) -> None:
        at, wall_ms = time.monotonic(), time.time() * 1000
        body = json.loads(unpack(bytes(message.payload)))
        taken_ms = None
        if message.topic.endswith("/sample") and not message.retain:
            text = body["taken_at"]
            seconds = time.mktime(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
            taken_ms = wall_ms - seconds * 1000 - int(text[20:23])
        seen.append(Seen(at, message.topic, body.get("clients"), taken_ms))

    user = city.directory.settings.engineers[0]
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set(user, city.directory.password(user))
    client.on_message = heard
    client.connect("127.0.0.1", city.directory.ports.engineer)
    client.subscribe([("titik/v1/router/+/sample", 1), ("titik/v1/now/router/+", 1)])
    client.loop_start()
    try:
        yield seen
    finally:
        client.loop_stop()
        client.disconnect()


def _agent(city: City, name: str, interval_s: int, stack: ExitStack) -> FakeHostapd:
    """An agent with an access point of its own."""
    control = city.folder / f"hostapd-{name}"
    control.mkdir()
    point = stack.enter_context(FakeHostapd(str(control), FakeBss("phy0-ap0")))
    process = city.agent(name, interval_s=interval_s, hostapd="control", control_dir=str(control))
    stack.callback(process.kill)
    return point


def _joins(
    points: dict[str, FakeHostapd], changes: int, apart_s: float, seen: list[Seen]
) -> dict[str, list[float]]:
    """Seconds from each join to the first message with as many clients, by leaf."""
    threads = []
    waits: dict[str, list[float]] = {"sample": [], "now": []}
    for name, point in points.items():
        args = (name, point, changes, apart_s, seen, waits)
        threads.append(threading.Thread(target=_join, args=args))
        threads[-1].start()
    for one in threads:
        one.join()
    return waits


def _join(
    name: str, point: FakeHostapd, changes: int, apart_s: float, seen: list[Seen],
    waits: dict[str, list[float]],
) -> None:  # fmt: skip
    rand = random.Random(name)
    time.sleep(rand.uniform(0, apart_s))
    (bss,) = point.bsses.values()
    before, joined = len(bss.stations), []
    first = len(seen)
    for n in range(1, changes + 1):
        joined.append(time.monotonic())
        point.join(
            "phy0-ap0", f"02:00:00:{rand.randrange(256):02x}:{before >> 8:02x}:{before + n:02x}"
        )
        time.sleep(apart_s + rand.uniform(0, 0.5))
    leaves = {"sample": f"titik/v1/router/{name}/sample", "now": f"titik/v1/now/router/{name}"}
    for leaf, topic in leaves.items():
        for n, at in enumerate(joined, 1):
            waits[leaf].append(_first(seen, first, topic, before + n, at) - at)


def _first(seen: list[Seen], first: int, topic: str, wanted: int, at: float) -> float:
    """When so many clients were first published on a topic."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        for one in seen[first:]:
            if one.topic == topic and one.at >= at and (one.clients or 0) >= wanted:
                return one.at
        assert time.monotonic() < deadline, f"{wanted} on {topic}: not in {PATIENCE_S} s"
        time.sleep(0.02)


def _settle() -> None:
    """The extra samples of what was before are over."""
    time.sleep(APART_S)


def _wait(condition: Callable[[], bool], what: str, patience_s: float) -> None:
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not in {patience_s} s"
        time.sleep(0.02)
