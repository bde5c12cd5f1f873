"""The sums of `rollups.aggregation` as SQL; means are divided and rounded in `figures.figures`.

Rule: additive figures are summed. A mean is summed in whole thousandths, so that the order of the
rows does not matter.
Rule: a rate is computed from its bytes for a router, whose row may be older than the column.
"""

from collections.abc import Sequence
from typing import NamedTuple

from titik_collector.figures.figures import ADDITIVE, KNOWN_TIMES, RATES, Figures
from titik_collector.figures.scope import Scope
from titik_collector.figures.windows import Span, Window
from titik_collector.store.database import Database, Value
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
    if scope == "router" and name in KNOWN_TIMES:
        return f"CASE WHEN {name} > {MINUTE_MS} THEN {MINUTE_MS} ELSE {name} END"
    return name


def _sum_of(name: str, scope: Scope) -> str:
    """A figure of several routers or sites in one minute, in SQL."""
    return f"sum({_of(name, scope)})" if name in (*RATES, *KNOWN_TIMES) else _summed(name)


_PARTS: tuple[Scope, Scope] = ("router", "site")
_SUMMED = {scope: ", ".join(_sum_of(name, scope) for name in Figures._fields) for scope in _PARTS}


def _thousandths(amount: str, length: str) -> str:
    """A mean in thousandths as `figures.mean` rounds it, in SQL; NULL where it is not known."""
    return f"({amount} * 1000 + {length} / 2) / nullif({length}, 0)"


# Rows that are older than rates have none.
_SUMS_OF_WHOLE = ", ".join(
    (
        f"sum({_thousandths('client_ms', 'observed_ms')})",
        f"sum({_thousandths('active_ms', 'active_observed_ms')})",
        *(f"sum(coalesce({name}, {_rate(name)}))" for name in RATES),
    )
)


class SumsOfMeans(NamedTuple):
    """What the means, in thousandths, and the rates of several routers sum to; None: not known."""

    clients: int | None = None
    active: int | None = None
    wifi_down_bps: int | None = None
    wifi_up_bps: int | None = None
    uplink_down_bps: int | None = None
    uplink_up_bps: int | None = None


class Part(NamedTuple):
    """What a sum is made of: a router or site, from and to before a time."""

    id: int
    from_ms: int
    to_ms: int


class Asked(NamedTuple):
    """A part, by a number of the caller's; parts of one number are summed together."""

    n: int
    part: Part


def of_lower(db: Database, asked: Sequence[tuple[Series, Span]]) -> list[Figures]:
    """Each hour of its minutes, or day of its hours; means and visitors are left out."""
    head, values = db.keyed(
        ("n", "of_scope", "id", "length", "from_ms", "to_ms"),
        [
            (n, scope, scope_id, _LOWER[window], *span)
            for n, ((scope, scope_id, window), span) in enumerate(asked)
        ],
    )
    found = [Figures()] * len(asked)
    for n, *sums in db.execute(
        f"{head} SELECT n, {_SUMS}, {_EXTREMES_OF_LOWER} FROM key CROSS JOIN rollup"
        " WHERE scope = of_scope AND scope_id = id AND window = length"
        " AND start_ms >= from_ms AND start_ms < to_ms GROUP BY n",
        values,
    ):
        found[n] = Figures(**dict(zip((*ADDITIVE, *_EXTREMES), sums, strict=True)))
    return found


def of_minutes(
    db: Database, scope: Scope, asked: Sequence[Asked]
) -> list[tuple[int, int, Figures]]:
    """The minutes of sites from their routers, or of the city from its sites.

    Each with the caller's number and its start. How many routers they are of is left out.
    """
    head, values = _keyed(db, asked)
    rows = db.execute(
        f"{head} SELECT n, start_ms, {_SUMMED[scope]} FROM key CROSS JOIN rollup"
        " WHERE scope = ? AND scope_id = id AND window = '1m'"
        " AND start_ms >= from_ms AND start_ms < to_ms GROUP BY n, start_ms",
        (*values, scope),
    )
    return [(n, start_ms, Figures._make(figures)) for n, start_ms, *figures in rows]


def of_sites(db: Database, window: Window, start_ms: int, sites: Sequence[int]) -> Figures:
    """What the same window of several sites sums to, extremes left out."""
    means = ", ".join(f"sum(CAST(round({name} * 1000) AS INTEGER)) / 1000.0" for name in _MEANS)
    visitors = ", ".join(f"sum({name})" for name in _VISITORS)
    of_rates = ", ".join(f"sum({name})" for name in RATES)
    head, values = db.keyed(("id",), [(one,) for one in sites])
    row = db.execute(
        f"{head} SELECT {_SUMS}, {means}, {visitors}, {of_rates} FROM key CROSS JOIN rollup"
        " WHERE scope = 'site' AND scope_id = id AND window = ? AND start_ms = ?",
        (*values, window, start_ms),
    )[0]
    return Figures(**dict(zip((*ADDITIVE, *_MEANS, *_VISITORS, *RATES), row, strict=True)))


def of_whole(db: Database, window: Window, asked: Sequence[Asked]) -> dict[int, SumsOfMeans]:
    """The sums of the means and rates of routers, each of its window that begins with its part."""
    head, values = _keyed(db, asked)
    rows = db.execute(
        f"{head} SELECT n, {_SUMS_OF_WHOLE} FROM key CROSS JOIN rollup"
        " WHERE scope = 'router' AND scope_id = id AND window = ? AND start_ms = from_ms"
        " GROUP BY n",
        (*values, window),
    )
    return {n: SumsOfMeans._make(sums) for n, *sums in rows}


def visitors(db: Database, asked: Sequence[Asked]) -> dict[int, tuple[int | None, int | None]]:
    """At least and at most so many, summed over the days of routers that begin with their part."""
    head, values = _keyed(db, asked)
    rows = db.execute(
        f"{head} SELECT n, sum(visitors_min), sum(visitors_max) FROM key CROSS JOIN rollup"
        " WHERE scope = 'router' AND scope_id = id AND window = '1d' AND start_ms = from_ms"
        " GROUP BY n",
        values,
    )
    return {n: (least, most) for n, least, most in rows}


def of_each_router(
    db: Database, window: Window, asked: Sequence[Asked]
) -> list[tuple[int, int, Figures]]:
    """Client time and bytes of each router, from its windows that begin while it was there.

    Each with the caller's number and the router's. That is all that means and rates need.
    """
    head, values = _keyed(db, asked)
    rows = db.execute(
        f"{head} SELECT n, id, {_SUMS_OF_MEANS} FROM key CROSS JOIN rollup"
        " WHERE scope = 'router' AND scope_id = id AND window = ?"
        " AND start_ms >= from_ms AND start_ms < to_ms GROUP BY n, id",
        (*values, window),
    )
    return [
        (n, router_id, Figures(**dict(zip(_OF_MEANS, sums, strict=True))))
        for n, router_id, *sums in rows
    ]


def _keyed(db: Database, asked: Sequence[Asked]) -> tuple[str, tuple[Value, ...]]:
    return db.keyed(("n", "id", "from_ms", "to_ms"), [(n, *part) for n, part in asked])
