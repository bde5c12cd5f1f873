"""The sign of life: when it is given, and that it comes through the broker."""

import threading
import time
from pathlib import Path

import pytest

from tests.notify.programs import Program, serving
from tests.until import until
from titik_collector.config.receiver_tables import Heartbeat
from titik_collector.notify import beat_listener
from titik_collector.notify.beat_listener import BeatListener, HeardCollector
from titik_collector.notify.heartbeat import Health, Heart, why_silent
from titik_mqtt.endpoint import Endpoint
from titik_wire import codec, topics
from titik_wire.messages import CollectorStatus

NOW = 1000.0
WELL = Health(NOW, True, 5.0, True)


@pytest.mark.parametrize(
    ("health", "expected"),
    [
        (WELL, None),
        (None, "the store was not looked at"),
        (WELL._replace(looked_at=NOW - 31), "the store was not looked at"),
        (WELL._replace(is_alive=False), "the collector does not store"),
        (WELL._replace(silent_s=30.1), "no beat of the collector came through the broker"),
        (WELL._replace(silent_s=None), "no beat of the collector came through the broker"),
        (WELL._replace(is_reachable=False), "no receiver of critical messages can be reached"),
    ],
)
def test_whatever_is_broken_ends_the_sign(health: Health | None, expected: str | None) -> None:
    """Who misses it gives alarm, so nothing that is broken may give it."""
    assert expected == why_silent(health, NOW)


def test_the_sign_is_a_request_and_a_failure_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its address is a secret, and in no line."""
    file = tmp_path / "url"
    with serving(Program()) as program:
        file.write_text(program.url)
        file.chmod(0o600)
        heart = Heart(Heartbeat(url_file=file))
        heart.health = WELL._replace(looked_at=time.monotonic())
        heart.beat()
        assert ["/hook?key=s3cr3t-part"] == program.paths
        program.answers = [(500, {}, b"")]
        heart.beat()
        heart.beat()
        heart.health = None
        heart.beat()
    assert 3 == len(program.paths)
    warned = [one.getMessage() for one in caplog.records]
    assert 2 == len(warned)
    assert "s3cr3t" not in "".join(warned)


def listener() -> BeatListener:
    """One that is not connected."""
    return BeatListener(Endpoint("localhost", 1), "main")


def test_a_beat_is_heard_and_a_retained_status_is_none() -> None:
    """What the broker kept says who collects, not that it lives."""
    one = listener()
    status = codec.encode(CollectorStatus("main", "online", "1", store="ab", epoch=4))
    one.take(topics.collector("main"), status)
    assert (HeardCollector("ab", 4), None) == (one.heard, one.silent_s())
    one.take(topics.beat("main"), status)
    silent_s = one.silent_s()
    assert silent_s is not None
    assert silent_s < 60


def test_a_collector_that_does_not_store_gives_no_beat() -> None:
    """Routers keep what they have, but nothing arrives."""
    one = listener()
    one.take(topics.beat("main"), codec.encode(CollectorStatus("main", "offline", "1")))
    assert (None, None) == (one.heard, one.silent_s())


def test_what_is_no_status_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """And is no beat."""
    one = listener()
    one.take(topics.beat("main"), b"{")
    assert None is one.silent_s()
    assert "beat cannot be read" in caplog.text


class Once(Heart):
    """Its first step meets a bug."""

    steps: int = 0

    def beat(self) -> None:
        """A step."""
        self.steps += 1
        if self.steps == 1:
            raise KeyError("a bug")


def test_a_bug_ends_no_sign_of_life(caplog: pytest.LogCaptureFixture) -> None:
    """It costs one sign, and the next comes as ever."""

    def wait(_wait_s: float) -> None:
        if heart.steps == 2:
            threading.Event().wait()  # for ever

    heart = Once(Heartbeat(url="http://127.0.0.1:1/"), wait=wait)
    heart.start()
    assert 2 == until(lambda: heart.steps, 2)
    assert "a bug stops a heartbeat" in caplog.text


class Deaf(BeatListener):
    """Its first connection meets a bug, and the second one lasts."""

    connections: int = 0

    def _converse(self) -> None:
        self.connections += 1
        if self.connections == 1:
            raise KeyError("a bug")
        threading.Event().wait()  # for ever


def test_a_bug_ends_no_hearing(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It costs one connection."""
    monkeypatch.setattr(beat_listener, "RETRY_S", 0.0)
    one = Deaf(Endpoint("localhost", 1), "main")
    one.start()
    assert 2 == until(lambda: one.connections, 2)
    assert "a bug stops the hearing" in caplog.text
