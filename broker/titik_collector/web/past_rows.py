"""The rows of a table of the past: one for each window, and one for each run of windows without a
figure.

Rule: a gap, and what is still to be computed, are rows of their own; neither reads as zero.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from titik_collector.figures.windows import Span
from titik_collector.queries.columnar import COVERAGE, Columns, Value

Kind = Literal["figures", "gap", "not yet"]


@dataclass(frozen=True, slots=True)
class SubjectFigures:
    """Of one subject in one window."""

    values: tuple[Value, ...]
    coverage: float | None


@dataclass(frozen=True, slots=True)
class PastRow:
    """A window, or a run of them that nothing is known of."""

    span: Span
    kind: Kind
    each: tuple[SubjectFigures, ...] = ()  # of every subject; empty unless `kind` is figures


def rows(found: Sequence[Columns], fields: Sequence[str]) -> list[PastRow]:
    """The newest first. What was before any of the subjects is left out."""
    joined: list[PastRow] = []
    for row in _windows(found, fields):
        if joined and row.kind != "figures" and joined[-1].kind == row.kind:
            joined[-1] = replace(row, span=Span(joined[-1].span.start_ms, row.span.end_ms))
        else:
            joined.append(row)
    return joined[::-1]


def _windows(found: Sequence[Columns], fields: Sequence[str]) -> Iterator[PastRow]:
    for place, edge in enumerate(found[0].edges):
        each = tuple(_figures(one, fields, place) for one in found)
        if any(value is not None for one in each for value in one.values):
            yield PastRow(edge, "figures", each)
        elif any(one.coverage is not None for one in each):
            yield PastRow(edge, "gap")
        elif any(_touches(edge, one.pending) for one in found):
            yield PastRow(edge, "not yet")


def _figures(one: Columns, fields: Sequence[str], place: int) -> SubjectFigures:
    values = tuple(one.figures[name][place] for name in fields)
    return SubjectFigures(values, one.figures[COVERAGE][place])


def _touches(edge: Span, pending: Sequence[Span]) -> bool:
    return any(edge.start_ms < one.end_ms and edge.end_ms > one.start_ms for one in pending)
