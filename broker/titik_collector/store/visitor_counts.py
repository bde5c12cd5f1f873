"""How many visitors the samples of a router's runs counted."""

from collections.abc import Sequence
from typing import NamedTuple

from titik_collector.figures.windows import Span
from titik_collector.limits import MAX_STEP_MS
from titik_collector.store.database import Database

_COUNT = "visitors, visitors_since_ms, taken_ms"
# A run has no sample before, however its clock was set back.
_BEGAN = f"f.at_ms - {MAX_STEP_MS}"
_LATER = f"CASE WHEN {_BEGAN} > from_ms THEN {_BEGAN} ELSE from_ms END"


class VisitorCount(NamedTuple):
    """What one sample reported."""

    run_id: int
    visitors: int
    since_ms: int  # when the router began to count
    taken_ms: int | None  # None: the router's clock was not believed


def last(db: Database, asked: Sequence[tuple[int, int, Span]]) -> list[tuple[int, VisitorCount]]:
    """Of boots the newest count of each run in a stretch of time; by the caller's number."""
    head, values = db.keyed(
        ("n", "boot", "from_ms", "to_ms"), [(n, boot_id, *span) for n, boot_id, span in asked]
    )
    rows = db.execute(
        f"{head} SELECT n, run_id, {_COUNT} FROM key CROSS JOIN run CROSS JOIN sample"
        " WHERE run.boot_id = boot AND run_id = run.id AND seq = ("
        " SELECT o.seq FROM sample AS o WHERE o.run_id = run.id AND o.at_ms >= from_ms"
        "  AND o.at_ms < to_ms AND o.visitors IS NOT NULL ORDER BY o.seq DESC LIMIT 1)",
        values,
    )
    return [(n, VisitorCount(*count)) for n, *count in rows]


def latest(
    db: Database, asked: Sequence[tuple[int, int, int, Span]]
) -> list[tuple[int, VisitorCount]]:
    """Of runs the latest count in a stretch of time; by the caller's number.

    Asked by number, router and run. The time before a run is not looked through.
    """
    head, values = db.keyed(
        ("n", "router", "run", "from_ms", "to_ms"),
        [(n, router_id, run_id, *span) for n, router_id, run_id, span in asked],
    )
    rows = db.execute(
        f"{head} SELECT n, run_id, {_COUNT} FROM key CROSS JOIN sample"
        " WHERE (run_id, seq) = (SELECT o.run_id, o.seq FROM sample AS o WHERE o.router_id = router"
        f"  AND o.at_ms >= (SELECT {_LATER} FROM sample AS f WHERE f.run_id = run"
        "   ORDER BY f.seq LIMIT 1)"
        "  AND o.at_ms < to_ms AND o.run_id = run AND o.visitors IS NOT NULL"
        "  ORDER BY o.at_ms DESC LIMIT 1)",
        values,
    )
    return [(n, VisitorCount(*count)) for n, *count in rows]
