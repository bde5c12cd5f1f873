"""Which rollups make another, and their sums: minutes to hours to days, routers to sites to city.

Rule: additive figures are summed. The lowest and highest of an hour or a day are those of the
windows in it. At one minute those of a site are the sums over its routers: at most and at least.
Rule: a router counts for the site that it belongs to at the start of each minute. Visitors cannot
be split: on a day when a router moved, they count for the site it belonged to last.
Rule: an hour or a day is of the most routers that belonged at once in it. So coverage is not too
high on the day a router is registered.
Rule: the mean of a site is the sum of its routers' means, each over the time it was observed. So
is its throughput, each router's over the time its bytes are known.
Rule: of the time that a router's bytes are known its site counts a minute of each minute at most.
All its sites together count a day of each day at most. More, as of a clock that was set back, would
hide that another router was silent.
"""

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from itertools import accumulate
from typing import Any

from titik_collector.figures.table import ADDITIVE, KNOWN_TIMES, MEANS, Figures
from titik_collector.figures.windows import Span
from titik_collector.store import membership
from titik_collector.store.database import Database
from titik_collector.store.rollup_sums import Part, SumsOfMeans
from titik_wire.limits import MAX_WHOLE


class PartsAtOnce:
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
        for router_id, site_id, from_ms, to_ms in membership.stays(db):
            part = Part(router_id, from_ms, to_ms)
            self._sites[site_id].append(part)
            self._routers[router_id].append((site_id, part))
        self._headcounts = {site_id: PartsAtOnce(parts) for site_id, parts in self._sites.items()}
        self._city = PartsAtOnce(part for parts in self._sites.values() for part in parts)

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

    def headcount(self, site_id: int | None = None) -> PartsAtOnce:
        """How many routers belonged to a site, or without one to any, over time."""
        return self._city if site_id is None else self._headcounts.get(site_id, PartsAtOnce(()))

    def parts(self, site_id: int) -> int:
        """How many parts a sum of the site can be of."""
        return len(self._sites.get(site_id, ()))

    def sites_of(self, router_id: int) -> set[int]:
        """Every site that a router ever belonged to."""
        return {site_id for site_id, _ in self._routers.get(router_id, ())}

    def last_of(self, site_id: int, span: Span) -> list[int]:
        """The routers that belonged to a site in a stretch of time, and to no other after it."""
        last = (
            part.id
            for part in self.of(site_id, span)
            if all(
                (other == site_id or later.to_ms <= part.to_ms or later.from_ms >= span.end_ms)
                for other, later in self._routers[part.id]
            )
        )
        return list(dict.fromkeys(last))  # one that left and came back counts once


def plus(one: Figures, two: Figures, sign: int = 1) -> Figures:
    """The additive figures of two together; the rest is that of the first."""
    return one._replace(
        **{name: getattr(one, name) + sign * getattr(two, name) for name in ADDITIVE}
    )


def known_within(extra: Figures, had: Figures, span: Span) -> Figures:
    """What a router adds to a sum, of known bytes no more time than it has left beside `had`."""
    length_ms = span.end_ms - span.start_ms
    left = {name: max(0, length_ms - getattr(had, name)) for name in KNOWN_TIMES}
    return extra._replace(**{name: min(getattr(extra, name), most) for name, most in left.items()})


def sums_of_means(each: Collection[Figures]) -> SumsOfMeans:
    """Of what each router gave."""
    return tuple(
        [
            total(kind.parts(getattr(one, kind.amount), getattr(one, kind.known)) for one in each)
            for kind in MEANS.values()
        ]
    )


def with_sums_of_means(figures: Figures, sums: Sequence[SumsOfMeans]) -> Figures:
    """The same with means of a site, from the sums of its routers."""
    means: dict[str, Any] = {}
    for (name, kind), *parts in zip(MEANS.items(), *sums, strict=True):
        whole = total(parts)
        means[name] = whole if whole is None or kind.scale is None else whole / kind.scale
    return figures._replace(**means)


def total(parts: Iterable[int | None]) -> int | None:
    """Of what is known; None where nothing is."""
    known = [one for one in parts if one is not None]
    return min(sum(known), MAX_WHOLE) if known else None
