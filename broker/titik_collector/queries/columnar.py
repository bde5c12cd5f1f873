"""A history as columns: one list for each figure, one place in each list for each window.

Rule: every window of the time asked for has its place; what is not known of it is None.
Rule: a window that nothing is known of has no figure, and a coverage of 0. Before the first
registration, and where windows are still to be computed, coverage is None too.
Rule: a figure is the one of the contract's `Rollup`, and only the columns it follows from are read.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from titik_collector.figures.windows import Calendar, Span, Window
from titik_collector.queries import history
from titik_collector.queries.history import Subject
from titik_collector.rollups import rollup_message
from titik_collector.store import membership, packed_minutes, rollups, simulated
from titik_collector.store.database import Database, Row
from titik_collector.store.rollups import ScopeId, Series
from titik_wire.instant import DAY_MS, HOUR_MS

COVERAGE: Final = "coverage_ratio"
UPTIME: Final = "uptime_ratio"  # without it and coverage, nothing is known of a window
FIELDS: Final = tuple(rollup_message.FIELDS)  # in the order of the contract's table
# The longest spans that are drawn by minutes, and by hours: at most 1,560 and 768 windows.
MINUTES_MS, HOURS_MS = 26 * HOUR_MS, 32 * DAY_MS

Value = int | float | None
Edges = Sequence[Span]


@dataclass(frozen=True, slots=True)
class Columns:
    """The windows of one subject, in order of time."""

    subject: Subject
    window: Window
    edges: tuple[Span, ...]
    revision: int  # the highest of its windows; 0 where there is none
    figures: Mapping[str, tuple[Value, ...]]  # by field, each as long as `edges`
    pending: tuple[Span, ...]  # time whose windows are not all computed yet
    made_up: Span | None = None  # the time that a demo simulated; None: the city is real

    @property
    def is_closed(self) -> bool:
        """All is computed; only late samples change it."""
        return not any(one.start_ms < self.edges[-1].end_ms for one in self.pending)

    def is_made_up(self, edge: Span) -> bool:
        """Whether a window has simulated time in it."""
        return simulated.touches(self.made_up, edge)

    @property
    def is_empty(self) -> bool:
        """Nothing is known of any window."""
        return not any(self.figures[COVERAGE])


def fitting(span: Span, oldest_minute_ms: int | None) -> Window:
    """The window that a span is drawn by, from where minutes are kept at all."""
    length_ms = span.end_ms - span.start_ms
    kept = oldest_minute_ms is not None and span.start_ms >= oldest_minute_ms - HOUR_MS
    if length_ms <= MINUTES_MS and kept:
        return "1m"
    return "1h" if length_ms <= HOURS_MS else "1d"


def oldest_minute_ms(db: Database, subject: Subject) -> int | None:
    """When the oldest minute begins that is kept and has samples."""
    series = Series(subject.scope, subject.id, "1m")
    return rollups.known_beside(db, series, Span(0, 0))[1]


def read(
    db: Database,
    subject: Subject,
    window: Window,
    span: Span,
    calendar: Calendar,
    now_ms: int,
    fields: Iterable[str] = FIELDS,
) -> Columns:
    """Every window that touches the span; read at once, so ask for a bounded span."""
    edges = tuple(history.spans(window, span, calendar))
    asked = tuple(dict.fromkeys((COVERAGE, *fields)))
    rows = _rows(db, subject, window, edges, asked)
    pending = history.pending(db, subject, now_ms)
    begin_ms = membership.first_ms(db, ScopeId(subject.scope, subject.id)) or 0
    columns = _figures(subject, rows, edges, asked)
    columns[COVERAGE] = _coverage(edges, columns[COVERAGE], begin_ms, pending)
    revision = max((row[2] for row in rows), default=0)
    figures = {name: tuple(column) for name, column in columns.items()}
    made_up = simulated.span(db)
    return Columns(subject, window, edges, revision, figures, pending, made_up)


def compare(
    db: Database,
    subjects: Sequence[Subject],
    window: Window,
    span: Span,
    calendar: Calendar,
    now_ms: int,
    fields: Iterable[str] = FIELDS,
) -> list[Columns]:
    """The same windows of several; of one moment, where the caller holds a snapshot."""
    asked = tuple(fields)
    return [read(db, one, window, span, calendar, now_ms, asked) for one in subjects]


def nearest(
    db: Database, subject: Subject, window: Window, span: Span
) -> tuple[int | None, int | None]:
    """When the nearest windows with samples begin, before and after a span without any."""
    return rollups.known_beside(db, Series(subject.scope, subject.id, window), span)


def _rows(
    db: Database, subject: Subject, window: Window, edges: Edges, asked: Sequence[str]
) -> list[Row]:
    if not edges:
        return []
    whole = Span(edges[0].start_ms, edges[-1].end_ms)
    series = Series(subject.scope, subject.id, window)
    return packed_minutes.columns(db, series, whole, _columns(asked))


def _columns(asked: Sequence[str]) -> tuple[str, ...]:
    return rollup_message.columns_of((*asked, UPTIME))


def _figures(
    subject: Subject, rows: Sequence[Row], edges: Edges, asked: Sequence[str]
) -> dict[str, list[Value]]:
    """Column by column: a year has thousands of rows, and a row at a time takes thrice as long."""
    names = ("start_ms", "end_ms", "revision", *_columns(asked))
    raw = dict(zip(names, zip(*rows, strict=True) if rows else [()] * len(names), strict=True))
    whole = [
        (end_ms - start_ms) * max(routers, 1)
        for start_ms, end_ms, routers in zip(
            raw["start_ms"], raw["end_ms"], raw["routers"], strict=True
        )
    ]
    publish = rollup_message.WindowColumns(raw, whole, subject.scope == "router")
    found = {name: publish.field(name) for name in asked}
    known: Sequence[Value] = found[COVERAGE]
    if not all(known):
        uptime = publish.field(UPTIME)
        known = [one or other for one, other in zip(known, uptime, strict=True)]
    place = {start_ms: n for n, start_ms in enumerate(raw["start_ms"]) if known[n]}
    places = [place.get(edge.start_ms) for edge in edges]
    return {
        name: [None if n is None else column[n] for n in places] for name, column in found.items()
    }


def _coverage(
    edges: Edges, column: Sequence[Value], begin_ms: int, pending: Sequence[Span]
) -> list[Value]:
    """0 of a window that nothing is known of, unless it is of no time of ours, or not over yet."""
    return [
        value or (None if _is_open(edge, begin_ms, pending) else 0.0)
        for edge, value in zip(edges, column, strict=True)
    ]


def _is_open(edge: Span, begin_ms: int, pending: Sequence[Span]) -> bool:
    return edge.end_ms <= begin_ms or any(
        edge.start_ms < one.end_ms and edge.end_ms > one.start_ms for one in pending
    )
