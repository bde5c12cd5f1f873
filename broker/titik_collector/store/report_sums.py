"""Devices, traffic and visits of sites, added up for a report.

Rule: means of several sites add up, as those of routers do. What is not known of one is left out,
so a sum stands beside its coverage.
Rule: a share of a site's time is of one router's time, however many routers it has.
"""

from collections.abc import Sequence
from typing import NamedTuple

from titik_collector.figures.scope import Scope
from titik_collector.figures.windows import Span, Window
from titik_collector.store.database import Database, Row

_ROUTERS = "CAST(CASE WHEN routers > 0 THEN routers ELSE 1 END AS DOUBLE PRECISION)"
_SUMS = (
    f"sum(covered_ms / {_ROUTERS}), sum(wifi_known_ms / {_ROUTERS}), sum(wifi_down_bytes),"
    " sum(wifi_up_bytes), sum(visitors_min), sum(visitors_max),"
    f" sum(flow_offload_ms / {_ROUTERS})"
)


class UseSums(NamedTuple):
    """Of windows."""

    covered_ms: float
    traffic_ms: float  # in which the bytes are known
    down_bytes: int
    up_bytes: int
    visits_min: int | None  # of days only
    visits_max: int | None
    flow_offload_ms: float  # in which the bytes may be too low


class SummedWindow(NamedTuple):
    """The same window of several sites, or of the city."""

    span: Span
    places: int  # that have this window
    clients: float | None  # sum of the means; None: none is known
    sums: UseSums


class SummedPlace(NamedTuple):
    """All windows of one site."""

    device_ms: float
    known_ms: int  # of the windows whose mean is known
    sums: UseSums


def by_window(
    db: Database, scope: Scope, ids: Sequence[int], window: Window, span: Span
) -> list[SummedWindow]:
    """Those that begin in a stretch of time, in order."""
    head, values = db.keyed(("id",), [(one,) for one in ids])
    rows = db.execute(
        f"{head} SELECT start_ms, max(end_ms), count(*), sum(clients_mean), {_SUMS}"
        " FROM key CROSS JOIN rollup WHERE scope = ? AND scope_id = id AND length = ?"
        " AND start_ms >= ? AND start_ms < ? GROUP BY start_ms ORDER BY start_ms",
        (*values, scope, window, *span),
    )
    return [
        SummedWindow(
            Span(row[0], row[1]),
            int(row[2]),
            None if row[3] is None else float(row[3]),
            _sums(row[4:]),
        )
        for row in rows
    ]


def by_place(
    db: Database, sites: Sequence[int], window: Window, span: Span
) -> dict[int, SummedPlace]:
    """The same for each site; none of one without any window."""
    head, values = db.keyed(("id",), [(one,) for one in sites])
    rows = db.execute(
        f"{head} SELECT id, sum(clients_mean * (end_ms - start_ms)),"
        f" sum(CASE WHEN clients_mean IS NULL THEN 0 ELSE end_ms - start_ms END), {_SUMS}"
        " FROM key CROSS JOIN rollup WHERE scope = 'site' AND scope_id = id AND length = ?"
        " AND start_ms >= ? AND start_ms < ? GROUP BY id",
        (*values, window, *span),
    )
    return {row[0]: SummedPlace(float(row[1] or 0), int(row[2]), _sums(row[3:])) for row in rows}


def _sums(row: Row) -> UseSums:
    covered_ms, traffic_ms, down, up, least, most, flow_offload_ms = row
    return UseSums(
        float(covered_ms),
        float(traffic_ms),
        int(down),
        int(up),
        None if least is None else int(least),
        None if most is None else int(most),
        float(flow_offload_ms),
    )
