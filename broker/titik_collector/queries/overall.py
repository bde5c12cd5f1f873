"""A stretch of the past as a few numbers: mean, highest and sum, and how much of it is known.

Rule: a mean is over the windows in which it is known, each by its length. A sum is of what is
known, so it stands beside the coverage.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from titik_collector.figures.windows import Span
from titik_collector.queries.columnar import COVERAGE, Columns, Value


@dataclass(frozen=True, slots=True)
class Overall:
    """Of one subject."""

    coverage: float | None  # of the windows that are computed; None: none is
    means: tuple[float | None, ...]  # in the order of the fields asked for
    highest: float | None
    sums: tuple[float | None, ...]
    highest_in: Span | None  # the first window that has it


def of(found: Columns, means: Sequence[str], highest: str | None, sums: Sequence[str]) -> Overall:
    """`highest` and the fields are among those that the columns have."""
    figures, edges = found.figures, found.edges
    return Overall(
        mean(edges, figures[COVERAGE]),
        tuple(mean(edges, figures[name]) for name in means),
        None if highest is None else max(_known(figures[highest]), default=None),
        tuple(_sum(figures[name]) for name in sums),
        None if highest is None else _highest_in(edges, figures[highest]),
    )


def mean(edges: Sequence[Span], column: Sequence[Value]) -> float | None:
    """By length, of what is known."""
    known = [
        (value, edge.end_ms - edge.start_ms)
        for edge, value in zip(edges, column, strict=True)
        if value is not None
    ]
    length_ms = sum(ms for _, ms in known)
    return sum(value * ms for value, ms in known) / length_ms if length_ms else None


def _highest_in(edges: Sequence[Span], column: Sequence[Value]) -> Span | None:
    known = [(value, edge) for value, edge in zip(column, edges, strict=True) if value is not None]
    return max(known, key=lambda one: one[0])[1] if known else None


def _sum(column: Sequence[Value]) -> float | None:
    known = _known(column)
    return sum(known) if known else None


def _known(column: Sequence[Value]) -> list[int | float]:
    return [one for one in column if one is not None]
