"""The collector's ingest: any letters in any batches leave a sound store, and once is enough.

An input is steps of a few bytes: the next message, the end of a batch, or a step of what is
done between batches. At the end everything comes once more, and no row changes.
"""

import shutil
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from tests.collector.build import Registered
from tests.fuzz.targets import folder
from tests.wire.examples import BARE_SAMPLE, CASES, FULL_SAMPLE
from titik_collector.broker_link.inbox import ReceivedMessage
from titik_collector.ingest.batch import BatchWriter
from titik_collector.ingest.ingest import Ingest
from titik_collector.live.presence import Presence
from titik_collector.rollups.worker import Rollups
from titik_collector.store import conservation, retention
from titik_collector.store.database import Database
from titik_collector.store.sqlite import open_writer
from titik_wire import codec, packed, topics
from titik_wire.messages import Held, Sample, Status

OURS = ("tirosa-1", "tirosa-2")
FOREIGN = "tirosa-3"
ROUTERS = (*OURS, FOREIGN)
RUNS = ("9f2c41d07be35a68", "0123456789abcdef", "00000000000000aa")
BOOTS = ("6b0f3c52-1f0a-4c55-9a57-2f3f1c0d9e11", "6b0f3c52-1f0a-4c55-9a57-2f3f1c0d9e12")
T0 = 1_795_400_000_000
ZONE = ZoneInfo("Asia/Makassar")
MOST = 100  # steps
# What follows the kind of a step: router, run, block, power of 2, floor, boot, clock, figures.
SAMPLE = struct.Struct(">BBBBBBBB")


def seeds() -> Sequence[bytes]:
    def live(seq: int, *, kind: int = 0, router: int = 0, run: int = 0, power: int = 0) -> bytes:
        return bytes([kind]) + SAMPLE.pack(router, run, seq, power, 0, 0, 0, seq)

    row = b"".join(live(seq) for seq in range(6))
    other = live(3, router=1) + live(1, router=2)
    merged = live(0, kind=1, power=2) + live(1, kind=1)
    backlog = row.replace(b"\0" * 2, b"\1\0") + b"\5"
    raw = b"".join(
        bytes([4, ord("s") if topic.endswith("status") else 0]) + struct.pack(">H", len(one)) + one
        for _, topic, one in CASES
    )
    metered = backlog.replace(b"\0\0\0", b"\0\0\x40")
    status = b"\2\0\0\0\0\2\1\0\0\1"
    long = status + row + b"\5" + live(0, run=1) + status + b"\5\7" + merged + b"\5\7"
    return [
        row + b"\5",
        row + other + b"\5" + merged + b"\5\7",
        backlog + b"\7",
        metered + b"\7",
        raw + b"\5",
        long,
    ]


def one(data: bytes) -> None:
    path = folder("ingest") / "titik.db"
    for file in (path, path.with_name("titik.db-wal"), path.with_name("titik.db-shm")):
        file.unlink(missing_ok=True)
    shutil.copyfile(_empty(), path)
    with closing(open_writer(path)) as db:
        collector = Collector(db)
        for step in _steps(data):
            collector.take(step)
        collector.end()


