"""Rollups made of others: hours of minutes, days of hours, sites of routers, the city of sites.

Rule: additive figures are summed. The lowest and highest of an hour or a day are those of the
windows in it; at one minute those of a site are the sums over its routers, so at most and at least.
Rule: a router counts for the site that it belongs to at the start of each minute; on a day when it
moved, its visitors, which cannot be split, count for the site it belonged to last.
Rule: an hour or a day is of the most routers that belonged at once in it, so that coverage is not
too high on the day a router is registered.
Rule: the mean of a site is the sum of its routers' means, each over the time it was observed. Its
throughput is the sum of its routers' rates, each over the time its bytes are known.
Rule: of the time that a router's bytes are known a site counts a minute of each minute and a day of
each day at most. More, as of a clock that was set back, would hide that another router was silent.
"""

import json
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from titik_collector.figures.figures import (
    ADDITIVE,
    MAX_WHOLE,
    RATES,
    Figures,
    thousandths,
    with_rates,
)
from titik_collector.figures.scope import FOR_EVER_MS, Scope
from titik_collector.figures.windows import MINUTE_MS, Span, Window
from titik_collector.store.database import Database

LOWER: dict[Window, Window] = {"1h": "1m", "1d": "1h"}
_MEANS = ("clients_mean", "active_mean")
_VISITORS = ("visitors_min", "visitors_max")
_KNOWN = ("wifi_known_ms", "uplink_known_ms")
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
    return f"min({name}, {MINUTE_MS})" if scope == "router" and name in _KNOWN else name


def _sum_of(name: str, scope: Scope) -> str:
    """A figure of several routers or sites in one minute, in SQL."""
    return f"sum({_of(name, scope)})" if name in (*RATES, *_KNOWN) else _summed(name)


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


class Headcount:
    """How many parts there were at once, over time; asked for every minute, so never counted."""

    def __init__(self, parts: Iterable[Part]) -> None:
        changes: Counter[int] = Counter()
        for part in parts:
            changes[part.from_ms] += 1
            changes[part.to_ms] -= 1
        self._instants = sorted(changes)
        self._counts = [0, *accumulate(changes[at_ms] for at_ms in self._instants)]

    def at(self, at_ms: int) -> int:
        """How many at an instant; one that comes as another goes takes its place."""
        return self._counts[bisect_right(self._instants, at_ms)]

    def most(self, span: Span) -> int:
        """The most at any instant of a stretch of time."""
        first, last = self._within(span)
        return max(self._counts[first : last + 1])

    def steady(self, span: Span) -> bool:
        """None came or went in a stretch of time."""
        first, last = self._within(span)
        return first == last

    def _within(self, span: Span) -> tuple[int, int]:
        """Which count is that of its first instant, and which of its last."""
        first = bisect_right(self._instants, span.start_ms)
        return first, max(first, bisect_left(self._instants, span.end_ms))


class Membership:
    """Which router belonged to which site when, as the store has it now."""

    def __init__(self, db: Database) -> None:
        self._sites: defaultdict[int, list[Part]] = defaultdict(list)
        self._routers: defaultdict[int, list[tuple[int, Part]]] = defaultdict(list)
        for router_id, site_id, from_ms, to_ms in db.execute(
            "SELECT router_id, site_id, from_ms, lead(from_ms, 1, ?)"
            " OVER (PARTITION BY router_id ORDER BY from_ms) FROM membership"
            " ORDER BY router_id, from_ms",
            (FOR_EVER_MS,),
        ):
            if site_id is not None:
                part = Part(router_id, from_ms, to_ms)
                self._sites[site_id].append(part)
                self._routers[router_id].append((site_id, part))
        self._headcounts = {site_id: Headcount(parts) for site_id, parts in self._sites.items()}
        self._city = Headcount(part for parts in self._sites.values() for part in parts)

    def sites(self) -> list[int]:
        """Every site that any router ever belonged to."""
        return sorted(self._sites)

    def of(self, site_id: int, span: Span) -> list[Part]:
        """The routers of a site in a stretch of time, each with the part that it was there."""
        return [
            Part(part.id, max(part.from_ms, span.start_ms), min(part.to_ms, span.end_ms))
            for part in self._sites.get(site_id, ())
            if part.from_ms < span.end_ms and part.to_ms > span.start_ms
        ]

    def headcount(self, site_id: int | None = None) -> Headcount:
        """How many routers belonged to a site, or without one to any, over time."""
        return self._city if site_id is None else self._headcounts.get(site_id, Headcount(()))

    def last_of(self, site_id: int, span: Span) -> list[Part]:
        """The routers that belonged to a site in a stretch of time, and to no other after it."""
        return [
            Part(part.id, *span)
            for part in self.of(site_id, span)
            if all(
                (other == site_id or later.to_ms <= part.to_ms or later.from_ms >= span.end_ms)
                for other, later in self._routers[part.id]
            )
        ]


