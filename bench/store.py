"""What a sample takes on disk, what rollups cost, and how long a question takes."""

import random
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal
from zoneinfo import ZoneInfo

from bench.results import Result
from titik_collector.figures.windows import Calendar, Span
from titik_collector.ingest.batch import Store
from titik_collector.ingest.caps import Caps
from titik_collector.ingest.received import Arrived
from titik_collector.queries import events, history
from titik_collector.rollups.worker import Rollups
from titik_collector.store import retention
from titik_collector.store.database import open_writer, transaction
from titik_wire import codec
from titik_wire.messages import (
    AgentState,
    Bss,
    Held,
    Host,
    Net,
    Radio,
    Sample,
    Visitors,
)

ZONE = ZoneInfo("Asia/Makassar")
T0 = 1_790_000_000_000 // 86_400_000 * 86_400_000
DAY_MS = 86_400_000
Band = Literal["2g", "5g"]
BAND_2G: Final[Band] = "2g"
BAND_5G: Final[Band] = "5g"
COMMAND = "python -m bench.run --only store"


class Everybody:
    """Every router is registered, under the number in its name."""

    def router_id(self, name: str) -> int | None:
        """The store's id."""
        return int(name.rsplit("-", 1)[1])


class Router:
    """Draws samples such as a hotspot's router with two BSSs takes, `step_ms` apart."""

    def __init__(self, number: int, step_ms: int = 30_000) -> None:
        self._step_ms = step_ms
        self._rand = random.Random(number)
        self._name, self._run = f"bench-{number}", f"{number:016x}"
        self._boot = f"{number:08x}-1111-4222-8333-444455556666"
        self._bytes = [self._rand.randrange(10**9) for _ in range(8)]
        self._clients, self._client_ms, self._seq = 12, 0, 0

    def take(self, at_ms: int) -> Arrived:
        """The next one."""
        rand = self._rand
        self._seq += 1
        self._clients = max(0, min(80, self._clients + rand.choice((-2, -1, 0, 0, 1, 2))))
        clients = self._clients
        self._client_ms += clients * self._step_ms
        self._bytes = [one + rand.randrange(2_000_000) for one in self._bytes]
        grown, uptime = self._bytes, self._seq * self._step_ms + 60_000
        half, lived = clients // 2, self._seq * self._step_ms
        bss = tuple(
            Bss(
                ifname=f"phy{n}-ap0", ssid="Kupang Smart City", band=band, channel=channel,
                clients=count, clients_min=max(0, count - 1), clients_max=count + 1,
                client_ms=self._client_ms // 2, active=count * 2 // 3, weak=count // 5,
                since=f"{self._boot}/{12 + n}", rx_bytes=grown[2 * n], tx_bytes=grown[2 * n + 1],
            )
            for n, band, channel, count in (
                (0, BAND_2G, 6, half), (1, BAND_5G, 36, clients - half)
            )
        )  # fmt: skip
        sample = Sample(
            router=self._name, run=self._run, first_seq=self._seq, seq=self._seq,
            spool=(Held(self._run, (self._seq, self._seq)),), boot=self._boot, uptime_ms=uptime,
            taken_at=at_ms, clock="ntp", covers_ms=self._step_ms,
            agent=AgentState(21_000_000, 1, 0, 0, 0), clients=clients,
            clients_min=max(0, clients - 2), clients_max=clients + 2, active=clients * 2 // 3,
            client_ms=self._client_ms, observed_ms=self._seq * self._step_ms, bss=bss,
            radios=tuple(
                Radio(f"phy{n}", channel, -95, lived // 4 + n, lived)
                for n, channel in ((0, 6), (1, 36))
            ),
            net=(Net("wan", "uplink", True, f"{self._boot}/3", grown[4], grown[5]),),
            visitors=Visitors(self._seq % 2880 // 8, at_ms // DAY_MS * DAY_MS),
            host=Host(uptime // 1000, 0.3, 0.12, 128_000_000, 61_000_000, 4_000_000, 51.0),
        )  # fmt: skip
        return Arrived(sample, codec.encode(sample), True, at_ms + 40 + rand.randrange(60))


class City:
    """A store with routers, one at each site, driven through simulated time."""

    def __init__(self, folder: Path, routers: int) -> None:
        self.path = folder / "db"
        self.db = open_writer(self.path)
        self.db.execute("PRAGMA synchronous = OFF")  # only size and processor time are of interest
        for number in range(1, routers + 1):
            self.db.execute(
                "INSERT INTO site VALUES (?, ?, 'S', NULL, NULL, NULL, NULL, 1)",
                (number, f"site-{number}"),
            )
            self.db.execute("INSERT INTO router VALUES (?, ?, 1, 0)", (number, f"bench-{number}"))
            self.db.execute("INSERT INTO membership VALUES (?, 0, ?)", (number, number))
        self.store = Store(self.db, Everybody(), Caps(1_000_000, 1000))
        self.now_ms = T0
        self.rollups = Rollups(self.db, ZONE, lambda: self.now_ms)
        self.routers = [Router(number) for number in range(1, routers + 1)]

    def live(self, until_ms: int, step_ms: int) -> None:
        """Samples, rollups and pruning, as a collector does them."""
        while self.now_ms < until_ms:
            for items in self.batches(self.now_ms + step_ms):
                self.store.save(items)
            self.roll()
            while self.prune():
                pass
            self.db.execute("DELETE FROM rollup_news")

    def batches(self, until_ms: int) -> Iterator[list[Arrived]]:
        """What arrives until then, in the order in which it does."""
        items = []
        while self.now_ms < until_ms:
            items += [one.take(self.now_ms + n * 100) for n, one in enumerate(self.routers)]
            self.now_ms += 30_000
            if len(items) >= 500:
                yield items
                items = []
        yield items

    def roll(self) -> None:
        """All rollups that are due."""
        while self.rollups.work(10, time.monotonic):
            pass

    def prune(self) -> bool:
        """One step of pruning, with the usual limits."""
        with transaction(self.db):
            return retention.prune(self.db, self.now_ms, 1, 30, 90)

    def size(self) -> int:
        """Of the file, with everything in it."""
        self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return self.path.stat().st_size


def run(quick: bool) -> list[Result]:
    """Every figure of the store."""
    return [_size(quick), *_rollups(quick), *_questions(quick)]


def _size(quick: bool) -> Result:
    routers, days = (1, 2) if quick else (3, 30)
    with tempfile.TemporaryDirectory() as folder:
        city = City(Path(folder), routers)
        city.live(T0 + days * DAY_MS, 5 * 60_000)
        samples = routers * days * 2880
        size = city.size()
        city.db.close()
    return Result(
        f"store, all in, after {days} days of one router a site",
        "bytes/sample",
        (size / samples,),
        "<= 200",
        COMMAND,
        f"{routers} routers at 30 s, {samples} samples; rollups of router, site and city included",
    )


def _rollups(quick: bool) -> list[Result]:
    found = []
    for routers in (2, 4) if quick else (5, 10, 20):
        runs = []
        for _ in range(1 if quick else 3):
            with tempfile.TemporaryDirectory() as folder:
                city = City(Path(folder), routers)
                for items in city.batches(T0 + DAY_MS):
                    city.store.save(items)
                city.now_ms += 3_600_000
                began = time.process_time()
                city.roll()
                runs.append((time.process_time() - began) / routers * 1000)
                city.db.close()
        found.append(
            Result(
                f"rollups of a day, with {routers} routers",
                "ms of CPU/router",
                tuple(runs),
                "<= 60",
                COMMAND,
                "a thousand routers take as many seconds",
            )
        )
    return found


def _questions(quick: bool) -> list[Result]:
    routers, hours = (20, 24 * 30) if quick else (1000, 24 * 365)
    with tempfile.TemporaryDirectory() as folder:
        db = open_writer(Path(folder) / "db")
        db.execute("PRAGMA synchronous = OFF")
        _fill(db, routers, hours)
        subject = history.find(db, f"bench-{routers // 2}", "kupang")
        end_ms = T0 + hours * 3_600_000
        spans = {
            ("1h", "a week"): Span(end_ms - 7 * DAY_MS, end_ms),
            ("1h", "a year"): Span(T0, end_ms),
            ("1d", "a year"): Span(T0, end_ms),
        }
        found = []
        for (window, text), span in spans.items():
            runs = []
            for _ in range(3 if quick else 11):
                began = time.perf_counter()
                history.read(db, subject, "1h" if window == "1h" else "1d", span, Calendar(ZONE))
                runs.append((time.perf_counter() - began) * 1000)
            found.append(
                Result(
                    f"history of a router, {text} of {window}, of {routers} routers' year",
                    "ms",
                    tuple(runs),
                    "<= 100",
                    COMMAND,
                )
            )
        runs = []
        for _ in range(3 if quick else 11):
            began = time.perf_counter()
            events.gather(db, end_ms - 30 * DAY_MS, end_ms)
            runs.append((time.perf_counter() - began) * 1000)
        found.append(Result("events of a month", "ms", tuple(runs), "<= 100", COMMAND))
        db.close()
    return found


def _fill(db: sqlite3.Connection, routers: int, hours: int) -> None:
    """Hours and days of every router, and an outage a week of each."""
    days = "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ? - 1)"
    names = [row[1] for row in db.execute("PRAGMA table_info(rollup)")]
    values = {
        "scope": "'router'", "scope_id": ":router", "start_ms": "", "revision": "1", "routers": "1",
        "clients_mean": "12.5", "clients_min": "3", "clients_max": "31", "active_mean": "8.1",
    }  # fmt: skip
    for router in range(1, routers + 1):
        db.execute("INSERT INTO router VALUES (?, ?, 1, 0)", (router, f"bench-{router}"))
        with transaction(db):
            for window, length, count in (("1h", 3_600_000, hours), ("1d", DAY_MS, hours // 24)):
                start = T0 if window == "1h" else T0 + 16 * 3_600_000
                row = values | {
                    "window": f"'{window}'", "scope_id": str(router),
                    "start_ms": f"{start} + i * {length}",
                    "end_ms": f"{start} + (i + 1) * {length}",
                }  # fmt: skip
                cells = [
                    row.get(name, "NULL" if "peak" in name or "vis" in name else f"{length} - i")
                    for name in names
                ]
                db.execute(f"{days} INSERT INTO rollup SELECT {', '.join(cells)} FROM n", (count,))
            db.execute(
                f"{days} INSERT INTO outage (router_id, from_ms, to_ms, cause)"
                " SELECT ?, ? + i * 604800000, ? + i * 604800000 + 600000, 'power cut' FROM n",
                (hours // 168 or 1, router, T0 + router * 1000, T0 + router * 1000),
            )