class Collector:
    """Ingest over a real store, with what surrounds it in `collect.py`."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._now_ms = T0
        self._all: list[ReceivedMessage] = []
        self._batch: list[ReceivedMessage] = []
        self._acked: list[ReceivedMessage] = []
        presence = Presence(db)
        self._store = BatchWriter(db, Registered(*OURS), presence=presence)
        self._ingest = Ingest(self, self, self._store, lambda: self._now_ms)
        self._rollups = Rollups(db, ZONE, lambda: self._now_ms)

    def receive(self, most: int, wait_s: float) -> Sequence[ReceivedMessage]:  # noqa: ARG002
        found, self._batch = self._batch, []
        return found

    def acknowledge(self, letters: Sequence[ReceivedMessage]) -> None:
        self._acked += letters

    def publish(self, topic: str, payload: bytes, retain: bool) -> None:
        assert retain
        codec.decode(topic, payload)

    def flush(self) -> None:
        pass

    def take(self, step: "ReceivedMessage | int") -> None:
        """A message, or the number of what else happens."""
        self._now_ms += 7_000
        match step:
            case ReceivedMessage():
                self._batch.append(step)
                self._all.append(step)
            case 5:
                self._step()
            case _:
                self._work()

    def end(self) -> None:
        """What must hold of the store whatever came, and after it came again."""
        self._step()
        self._work()
        before = self._rows()
        self._batch = self._all[::-1]
        self._step()
        self._work()
        assert before == self._rows()
        self._judge()

    def _step(self) -> None:
        waiting = len(self._batch)
        acked = len(self._acked)
        self._ingest.step(0.0)
        assert len(self._acked) - acked == waiting, "a message was not acknowledged"

    def _work(self) -> None:
        while self._rollups.work(1.0, time.monotonic):
            pass
        with self._db.transaction():
            retention.prune(self._db, self._now_ms, retention.Days(1, 30, 90))

    def _judge(self) -> None:
        assert [] == conservation.findings(self._db)
        rows = self._db.execute("SELECT name FROM router ORDER BY id").fetchall()
        assert [(one,) for one in OURS] == rows
        for table in ("sample", "run"):
            others = f"SELECT count(*) FROM {table} WHERE router_id NOT IN (1, 2)"
            assert (0,) == self._db.execute(others).fetchone()

    def _rows(self) -> list[tuple[object, ...]]:
        return self._db.execute(
            "SELECT run_id, first_seq, seq, at_ms FROM sample ORDER BY run_id, seq"
        ).fetchall()


def _steps(data: bytes) -> Iterator[ReceivedMessage | int]:
    at = 0
    for number in range(MOST):
        if at >= len(data):
            return
        kind = data[at] % 8
        at += 1
        if kind in (0, 1, 2, 3):
            words = data[at : at + SAMPLE.size].ljust(SAMPLE.size, b"\0")
            at += SAMPLE.size
            yield _received(kind, words, number)
        elif kind == 4:
            what, length = struct.unpack(">BH", data[at : at + 3].ljust(3, b"\0"))
            yield _raw(what, data[at + 3 : at + 3 + length], number)
            at += 3 + length
        else:
            yield kind


def _received(kind: int, words: bytes, number: int) -> ReceivedMessage:
    router = ROUTERS[words[0] % 3]
    if kind == 2:
        status = _status(router, words)
        return ReceivedMessage(topics.status(router), codec.encode(status), (1, number))
    payload = codec.encode(_sample(router, words))
    if kind == 3:  # a field is broken on its way
        at = words[7] * len(payload) // 256
        payload = payload[:at] + words[6:7] + payload[at + 1 :]
    if words[6] & 0x40:
        payload = packed.pack(payload)
    topic = topics.backlog(router) if kind == 1 else topics.sample(router)
    return ReceivedMessage(topic, payload, (1, number))


def _sample(router: str, words: bytes) -> Sample:
    _, run, block, power, floor, boot, clock, figures = words
    size = 1 << power % 4
    seq = (block % 16 + 1) * size
    other = RUNS[floor // 16 % 3]
    held = [Held(RUNS[run % 3], (min(floor % 16 + 1, seq), seq))]
    if other != RUNS[run % 3]:
        held.append(
            Held(other, None if floor % 2 else (floor % 8 + 1, floor % 8 + 1 + floor // 64))
        )
    uptime_ms = 600_000 + seq * 30_000
    wrong_ms = (0, 0, 600_000, -7_200_000, 86_400_000)[clock // 2 % 5]
    return replace(
        FULL_SAMPLE if figures % 2 else BARE_SAMPLE,
        router=router,
        run=RUNS[run % 3],
        first_seq=seq - size + 1,
        seq=seq,
        spool=tuple(held),
        boot=BOOTS[boot % 2],
        uptime_ms=uptime_ms,
        taken_at=T0 + seq * 30_000 + wrong_ms,
        clock="guess" if clock % 2 else "ntp",
        covers_ms=size * 30_000,
    )


def _status(router: str, words: bytes) -> Status:
    states = ("online", "stopping", "offline")
    state = states[words[5] % 3]
    return Status(router, state, RUNS[words[1] % 3], words[2] + 1, BOOTS[words[6] % 2], "0.1.0")  # type: ignore[arg-type]


def _raw(what: int, payload: bytes, number: int) -> ReceivedMessage:
    router = ROUTERS[what % 3]
    kinds = (topics.sample, topics.backlog, topics.status, topics.ack)
    return ReceivedMessage(kinds[what // 4 % 4](router), payload, (1, number))


@cache
def _empty() -> Path:
    """A store with our routers and nothing else."""
    path = folder("ingest") / "empty.db"
    with closing(open_writer(path)) as db:
        db.execute("INSERT INTO site VALUES (1, 'a', 'A', NULL, NULL, NULL, NULL, 1)")
        for number, name in enumerate(OURS, 1):
            db.execute("INSERT INTO router VALUES (?, ?, 1, 0)", (number, name))
            db.execute("INSERT INTO membership VALUES (?, 0, 1)", (number,))
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path