def of_lower(db: Database, scope: Scope, scope_id: int, window: Window, span: Span) -> Figures:
    """An hour of its minutes or a day of its hours; means and visitors are left out."""
    row = db.execute(
        f"SELECT {_SUMS}, {_EXTREMES_OF_LOWER} FROM rollup"
        " WHERE scope = ? AND scope_id = ? AND window = ? AND start_ms >= ? AND start_ms < ?",
        (scope, scope_id, LOWER[window], *span),
    ).fetchone()
    return Figures(**dict(zip((*ADDITIVE, *_EXTREMES), row, strict=True)))


def of_minutes(db: Database, scope: Scope, parts: Sequence[Part]) -> Iterator[tuple[int, Figures]]:
    """Start and figures of the minutes of a site from its routers, or of the city from its sites.

    How many routers they are of is left out.
    """
    # A sum of one is that one.
    columns = _ALONE[scope] if len(parts) == 1 else _SUMMED[scope]
    end = "" if len(parts) == 1 else " GROUP BY start_ms"
    for start_ms, *values in db.execute(
        f"{WITH_PARTS} SELECT start_ms, {columns} FROM part CROSS JOIN rollup"
        " ON scope = ? AND scope_id = part.id AND window = '1m'"
        f" AND start_ms >= part.from_ms AND start_ms < part.to_ms{end}",
        (json.dumps(parts), scope),
    ):
        yield start_ms, Figures._make(values)


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
    found: dict[int, Figures] = {}
    for router_id, *values in db.execute(
        f"{WITH_PARTS} SELECT part.id, {_SUMS_OF_MEANS} FROM part CROSS JOIN rollup"
        " ON scope = 'router' AND scope_id = part.id AND window = ?"
        " AND start_ms >= part.from_ms AND start_ms < part.to_ms GROUP BY part.id",
        (json.dumps(parts), window),
    ):
        found[router_id] = Figures(**dict(zip(_OF_MEANS, values, strict=True)))
    return found


def plus(one: Figures, two: Figures, sign: int = 1) -> Figures:
    """The additive figures of two together; the rest is that of the first."""
    return one._replace(
        **{name: getattr(one, name) + sign * getattr(two, name) for name in ADDITIVE}
    )


def known_within(extra: Figures, had: Figures, span: Span) -> Figures:
    """What a router adds to a sum, of known bytes no more time than it has left beside `had`."""
    length_ms = span.end_ms - span.start_ms
    left = {name: max(0, length_ms - getattr(had, name)) for name in _KNOWN}
    return extra._replace(**{name: min(getattr(extra, name), most) for name, most in left.items()})


def with_sums_of_means(figures: Figures, each: Sequence[Figures]) -> Figures:
    """The same with means and rates of a site, from what each router gave."""
    clients: list[int] = []
    active: list[int] = []
    for one in each:
        clients += thousandths(one.client_ms, one.observed_ms)
        active += thousandths(one.active_ms, one.active_observed_ms)
    return with_sums_of_rates(figures, [with_rates(one) for one in each])._replace(
        clients_mean=sum(clients) / 1000 if clients else None,
        active_mean=sum(active) / 1000 if active else None,
    )


def with_sums_of_rates(figures: Figures, each: Sequence[Figures]) -> Figures:
    """The same with the sums of the rates of others."""
    return figures._replace(
        wifi_down_bps=_sum(one.wifi_down_bps for one in each),
        wifi_up_bps=_sum(one.wifi_up_bps for one in each),
        uplink_down_bps=_sum(one.uplink_down_bps for one in each),
        uplink_up_bps=_sum(one.uplink_up_bps for one in each),
    )


def _sum(rates: Iterable[int | None]) -> int | None:
    """Of what is known; None where nothing is."""
    known = [one for one in rates if one is not None]
    return min(sum(known), MAX_WHOLE) if known else None
