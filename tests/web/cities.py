"""A city whose store is filled by the real writer, without a broker, for tests of the page."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tests.collector.build import sample
from titik_collector.config import model
from titik_collector.config.model import Config
from titik_collector.figures.windows import Span
from titik_collector.ingest.batch import BatchWriter
from titik_collector.ingest.caps import Caps
from titik_collector.live.presence import Presence
from titik_collector.received import Arrived, StatusReceived
from titik_collector.registry.registry import Registry
from titik_collector.registry.sync import sync
from titik_collector.rollups.worker import Rollups
from titik_collector.simulation.weeks import Weeks, outages
from titik_collector.store.database import Database
from titik_collector.store.lease import held
from titik_collector.store.sqlite import open_writer
from titik_wire import codec
from titik_wire.instant import DAY_MS
from titik_wire.messages import Status

KUPANG = Path(__file__).parents[2] / "examples" / "kupang.toml"
STEP_MS = 30_000
YESTERDAY_MS = 86_400_000
PRESENT_MS = 600_000  # that routers report live, after what is simulated


@dataclass
class City:
    """A city in a folder, as a collector would have left it at this moment."""

    config: Config
    db: Database
    store: BatchWriter
    seqs: dict[str, int]

    def hear(self, router: str, clients: int | None = 3, at_ms: int | None = None) -> None:
        """One sample more of a router, taken at that time, else now."""
        self.store.save([self.taken(router, clients, at_ms or now_ms())])

    def taken(self, router: str, clients: int | None, at_ms: int) -> Arrived:
        """The next sample of a router, as if it came live."""
        seq = self.seqs[router] = self.seqs.get(router, 0) + 1
        taken = replace(
            sample(seq, router=router, run=token(router), boot=boot(router), clients=clients),
            taken_at=at_ms,
            spool=(),
        )
        return Arrived(taken, codec.encode(taken), True, at_ms + 50)

    def report(self, router: str, state: str, at_ms: int | None = None) -> None:
        """What the broker holds of a router: `online`, `offline` or `stopping`."""
        status = Status(router, state, token(router), 1, boot(router), "0.1.0")  # type: ignore[arg-type]
        self.store.save([StatusReceived(status, at_ms or now_ms())])

    def live(self, minutes: int = 3, clients: int = 3, gappy: Sequence[str] = ()) -> None:
        """All routers report until now, every 30 s, one client more at each router.

        Those that are gappy report in eleven of fifteen minutes.
        """
        until_ms = now_ms()
        for number, one in enumerate(self.config.router):
            self.report(one.name, "online", until_ms - minutes * 60_000)
            self.store.save(
                [
                    self.taken(one.name, clients + number, until_ms - step * STEP_MS)
                    for step in range(minutes * 2, -1, -1)
                    if one.name not in gappy or step % 30 > 17 or step % 30 < 10
                ]
            )

    def hear_all(self, clients: int = 3) -> None:
        """One sample more of every router, in one batch."""
        self.hear_these([one.name for one in self.config.router], clients)

    def hear_these(self, routers: Sequence[str], clients: int) -> None:
        """One sample more of each, taken now, in one batch."""
        at_ms = now_ms()
        self.store.save([self.taken(one, clients, at_ms) for one in routers])

    def remember(self, days: int, *routers: str) -> None:
        """The simulated days before now of these routers, with their outages."""
        config, end_ms = self.config, now_ms() - PRESENT_MS
        zone = config.city.timezone
        span = Span(end_ms - days * DAY_MS, end_ms)
        away = outages(span, [one.name for one in config.router])
        sites = {one.name: one for one in config.site}
        homes = {one.name: sites[one.site] for one in config.router}
        for name in routers:
            own = [one for one in away if one.router == name]
            weeks = Weeks(name, homes[name], zone, span, own)
            for piece in weeks.pieces:
                taken = weeks.samples(piece)
                self.store.save([Arrived(one, codec.encode(one), False, now_ms()) for one in taken])

    def roll(self) -> None:
        """All rollups that are due."""
        rollups = Rollups(self.db, self.config.city.timezone, now_ms)
        while rollups.work(10, time.monotonic):
            pass


def large(sites: int, per_site: int) -> str:
    """A configuration of so many sites on a grid, with so many routers each."""
    text = """
[city]
name = "besar"
title = "Kota Besar"
timezone = "Asia/Makassar"
[store]
path = "titik.db"
"""
    for number in range(sites):
        north, east = -10.2 + number // 40 * 0.004, 123.5 + number % 40 * 0.005
        text += f'[[site]]\nname = "tempat-{number}"\ntitle = "Tempat {number}"\n'
        text += f"latitude = {north:.4f}\nlongitude = {east:.4f}\n"
        for router in range(per_site):
            text += f'[[router]]\nname = "r-{number}-{router}"\nsite = "tempat-{number}"\n'
    return text


@contextlib.contextmanager
def city(folder: Path, text: str | None = None) -> Iterator[City]:
    """An empty store of Kupang, or of another configuration; a collector seems to hold it."""
    file = folder / "titik.toml"
    text = KUPANG.read_text() if text is None else text
    file.write_text(text.replace('directory = "broker"', ""))
    config = model.load(file)
    assert config.store.path is not None
    with held(config.store.path), contextlib.closing(open_writer(config.store.path)) as db:
        sync(db, config, now_ms() - YESTERDAY_MS)
        registry = Registry(db, config.city.name)
        store = BatchWriter(db, registry, Caps(1_000_000, 1000), Presence(db))
        yield City(config, db, store, {})


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def token(router: str) -> str:
    """The run of a router."""
    return f"{abs(hash(router)) % 16**16:016x}"


def boot(router: str) -> str:
    """Its boot."""
    return f"{abs(hash(router)) % 16**8:08x}-1111-4222-8333-444455556666"
