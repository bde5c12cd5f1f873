"""The router as a computer: uptime, load, CPU, memory, disk, temperature.

Rule: each figure stands alone; one that cannot be read, or cannot be true, is left out.
Rule: what may wait for a device, sensors and the disk, is read apart; see `slow`.
"""

import os
from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeVar

import psutil

from titik_agent.clock import Clock
from titik_agent.sources.slow import Slow
from titik_wire.limits import MAX_LOAD
from titik_wire.messages import Host

T = TypeVar("T")

# OpenWrt's writable file system, which keeps the configuration.
OVERLAY = "/overlay"
# Sensors that are not connected read -273, 127 or 255 degrees.
COLDEST_C, HOTTEST_C = -40.0, 125.0


class CpuTime(NamedTuple):
    """Seconds since boot, of all cores together."""

    busy: float
    total: float


class Machine:
    """What psutil knows of the machine; each may raise OSError, ValueError and the like.

    `disk`: a path of the file system that matters.
    """

    def __init__(self, disk: str | None = None) -> None:
        self._disk = disk or (OVERLAY if os.path.isdir(OVERLAY) else "/")

    def load(self) -> float:
        return os.getloadavg()[0]

    def cpu(self) -> CpuTime:
        times = psutil.cpu_times()
        # Of /proc/stat's columns, those of guests are already in `user` and `nice`.
        total = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
        return CpuTime(total - times.idle - getattr(times, "iowait", 0.0), total)

    def memory(self) -> tuple[int, int]:
        """Total and available bytes."""
        memory = psutil.virtual_memory()
        return memory.total, memory.available

    def disk_free(self) -> int:
        return psutil.disk_usage(self._disk).free

    def temperatures(self) -> Iterable[float]:
        return [
            sensor.current for chip in psutil.sensors_temperatures().values() for sensor in chip
        ]


class HostSource:
    """The router as a computer, in a sample."""

    name = "host"
    field = "host"

    def __init__(self, clock: Clock, machine: Machine | None = None) -> None:
        self._clock = clock
        self._machine = machine or Machine()
        self._cpu: CpuTime | None = None  # at the previous reading
        self._devices = Slow(self._read_devices, clock.monotonic)

    def read(self) -> Host:
        now = attempt(self._machine.cpu)
        before, self._cpu = self._cpu, now
        total, available = attempt(self._machine.memory) or (0, 0)
        load = attempt(self._machine.load)
        free, temp_c = self._devices.value() or (None, None)
        return Host(
            uptime_s=self._clock.uptime_ms() // 1000,
            load_1m=round(load, 2) if load is not None and 0 <= load <= MAX_LOAD else None,
            cpu_busy_ratio=busy_ratio(before, now),
            mem_total_bytes=total if total > 0 else None,
            mem_available_bytes=available if 0 < available <= total else None,
            disk_free_bytes=free if free is not None and free >= 0 else None,
            temp_c=temp_c,
        )

    def _read_devices(self) -> tuple[int | None, float | None]:
        """Free bytes and degrees: in one thread, which costs a third of a millisecond."""
        free = attempt(self._machine.disk_free)
        return free, hottest(attempt(self._machine.temperatures) or ())


def attempt(read: Callable[[], T]) -> T | None:
    """What `read` gives; None if the machine does not have it or says it in another way.

    psutil parses text of /proc and /sys with bare indexing. Its functions are missing where its
    authors knew no way to read a value. So it raises any of these.
    """
    try:
        return read()
    except (OSError, ValueError, LookupError, AttributeError, TypeError, psutil.Error):
        return None


def busy_ratio(before: CpuTime | None, now: CpuTime | None) -> float | None:
    """Share of the time between two readings that the cores worked; None: not known."""
    if before is None or now is None or now.total <= before.total:
        return None
    ratio = (now.busy - before.busy) / (now.total - before.total)
    # The kernel's iowait may fall, so that a quiet interval can come out a little below zero.
    return round(min(1.0, max(0.0, ratio)), 3) if -0.05 <= ratio <= 1.05 else None


def hottest(sensors: Iterable[float]) -> float | None:
    """The highest temperature that can be true."""
    true = [temp for temp in sensors if COLDEST_C <= temp < HOTTEST_C]
    return round(max(true), 1) if true else None
