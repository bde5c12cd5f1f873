"""Rows of a table of the past."""

from titik_collector.figures.windows import Span
from titik_collector.queries.columnar import Columns, Value
from titik_collector.queries.history import Subject
from titik_collector.web.past_rows import PastRow, SubjectFigures, rows

EDGES = tuple(Span(n * 10, n * 10 + 10) for n in range(6))


def columns(
    clients: tuple[Value, ...], coverage: tuple[Value, ...], pending: tuple[Span, ...] = ()
) -> Columns:
    """Six windows."""
    figures = {"coverage_ratio": coverage, "clients_mean": clients}
    return Columns(Subject("city", 0, "kupang", ""), "1m", EDGES, 1, figures, pending)


def test_runs_without_a_figure_are_one_row() -> None:
    """The newest first; a gap, and what is still to be computed, are not the same."""
    found = columns(
        (None, 1.0, None, None, None, None), (None, 1.0, 0.0, 0.0, None, None), (Span(40, 2**62),)
    )
    assert [
        PastRow(Span(40, 60), "not yet"),
        PastRow(Span(20, 40), "gap"),
        PastRow(Span(10, 20), "figures", (SubjectFigures((1.0,), 1.0),)),
    ] == rows([found], ["clients_mean"])


def test_a_row_has_a_place_for_each_subject() -> None:
    """Also for one that nothing is known of while another has figures; 0 is a figure."""
    one = columns((0, None, None, None, None, None), (1.0, 0.0, 0.0, 0.0, 0.0, 0.0))
    other = columns((None, 2, None, None, None, None), (0.0, 1.0, None, None, None, None))
    found = rows([one, other], ["clients_mean"])
    assert [
        (SubjectFigures((None,), 0.0), SubjectFigures((2,), 1.0)),
        (SubjectFigures((0,), 1.0), SubjectFigures((None,), 0.0)),
    ] == [row.each for row in found if row.kind == "figures"]
    assert ["gap", "figures", "figures"] == [row.kind for row in found]
