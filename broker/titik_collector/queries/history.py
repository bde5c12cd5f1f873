"""The past of a router, a site or the city, found by name, window by window, as rollups have it.

Rule: every window of the time asked for is there; one without any known figure has no rollup.
Rule: a query reads its own windows by the table's key, whatever else the store holds.
"""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from titik_collector.figures.scope import CITY_ID, Scope
from titik_collector.figures.windows import Calendar, Span, Window, minute
from titik_collector.rollups import rollup_message
from titik_collector.rollups.worker import GRACE_MS
from titik_collector.store import membership, packed_minutes, subject_names, waiting_hours
from titik_collector.store.database import Database
from titik_collector.store.rollups import RollupRow, ScopeId, Series, WindowKey
from titik_wire.city_messages import Rollup
from titik_wire.instant import DAY_MS, HOUR_MS, MINUTE_MS

EVER_MS = 2**62
WINDOW_MS: dict[Window, int] = {"1m": MINUTE_MS, "1h": HOUR_MS, "1d": DAY_MS}


class UnknownName(Exception):
    """No router or site is called so; says what is, and `near` has names that are like it."""

    def __init__(self, text: str, near: Sequence[str]) -> None:
        super().__init__(text)
        self.near = near


@dataclass(frozen=True, slots=True)
class Subject:
    """What a history is of."""

    scope: Scope
    id: int
    name: str
    title: str


class Point:
    """One window; its rollup is made when it is asked for, because a year has thousands."""

    __slots__ = ("_key", "_name", "_row", "span")

    def __init__(self, span: Span, key: WindowKey, name: str, row: RollupRow | None) -> None:
        self.span = span
        self._key, self._name, self._row = key, name, row

    def rollup(self) -> Rollup | None:
        """None where nothing is known of the window."""
        if self._row is None:
            return None
        found = rollup_message.of(self._key, self._name, self._row)
        return found if found.coverage_ratio or found.uptime_ratio else None


def subjects(db: Database, city: str, title: str = "City") -> list[Subject]:
    """The city, every site and every router that there ever was."""
    return [
        Subject("city", CITY_ID, city, title),
        *(Subject("site", number, name, title) for number, name, title in subject_names.sites(db)),
        *(Subject("router", number, name, name) for number, name in subject_names.routers(db)),
    ]


def find(db: Database, name: str, city: str, title: str = "City") -> Subject:
    """By the name of a site or a router, or `city`.

    A site goes before a router of its name, which is `router/NAME`.
    """
    known = subjects(db, city, title)
    for one in known:
        if name in (one.name, f"{one.scope}/{one.name}") or name == one.scope == "city":
            return one
    names = [one.name for one in known]
    hint = nearest(name, names)
    if len(known) == 1:
        hint = "; none is in the store yet, `titik collect` puts them there"
    wrong = f"{name!r} is neither a site, nor a router, nor `city`{hint}"
    raise UnknownName(wrong, _like(name, names))


def nearest(name: str, known: Sequence[str]) -> str:
    """A hint for somebody who mistyped a name."""
    near = _like(name, known)
    return f"; did you mean {' or '.join(near)}?" if near else "; `titik status --all` lists them"


def _like(name: str, known: Sequence[str]) -> list[str]:
    return difflib.get_close_matches(name, known, 3)


def read(
    db: Database, subject: Subject, window: Window, span: Span, calendar: Calendar
) -> list[Point]:
    """Every window that touches the span, in order; read at once, so ask for a bounded span.

    What was before the first registration is left out, except what routers reported of it.
    """
    edges = list(spans(window, span, calendar))
    if not edges:
        return []
    whole = Span(edges[0].start_ms, edges[-1].end_ms)
    rows = packed_minutes.windows(db, Series(subject.scope, subject.id, window), whole)
    reported = (start_ms for start_ms, row in rows.items() if row.figures.covered_ms)
    begin_ms = min([membership.first_ms(db, ScopeId(subject.scope, subject.id)) or 0, *reported])
    return [
        Point(
            edge,
            WindowKey(subject.scope, subject.id, window, edge.start_ms),
            subject.name,
            rows.get(edge.start_ms),
        )
        for edge in edges
        if edge.end_ms > begin_ms
    ]


def pending(db: Database, subject: Subject, now_ms: int) -> tuple[Span, ...]:
    """The time whose rollups are not computed yet, or not all of them.

    What is too new for it, and what a collector that was stopped left over.
    """
    left = waiting_hours.pending(db, ScopeId(subject.scope, subject.id))
    new = Span(minute(now_ms - GRACE_MS).start_ms, EVER_MS)
    return (new,) if left is None else (left, new)


def spans(window: Window, span: Span, calendar: Calendar) -> Iterator[Span]:
    """Every window that touches the span, in order."""
    if window == "1h":
        yield from _hours(span, calendar)
        return
    at_ms = span.start_ms
    while at_ms < span.end_ms:
        yield (one := calendar.window(window, at_ms))
        at_ms = one.end_ms


def _hours(span: Span, calendar: Calendar) -> Iterator[Span]:
    """A day of 24 hours is not asked hour by hour: a year would take a tenth of a second."""
    for day in calendar.days(*span):
        if day.end_ms - day.start_ms == DAY_MS:
            hours = (Span(at_ms, at_ms + HOUR_MS) for at_ms in range(*day, HOUR_MS))
        else:
            hours = (one for one in calendar.hours(*day))
        yield from (
            one for one in hours if one.end_ms > span.start_ms and one.start_ms < span.end_ms
        )


def count(window: Window, span: Span) -> int:
    """About how many windows a span has."""
    return -(-(span.end_ms - span.start_ms) // WINDOW_MS[window])
