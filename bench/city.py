"""A city without a broker: routers that draw samples, and a store that lives on them."""

import gc
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

from titik_collector.config.store_table import MINUTES_DAYS, SAMPLES_DAYS
from titik_collector.ingest.batch import BatchWriter
from titik_collector.ingest.caps import Caps
from titik_collector.limits import CIRCLES
from titik_collector.live.presence import Presence
from titik_collector.received import Arrived
from titik_collector.registry.registry import Registry
from titik_collector.rollups.worker import Rollups
from titik_collector.store import retention
from titik_collector.store.database import Database
from titik_collector.store.retention import Days
from titik_collector.store.sqlite import SqliteDatabase, open_writer
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


class Everybody(Registry):
    """Every router is registered, under the number in its name."""

    def __init__(self) -> None:
        """No store is asked."""

    def router_id(self, name: str) -> int | None:
        """The store's id."""
        return int(name.rsplit("-", 1)[1])


class Drawn(NamedTuple):
    """What chance gives a sample."""

    clients: int
    bytes: list[int]  # received and sent of two BSSs and of the uplink; two more


class Router:
    """Draws samples such as a hotspot's router with two BSSs takes, `step_ms` apart.

    It booted `up_ms` before the first: of a short time no collector believes many samples.
    """

    def __init__(self, number: int, step_ms: int = 30_000, up_ms: int = 60_000) -> None:
        self._step_ms, self._up_ms = step_ms, up_ms
        self._rand = random.Random(number)
        self._name, self._run = f"bench-{number}", f"{number:016x}"
        self._boot = f"{number:08x}-1111-4222-8333-444455556666"
        self._bytes = [self._rand.randrange(10**9) for _ in range(8)]
        self._clients, self._client_ms, self._seq = 12, 0, 0

    def draw(self) -> Drawn:
        """What its next sample has."""
        rand = self._rand
        self._clients = max(0, min(80, self._clients + rand.choice((-2, -1, 0, 0, 1, 2))))
        self._bytes = [one + rand.randrange(2_000_000) for one in self._bytes]
        return Drawn(self._clients, self._bytes)

    def take(self, at_ms: int) -> Arrived:
        """The next one."""
        rand = self._rand
        self._seq += 1
        clients = self.draw().clients
        self._client_ms += clients * self._step_ms
        grown, uptime = self._bytes, self._seq * self._step_ms + self._up_ms
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
    """A store with routers, so many at each site, driven through simulated time.

    In a file of the folder, where no other store is given.
    """

    def __init__(
        self, folder: Path, routers: int, per_site: int = 1, db: Database | None = None
    ) -> None:
        gc.set_threshold(*CIRCLES)  # as in a collector
        self.path = folder / "db"
        self.db = db or _opened(self.path)
        with self.db.transaction():
            for number in range(1, routers + 1):
                self._place(number, (number - 1) // per_site + 1)
        self.store = BatchWriter(self.db, Everybody(), Caps(1_000_000, 1000), Presence(self.db))
        self.now_ms = T0
        self.keep = Days(1, SAMPLES_DAYS, MINUTES_DAYS)
        self.rollups = Rollups(self.db, ZONE, lambda: self.now_ms)
        self.routers = [Router(number) for number in range(1, routers + 1)]

    def _place(self, number: int, site: int) -> None:
        self.db.execute(
            "INSERT INTO site VALUES (?, ?, 'S', NULL, NULL, NULL, NULL, 1) ON CONFLICT DO NOTHING",
            (site, f"site-{site}"),
        )
        self.db.execute("INSERT INTO router VALUES (?, ?, 1, 0)", (number, f"bench-{number}"))
        self.db.execute("INSERT INTO membership VALUES (?, 0, ?)", (number, site))

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
        """One step of pruning."""
        with self.db.transaction():
            return retention.prune(self.db, self.now_ms, self.keep)

    def size(self) -> int:
        """Of the file, with everything in it."""
        self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return self.path.stat().st_size


def _opened(path: Path) -> SqliteDatabase:
    db = open_writer(path)
    db.execute("PRAGMA synchronous = OFF")  # only size and processor time are of interest
    return db
