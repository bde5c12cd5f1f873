"""How many visitors the samples of a router's runs counted."""

from collections.abc import Sequence
from typing import NamedTuple

from titik_collector.figures.windows import Span
from titik_collector.limits import MAX_STEP_MS
from titik_collector.store.database import Database

_COUNT = "visitors, visitors_since_ms, taken_ms"
# No sample of a run is from before or after, however its clock was set back.
_OUTER = "FROM sample AS e WHERE e.run_id = run.id ORDER BY e.seq"
_BEGAN = f"(SELECT e.at_ms - {MAX_STEP_MS} {_OUTER} LIMIT 1)"
_ENDED = f"(SELECT e.at_ms + {MAX_STEP_MS} {_OUTER} DESC LIMIT 1)"
_OF_RUN = "FROM sample AS p WHERE p.router_id = router AND p.run_id = run.id AND p.at_ms"
# The run's nearest samples that are before and after a stretch of time for certain.
_BEFORE = (
    f"(SELECT p.seq {_OF_RUN} >= {_BEGAN} AND p.at_ms < from_ms - {MAX_STEP_MS}"
    " ORDER BY p.at_ms DESC LIMIT 1)"
)
_AFTER = (
    f"(SELECT p.seq {_OF_RUN} >= to_ms + {MAX_STEP_MS} AND p.at_ms <= {_ENDED}"
    " ORDER BY p.at_ms LIMIT 1)"
)


class VisitorCount(NamedTuple):
    """What one sample reported."""

    run_id: int
    visitors: int
    since_ms: int  # when the router began to count
    taken_ms: int | None  # None: the router's clock was not believed


def last(
    db: Database, asked: Sequence[tuple[int, int, int, Span]]
) -> list[tuple[int, VisitorCount]]:
    """Of boots the newest count of each run in a stretch of time; by the caller's number.

    Asked by number, router and boot. What runs counted at other times is not looked through.
    """
    head, values = db.keyed(
        ("n", "router", "boot", "from_ms", "to_ms"),
        [(n, router_id, boot_id, *span) for n, router_id, boot_id, span in asked],
    )
    rows = db.execute(
        f"{head} SELECT n, run_id, {_COUNT} FROM key CROSS JOIN run CROSS JOIN sample"
        f" WHERE run.boot_id = boot AND {_BEGAN} < to_ms AND {_ENDED} >= from_ms"
        " AND run_id = run.id AND seq = (SELECT o.seq FROM sample AS o WHERE o.run_id = run.id"
        f"  AND o.seq > coalesce({_BEFORE}, 0) AND o.seq < coalesce({_AFTER}, {2**62})"
        "  AND o.at_ms >= from_ms AND o.at_ms < to_ms AND o.visitors IS NOT NULL"
        "  ORDER BY o.seq DESC LIMIT 1)",
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
        ("n", "router", "of_run", "from_ms", "to_ms"),
        [(n, router_id, run_id, *span) for n, router_id, run_id, span in asked],
    )
    rows = db.execute(
        f"{head} SELECT n, run_id, {_COUNT} FROM key CROSS JOIN run CROSS JOIN sample"
        " WHERE run.id = of_run AND run_id = run.id AND seq = ("
        "  SELECT o.seq FROM sample AS o WHERE o.router_id = router"
        f"  AND o.at_ms >= CASE WHEN {_BEGAN} > from_ms THEN {_BEGAN} ELSE from_ms END"
        "  AND o.at_ms < to_ms AND o.run_id = run.id AND o.visitors IS NOT NULL"
        "  ORDER BY o.at_ms DESC LIMIT 1)",
        values,
    )
    return [(n, VisitorCount(*count)) for n, *count in rows]
