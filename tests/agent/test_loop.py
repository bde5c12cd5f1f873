"""The sampling loop: events in, samples out, spooled before anything is reported."""

import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.agent.test_sampler import HOSTAPD, FakeClock, FakeSpool
from tests.until import PATIENCE_S
from titik_agent.sampling import loop
from titik_agent.sampling.loop import Loop
from titik_agent.sampling.sampler import Sampler
from titik_agent.sampling.schedule import Schedule


class Ears:
    """An event source behind a real socket; any byte says that a client joined."""

    name, field = "hostapd", "bss"

    def __init__(self) -> None:
        self.here, self.there = socket.socketpair()

    def read(self) -> Any:
        return ()

    def filenos(self) -> tuple[int, ...]:
        return (self.here.fileno(),)

    def pump(self) -> bool:
        return self.here.recv(100) == b"joined"


class ListedSpool(FakeSpool):
    def __init__(self, happened: list[str]) -> None:
        super().__init__()
        self._happened = happened

    def append(self, run: str, seq: int, payload: bytes) -> None:
        assert run
        assert payload
        self._happened.append(f"spooled {seq}")

    def checkpoint_if_due(self) -> None:
        self._happened.append("checkpoint?")


def test_a_join_is_sampled_and_spooled_before_the_uplink_hears_of_it() -> None:
    """What is not in the spool does not exist."""
    happened: list[str] = []
    clock, ears, spool = FakeClock(), Ears(), ListedSpool(happened)
    sampler = Sampler("a", "0" * 16, clock, spool, (HOSTAPD,), rss_bytes=lambda: 1)
    schedule = Schedule(3600, clock.monotonic(), random.Random(1))
    one = Loop(sampler, schedule, spool, (ears,), clock.monotonic, lambda: happened.append("woken"))
    with ears.here, ears.there:
        ears.there.send(b"probe")
        one.turn(0.0)
        assert ["checkpoint?"] == happened
        ears.there.send(b"joined")
        one.turn(0.0)
        clock.now_ms += 1000
        one.turn(0.0)

    assert ["spooled 1", "woken", "checkpoint?"] == happened[-3:]


@contextmanager
def running(spool: ListedSpool) -> Iterator[threading.Thread]:
    """A loop that waits in a thread, where nothing happens; in the end it is stopped."""
    stop, waiting, clock = threading.Event(), threading.Event(), FakeClock()

    def monotonic() -> float:
        waiting.set()  # the loop asks for the time before it waits
        return clock.monotonic()

    sampler = Sampler("a", "0" * 16, clock, spool, (HOSTAPD,), rss_bytes=lambda: 1)
    schedule = Schedule(7200, clock.monotonic(), random.Random(1))
    quiet = Loop(sampler, schedule, spool, (), monotonic, lambda: None)
    thread = threading.Thread(target=quiet.run, args=(stop,), daemon=True)
    thread.start()
    assert waiting.wait(PATIENCE_S)
    yield thread
    stop.set()
    quiet.wake()
    thread.join(PATIENCE_S)


@pytest.fixture(autouse=True)
def _long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """By itself it looks after an hour, so that it does not in the time of a test."""
    monkeypatch.setattr(loop, "LONGEST_S", 3600.0)


def test_a_stop_ends_the_wait_at_once() -> None:
    """procd kills five seconds after it asked."""
    with running(ListedSpool([])) as thread:
        assert thread.is_alive()
    assert not thread.is_alive()


@pytest.mark.thorough
def test_nothing_is_looked_at_while_nothing_happens() -> None:
    """To wake up costs more than to look."""
    happened: list[str] = []
    with running(ListedSpool(happened)):
        time.sleep(1.5)
        assert [] == happened
