"""Sets of ranges against Python's own sets."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from titik_collector.store.ranges import Ranges

SPAN = st.tuples(st.integers(1, 40), st.integers(0, 12)).map(lambda one: (one[0], one[0] + one[1]))
STEPS = st.lists(st.tuples(st.sampled_from(["add", "remove"]), SPAN), max_size=30)


def build(steps: list[tuple[str, tuple[int, int]]]) -> tuple[Ranges, set[int]]:
    ranges, oracle = Ranges(), set[int]()
    for verb, (first, last) in steps:
        numbers = set(range(first, last + 1))
        if verb == "add":
            ranges.add(first, last)
            oracle |= numbers
        else:
            ranges.remove(first, last)
            oracle -= numbers
    return ranges, oracle


@given(STEPS)
def test_holds_what_a_set_holds(steps: list[tuple[str, tuple[int, int]]]) -> None:
    """Adding and removing ranges is adding and removing their numbers."""
    ranges, oracle = build(steps)

    assert {n for first, last in ranges for n in range(first, last + 1)} == oracle
    assert len(ranges) == len(oracle)


@given(STEPS)
def test_ranges_are_disjoint_and_maximal(steps: list[tuple[str, tuple[int, int]]]) -> None:
    """Two ranges never touch, so equal sets are equal lists."""
    spans = list(build(steps)[0])

    assert all(one[0] <= one[1] for one in spans)
    assert all(left[1] + 1 < right[0] for left, right in itertools.pairwise(spans))


@given(STEPS, SPAN)
def test_covers_and_missing_agree_with_a_set(
    steps: list[tuple[str, tuple[int, int]]], span: tuple[int, int]
) -> None:
    """What is missing is what a set would miss, and covered is nothing missing."""
    ranges, oracle = build(steps)
    absent = set(range(span[0], span[1] + 1)) - oracle

    missing = ranges.missing(*span)

    assert {n for first, last in missing for n in range(first, last + 1)} == absent
    assert ranges.covers(*span) == (not absent)


def test_upto_is_the_end_of_the_range_from_one() -> None:
    """Only what has no hole from 1 counts."""
    assert [Ranges([(1, 4), (6, 9)]).upto(), Ranges([(2, 4)]).upto(), Ranges().upto()] == [4, 0, 0]
