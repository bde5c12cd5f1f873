"""Where the parts of a picture stand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from titik_collector.figures.windows import Span
from titik_collector.queries.availability import Availability, LostTime
from titik_collector.reports import charts


@given(
    st.lists(st.tuples(st.none() | st.floats(0, 1e15), st.none() | st.floats(0, 1)), max_size=40)
)
def test_every_bar_stands_in_the_box_and_beside_its_neighbours(
    drawn: list[tuple[float | None, float | None]],
) -> None:
    """What is not known is as high as the box, and zero has no height."""
    spans = [Span(n, n + 1) for n in range(len(drawn))]
    chart = charts.bars(spans, [one for one, _ in drawn], [known for _, known in drawn])
    at = 0.0
    for bar, (value, _) in zip(chart.bars, drawn, strict=True):
        assert at <= bar.x + 0.01
        at = bar.x + bar.width
        assert 0 <= bar.y <= bar.y + bar.height <= 140.01
        assert (value == 0) == (bar.height == 0)
        assert (value is None) <= (bar.height == 132)
        assert 0 <= bar.grey <= charts.GREYS
    assert at <= charts.WIDTH
    assert chart.is_empty == all(one is None for one, _ in drawn)


@pytest.mark.parametrize(
    ("most", "step"), [(0, 1), (0.3, 0.1), (7, 2), (9, 2), (10, 2), (437, 100), (1509, 500)]
)
def test_lines_stand_at_round_numbers(most: float, step: float) -> None:
    """There are two to six of them."""
    assert pytest.approx(step) == charts.nice_step(most)


def test_the_four_parts_are_as_wide_as_the_box() -> None:
    """Each by its share, and none that is nothing."""
    found = charts.parts(Availability(60, (LostTime("reboot", 20),), 20, 100), 100)
    assert [("available", 0, 30), ("lost", 30, 10), ("unknown", 40, 10), ("excluded", 50, 50)] == [
        (one.name, one.x, one.width) for one in found
    ]
    assert () == charts.parts(Availability())
