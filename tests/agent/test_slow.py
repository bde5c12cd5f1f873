"""A reading that takes long holds nobody up."""

import threading
from collections.abc import Iterator

import pytest

from tests.agent.fake_clock import FakeClock
from titik_agent.sources import slow
from titik_agent.sources.host import HostSource
from titik_agent.sources.slow import FRESH_S, STALE_S, Slow


class Sensor:
    """Answers when it is let; with how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer = threading.Event()
        self.answered = threading.Event()

    def read(self) -> int:
        self.asked += 1
        asked = self.asked
        self.answer.wait()
        self.answered.set()
        return asked


@pytest.fixture
def sensor() -> Iterator[Sensor]:
    made = Sensor()
    yield made
    made.answer.set()


def test_a_quick_answer_is_given_at_once(sensor: Sensor) -> None:
    """It is read again when it is no longer fresh, and no thread stays."""
    clock = FakeClock()
    sensor.answer.set()
    value = Slow(sensor.read, clock.monotonic)

    others = set(threading.enumerate())
    answers = []
    for _ in range(4):
        answers.append(value.value())
        clock.now_s += FRESH_S / 2
    assert [1, 1, 2, 2] == answers
    assert "slow" not in {one.name for one in set(threading.enumerate()) - others}


def test_a_slow_answer_is_given_to_who_asks_next(
    sensor: Sensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until it comes there is none, and the sensor is not asked twice at a time."""
    monkeypatch.setattr(slow, "PATIENCE_S", 0.01)
    clock = FakeClock()
    value = Slow(sensor.read, clock.monotonic)

    assert [None, None, None] == [value.value() for _ in range(3)]
    monkeypatch.setattr(slow, "PATIENCE_S", 60.0)
    sensor.answer.set()
    assert 1 == value.value()
    clock.now_s += FRESH_S
    assert 2 == value.value()


def test_without_room_for_a_thread_there_is_no_value(
    sensor: Sensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A router that is out of memory for a moment still takes its sample."""

    def fail(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    assert Slow(sensor.read).value() is None


def test_an_answer_grows_old(sensor: Sensor, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sensor that hangs leaves its last value for two minutes."""
    clock = FakeClock()
    sensor.answer.set()
    value = Slow(sensor.read, clock.monotonic)
    assert 1 == value.value()
    sensor.answer.clear()
    monkeypatch.setattr(slow, "PATIENCE_S", 0.01)

    clock.now_s += STALE_S
    assert 1 == value.value()
    clock.now_s += 1
    assert value.value() is None


class HangingSensors:
    """A machine whose one-wire sensors do not answer."""

    def __init__(self, sensor: Sensor) -> None:
        self._sensor = sensor

    def load(self) -> float:
        return 0.5

    def cpu(self) -> None:
        raise OSError

    def memory(self) -> tuple[int, int]:
        return 2, 1

    def disk_free(self) -> int:
        return 3

    def temperatures(self) -> list[float]:
        return [float(self._sensor.read())]


def test_sensors_that_hang_cost_their_figure_alone(
    sensor: Sensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The section comes without it, and without waiting for it."""
    monkeypatch.setattr(slow, "PATIENCE_S", 0.01)
    host = HostSource(FakeClock(), HangingSensors(sensor)).read()  # type: ignore[arg-type]

    assert (0.5, 2, None) == (host.load_1m, host.mem_total_bytes, host.temp_c)
