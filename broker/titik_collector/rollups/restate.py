"""The throughput of sites and of the city for windows that an earlier version computed.

What is hard: rollups live for ever and their samples do not, so an old window cannot be computed
again. Only its rates are new here, from the rows of its routers; every other figure stays.
Rule: newest first, and while nothing else is due. The store keeps how far each series has
come, so a crash repeats one stretch at most. When none is left all of it is done.
Rule: sites before the city, because the city is the sum of its sites.
Rule: a revision rises where a rate is new. Hours and days of the last PUBLISHED_MS are published
again, so that years of a large city are no flood.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any, Final

from titik_collector.figures.figures import with_means
from titik_collector.figures.scope import FOR_EVER_MS, Scope
from titik_collector.figures.table import RATES, Figures
from titik_collector.figures.windows import Span, Window
from titik_collector.rollups import aggregation
from titik_collector.rollups.aggregation import Membership
from titik_collector.store import restatements, rollups, unpublished
from titik_collector.store.database import Database
from titik_collector.store.rollup_sums import Part
from titik_collector.store.rollups import RollupRow, Series, WindowKey
from titik_wire.instant import DAY_MS, HOUR_MS

# Windows read at once, of one part: some 60, a few milliseconds.
STRETCH_MS: Final[dict[Window, int]] = {"1d": 60 * DAY_MS, "1h": 2 * DAY_MS, "1m": HOUR_MS}
PUBLISHED_MS = 31 * DAY_MS


class Restate:
    """The job that works off the restatements of an open database."""

    def __init__(self, db: Database, may: Callable[[], bool] = lambda: True) -> None:
        self._db = db
        self._may = may
        self._steps = self._run()

    def due(self, _now: float) -> bool:
        """Whether nothing else is due."""
        return self._may()

    def step(self, budget_s: float) -> bool:
        """Work for about so long; True if there is more to do."""
        start = time.monotonic()
        try:
            for _ in self._steps:
                if time.monotonic() - start >= budget_s:
                    return True
        except BaseException:
            self._steps = self._run()  # a generator that raised has ended
            raise
        return False

    def _run(self) -> Iterator[None]:
        """Everything that is left; it stops after each part that it has read."""
        while found := restatements.first(self._db):
            series, before_ms = found
            newest_ms = rollups.newest(self._db, series, before_ms)
            if newest_ms is None:
                with self._db.transaction():
                    restatements.remove(self._db, series)
                continue
            span = Span(newest_ms + 1 - STRETCH_MS[series.window], newest_ms + 1)
            rates = yield from self._rates(series, span)
            with self._db.transaction():
                self._write(series, span, rates)
                restatements.advance(self._db, series, span.start_ms)

    def _rates(self, series: Series, span: Span) -> Generator[None, None, dict[int, Figures]]:
        """Figures with nothing but rates, by the start of their window."""
        scope, scope_id, window = series
        rows = rollups.read(self._db, series, span)
        ends = {start_ms: row.end_ms for start_ms, row in rows.items() if _lacks(row)}
        each: defaultdict[int, list[Figures]] = defaultdict(list)
        lower: Scope = "router" if scope == "site" else "site"
        for part in self._parts(scope, scope_id) if ends else ():
            rows = rollups.read(self._db, Series(lower, part.id, window), span)
            for start_ms, row in rows.items():
                if start_ms in ends and _belongs(part, window, start_ms, ends[start_ms]):
                    figures = row.figures
                    each[start_ms].append(with_means(figures) if lower == "router" else figures)
            yield
        return {start_ms: _sums_of_rates(of) for start_ms, of in each.items()}

    def _parts(self, scope: Scope, scope_id: int) -> Sequence[Part]:
        membership = Membership(self._db)
        if scope == "site":
            return membership.of(scope_id, Span(0, FOR_EVER_MS))
        return [Part(site_id, 0, FOR_EVER_MS) for site_id in membership.sites()]

    def _write(self, series: Series, span: Span, rates: dict[int, Figures]) -> None:
        """What lacks rates still: late data may have come since, and brought its own."""
        rows = _restated(rollups.read(self._db, series, span), rates)
        newest_ms = rollups.newest(self._db, series._replace(window="1h"), FOR_EVER_MS) or 0
        rollups.put(self._db, [(WindowKey(*series, at_ms), row) for at_ms, row in rows.items()])
        if series.window != "1m":
            late = (at_ms for at_ms in rows if at_ms >= newest_ms - PUBLISHED_MS)
            unpublished.add(self._db, (WindowKey(*series, at_ms) for at_ms in late))


def _sums_of_rates(each: Sequence[Figures]) -> Figures:
    sums: dict[str, Any] = {
        name: aggregation.total(getattr(one, name) for one in each) for name in RATES
    }
    return Figures(**sums)


def _lacks(row: RollupRow) -> bool:
    """Bytes are known, and no rate."""
    one = row.figures
    known = one.wifi_known_ms or one.uplink_known_ms
    return bool(known) and all(getattr(one, name) is None for name in RATES)


def _belongs(part: Part, window: Window, start_ms: int, end_ms: int) -> bool:
    """Whether a router counts for a site: in a minute if it was there as the minute began."""
    return part.from_ms < (start_ms + 1 if window == "1m" else end_ms) and start_ms < part.to_ms


def _restated(rows: Mapping[int, RollupRow], rates: Mapping[int, Figures]) -> dict[int, RollupRow]:
    """Those that lack rates which are known now, with them."""
    return {
        start_ms: _with_rates(row, rates[start_ms])
        for start_ms, row in rows.items()
        if start_ms in rates and _lacks(row)
    }


def _with_rates(row: RollupRow, rates: Figures) -> RollupRow:
    named = {name: getattr(rates, name) for name in RATES}
    return row._replace(revision=row.revision + 1, figures=row.figures._replace(**named))
