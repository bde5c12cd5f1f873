"""The router as a computer."""

from collections.abc import Iterable

import psutil
import pytest

from tests.agent.fake_clock import FakeClock
from titik_agent.clock import SystemClock
from titik_agent.sources.host import CpuTime, HostSource, Machine, busy_ratio, hottest
from titik_wire.messages import Host


class GoodMachine(Machine):
    """Answers everything."""

    def __init__(self) -> None:
        super().__init__()
        self.times = [CpuTime(10.0, 100.0), CpuTime(15.0, 120.0)]

    def load(self) -> float:
        return 0.254

    def cpu(self) -> CpuTime:
        return self.times.pop(0)

    def memory(self) -> tuple[int, int]:
        return 128 << 20, 40 << 20

    def disk_free(self) -> int:
        return 3 << 20

    def temperatures(self) -> Iterable[float]:
        return [41.04, 55.5]


class BadMachine(GoodMachine):
    """Fails at everything, as psutil does on one kernel or another."""

    def load(self) -> float:
        raise OSError

    def cpu(self) -> CpuTime:
        raise IndexError

    def memory(self) -> tuple[int, int]:
        raise KeyError

    def disk_free(self) -> int:
        raise FileNotFoundError

    def temperatures(self) -> Iterable[float]:
        raise AttributeError


def test_a_machine_that_answers_fills_every_field() -> None:
    """CPU is known from the second reading on."""
    source = HostSource(FakeClock(up_ms=61_999), GoodMachine())
    assert source.read().cpu_busy_ratio is None
    source = HostSource(FakeClock(up_ms=61_999), GoodMachine())
    source.read()
    assert source.read() == Host(61, 0.25, 0.25, 128 << 20, 40 << 20, 3 << 20, 55.5)


def test_what_cannot_be_read_is_left_out() -> None:
    """Each figure stands alone, and none becomes zero."""
    assert HostSource(FakeClock(up_ms=61_999), BadMachine()).read() == Host(uptime_s=61)


def test_a_failed_reading_starts_the_cpu_again() -> None:
    """The share is of one interval between two readings, never of a longer one."""
    machine = GoodMachine()
    source = HostSource(FakeClock(), machine)
    source.read()
    machine.times = []  # IndexError
    source.read()
    machine.times = [CpuTime(15.0, 120.0)]
    assert source.read().cpu_busy_ratio is None


@pytest.mark.parametrize(
    ("before", "now", "ratio"),
    [
        (None, CpuTime(1, 2), None),
        (CpuTime(1, 2), None, None),
        (CpuTime(0, 10), CpuTime(10, 20), 1.0),
        (CpuTime(5, 10), CpuTime(5, 20), 0.0),
        (CpuTime(5, 10), CpuTime(5, 10), None),  # no time passed
        (CpuTime(5, 10), CpuTime(4.9, 20), 0.0),  # the kernel's iowait fell
        (CpuTime(5, 10), CpuTime(0, 20), None),
        (CpuTime(5, 20), CpuTime(5, 10), None),
        (CpuTime(0, 10), CpuTime(20, 20), None),
    ],
)
def test_busy_is_a_share_or_nothing(
    before: CpuTime | None, now: CpuTime | None, ratio: float | None
) -> None:
    """What cannot be a share of the time is left out."""
    assert busy_ratio(before, now) == ratio


@pytest.mark.parametrize(
    ("sensors", "hottest_c"),
    [
        ([], None),
        ([41.0, 60.25, 50.0], 60.2),
        ([-273.2, 255.0, 127.0, 125.0], None),  # not connected
        ([127.0, 44.0], 44.0),
        ([float("nan"), 30.0], 30.0),
        ([-10.0], -10.0),
    ],
)
def test_a_sensor_that_cannot_be_true_is_not_believed(
    sensors: list[float], hottest_c: float | None
) -> None:
    """The hottest of the others is the router's temperature."""
    assert hottest(sensors) == hottest_c


def test_this_machine_can_be_read() -> None:
    """Under every psutil we support, with this kernel's /proc."""
    host = HostSource(SystemClock()).read()
    assert host.mem_total_bytes == psutil.virtual_memory().total
    assert host.uptime_s is not None
    assert host.load_1m is not None
    assert host.disk_free_bytes is not None
