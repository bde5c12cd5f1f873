"""A thousand routers in Titik's store and in a Prometheus: disk, processor time, a question.

Rule: both get the figures of the same samples, each 30 s. Titik keeps samples whole for days, and
sums of minutes, hours and days of routers, sites and the city. Prometheus keeps the series that
the page's /metrics has: 19 of a router and 3 of a site.
Rule: of Prometheus an hour is played in minutes, by scrapes that come faster. What it does with 120
samples of a series is the same: scraping, its log, and a block of them. The later merging of blocks
is not in it. Its process alone counts, and not what answers its scrapes.
Rule: of Titik a message counts from the socket to the commit, and all rollups. The broker does not.
"""

import contextlib
import http.server
import json
import subprocess
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from bench import history, live, procfs, stages
from bench.city import DAY_MS, T0, City, Drawn, Router
from bench.flood import Server
from bench.history import CALENDAR, DRAWN, WEEK_MS
from bench.results import Length, Result
from tests.ports import free_port
from tests.until import until
from titik_collector.figures.scope import CITY_ID
from titik_collector.figures.windows import Span
from titik_collector.queries import columnar
from titik_collector.queries.history import Subject
from titik_collector.store.sqlite import open_writer
from titik_wire.instant import HOUR_MS, MINUTE_MS

COMMAND = "python -m bench.run --only prometheus"
STEP_MS = 30_000
PLAYED_MS = HOUR_MS
NEW = 3  # scrapes at first, in which each series is made
LONG_BLOCK_MS = 18 * HOUR_MS  # what Prometheus merges blocks to, as it keeps 15 days
STATES = ("online", "silent", "offline", "unknown")
RATES = ("wifi_down", "wifi_up", "uplink_down", "uplink_up")
RECORDED = "city:titik_site_clients:sum"
COUNTED = 'count_over_time(titik_site_up{site="site-1"}[1h])'
SNAPSHOT = "/api/v1/admin/tsdb/snapshot"


class Exported:
    """The series of so many routers, each at a site of its own, from one sample to the next."""

    def __init__(self, routers: int) -> None:
        self._routers = [Router(number) for number in range(1, routers + 1)]
        self._before: list[tuple[int, ...]] = [()] * routers
        self.now_ms = T0

    def step(self) -> Iterator[tuple[str, float]]:
        """The next samples: each series with its value."""
        for place, router in enumerate(self._routers):
            yield from self._of_router(place, router.draw())
        self.now_ms += STEP_MS

    def _of_router(self, place: int, now: Drawn) -> Iterator[tuple[str, float]]:
        site = f'site="site-{place + 1}"'
        labels = f'router="bench-{place + 1}",{site}'
        yield f"titik_router_up{{{labels}}}", 1
        for state in STATES:
            yield f'titik_router_state{{{labels},state="{state}"}}', int(state == "online")
        yield f"titik_router_clients{{{labels}}}", now.clients
        yield f"titik_router_clients_active{{{labels}}}", now.clients * 2 // 3
        rx0, tx0, rx1, tx1, rx, tx, *_ = now.bytes
        totals = (tx0 + tx1, rx0 + rx1, rx, tx)
        for name, total, before in zip(RATES, totals, self._before[place] or totals, strict=True):
            rate = (total - before) * 1000 / STEP_MS
            yield f"titik_router_{name}_bytes_per_second{{{labels}}}", rate
            yield f"titik_router_{name}_bytes_total{{{labels}}}", total
        self._before[place] = totals
        yield f"titik_router_sample_timestamp_seconds{{{labels}}}", self.now_ms / 1000
        yield f"titik_router_coverage_ratio{{{labels}}}", 1
        yield f"titik_router_spooled_samples{{{labels}}}", 1
        yield f"titik_router_lost_samples_total{{{labels}}}", 0
        yield f"titik_site_up{{{site}}}", 1
        yield f"titik_site_clients{{{site}}}", now.clients
        yield f"titik_site_capacity_clients{{{site}}}", 60


def run(length: Length) -> list[Result]:
    """Each figure of Titik and of Prometheus."""
    quick = length == "quick"
    routers = 20 if quick else 1000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        return [
            *_disk(folder, 2 if quick else 16, HOUR_MS if quick else DAY_MS),
            *_processor(folder, routers, quick),
            *_week(
                folder, 20 if quick else 200, 2 * DAY_MS if quick else WEEK_MS, 3 if quick else 11
            ),
        ]


# Disk.


