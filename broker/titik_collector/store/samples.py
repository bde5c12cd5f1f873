"""The rows of stored samples, and the messages that they came from."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from titik_collector.figures.table import COUNTERS
from titik_collector.store.boot_time import Quality
from titik_collector.store.database import Database

# What a sample may have: all but CLIENT are bits of `sections`.
WIFI, UPLINK, CLIENT, FLOW_OFFLOAD = 1, 2, 4, 8

# The larger of both.
_REACH_MS = "CASE WHEN observed_ms > covers_ms THEN observed_ms ELSE covers_ms END"


class NewSample(NamedTuple):
    """A row of `sample`, in the words of the schema."""

    run_id: int
    seq: int
    first_seq: int
    router_id: int
    boot_id: int
    uptime_ms: int
    arrived_ms: int
    at_ms: int
    quality: Quality
    covers_ms: int
    sections: int
    clients: int | None
    clients_min: int | None
    clients_max: int | None
    active: int | None
    weak: int | None
    client_ms: int | None
    observed_ms: int | None
    visitors: int | None
    visitors_since_ms: int | None
    counters: bytes  # see counters.py
    clocked: int  # 1: the router's clock is believed
    claim_ms: int | None  # what it shows, if it is not believed
    counted: tuple[int | None, ...]  # a column for each of COUNTERS


_COLUMNS = (*NewSample._fields[:-1], *COUNTERS)
_ADD = f"INSERT INTO sample ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"


class NewMessage(NamedTuple):
    """The message of a sample as it is kept."""

    run_id: int
    seq: int
    arrived_ms: int
    packed: bytes  # see body.py


class RemovedSample(NamedTuple):
    """A sample whose row went."""

    boot_id: int
    seq: int
    uptime_ms: int
    at_ms: int
    reach_ms: int  # the larger of its covers_ms and observed_ms


class DoubtfulClock(NamedTuple):
    """A sample whose clock may be worth more or less than before."""

    run_id: int
    seq: int
    uptime_ms: int
    arrived_ms: int
    at_ms: int
    reach_ms: int  # the larger of its covers_ms and observed_ms
    clocked: int  # 1: it is believed
    clock_ms: int


def add(db: Database, samples: Sequence[NewSample], messages: Sequence[NewMessage]) -> None:
    """Write rows of samples and their messages."""
    db.executemany(_ADD, [(*one[:-1], *one.counted) for one in samples])
    db.executemany(
        "INSERT INTO body (run_id, seq, arrived_ms, packed) VALUES (?, ?, ?, ?)", messages
    )


def first_seq_at(db: Database, run_id: int, seq: int) -> int | None:
    """Where the row begins that holds `seq`, or the next after it; None if there is neither."""
    row = db.execute(
        "SELECT first_seq FROM sample WHERE run_id = ? AND seq >= ? ORDER BY seq LIMIT 1",
        (run_id, seq),
    ).fetchone()
    return None if row is None else row[0]


def seqs_inside(db: Database, run_id: int, first: int, last: int) -> int:
    """How many seqs the rows hold that lie in a range."""
    found: int = db.execute(
        "SELECT CAST(coalesce(sum(seq - first_seq + 1), 0) AS BIGINT) FROM sample"
        " WHERE run_id = ? AND seq BETWEEN ? AND ?",
        (run_id, first, last),
    ).fetchone()[0]
    return found


def remove_inside(db: Database, run_id: int, first: int, last: int) -> list[RemovedSample]:
    """Take out the rows that lie in a range, and their messages."""
    span = (run_id, first, last)
    rows = db.execute(
        f"SELECT boot_id, seq, uptime_ms, at_ms, {_REACH_MS} FROM sample"
        " WHERE run_id = ? AND seq BETWEEN ? AND ?",
        span,
    ).fetchall()
    db.execute("DELETE FROM body WHERE run_id = ? AND seq BETWEEN ? AND ?", span)
    db.execute("DELETE FROM sample WHERE run_id = ? AND seq BETWEEN ? AND ?", span)
    return [RemovedSample(*row) for row in rows]


def move(db: Database, moved: Iterable[tuple[int, Quality, int, int]]) -> None:
    """Samples were taken at another time, or that is known otherwise.

    Each by instant and quality, run and seq.
    """
    db.executemany("UPDATE sample SET at_ms = ?, quality = ? WHERE run_id = ? AND seq = ?", moved)


def doubtful_clocks(
    db: Database, boots: Sequence[tuple[int, int | None]], ahead_ms: int, drift: int
) -> dict[int, list[DoubtfulClock]]:
    """Samples of boots whose clock is not believed, or shows what would not be believed now.

    Each boot with when it began at the earliest, less one in `drift` of the uptime; None: not
    known. `ahead_ms`: how far a clock may be later than its sample's arrival.
    The store passes over the others, for a boot of a month has 86,400 of them.
    """
    head, values = db.keyed(("boot", "earliest_ms"), boots)
    found: dict[int, list[DoubtfulClock]] = {boot_id: [] for boot_id, _ in boots}
    for boot_id, *row in db.execute(
        f"{head} SELECT boot, run_id, seq, uptime_ms, arrived_ms, at_ms,"
        f" {_REACH_MS}, clocked, coalesce(taken_ms, claim_ms)"
        " FROM key CROSS JOIN sample WHERE boot_id = boot AND (claim_ms IS NOT NULL"
        " OR taken_ms > arrived_ms + ? OR taken_ms - uptime_ms < earliest_ms - uptime_ms / ?)",
        (*values, ahead_ms, drift),
    ):
        found[boot_id].append(DoubtfulClock(*row))
    return found


def judge_clocks(db: Database, clocks: Iterable[tuple[int, int, int, bool]]) -> None:
    """Believe clocks from now on, or keep what they show for later: run, seq, clock, believed."""
    db.executemany(
        "UPDATE sample SET clocked = ?, claim_ms = ?, at_ms = ? WHERE run_id = ? AND seq = ?",
        [
            (int(believed), None if believed else clock_ms, clock_ms, run_id, seq)
            for run_id, seq, clock_ms, believed in clocks
        ],
    )


def newest_ms(db: Database) -> int | None:
    """When the newest sample of any router was taken; None: there is none."""
    (at_ms,) = db.execute(
        "SELECT max(newest) FROM (SELECT (SELECT max(at_ms) FROM sample"
        " WHERE router_id = router.id) AS newest FROM router) AS one"
    ).fetchone()
    return None if at_ms is None else int(at_ms)
