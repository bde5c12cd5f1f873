"""A stretch of the past as a few numbers."""

from titik_collector.figures.windows import Span
from titik_collector.queries import overall
from titik_collector.queries.columnar import Columns, Value
from titik_collector.queries.history import Subject
from titik_collector.queries.overall import Overall


def columns(**figures: tuple[Value, ...]) -> Columns:
    """Three windows; the last one is twice as long."""
    edges = (Span(0, 10), Span(10, 20), Span(20, 40))
    return Columns(Subject("city", 0, "kupang", ""), "1d", edges, 1, figures, ())


def test_a_mean_is_by_length_and_of_what_is_known() -> None:
    """So is the coverage; a window that is not computed yet counts for neither."""
    found = columns(
        coverage_ratio=(1.0, 0.0, 0.5), clients_mean=(4.0, None, 1.0), clients_max=(5, None, 9)
    )
    assert Overall(0.5, (2.0,), 9, (14,), Span(20, 40)) == overall.of(
        found, ["clients_mean"], "clients_max", ["clients_max"]
    )


def test_nothing_known_is_no_zero() -> None:
    """Neither as mean, nor as highest, nor as sum."""
    nothing = (None, None, None)
    found = columns(coverage_ratio=nothing, clients_mean=nothing)
    assert Overall(None, (None,), None, (None,), None) == overall.of(
        found, ["clients_mean"], "clients_mean", ["clients_mean"]
    )
