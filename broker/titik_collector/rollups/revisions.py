"""Writes computed windows, only where their content changed.

Rule: `revision` counts changes of content. A window that has lost all its figures stays,
empty, because another figure was published for it.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from titik_collector.figures.figures import is_empty
from titik_collector.figures.table import Figures
from titik_collector.figures.windows import Span
from titik_collector.store import rollups, unpublished
from titik_collector.store.database import Database
from titik_collector.store.rollups import RollupRow, Series, WindowKey
from titik_wire.limits import MAX_WHOLE

# A minute that is older when it changes is not published: a backfill would be a flood.
PUBLISHED_MINUTES_MS = 600_000


class Computed(NamedTuple):
    """The windows of a series that begin in a stretch of time; those left out are empty."""

    series: Series
    span: Span
    windows: Mapping[Span, Figures]


def write(db: Database, computed: Sequence[Computed], now_ms: int) -> list[WindowKey]:
    """Make the windows be what was computed; those that changed."""
    before = rollups.read_many(db, [(one.series, one.span) for one in computed])
    rows = [
        (WindowKey(*one.series, start_ms), row)
        for one, was in zip(computed, before, strict=True)
        for start_ms, row in _changed(was, one.windows).items()
    ]
    rollups.put(db, rows)
    oldest_ms = now_ms - PUBLISHED_MINUTES_MS
    unpublished.add(db, [key for key, row in rows if key.window != "1m" or row.end_ms > oldest_ms])
    return [key for key, _ in rows]


def _changed(
    before: Mapping[int, RollupRow], computed: Mapping[Span, Figures]
) -> dict[int, RollupRow]:
    """The rows whose content is new, by their start."""
    rows: dict[int, RollupRow] = {}
    for (start_ms, end_ms), every in computed.items():
        figures = _publishable(every)
        was = before.get(start_ms)
        if was is None:
            if not is_empty(figures):
                rows[start_ms] = RollupRow(end_ms, 1, figures)
        elif was.figures != figures and not (is_empty(was.figures) and is_empty(figures)):
            rows[start_ms] = RollupRow(end_ms, was.revision + 1, figures)
    starts = {start_ms for start_ms, _ in computed}
    for start_ms, was in before.items():
        if start_ms not in starts and not is_empty(was.figures):  # nothing is known now
            nothing = Figures(routers=was.figures.routers)
            rows[start_ms] = RollupRow(was.end_ms, was.revision + 1, nothing)
    return rows


def _publishable(figures: Figures) -> Figures:
    """Within the contract, whatever a router reported: one must not silence all."""
    least, most = figures.clients_min, figures.clients_max
    if least is not None and most is not None and least > most:
        figures = figures._replace(clients_min=most)
    if max(filter(None, figures), default=0) <= MAX_WHOLE:
        return figures
    return Figures._make(min(one, MAX_WHOLE) if one else one for one in figures)
