"""The sums of `rollups.aggregation` as SQL; means are divided and rounded in `figures.figures`.

Rule: additive figures are summed. A mean is summed in whole thousandths, so that the order of the
rows does not matter.
Rule: a router's mean is computed from its sums, for its row may be older than the column.
"""

from collections.abc import Sequence
from typing import NamedTuple

from titik_collector.figures.scope import Scope
from titik_collector.figures.table import (
    ADDITIVE,
    EXTREMES,
    KINDS,
    KNOWN_TIMES,
    MEANS,
    OF_DAY,
    Figures,
    Mean,
    OfDay,
    Rate,
    Routers,
)
from titik_collector.figures.windows import Span, Window
from titik_collector.store.database import Database, Value
from titik_collector.store.rollups import Series
from titik_wire.instant import MINUTE_MS

_LOWER: dict[Window, Window] = {"1h": "1m", "1d": "1h"}
# What the means of several routers sum to, in the order of MEANS and in their parts.
SumsOfMeans = tuple[int | None, ...]
NO_SUMS: SumsOfMeans = (None,) * len(MEANS)


def _parts(kind: Mean) -> str:
    """What `kind.parts` gives of a router, in SQL; NULL where it is not known."""
    amount, known = kind.amount, f"nullif({kind.known}, 0)"
    if isinstance(kind, Rate):  # in two parts, because bytes * 8000 may be over 64 bits
        return f"{amount} / {known} * 8000 + {amount} % {known} * 8000 / {known}"
    return f"({amount} * 1000 + {kind.known} / 2) / {known}"


def _sum(amount: str) -> str:
    """A sum of whole numbers, in SQL; PostgreSQL's own is a decimal number."""
    return f"CAST(sum({amount}) AS BIGINT)"


def _sum_of_means(name: str) -> str:
    """The stored means of several routers or sites, in SQL."""
    if isinstance(MEANS[name], Rate):
        return _sum(name)
    return f"CAST({_sum(f'CAST(round({name} * 1000) AS BIGINT)')} AS DOUBLE PRECISION) / 1000"


def _summed(name: str, scope: Scope) -> str:
    """A figure of several routers or sites in one minute, in SQL."""
    kind = KINDS[name]
    if isinstance(kind, OfDay):
        return "NULL"
    if isinstance(kind, Routers):
        return "1"
    if isinstance(kind, Rate) and scope == "router":  # some rows are older than rates
        return _sum(_parts(kind))
    if isinstance(kind, Mean):
        return _sum_of_means(name)
    if name in KNOWN_TIMES and scope == "router":
        return _sum(f"CASE WHEN {name} > {MINUTE_MS} THEN {MINUTE_MS} ELSE {name} END")
    return _sum(name)


_SCOPES: tuple[Scope, Scope] = ("router", "site")
_SUMMED = {scope: ", ".join(_summed(name, scope) for name in Figures._fields) for scope in _SCOPES}
_SUMS = ", ".join(f"coalesce({_sum(name)}, 0)" for name in ADDITIVE)
_EXTREMES = ", ".join(f"{how}({name})" for name, how in EXTREMES.items())
_OF_SITES = ", ".join((_SUMS, *map(_sum_of_means, MEANS), *map(_sum, OF_DAY)))
# Rows that are older than rates have none.
_SUMS_OF_WHOLE = ", ".join(_sum(_parts(kind)) for kind in MEANS.values())
# The sums that means are made of.
_OF_MEANS = tuple(dict.fromkeys(n for kind in MEANS.values() for n in (kind.amount, kind.known)))
_SUMS_OF_MEANS = ", ".join(f"coalesce({_sum(name)}, 0)" for name in _OF_MEANS)


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
    if not asked:
        return []
    head, values = db.keyed(
        ("n", "of_scope", "id", "of_length", "from_ms", "to_ms"),
        [
            (n, scope, scope_id, _LOWER[window], *span)
            for n, ((scope, scope_id, window), span) in enumerate(asked)
        ],
    )
    found = [Figures()] * len(asked)
    for n, *sums in db.execute(
        f"{head} SELECT n, {_SUMS}, {_EXTREMES} FROM key CROSS JOIN rollup"
        " WHERE scope = of_scope AND scope_id = id AND length = of_length"
        " AND start_ms >= from_ms AND start_ms < to_ms GROUP BY n",
        values,
    ):
        found[n] = Figures(**dict(zip((*ADDITIVE, *EXTREMES), sums, strict=True)))
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
        " WHERE scope = ? AND scope_id = id AND length = '1m'"
        " AND start_ms >= from_ms AND start_ms < to_ms GROUP BY n, start_ms",
        (*values, scope),
    )
    return [(n, start_ms, Figures._make(figures)) for n, start_ms, *figures in rows]


def of_sites(db: Database, window: Window, start_ms: int, sites: Sequence[int]) -> Figures:
    """What the same window of several sites sums to, extremes left out."""
    head, values = db.keyed(("id",), [(one,) for one in sites])
    row = db.execute(
        f"{head} SELECT {_OF_SITES} FROM key CROSS JOIN rollup"
        " WHERE scope = 'site' AND scope_id = id AND length = ? AND start_ms = ?",
        (*values, window, start_ms),
    )[0]
    return Figures(**dict(zip((*ADDITIVE, *MEANS, *OF_DAY), row, strict=True)))


def of_whole(db: Database, window: Window, asked: Sequence[Asked]) -> dict[int, SumsOfMeans]:
    """The sums of the means of routers, each of its window that begins with its part."""
    head, values = _keyed(db, asked)
    rows = db.execute(
        f"{head} SELECT n, {_SUMS_OF_WHOLE} FROM key CROSS JOIN rollup"
        " WHERE scope = 'router' AND scope_id = id AND length = ? AND start_ms = from_ms"
        " GROUP BY n",
        (*values, window),
    )
    return {n: tuple(sums) for n, *sums in rows}


def visitors(db: Database, asked: Sequence[Asked]) -> dict[int, tuple[int | None, int | None]]:
    """At least and at most so many, summed over the days of routers that begin with their part."""
    head, values = _keyed(db, asked)
    rows = db.execute(
        f"{head} SELECT n, {', '.join(map(_sum, OF_DAY))} FROM key CROSS JOIN rollup"
        " WHERE scope = 'router' AND scope_id = id AND length = '1d' AND start_ms = from_ms"
        " GROUP BY n",
        values,
    )
    return {n: (least, most) for n, least, most in rows}


def of_each_router(
    db: Database, window: Window, asked: Sequence[Asked]
) -> list[tuple[int, int, Figures]]:
    """Client time and bytes of each router, from its windows that begin while it was there.

    Each with the caller's number and the router's. That is all that means need.
    """
    head, values = _keyed(db, asked)
    rows = db.execute(
        f"{head} SELECT n, id, {_SUMS_OF_MEANS} FROM key CROSS JOIN rollup"
        " WHERE scope = 'router' AND scope_id = id AND length = ?"
        " AND start_ms >= from_ms AND start_ms < to_ms GROUP BY n, id",
        (*values, window),
    )
    return [
        (n, router_id, Figures(**dict(zip(_OF_MEANS, sums, strict=True))))
        for n, router_id, *sums in rows
    ]


def _keyed(db: Database, asked: Sequence[Asked]) -> tuple[str, tuple[Value, ...]]:
    return db.keyed(("n", "id", "from_ms", "to_ms"), [(n, *part) for n, part in asked])
