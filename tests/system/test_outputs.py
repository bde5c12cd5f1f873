"""Outputs that fail, beside a real collector at a real broker."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from tests.broker.running import Client
from tests.collector.build import BOOT, RUN, sample
from tests.collector.test_collect import ROUTER, SITE
from tests.collector.test_registry import HEAD
from tests.mosquitto import Mosquitto
from titik_collector.assemble import Parts
from titik_collector.collect import Collector
from titik_collector.config import model
from titik_collector.live.hearing import LEAST_MS, Hearing
from titik_collector.outputs.output import Event, FinishedWindow, Output, PresenceChange
from titik_collector.outputs.topics import Topics
from titik_collector.store.database import Database
from titik_collector.store.sqlite import open_writer
from titik_mqtt.endpoint import Endpoint
from titik_wire import codec, topics
from titik_wire.city_messages import Now
from titik_wire.messages import Ack, Status

pytestmark = pytest.mark.system


class Remembering(Output):
    """Keeps what it was given, in order."""

    name = "remembering"

    def __init__(self) -> None:
        self.got: list[tuple[object, ...]] = []

    def presence_changed(self, changes: Sequence[PresenceChange]) -> None:
        self.got += [(one.router, one.site, one.state) for one in changes]

    def now_changed(self, nows: Sequence[Now]) -> None:
        self.got += [(one.scope, one.name, one.clients) for one in nows]

    def events_happened(self, events: Sequence[Event]) -> None:
        self.got += [(one.kind, one.name, one.text) for one in events]


class Asleep(Output):
    """Never comes back from its first call."""

    name = "asleep"

    def __init__(self) -> None:
        self.fell = threading.Event()

    def now_changed(self, _nows: Sequence[Now]) -> None:
        self.fell.set()
        threading.Event().wait()


class Raising(Output):
    """Raises each time, whatever it is given."""

    name = "raising"

    def presence_changed(self, changes: Sequence[PresenceChange]) -> None:
        raise KeyError(changes[0].router)

    def now_changed(self, nows: Sequence[Now]) -> None:
        raise KeyError(len(nows) > 0)

    def windows_finished(self, windows: Sequence[FinishedWindow]) -> None:
        raise KeyError(windows[0].rollup.name)

    def events_happened(self, events: Sequence[Event]) -> None:
        raise SystemExit(events[0].kind)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    folder = tmp_path / "broker"
    folder.mkdir()
    with Mosquitto(folder) as running:
        yield running


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A city of one router."""
    path = tmp_path / "titik.toml"
    path.write_text(HEAD + SITE + ROUTER)
    return path


def turn_until(collector: Collector, condition: Callable[[], bool]) -> None:
    """Within a minute."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        collector.turn()


def collecting(file: Path, db: Database, broker: Mosquitto, outputs: Sequence[Output]) -> Collector:
    """A collector that is connected."""
    login = Endpoint("127.0.0.1", broker.port)
    collector = Collector(Parts(model.load(file), db, login, outputs=outputs))
    turn_until(collector, lambda: collector.parts.link.connected)
    return collector


def found(collector: Collector, sound: Remembering) -> set[object]:
    """The kinds of what was reported, after another look for events."""
    assert collector.parts.events is not None
    collector.parts.events.step(0)
    return {one[0] for one in sound.got}


class Router:
    """A router, and what the broker publishes of it."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.upto = 0
        self.clients: int | None = None
        client.subscribe(topics.ack("park-1"))
        client.subscribe(topics.now("router", "park-1"))
        online = Status("park-1", "online", RUN, 1, BOOT, "0.1.0")
        client.send(topics.status("park-1"), codec.encode(online))

    def report(self, seq: int, lowest: int = 1) -> None:
        """A sample with as many clients, while `lowest` and later are held."""
        now_ms = time.time_ns() // 1_000_000
        one = sample(seq, router="park-1", clients=seq, lowest=lowest, taken_at=now_ms)
        self._client.send(topics.sample("park-1"), codec.encode(one))

    def leave(self) -> None:
        """Its will."""
        offline = Status("park-1", "offline", RUN, 1, BOOT, "0.1.0")
        self._client.send(topics.status("park-1"), codec.encode(offline))

    def hears(self) -> tuple[int, int | None]:
        """Up to where the newest ack goes, and the clients of the newest `now`."""
        while not self._client.received.empty():
            message = codec.decode(*self._client.next())
            if isinstance(message, Ack):
                self.upto = max((run.upto for run in message.runs), default=self.upto)
            elif isinstance(message, Now):
                self.clients = message.clients
        return self.upto, self.clients


