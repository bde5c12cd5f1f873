"""The sums of `rollups.aggregation` that the database computes: over windows, and over places.

Rule: additive figures are summed. A mean is summed in whole thousandths, so that the order of the
rows does not matter.
Rule: a rate is computed from its bytes for a router, whose row may be older than the column.
"""

import json
from collections.abc import Sequence
from typing import NamedTuple

from titik_collector.figures.figures import ADDITIVE, KNOWN_TIMES, RATES, Figures
from titik_collector.figures.scope import Scope
from titik_collector.figures.windows import Span, Window
from titik_collector.store.database import Database
from titik_collector.store.rollups import Series
from titik_wire.instant import MINUTE_MS

_LOWER: dict[Window, Window] = {"1h": "1m", "1d": "1h"}
_MEANS = ("clients_mean", "active_mean")
_VISITORS = ("visitors_min", "visitors_max")
_EXTREMES = {
    "clients_min": "min",
    "clients_max": "max",
    "wifi_down_peak_bps": "max",
    "uplink_down_peak_bps": "max",
}
_SUMS = ", ".join(f"coalesce(sum({name}), 0)" for name in ADDITIVE)
_OF_MEANS = (
    *("observed_ms", "client_ms", "active_ms", "active_observed_ms"),
    *("wifi_down_bytes", "wifi_up_bytes", "wifi_known_ms"),
    *("uplink_down_bytes", "uplink_up_bytes", "uplink_known_ms"),
)
_SUMS_OF_MEANS = ", ".join(f"coalesce(sum({name}), 0)" for name in _OF_MEANS)
_EXTREMES_OF_LOWER = ", ".join(f"{how}({name})" for name, how in _EXTREMES.items())


def _summed(name: str) -> str:
    """The same minute of several routers or sites, in SQL."""
    if name in _VISITORS:
        return "NULL"
    if name in _MEANS:
        return f"sum(CAST(round({name} * 1000) AS INTEGER)) / 1000.0"
    return "1" if name == "routers" else f"sum({name})"


def _rate(name: str) -> str:
    """A router's rate, in SQL: in two parts, because bytes * 8000 may be over 64 bits."""
    amount, known = RATES[name]
    known = f"nullif({known}, 0)"
    return f"{amount} / {known} * 8000 + {amount} % {known} * 8000 / {known}"


def _of(name: str, scope: Scope) -> str:
    """A minute's figure of one router or site, in SQL; some routers' rows are older than rates."""
    if scope == "router" and name in RATES:
        return _rate(name)
    return f"min({name}, {MINUTE_MS})" if scope == "router" and name in KNOWN_TIMES else name


def _sum_of(name: str, scope: Scope) -> str:
    """A figure of several routers or sites in one minute, in SQL."""
    return f"sum({_of(name, scope)})" if name in (*RATES, *KNOWN_TIMES) else _summed(name)


_PARTS: tuple[Scope, Scope] = ("router", "site")
_ALONE = {scope: ", ".join(_of(name, scope) for name in Figures._fields) for scope in _PARTS}
_SUMMED = {scope: ", ".join(_sum_of(name, scope) for name in Figures._fields) for scope in _PARTS}


class Part(NamedTuple):
    """What a sum is made of: a router or site, from and to before a time."""

    id: int
    from_ms: int
    to_ms: int


# The head of a query that joins with `part`; its value is parts as JSON. Not as text: a connection
# keeps the last 128 statements, and every minute's would be other ones.
WITH_PARTS = (
    "WITH part (id, from_ms, to_ms) AS (SELECT json_extract(value, '$[0]'),"
    " json_extract(value, '$[1]'), json_extract(value, '$[2]') FROM json_each(?))"
)


def of_lower(db: Database, series: Series, span: Span) -> Figures:
    """An hour of its minutes or a day of its hours; means and visitors are left out."""
    scope, scope_id, window = series
    row = db.execute(
        f"SELECT {_SUMS}, {_EXTREMES_OF_LOWER} FROM rollup"
        " WHERE scope = ? AND scope_id = ? AND window = ? AND start_ms >= ? AND start_ms < ?",
        (scope, scope_id, _LOWER[window], *span),
    ).fetchone()
    return Figures(**dict(zip((*ADDITIVE, *_EXTREMES), row, strict=True)))


def of_minutes(db: Database, scope: Scope, parts: Sequence[Part]) -> dict[int, Figures]:
    """The minutes of a site from its routers, or of the city from its sites, by their start.

    How many routers they are of is left out.
    """
    # A sum of one is that one.
    columns = _ALONE[scope] if len(parts) == 1 else _SUMMED[scope]
    end = "" if len(parts) == 1 else " GROUP BY start_ms"
    rows = db.execute(
        f"{WITH_PARTS} SELECT start_ms, {columns} FROM part CROSS JOIN rollup"
        " ON scope = ? AND scope_id = part.id AND window = '1m'"
        f" AND start_ms >= part.from_ms AND start_ms < part.to_ms{end}",
        (json.dumps(parts), scope),
    )
    return {start_ms: Figures._make(values) for start_ms, *values in rows}


def of_parts(
    db: Database, scope: Scope, parts: Sequence[Part], window: Window, start_ms: int
) -> Figures:
    """What the same window of several routers or sites sums to, extremes left out."""
    means = ", ".join(f"sum(CAST(round({name} * 1000) AS INTEGER)) / 1000.0" for name in _MEANS)
    visitors = ", ".join(f"sum({name})" for name in _VISITORS)
    of_rates = ", ".join(_sum_of(name, scope) for name in RATES)
    row = db.execute(
        f"{WITH_PARTS} SELECT {_SUMS}, {means}, {visitors}, {of_rates} FROM part CROSS JOIN rollup"
        " ON scope = ? AND scope_id = part.id AND window = ? AND start_ms = ?",
        (json.dumps(parts), scope, window, start_ms),
    ).fetchone()
    return Figures(**dict(zip((*ADDITIVE, *_MEANS, *_VISITORS, *RATES), row, strict=True)))


def of_each_router(db: Database, parts: Sequence[Part], window: Window) -> dict[int, Figures]:
    """Client time and bytes of each router, from its windows that begin while it was there.

    That is all that means and rates need.
    """
    rows = db.execute(
        f"{WITH_PARTS} SELECT part.id, {_SUMS_OF_MEANS} FROM part CROSS JOIN rollup"
        " ON scope = 'router' AND scope_id = part.id AND window = ?"
        " AND start_ms >= part.from_ms AND start_ms < part.to_ms GROUP BY part.id",
        (json.dumps(parts), window),
    )
    return {
        router_id: Figures(**dict(zip(_OF_MEANS, values, strict=True)))
        for router_id, *values in rows
    }
