"""Ten thousand routers of the real agent's code in one process, and what they ask of the server."""

import calendar
import re
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.results import Length, Result
from tests.system.city import City, Process
from titik_agent.broker_link.backoff import FIRST_S

COMMAND = "python -m bench.run --only fleet"
FEW = 50
BEGIN = "03:00"  # local time, when few come and go: little more than a sample each interval


def run(length: Length) -> list[Result]:
    """Every figure of a fleet."""
    quick = length == "quick"
    many, interval_s, first_wait_s = (300, 5, 5.0) if quick else (10_000, 30, FIRST_S)
    few_kb = _memory(FEW)
    with tempfile.TemporaryDirectory() as folder, made(Path(folder), many) as city:
        city.collect()
        log = city.folder / "simulate.log"
        process = simulate(city, log, interval_s, first_wait_s)
        try:
            wait(lambda: "simulating" in log.read_text(), 300.0)
            time.sleep(1.5 * first_wait_s)
            before, began = stored(city), time.monotonic()
            time.sleep(3 * interval_s)
            taken_per_s = (stored(city) - before) / (time.monotonic() - began)
            many_kb = _rss_kb(process.popen.pid)
            spare = _spare(city)
            returned = _returns(city, many, first_wait_s)
        finally:
            process.kill()
    command = COMMAND
    return [
        Result(f"memory of a simulated router, of {many}", "kB",
               ((many_kb - few_kb) / (many - FEW),), "<= 20", command, f"local time {BEGIN}"),
        Result(f"samples committed of {many} routers, as a share of those due", "ratio",
               (taken_per_s * interval_s / many,), ">= 0.99", command,
               f"local time {BEGIN}; joins and leaves add samples"),
        Result("processor time that the collector left idle meanwhile", "ratio", (spare,), None,
               command, "over five seconds; rollups take what samples leave"),
        Result(f"most connections in a second as {many} routers return, of those allowed (N/30)",
               "ratio", (returned,), "<= 1", command, "mean over any five seconds"),
    ]  # fmt: skip


def _memory(routers: int) -> float:
    with tempfile.TemporaryDirectory() as folder, made(Path(folder), routers) as city:
        log = city.folder / "simulate.log"
        process = simulate(city, log, 30, 5.0)
        wait(lambda: "simulating" in log.read_text(), 60.0)
        time.sleep(10.0)
        found = _rss_kb(process.popen.pid)
        process.kill()
        return found


def made(folder: Path, routers: int, sites: Sequence[str] = ("taman-tirosa",)) -> City:
    """A city with so many routers in turn at its sites, all registered before its broker starts.

    A running broker writes all that it knows with each of them.
    """
    names = [f"sim-{number:05}" for number in range(routers)]
    city = City(folder, *names, sites=sites)
    since = city.places()[0][2]
    city.write([(one, sites[n % len(sites)], since) for n, one in enumerate(names)], sites)
    return city


def simulate(city: City, log: Path, interval_s: int, first_wait_s: float) -> Process:
    """The routers of the city as a process."""
    log.touch()
    code = "from titik_collector.cli import main; main()"
    return Process(
        log, "-c", code, "simulate", "--config", str(city.file),
        "--interval", str(interval_s), "--first-wait", str(first_wait_s), "--begin", BEGIN,
    )  # fmt: skip


def stored(city: City) -> int:
    """Samples committed."""
    return city.number("SELECT coalesce(max(id), 0) FROM body")


def _spare(city: City) -> float:
    assert city.collector is not None
    stat = Path(f"/proc/{city.collector.popen.pid}/stat")

    def spent_s() -> float:
        fields = stat.read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / 100

    before = spent_s()
    time.sleep(5.0)
    return 1 - (spent_s() - before) / 5.0


def _returns(city: City, routers: int, first_wait_s: float) -> float:
    """Kill the broker, start it again, and count who connects when."""
    city.broker.stop(signal.SIGKILL)
    time.sleep(3.0)
    output = len(city.broker.output)
    city.broker.start()
    seconds: Counter[int] = Counter()
    deadline = time.monotonic() + 8 * first_wait_s  # young connections: the second window or third
    while time.monotonic() < deadline and sum(seconds.values()) < routers * 0.95:
        time.sleep(1.0)
        seconds = Counter(
            calendar.timegm(time.strptime(found[1], "%Y-%m-%dT%H:%M:%S"))
            for line in city.broker.output[output:]
            if (
                found := re.match(r"(\S{19}): New client connected from \S+ as (?!collector)", line)
            )
        )
    assert sum(seconds.values()) >= routers * 0.9, f"{sum(seconds.values())} returned"
    most = max(sum(seconds[at + n] for n in range(5)) for at in seconds)
    allowed = routers / 30 * FIRST_S / first_wait_s
    return most / 5 / allowed


def _rss_kb(pid: int) -> float:
    text = Path(f"/proc/{pid}/status").read_text()
    return float(re.findall(r"VmRSS:\s+(\d+)", text)[0])


def wait(condition: Callable[[], bool], patience_s: float) -> None:
    """Until it holds; AssertionError if that takes too long."""
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)
