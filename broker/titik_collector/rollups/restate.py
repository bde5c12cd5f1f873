"""The throughput of sites and of the city for windows that an older version computed.

What is hard: rollups live for ever and their samples do not, so an old window cannot be computed
again. Only its rates are new here, from the rows of its routers; every other figure stays.
Rule: newest first, and while nothing else is to be done. `restate` keeps how far each place has
come, so a crash repeats one stretch at most. When the table is empty all of it is done.
Rule: sites before the city, because the city is the sum of its sites.
Rule: a revision rises where a rate is new. Hours and days of the last PUBLISHED_MS are published
again, so that years of a large city are no flood.
"""

from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Final

from titik_collector.figures.figures import RATES, Figures, with_rates
from titik_collector.figures.scope import FOR_EVER_MS, Scope
from titik_collector.figures.windows import DAY_MS, HOUR_MS, MINUTE_MS, Span, Window
from titik_collector.rollups import aggregation, rollup_table
from titik_collector.rollups.aggregation import Membership, Part
from titik_collector.rollups.rollup_table import Rolled
from titik_collector.store import packed_minutes
from titik_collector.store.database import Database, transaction

# Windows read at once, of one part: some 60, a few milliseconds.
STRETCH_MS: Final[dict[Window, int]] = {"1d": 60 * DAY_MS, "1h": 2 * DAY_MS, "1m": HOUR_MS}
PUBLISHED_MS = 31 * DAY_MS
Place = tuple[Scope, int, Window]  # with the scope's id


class Restate:
    """Works off the table `restate` of an open database."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._steps = self._run()

    def work(self, budget_s: float, clock: Callable[[], float]) -> bool:
        """Work for about so long; True if there is more to do."""
        start = clock()
        try:
            for _ in self._steps:
                if clock() - start >= budget_s:
                    return True
        except BaseException:
            self._steps = self._run()  # a generator that raised has ended
            raise
        return False

    def _run(self) -> Iterator[None]:
        """Everything that is left; it stops after each part that it has read."""
        while found := self._db.execute(
            "SELECT scope, scope_id, window, before_ms FROM restate ORDER BY scope DESC LIMIT 1"
        ).fetchone():
            scope, scope_id, window, before_ms = found
            place = (scope, scope_id, window)
            newest_ms = self._newest(place, before_ms)
            if newest_ms is None:
                with transaction(self._db):
                    self._db.execute(f"DELETE FROM restate WHERE {_PLACE}", place)
                continue
            span = self._stretch(window, newest_ms)
            rates = yield from self._rates(place, span)
            with transaction(self._db):
                self._write(place, span, rates)
                self._db.execute(
                    f"UPDATE restate SET before_ms = ? WHERE {_PLACE}", (span.start_ms, *place)
                )

    def _newest(self, place: Place, before_ms: int) -> int | None:
        """The start of the newest window before a time, packed or not."""
        found = self._db.execute(
            f"SELECT max(start_ms) FROM rollup WHERE {_PLACE} AND start_ms < ?", (*place, before_ms)
        ).fetchone()
        starts = [
            *found,
            packed_minutes.newest(self._db, *place[:2], before_ms) if place[2] == "1m" else None,
        ]
        return max((one for one in starts if one is not None), default=None)

    def _stretch(self, window: Window, newest_ms: int) -> Span:
        """What is read at once, to a newest window: of packed minutes a day."""
        if window == "1m" and newest_ms < packed_minutes.edge(self._db):
            day_ms = newest_ms // DAY_MS * DAY_MS
            return Span(day_ms, day_ms + DAY_MS)
        return Span(newest_ms + 1 - STRETCH_MS[window], newest_ms + 1)

    def _rates(self, place: Place, span: Span) -> Generator[None, None, dict[int, Figures]]:
        """Figures with nothing but rates, by the start of their window."""
        scope, scope_id, window = place
        ends = {start_ms: row.end_ms for start_ms, row in self._rows(place, span) if _lacks(row)}
        each: defaultdict[int, list[Figures]] = defaultdict(list)
        lower: Scope = "router" if scope == "site" else "site"
        for part in self._parts(scope, scope_id) if ends else ():
            for start_ms, row in self._rows((lower, part.id, window), span):
                if start_ms in ends and _belongs(part, window, start_ms, ends[start_ms]):
                    figures = row.figures
                    each[start_ms].append(with_rates(figures) if lower == "router" else figures)
            yield
        return {
            start_ms: aggregation.with_sums_of_rates(Figures(), of) for start_ms, of in each.items()
        }

    def _parts(self, scope: Scope, scope_id: int) -> Sequence[Part]:
        membership = Membership(self._db)
        if scope == "site":
            return membership.of(scope_id, Span(0, FOR_EVER_MS))
        return [Part(site_id, 0, FOR_EVER_MS) for site_id in membership.sites()]

    def _rows(self, place: Place, span: Span) -> Iterator[tuple[int, Rolled]]:
        if place[2] == "1m":
            yield from self._packed(place, span)
        yield from rollup_table.read(self._db, *place, span).items()

    def _packed(self, place: Place, span: Span) -> Iterator[tuple[int, Rolled]]:
        for start_ms, revision, figures in packed_minutes.read(self._db, *place[:2], span):
            yield start_ms, Rolled(start_ms + MINUTE_MS, revision, figures)

    def _write(self, place: Place, span: Span, rates: dict[int, Figures]) -> None:
        """What lacks rates still: late data may have come meanwhile, and brought its own."""
        rows = {
            start_ms: _restated(row, rates[start_ms])
            for start_ms, row in rollup_table.read(self._db, *place, span).items()
            if start_ms in rates and _lacks(row)
        }
        newest_ms = self._newest((place[0], place[1], "1h"), FOR_EVER_MS) or 0
        rollup_table.replace(self._db, *place, rows, newest_ms - PUBLISHED_MS)
        if place[2] == "1m" and rates:
            self._write_packed(place, span, rates)

    def _write_packed(self, place: Place, day: Span, rates: dict[int, Figures]) -> None:
        minutes = [
            (start_ms, _restated(row, rates[start_ms]))
            if start_ms in rates and _lacks(row)
            else (start_ms, row)
            for start_ms, row in self._packed(place, day)
        ]
        if minutes:
            rows = [(start_ms, row.revision, row.figures) for start_ms, row in minutes]
            packed_minutes.replace(self._db, *place[:2], day.start_ms, rows)


def _lacks(row: Rolled) -> bool:
    """Bytes are known, and no rate."""
    one = row.figures
    known = one.wifi_known_ms or one.uplink_known_ms
    return bool(known) and all(getattr(one, name) is None for name in RATES)


def _belongs(part: Part, window: Window, start_ms: int, end_ms: int) -> bool:
    """Whether a router counts for a site: in a minute if it was there as the minute began."""
    return part.from_ms < (start_ms + 1 if window == "1m" else end_ms) and start_ms < part.to_ms


def _restated(row: Rolled, rates: Figures) -> Rolled:
    named = {name: getattr(rates, name) for name in RATES}
    return row._replace(revision=row.revision + 1, figures=row.figures._replace(**named))


_PLACE = "scope = ? AND scope_id = ? AND window = ?"
