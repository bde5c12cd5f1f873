"""The sampling loop: events in, samples out, spooled before anyone is told."""

import random
import socket
import threading
import time
from typing import Any

import pytest

from tests.agent.test_sampler import HOSTAPD, FakeClock, FakeSpool
from titik_agent.sampling.loop import LONGEST_S, Loop
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
    loop = Loop(
        sampler, schedule, spool, (ears,), clock.monotonic, lambda: happened.append("woken")
    )
    with ears.here, ears.there:
        ears.there.send(b"probe")
        loop.turn(0.0)
        assert ["checkpoint?"] == happened
        ears.there.send(b"joined")
        loop.turn(0.0)
        clock.now_ms += 1000
        loop.turn(0.0)

    assert ["spooled 1", "woken", "checkpoint?"] == happened[-3:]


def quiet_loop(spool: ListedSpool) -> Loop:
    """Nothing happens, and the next sample is due in an hour at the most."""
    clock = FakeClock()
    sampler = Sampler("a", "0" * 16, clock, spool, (HOSTAPD,), rss_bytes=lambda: 1)
    schedule = Schedule(3600, clock.monotonic(), random.Random(1))
    return Loop(sampler, schedule, spool, (), clock.monotonic, lambda: None)


def test_a_stop_ends_the_wait_at_once() -> None:
    """procd kills five seconds after it asked."""
    stop, loop = threading.Event(), quiet_loop(ListedSpool([]))
    running = threading.Thread(target=loop.run, args=(stop,))
    running.start()
    time.sleep(0.2)  # so that it waits, on most machines; if not yet, it need not wait at all
    stop.set()
    loop.wake()
    running.join(LONGEST_S / 2)  # it would look by itself after all of it
    assert not running.is_alive()


@pytest.mark.thorough
def test_nothing_is_looked_at_while_nothing_happens() -> None:
    """To wake up costs more than to look."""
    happened: list[str] = []
    stop, loop = threading.Event(), quiet_loop(ListedSpool(happened))
    running = threading.Thread(target=loop.run, args=(stop,))
    running.start()
    time.sleep(1.5)
    assert [] == happened
    stop.set()
    loop.wake()
    running.join(5.0)
