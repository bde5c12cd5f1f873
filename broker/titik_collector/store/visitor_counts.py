"""How many visitors the samples of a router's run counted."""

from typing import NamedTuple

from titik_collector.figures.windows import Span
from titik_collector.store.database import Database


class VisitorCount(NamedTuple):
    """What one sample reported."""

    visitors: int
    since_ms: int  # when the router began to count
    taken_ms: int | None  # None: the router's clock was not believed


class LastSeq(NamedTuple):
    """The newest sample of a run."""

    run_id: int
    seq: int


def last_seqs(db: Database, router_id: int, span: Span) -> list[LastSeq]:
    """The newest sample of each run of a router that has any in a stretch of time."""
    rows = db.execute(
        # Answered from the index alone: a day has thousands of samples and a few runs.
        "SELECT run_id, max(seq) FROM sample WHERE router_id = ? AND at_ms >= ? AND at_ms < ?"
        " GROUP BY run_id",
        (router_id, *span),
    )
    return [LastSeq(*row) for row in rows]


def last(db: Database, upto: LastSeq, span: Span) -> VisitorCount | None:
    """The run's newest count up to a sample, in a stretch of time."""
    row = db.execute(
        "SELECT visitors, visitors_since_ms, taken_ms FROM sample WHERE run_id = ?"
        " AND seq <= ? AND at_ms >= ? AND at_ms < ? AND visitors IS NOT NULL"
        " ORDER BY seq DESC LIMIT 1",
        (*upto, *span),
    ).fetchone()
    return None if row is None else VisitorCount(*row)


def latest(db: Database, router_id: int, run_id: int, span: Span) -> VisitorCount | None:
    """The run's latest count in a stretch of time."""
    row = db.execute(
        "SELECT visitors, visitors_since_ms, taken_ms FROM sample WHERE router_id = ?"
        " AND at_ms >= ? AND at_ms < ? AND run_id = ? AND visitors IS NOT NULL"
        " ORDER BY at_ms DESC LIMIT 1",
        (router_id, *span, run_id),
    ).fetchone()
    return None if row is None else VisitorCount(*row)
