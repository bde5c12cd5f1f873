"""What a router's minutes are made of."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from titik_collector.figures.figures import Minutes
from titik_collector.figures.rates import COVERED, Step
from titik_collector.figures.table import ADDITIVE
from titik_wire.instant import MINUTE_MS

STRETCHES = st.lists(st.tuples(st.integers(0, 600), st.integers(0, 200)), min_size=1, max_size=30)


def covered(stretches: list[tuple[int, int]]) -> dict[int, int]:
    minutes = Minutes(0, 20 * MINUTE_MS)
    for from_s, length_s in stretches:
        from_ms, length_ms = from_s * 1000, length_s * 1000
        amounts = [0] * len(ADDITIVE)
        amounts[COVERED] = length_ms
        minutes.add(Step(from_ms, from_ms + length_ms, amounts))
    return {start_ms: one.covered_ms for start_ms, one in minutes}


@given(STRETCHES)
def test_time_is_covered_once(stretches: list[tuple[int, int]]) -> None:
    """By as much as the stretches are together, however they overlap."""
    seconds: set[int] = set()
    for from_s, length_s in stretches:
        seconds |= set(range(from_s, from_s + length_s))
    right = Counter(second // 60 * MINUTE_MS for second in seconds)
    got = covered(stretches)
    assert right == {start_ms: ms // 1000 for start_ms, ms in got.items() if ms}


@given(STRETCHES, st.randoms())
def test_what_is_covered_does_not_depend_on_the_order(
    stretches: list[tuple[int, int]], rand: object
) -> None:
    """Boots are summed one after the other, whatever the order of their clocks."""
    other = list(stretches)
    rand.shuffle(other)  # type: ignore[attr-defined]
    assert {one: ms for one, ms in covered(stretches).items() if ms} == {
        one: ms for one, ms in covered(other).items() if ms
    }