def _disk(folder: Path, routers: int, length_ms: int) -> list[Result]:
    """What a router adds in a day, before anything is removed."""
    (folder / "titik").mkdir()
    city = City(folder / "titik", routers)
    city.live(T0 + length_ms, 5 * MINUTE_MS)
    size = city.size()
    city.db.close()
    exported = Exported(routers)
    data = folder / "day"
    while exported.now_ms < T0 + length_ms:
        end_ms = min(T0 + length_ms, (exported.now_ms // LONG_BLOCK_MS + 1) * LONG_BLOCK_MS)
        _fill(folder / "day.txt", data, _lines(exported, end_ms))
    days = routers * length_ms / DAY_MS
    note = f"{routers} routers, each at its own site, {length_ms // HOUR_MS} h"
    kept = "samples, minutes, hours and days"
    return [
        _one("disk a day, Titik", "bytes/router", size / days, f"{note}; {kept}"),
        _one("disk a day, Prometheus", "bytes/router", _size(data) / days, f"{note}; 22 series"),
    ]


def _lines(exported: Exported, until_ms: int) -> Iterator[str]:
    while exported.now_ms < until_ms:
        at_s = exported.now_ms / 1000
        yield "".join(f"{series} {value!r} {at_s}\n" for series, value in exported.step())


def _fill(text: Path, data: Path, lines: Iterator[str]) -> None:
    """Blocks of these lines, as large as Prometheus makes them in the end."""
    with text.open("w") as file:
        file.writelines(lines)
        file.write("# EOF\n")
    create = ["promtool", "tsdb", "create-blocks-from", "openmetrics", "--quiet"]
    longest = f"--max-block-duration={LONG_BLOCK_MS // HOUR_MS}h"
    subprocess.run([*create, longest, text, data], check=True, capture_output=True)
    text.unlink()


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


# Processor time.


def _processor(folder: Path, routers: int, quick: bool) -> list[Result]:
    """A minute of each; of Titik by its parts."""
    minutes = 2 if quick else 5
    life = live.Life(folder, routers, live.PER_SITE[0])
    life.until_half_past(2 if quick else 10)
    took = [life.minute().took for _ in range(minutes)]
    life.city.db.close()
    with Server(folder) as server:
        spent = stages.measured(server, 50 if quick else 500)
    way_s = sum(spent[name] for name in ("receive", "decode", "acknowledge", "")) / 1e6
    ours = sum(one.saving_s + one.rollups_s for one in took) / minutes + 2 * routers * way_s
    theirs = _scraped(folder, routers, quick)
    note = "two samples of each, received, decoded, stored and acknowledged, and all rollups"
    other = "two scrapes, their log, and a 60th of a block of an hour"
    return [
        _one(f"a minute of {routers:,} routers, Titik", "s of CPU", ours, note),
        _one(f"a minute of {routers:,} routers, Prometheus", "s of CPU", theirs, other),
    ]


def _scraped(folder: Path, routers: int, quick: bool) -> float:
    """Seconds a minute of a Prometheus that scrapes."""
    scrapes = 10 if quick else PLAYED_MS // STEP_MS
    exported = Exported(routers)
    texts = [_text(exported) for _ in range(scrapes + NEW)]
    with _serving(texts) as (port, served):
        scrape = f"{{job_name: titik, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}"
        config = f"global: {{scrape_interval: 1s}}\nscrape_configs: [{scrape}]\n"
        with _prometheus(folder / "scraping", config) as (process, address):
            _wait(lambda: len(served) >= NEW)
            before = procfs.cpu_s(process.pid)
            _wait(lambda: len(served) >= NEW + scrapes)
            urllib.request.urlopen(urllib.request.Request(address + SNAPSHOT, method="POST"))
            spent_s = procfs.cpu_s(process.pid) - before
            asked = urllib.parse.urlencode({"query": COUNTED})
            with urllib.request.urlopen(f"{address}/api/v1/query?{asked}") as answer:
                (found,) = json.load(answer)["data"]["result"]
    assert int(found["value"][1]) >= 0.95 * (NEW + scrapes), "scrapes were too slow to count"
    return spent_s / scrapes * MINUTE_MS / STEP_MS


def _text(exported: Exported) -> bytes:
    return "".join(f"{series} {value!r}\n" for series, value in exported.step()).encode()


@contextlib.contextmanager
def _serving(texts: Sequence[bytes]) -> Iterator[tuple[int, list[float]]]:
    """A page that answers each scrape with the next of these; its port, and when it did."""
    served: list[float] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            text = texts[min(len(served), len(texts) - 1)]
            served.append(time.monotonic())
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port, served
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def _prometheus(folder: Path, config: str = "") -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A Prometheus over the data in a folder, until the end of the block."""
    folder.mkdir(exist_ok=True)
    file, port = folder / "prometheus.yml", free_port()
    file.write_text(config)
    address = f"http://127.0.0.1:{port}"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                *("prometheus", f"--config.file={file}", f"--storage.tsdb.path={folder}/data"),
                *(f"--web.listen-address=127.0.0.1:{port}", "--web.enable-admin-api"),
            ],
            stdout=log,
            stderr=log,
        )
    try:
        _wait(lambda: _is_ready(address))
        yield process, address
    finally:
        process.terminate()
        process.wait()


def _is_ready(address: str) -> bool:
    with contextlib.suppress(OSError):
        urllib.request.urlopen(f"{address}/-/ready").close()
        return True
    return False


def _wait(look: Callable[[], bool]) -> None:
    for _ in range(10):  # minutes
        if until(look, True):
            return
    raise TimeoutError


# A question.


def _week(folder: Path, routers: int, length_ms: int, times: int) -> list[Result]:
    """The hours of one figure, as a chart asks for them."""
    span = Span(T0, T0 + length_ms)
    which = f"{length_ms // DAY_MS} days, {routers:,} routers"
    return [
        *_asked_ours(folder, routers, span, which, times),
        *_asked_theirs(folder, routers, span, which, times),
    ]


def _asked_ours(folder: Path, routers: int, span: Span, which: str, times: int) -> Iterator[Result]:
    db = open_writer(folder / "week.db")
    with contextlib.closing(db):
        db.execute("PRAGMA synchronous = OFF")
        history.fill(db, routers, (span.end_ms - span.start_ms) // DAY_MS)
        one = Subject("router", routers, f"bench-{routers}", "")
        for what, subject in (
            ("a router", one),
            ("the city", Subject("city", CITY_ID, "bench", "Bench")),
        ):
            read = partial(columnar.read, db, subject, "1h", span, CALENDAR, span.end_ms)
            ask = partial(read, DRAWN[:1])
            runs = _timed(ask, times)
            yield Result(f"hours of {what}, {which}, Titik", "ms", runs, None, COMMAND)


def _asked_theirs(
    folder: Path, routers: int, span: Span, which: str, times: int
) -> Iterator[Result]:
    _clients(folder, routers, span)
    router = f'titik_router_clients{{router="bench-{routers}"}}'
    questions = {
        "a router": (f"avg_over_time({router}[1h])", "of its samples"),
        "the city": (f"avg_over_time({RECORDED}[1h])", "of a sum that a rule recorded"),
        "the city without a rule": (
            "sum(avg_over_time(titik_router_clients[1h]))",
            "of the samples of all routers",
        ),
    }
    with _prometheus(folder / "asked") as (_, address):
        for what, (question, note) in questions.items():
            query = urllib.parse.urlencode(
                {
                    "query": question,
                    "start": span.start_ms // 1000 + 3600,
                    "end": span.end_ms // 1000,
                    "step": 3600,
                }
            )
            ask = partial(_ask, f"{address}/api/v1/query_range?{query}", span)
            runs = _timed(ask, times)
            name = f"hours of {what}, {which}, Prometheus"
            yield Result(name, "ms", runs, None, COMMAND, f"{note}, by its API")


def _clients(folder: Path, routers: int, span: Span) -> None:
    """Of each router, and their sum as a rule would record it."""
    drawn = [Router(number) for number in range(1, routers + 1)]
    (folder / "asked").mkdir()

    def lines(from_ms: int, to_ms: int) -> Iterator[str]:
        for at_ms in range(from_ms, to_ms, STEP_MS):
            at_s, total, found = at_ms // 1000, 0, []
            for number, router in enumerate(drawn, 1):
                clients = router.draw().clients
                total += clients
                labels = f'router="bench-{number}",site="site-{number}"'
                found.append(f"titik_router_clients{{{labels}}} {clients} {at_s}\n")
            yield "".join(found)
            yield f"{RECORDED} {total} {at_s}\n"

    from_ms = span.start_ms
    while from_ms < span.end_ms:
        to_ms = min(span.end_ms, (from_ms // LONG_BLOCK_MS + 1) * LONG_BLOCK_MS)
        _fill(folder / "clients.txt", folder / "asked" / "data", lines(from_ms, to_ms))
        from_ms = to_ms


def _ask(url: str, span: Span) -> None:
    with urllib.request.urlopen(url) as answer:
        (found,) = json.load(answer)["data"]["result"]
    assert len(found["values"]) == (span.end_ms - span.start_ms) // HOUR_MS


def _timed(ask: Callable[[], object], times: int) -> tuple[float, ...]:
    """Milliseconds of each."""
    ask()
    runs = []
    for _ in range(times):
        began = time.perf_counter()
        ask()
        runs.append((time.perf_counter() - began) * 1000)
    return tuple(runs)


def _one(name: str, unit: str, value: float, note: str) -> Result:
    return Result(name, unit, (value,), None, COMMAND, note)