def test_outputs_that_hang_or_raise_hold_up_neither_acks_nor_others(
    file: Path, broker: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    """Samples are stored and acknowledged, `now` is published, other outputs get all of it."""
    asleep, sound = Asleep(), Remembering()
    with closing(open_writer(file.with_name("titik.db"))) as db, Client(broker.port) as client:
        collector = collecting(file, db, broker, (asleep, Raising(), sound))
        router = Router(client)
        for seq in range(1, 6):
            router.report(seq)
            turn_until(collector, lambda seq=seq: router.hears() == (seq, seq))  # type: ignore[misc]
        turn_until(collector, lambda: ("router", "park-1", 5) in sound.got)
        collector.close()

        assert asleep.fell.is_set()
        assert ("park-1", "park", "online") in sound.got
        assert (5,) == db.execute("SELECT count(*) FROM sample").fetchone()
    assert 1 == caplog.text.count("output fails output=raising")


def test_topics_that_raise_hold_up_neither_acks_nor_others(
    file: Path, broker: Mosquitto, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """They are published in the collector's own thread; when they work, all is as ever."""
    sound = Remembering()
    with closing(open_writer(file.with_name("titik.db"))) as db, Client(broker.port) as client:
        collector = collecting(file, db, broker, (sound,))
        router = Router(client)
        with monkeypatch.context() as broken:
            broken.setattr(Topics, "now_changed", Raising.now_changed)
            router.report(1)
            turn_until(collector, lambda: router.hears()[0] == 1)
            turn_until(collector, lambda: ("router", "park-1", 1) in sound.got)
            assert router.hears() == (1, None)
        router.report(2)
        turn_until(collector, lambda: router.hears() == (2, 2))
        collector.close()
    assert 1 == caplog.text.count("output fails output=topics")


def test_what_the_collector_finds_is_an_event(
    file: Path, broker: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    """While it runs: routers that are added or removed, lost samples and outages."""
    sound = Remembering()
    with closing(open_writer(file.with_name("titik.db"))) as db, Client(broker.port) as client:
        collector = collecting(file, db, broker, (sound,))
        turn_until(collector, lambda: ("registered", "park-1", "at park") in sound.got)
        router = Router(client)
        router.report(1)
        router.report(9, lowest=9)
        turn_until(collector, lambda: router.hears() == (9, 9))
        router.leave()
        turn_until(collector, lambda: {"lost", "outage"} <= found(collector, sound))
        file.write_text(HEAD + SITE + ROUTER.replace("park-1", "park-2"))
        turn_until(collector, lambda: "removed" in found(collector, sound))
        collector.close()

    assert {
        ("lost", "park-1", f"7 samples of run {RUN} declared lost"),
        ("registered", "park-2", "at park"),
        ("removed", "park-1", "from park"),
    } <= set(sound.got)
    assert "output" not in caplog.text


def test_a_router_that_cannot_be_heard_is_reported_as_unknown(
    file: Path, broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And as what it is, when it is heard again."""
    monkeypatch.setattr(Hearing, "deaf_ms", lambda self: 0 if self.hears() else LEAST_MS)
    sound = Remembering()
    with closing(open_writer(file.with_name("titik.db"))) as db, Client(broker.port) as client:
        collector = collecting(file, db, broker, (sound,))
        router = Router(client)
        router.report(1)
        turn_until(collector, lambda: ("park-1", "park", "online") in sound.got)
        sound.got.clear()
        collector.parts.lost("the broker is gone")
        collector.parts.always.run(idle=True)
        turn_until(collector, lambda: ("park-1", "park", "online") in sound.got)
        collector.close()

    states = [one for one in sound.got if one[0] == "park-1"]
    assert [("park-1", "park", "unknown"), ("park-1", "park", "online")] == states[:2]


def test_before_anything_is_heard_every_router_is_unknown(
    file: Path, broker: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    """The store's last state is of before; nobody knows what happened since."""
    sound = Remembering()
    with closing(open_writer(file.with_name("titik.db"))) as db, Client(broker.port) as client:
        collector = collecting(file, db, broker, ())
        router = Router(client)
        router.report(1)
        turn_until(collector, lambda: router.hears() == (1, 1))
        collector.close()
        nobody = Endpoint("127.0.0.1", 1)
        again = Collector(Parts(model.load(file), db, nobody, outputs=(sound,)))
        turn_until(again, lambda: any(one[0] == "park-1" for one in sound.got))
        again.close()

    states = {one for one in sound.got if one[0] == "park-1"}
    assert {("park-1", "park", "unknown")} == states
    assert "nothing listens" in caplog.text
