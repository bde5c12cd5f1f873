"""`titik db check`: is the store whole, and does the conservation law hold for every run.

taken = stored + refused + lost + in spool, each term from seq ranges and none from a counter.
"""

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from titik_collector.limits import MAX_FINDINGS
from titik_collector.store import body
from titik_collector.store.database import Database
from titik_collector.store.ranges import Ranges
from titik_wire import codec, topics
from titik_wire.errors import WireError
from titik_wire.messages import Sample


class SampleTotals(NamedTuple):
    """Samples: taken = stored + refused + lost + in the spool."""

    taken: int
    stored: int
    refused: int
    lost: int
    in_spool: int


class RunTotals(NamedTuple):
    """The same of one run, as far as it is settled."""

    stored: int
    refused: int
    lost: int

    @property
    def settled(self) -> int:
        """What no router has to send again."""
        return self.stored + self.refused + self.lost


def by_run(db: Database) -> dict[str, RunTotals]:
    """Of a store with few runs, each by its name."""
    rows = db.execute("SELECT run, stored, refused, lost FROM v_conservation").fetchall()
    return {str(run): RunTotals(*counts) for run, *counts in rows}


def findings(db: Database) -> list[str]:
    """What is wrong, in words; an empty list when all is well. At most MAX_FINDINGS."""
    return list(islice(_all(db), MAX_FINDINGS))


def law(db: Database) -> list[str]:
    """Runs for which the law does not hold, without a look at any sample; at most MAX_FINDINGS."""
    return list(islice(_conservation(db), MAX_FINDINGS))


def _all(db: Database) -> Iterator[str]:
    yield from db.damage()
    yield from _conservation(db)
    for run_id, base, router, run_name in db.execute(
        "SELECT run.id, base, router.name, run.token FROM run"
        " JOIN router ON router.id = run.router_id"
    ).fetchall():
        yield from _run(db, run_id, base, f"router={router} run={run_name}")
    yield from _bodies(db)


def _conservation(db: Database) -> Iterator[str]:
    for router, run, taken, stored, refused, lost, in_spool in db.stream(
        "SELECT router, run, taken, stored, refused, lost, in_spool FROM v_conservation"
    ):
        terms = (stored, refused, lost, in_spool)
        if taken != sum(terms) or min(terms) < 0:
            yield (
                f"router={router} run={run}: taken {taken} is not stored {stored} + refused"
                f" {refused} + lost {lost} + in spool {in_spool}"
            )


def _run(db: Database, run_id: int, base: int, name: str) -> Iterator[str]:
    """The rows of a run are disjoint, inside what is stored, and apart from what is refused."""
    ranges = {"stored": Ranges(), "refused": Ranges()}
    for kind, first, last in db.execute(
        "SELECT kind, first_seq, last_seq FROM settled WHERE run_id = ?", (run_id,)
    ):
        if (
            first > last
            or first <= base
            or any(one.missing(first, last) != [(first, last)] for one in ranges.values())
        ):
            yield f"{name}: {kind} {first} to {last} overlaps another range"
        ranges[kind].add(first, last)
    ranges["stored"].add(1, base)
    end = 0
    for first, last in db.execute(
        "SELECT first_seq, seq FROM sample WHERE run_id = ? ORDER BY seq", (run_id,)
    ):
        if first <= end:
            yield f"{name}: samples up to {end} and from {first} count seqs twice"
        if not ranges["stored"].covers(first, last):
            yield f"{name}: sample {first} to {last} is not among the stored ranges"
        end = last


def _bodies(db: Database) -> Iterator[str]:
    """Every body is a message of its own row."""
    rows = db.stream(
        "SELECT router.name, run.token, sample.first_seq, sample.seq, body.packed FROM body"
        " JOIN sample USING (run_id, seq) JOIN run ON run.id = sample.run_id"
        " JOIN router ON router.id = sample.router_id"
    )
    for router, run_name, first, seq, packed in rows:
        try:
            message = codec.decode(topics.sample(router), body.unpack(packed))
        except (ValueError, WireError) as error:
            yield f"router={router} run={run_name} seq={seq}: {error}"
            continue
        assert isinstance(message, Sample)
        if (message.run, message.first_seq, message.seq) != (run_name, first, seq):
            yield f"router={router} run={run_name} seq={seq}: the body is another sample's"


def totals(db: Database) -> SampleTotals:
    """Over all runs."""
    # Not by SQLite, whose sums end at 2**63: a broken router may claim 2**53 seqs in each run.
    rows = db.stream("SELECT taken, stored, refused, lost, in_spool FROM v_conservation")
    totals = [0] * len(SampleTotals._fields)
    for row in rows:
        totals = [total + term for total, term in zip(totals, row, strict=True)]
    return SampleTotals(*totals)


def merged(db: Database) -> int:
    """How many of the stored samples were merged from several."""
    return int(db.execute("SELECT count(*) FROM sample WHERE seq > first_seq").fetchone()[0])


def restored(db: Database) -> int:
    """Samples that a newer state of this store had acknowledged, and that were not in it."""
    row = db.execute("SELECT value FROM tally WHERE name = 'restored'").fetchone()
    return 0 if row is None else int(row[0])
