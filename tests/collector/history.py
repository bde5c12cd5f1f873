"""Histories of routers for tests: boots, runs, clocks not yet set, failures, reloads and merges."""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from tests.collector.build import T0
from titik_agent.spool.merge import CannotMerge, merge
from titik_collector.figures.table import Figures
from titik_collector.ingest.batch import BatchWriter
from titik_collector.received import Arrived
from titik_collector.store.sqlite import SqliteDatabase
from titik_wire import codec
from titik_wire.messages import AgentState, Bss, Held, Net, Reach, Sample, Visitors

BUILT = 1_700_000_000_000  # where a clock begins that nobody set


@dataclass
class Boot:
    """One time that a router is powered."""

    token: str
    start_ms: int  # truly
    synced_ms: int  # when NTP sets its clock; past its end: never
    online: bool  # heard while it runs


class Life:
    """One router's history, drawn at random."""

    def __init__(self, router: str, rand: random.Random, boots: int = 4, samples: int = 40) -> None:
        self.router, self._rand = router, rand
        self._now_ms = T0 + rand.randrange(60_000)
        self._held: list[Held] = []
        self.arrivals: list[Arrived] = []
        for number in range(boots):
            lonely = rand.random() < 0.4 and number < boots - 1
            self._live(number, lonely, rand.randrange(samples // 4, samples))

    def _live(self, number: int, lonely: bool, samples: int) -> None:
        rand = self._rand
        start = self._now_ms
        synced = start + rand.choice((0, 5, 15, 10_000)) * 60_000
        boot = Boot(f"{number:08x}-{self.router[-1]:0>4}", start, synced, not lonely)
        if lonely:
            boot.synced_ms = start + 10**12
        self._now_ms += rand.randrange(20_000, 90_000)
        wan = tx = bss_rx = bss_tx = reloads = 0
        for run_number in range(rand.choice((1, 1, 2))):
            run = f"{rand.getrandbits(64):016x}"
            made: list[Sample] = []
            client_ms = observed_ms = 0
            clients: int | None = None
            before = self._now_ms
            for seq in range(1, samples + 1):
                if seq > 1:
                    self._now_ms += rand.choice((30_000, 30_000, 29_990, 5_000, 31_234))
                passed = self._now_ms - before
                if clients is not None:
                    client_ms, observed_ms = client_ms + clients * passed, observed_ms + passed
                if rand.random() < 0.03:  # wifi reload
                    reloads, bss_rx, bss_tx = reloads + 1, 0, 0
                wan, tx = wan + rand.randrange(10**7), tx + rand.randrange(10**6)
                bss_rx, bss_tx = bss_rx + rand.randrange(10**6), bss_tx + rand.randrange(10**7)
                clients = None if rand.random() < 0.1 else rand.randrange(40)
                made.append(
                    Sample(
                        router=self.router,
                        run=run,
                        first_seq=seq,
                        seq=seq,
                        spool=(Held(run, (1, seq)), *self._held[-20:]),
                        boot=boot.token,
                        uptime_ms=self._now_ms - start,
                        taken_at=self._now_ms
                        if self._now_ms >= boot.synced_ms
                        else BUILT + self._now_ms - start,
                        clock="ntp" if self._now_ms >= boot.synced_ms else "guess",
                        covers_ms=passed,
                        agent=AgentState(1, 1, 0, 0, 0),
                        clients=clients,
                        clients_min=clients,
                        clients_max=clients,
                        active=clients and clients // 2,
                        client_ms=None if rand.random() < 0.1 else client_ms,
                        observed_ms=observed_ms,
                        bss=None
                        if clients is None
                        else (
                            Bss(
                                "ap0",
                                clients=clients,
                                weak=clients // 3,
                                since=f"{boot.token}/{reloads}",
                                rx_bytes=bss_rx,
                                tx_bytes=bss_tx,
                            ),
                        ),
                        net=None
                        if rand.random() < 0.1
                        else (Net("wan", "uplink", True, f"{boot.token}/w", wan, tx),),
                        visitors=Visitors(seq // 2 + run_number, BUILT),
                        reach=Reach(attempts=seq, answered=seq - seq // 3) if seq % 7 else None,
                    )
                )
                before = self._now_ms
            self._deliver(boot, made)
            if lonely:
                self._held.append(Held(run, (1, samples)))
            self._now_ms += rand.randrange(1000, 20_000)
        self._now_ms += rand.randrange(30_000, 1_200_000)

    def _deliver(self, boot: Boot, made: Sequence[Sample]) -> None:
        """The samples, and blocks that a full spool merged from them."""
        late_ms = self._rand.randrange(50, 5000) if boot.online else 90_000_000
        for one in [*made, *_merged(made, self._rand)]:
            # A merged one comes from the spool, later than its originals would have.
            waited_ms = 40 if one.first_seq == one.seq else 70_000
            arrived = boot.start_ms + one.uptime_ms + late_ms + self._rand.randrange(waited_ms)
            self.arrivals.append(Arrived(one, codec.encode(one), boot.online, arrived))


def _merged(made: Sequence[Sample], rand: random.Random) -> Iterator[Sample]:
    """Some aligned blocks of 2 to 8 samples."""
    for size in (2, 4, 8):
        for start in range(0, len(made) - size + 1, size):
            if rand.random() < 0.15:
                try:
                    yield _tree(made[start : start + size])
                except CannotMerge:
                    continue


def _tree(made: Sequence[Sample]) -> Sample:
    if len(made) == 1:
        return made[0]
    half = len(made) // 2
    return merge(_tree(made[:half]), _tree(made[half:]))


def deliver(store: BatchWriter, arrivals: Iterable[Arrived]) -> None:
    """One batch."""
    store.save(list(arrivals))


def without_clock(one: Sample) -> Sample:
    """The same before NTP set the clock."""
    return replace(one, clock="guess", taken_at=BUILT + one.uptime_ms)


def content(db: SqliteDatabase) -> list[object]:
    """Samples with their places, and what rollups say; ids and revisions left out."""
    names = ("scope", "scope_id", "length", "start_ms", "end_ms", *Figures._fields)
    return [
        db.execute(
            "SELECT run.token, seq, first_seq, at_ms, quality FROM sample"
            " JOIN run ON run.id = run_id ORDER BY 1, 2"
        ).fetchall(),
        db.execute(
            f"SELECT {', '.join(names)} FROM rollup WHERE covered_ms + up_ms + observed_ms > 0"
            " OR clients_max IS NOT NULL ORDER BY scope, scope_id, length, start_ms"
        ).fetchall(),
    ]
