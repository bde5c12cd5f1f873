"""What long-lived processes use while faults play: memory, descriptors, threads, and their trend.

Rule: a trend is a least-squares slope over everything seen after the warm-up, not two readings.
Rule: descriptors and threads are compared between two quiet times, because what a fault or a
reconnect opens for a while is no leak.
"""

import json
import statistics
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import psutil

HOUR_S = 3600.0
QUIET = 10  # readings of a quiet time; the median of them is compared


class Reading(NamedTuple):
    """One look at one process."""

    at_s: float  # of the monotonic clock
    rss_bytes: int
    fds: int
    threads: int


@dataclass(frozen=True, slots=True)
class Trend:
    """What one process used after the warm-up; pairs are of the quiet times around it."""

    seconds: int
    rss_bytes: tuple[int, int]
    fds: tuple[int, int]
    threads: tuple[int, int]
    rss_slope_ratio_per_hour: float

    def leaks(self) -> list[str]:
        """In words: what there is more of at the end than at the beginning."""
        pairs = {"fds": self.fds, "threads": self.threads}
        return [f"{name} {one[0]} to {one[1]}" for name, one in pairs.items() if one[1] > one[0]]

    def as_json(self) -> dict[str, Any]:
        """For a result file."""
        return {
            "seconds": self.seconds,
            "rss_bytes": list(self.rss_bytes),
            "fds": list(self.fds),
            "threads": list(self.threads),
            "rss_slope_ratio_per_hour": round(self.rss_slope_ratio_per_hour, 5),
        }


def trend(readings: Sequence[Reading]) -> Trend:
    """Of what was read, which begins and ends with a quiet time of `QUIET` readings."""
    first, last = readings[:QUIET], readings[-QUIET:]

    def pair(name: str) -> tuple[int, int]:
        start, end = (
            round(statistics.median(getattr(one, name) for one in some)) for some in (first, last)
        )
        return start, end

    times = [one.at_s - readings[0].at_s for one in readings]
    sizes = [float(one.rss_bytes) for one in readings]
    slope = statistics.linear_regression(times, sizes).slope if len(readings) > 1 else 0.0
    return Trend(
        round(times[-1]),
        pair("rss_bytes"),
        pair("fds"),
        pair("threads"),
        slope * HOUR_S / statistics.mean(sizes),
    )


class Pulse(threading.Thread):
    """Looks at processes, by name, every `every_s`; `file` gets a line for each reading."""

    def __init__(self, processes: Mapping[str, psutil.Process], every_s: float, file: Path) -> None:
        super().__init__(daemon=True)
        self._file = file
        self.readings: dict[str, list[Reading]] = {name: [] for name in processes}
        self.ended: set[str] = set()  # could not be looked at any more
        self._processes = dict(processes)
        self.every_s = every_s
        self._over = threading.Event()

    def run(self) -> None:
        with self._file.open("w", buffering=1) as file:
            while not self._over.wait(self.every_s):
                for name, process in self._processes.items():
                    try:
                        with process.oneshot():
                            rss, fds = process.memory_info().rss, process.num_fds()
                            reading = Reading(time.monotonic(), rss, fds, process.num_threads())
                    except psutil.Error:
                        self.ended.add(name)
                        continue
                    self.readings[name].append(reading)
                    file.write(json.dumps([name, *reading]) + "\n")

    def stop(self) -> None:
        """End, and wait for it."""
        self._over.set()
        self.join()
