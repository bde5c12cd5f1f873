"""Samples, letters and an open store for tests of the collector."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from titik_collector.broker_link.inbox import ReceivedMessage
from titik_collector.figures.rates import Reading
from titik_collector.figures.windows import Span
from titik_collector.registry.registry import Registry
from titik_collector.rollups.worker import Rollups
from titik_collector.store import boot_spans
from titik_collector.store.database import Database
from titik_collector.store.reading_rows import ReadingRows, Uptimes
from titik_collector.store.rollup_sums import Part
from titik_collector.store.sqlite import SqliteDatabase, open_writer
from titik_collector.timeline.readings import Readings
from titik_wire import codec, topics
from titik_wire.messages import AgentState, Bss, Held, Net, Sample

T0 = 1_795_400_000_000  # 2026-11-23
RUN = "9f2c41d07be35a68"
OLD_RUN = "0a2c41d07be35a60"
BOOT = "6b0f0000-0000-4000-8000-000000000001"
# A window stays, empty, if something was known of it for a while: of the minute before a first
# sample until that one came, or of a day in which a boot of unknown time was placed first.
IS_KNOWN = "covered_ms + up_ms + observed_ms + client_ms + wifi_known_ms + uplink_known_ms > 0"


def sample(
    seq: int,
    first: int | None = None,
    *,
    router: str = "tirosa-1",
    run: str = RUN,
    lowest: int | None = None,
    others: Sequence[Held] = (),
    boot: str = BOOT,
    clients: int | None = 3,
    **fields: object,
) -> Sample:
    """A sample every 30 s from T0, 3 clients, 1 MB down and 100 kB up in each interval."""
    first = first or seq
    uptime_ms = 1_000_000 + seq * 30_000
    plain = Sample(
        router=router,
        run=run,
        first_seq=first,
        seq=seq,
        spool=(Held(run, (lowest or 1, seq)), *others),
        boot=boot,
        uptime_ms=uptime_ms,
        taken_at=T0 + seq * 30_000,
        clock="ntp",
        covers_ms=0 if seq == 1 else (seq - first + 1) * 30_000,
        agent=AgentState(1, 1, 0, 0, 0),
        clients=clients,
        clients_min=clients,
        clients_max=clients,
        active=clients,
        client_ms=None if clients is None else clients * (seq - 1) * 30_000,
        observed_ms=None if clients is None else (seq - 1) * 30_000,
        bss=(
            Bss(
                "phy0-ap0",
                clients=clients,
                weak=0,
                since=f"{boot}/12",
                rx_bytes=seq * 100_000,
                tx_bytes=seq * 1_000_000,
            ),
        ),
        net=(Net("wan", "uplink", True, f"{boot}/3", seq * 1_100_000, seq * 110_000),),
    )
    return replace(plain, **fields)  # type: ignore[arg-type]


def received(message: Sample, live: bool = False, token: int = 1) -> ReceivedMessage:
    """The sample as the broker delivers it."""
    topic = topics.sample(message.router) if live else topics.backlog(message.router)
    return ReceivedMessage(topic, codec.encode(message), (1, token))


@contextmanager
def opened(path: Path, routers: Sequence[str] = ("tirosa-1",)) -> Iterator[SqliteDatabase]:
    """A store in which these routers are registered, with ids from 1."""
    db = open_writer(path)
    try:
        for name in routers:
            db.execute(
                "INSERT INTO router (name, registered, registered_ms) VALUES (?, 1, 0)"
                " ON CONFLICT DO NOTHING",
                (name,),
            )
        yield db
    finally:
        db.close()


# A statement that takes days.
ENDLESS = (
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)"
    " SELECT count(*) FROM n AS a, n AS b, n AS c, n AS d"
)


@contextmanager
def unreadable(db: Database, table: str) -> Iterator[None]:
    """Meanwhile whoever reads the table gets an error."""
    db.execute(f"ALTER TABLE {table} RENAME TO away")
    try:
        yield
    finally:
        db.execute(f"ALTER TABLE away RENAME TO {table}")


class Registered(Registry):
    """The registry of `opened`."""

    def __init__(self, *names: str) -> None:
        self.names = list(names or ("tirosa-1",))

    def router_id(self, name: str) -> int | None:
        return self.names.index(name) + 1 if name in self.names else None


def rows(db: SqliteDatabase) -> list[tuple[int, int]]:
    """First seq and seq of every stored sample."""
    return db.execute("SELECT first_seq, seq FROM sample ORDER BY run_id, seq").fetchall()


def conservation(db: SqliteDatabase) -> dict[str, tuple[int, int, int, int, int]]:
    """Taken, stored, refused, lost and in spool of each run."""
    return {
        row[0]: row[1:]
        for row in db.execute(
            "SELECT run, taken, stored, refused, lost, in_spool FROM v_conservation"
        )
    }


def rebuild(db: Database, rollups: Rollups) -> None:
    """Compute all that is over again; if all was right, nothing changes."""
    with db.transaction():
        db.execute(
            "INSERT INTO dirty SELECT router_id, min(first_ms), max(last_ms) FROM ("
            " SELECT router_id, first_ms, last_ms FROM boot_time UNION ALL"
            " SELECT scope_id, start_ms, end_ms FROM rollup WHERE scope = 'router') AS known"
            " GROUP BY router_id ON CONFLICT DO NOTHING"
        )
        db.execute(
            "INSERT INTO stale SELECT scope, scope_id, start_ms, start_ms, end_ms"
            " FROM rollup WHERE length = '1h' AND scope != 'router'"
            " ON CONFLICT (scope, scope_id, hour_ms) DO UPDATE SET from_ms = excluded.from_ms,"
            " to_ms = excluded.to_ms"
        )
    while rollups.work(10, time.monotonic):
        pass


def readings_of(db: Database, boot_id: int, span: Span) -> list[Reading]:
    """What is read of a boot for a stretch of time."""
    for boot in boot_spans.boots(db, [Part(one, 0, 2**60) for one in (1, 2)]):
        if boot.id == boot_id:
            return Readings(db).of([(boot, span)])[0]
    return []


def all_readings(db: Database, boot_id: int) -> list[Reading]:
    """Every sample of a boot."""
    return ReadingRows(db).around([(boot_id, Uptimes(0, 2**60))])[0]
