"""Counters as a blob."""

from hypothesis import given
from hypothesis import strategies as st

from titik_collector.store.counters import pack, unpack

NUMBERS = st.integers(0, 2**53 - 1)


@given(st.dictionaries(st.integers(1, 2**40), st.tuples(NUMBERS, NUMBERS), max_size=20))
def test_what_is_packed_is_unpacked_equal(counters: dict[int, tuple[int, int]]) -> None:
    """Any counters of the contract, in any order."""
    assert counters == unpack(pack(counters))
    assert pack(counters) == pack(dict(reversed(counters.items())))


def test_three_counters_of_gigabytes_are_34_bytes() -> None:
    """They are in every row."""
    assert 34 == len(pack({n: (3 * 10**11, 2 * 10**11) for n in (1, 2, 3)}))
