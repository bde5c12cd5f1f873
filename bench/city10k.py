"""Ten thousand routers at a real collector for twenty minutes: is every minute of the city in time?

Rule: the broker, the collector and the fleet are processes, as a city has them; all share this
machine. An engineer's client notes when a minute of the city comes.
"""

import itertools
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Empty
from typing import NamedTuple

from bench import procfs
from bench.fleet import made, simulate, stored, wait
from bench.results import Length, Result
from tests.broker.running import Client
from tests.system.city import City, wall_ms
from titik_agent.broker_link.backoff import FIRST_S
from titik_wire import codec, topics
from titik_wire.city_messages import Rollup
from titik_wire.instant import MINUTE_MS

COMMAND = "python -m bench.run --only city10k"
INTERVAL_S = 30
START_S = 300.0  # of all routers
PATIENCE_S = 180.0  # for a minute of the city, from its end
MB = 1 << 20


class Size(NamedTuple):
    """A city, and for how long it is watched."""

    routers: int
    per_site: int
    minutes: int
    settled: int  # minutes after which its memory stays
    interval_s: int = INTERVAL_S
    first_s: float = FIRST_S  # in which all of them connect


class Minute(NamedTuple):
    """A minute of the city, and the collector as it came."""

    late_s: float  # from its end until it was here
    coverage: float
    rss: int  # bytes
    cpu_s: float  # of all its life
    stored: int  # samples of all its life
    at_s: float


class Silent(AssertionError):
    """No minute of the city came."""


def run(length: Length, per_site: int = 4, command: str = COMMAND) -> list[Result]:
    """Every figure of one city."""
    quick = length == "quick"
    size = Size(300, per_site, 2, 1, 10, 5.0) if quick else Size(10_000, per_site, 20, 10)
    sites = [f"site-{number:04}" for number in range(-(-size.routers // size.per_site))]
    with tempfile.TemporaryDirectory() as folder, made(Path(folder), size.routers, sites) as city:
        city.collect()
        log = city.folder / "simulate.log"
        fleet = simulate(city, log, size.interval_s, size.first_s)
        try:
            wait(lambda: "simulating" in log.read_text(), START_S)
            minutes = list(_minutes(city, size))
        finally:
            fleet.kill()
    return _results(size, minutes, command)


def _minutes(city: City, size: Size) -> Iterator[Minute]:
    """Those that begin when all routers are connected and take samples."""
    client = city.engineer(topics.rollup("1m", "city", ""))
    time.sleep(2 * size.first_s + size.interval_s)
    begin_ms = (wall_ms() // MINUTE_MS + 1) * MINUTE_MS
    yield from (
        _next(client, city, begin_ms + number * MINUTE_MS) for number in range(size.minutes)
    )


def _next(client: Client, city: City, start_ms: int) -> Minute:
    """The minute that begins then, as it came first."""
    assert city.collector is not None
    end_ms = start_ms + MINUTE_MS
    while True:
        left_s = (end_ms - wall_ms()) / 1000 + PATIENCE_S
        try:
            topic, payload = client.received.get(timeout=max(0.0, left_s))
        except Empty:
            raise Silent(f"{start_ms}\n{city.collector.output()[-3000:]}") from None
        now_ms = wall_ms()
        rollup = codec.decode(topic, payload)
        assert isinstance(rollup, Rollup)
        assert rollup.window_start <= start_ms, f"{start_ms} was left out"
        if rollup.window_start == start_ms:
            pid = city.collector.popen.pid
            return Minute(
                (now_ms - end_ms) / 1000,
                rollup.coverage_ratio,
                procfs.rss(pid),
                procfs.cpu_s(pid),
                stored(city),
                time.monotonic(),
            )


def _results(size: Size, minutes: list[Minute], command: str) -> list[Result]:
    name = f"{size.routers:,} routers, {size.per_site:,} a site"
    rest = minutes[size.settled - 1 :]
    apart = list(itertools.pairwise(minutes))
    due = size.routers * 60 / size.interval_s
    growth = statistics.mean(one.rss for one in rest[1:]) - rest[0].rss
    latest = max(one.late_s for one in minutes)
    return [
        Result(f"the latest minute of the city, from its end, {name}", "s", (latest,), "<= 60",
               command, f"{len(minutes)} minutes, all of them came"),
        Result(f"a minute of the city, from its end, {name}", "s",
               tuple(one.late_s for one in minutes), None, command,
               "40 s of it wait for a sample"),
        Result(f"the routers' time that a minute of the city covers as it comes, {name}", "ratio",
               tuple(one.coverage for one in minutes), ">= 0.99", command),
        Result(f"samples committed, as a share of those due, {name}", "ratio",
               tuple((b.stored - a.stored) * 60 / (b.at_s - a.at_s) / due for a, b in apart),
               ">= 0.99", command, "each minute; joins and leaves add samples"),
        Result(f"memory of the collector, {name}", "MB", tuple(one.rss / MB for one in minutes),
               None, command, "RSS at the end of each minute"),
        Result(f"growth of its memory after minute {size.settled}, {name}", "MB", (growth / MB,),
               "<= 5", command, "mean of the minutes after it"),
        Result(f"processor time of the collector, {name}", "ratio",
               tuple((b.cpu_s - a.cpu_s) / (b.at_s - a.at_s) for a, b in apart), None, command,
               "of one core; ingest, rollups and all else"),
    ]  # fmt: skip
