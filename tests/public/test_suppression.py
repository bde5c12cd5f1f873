"""What may leave: no count below five can be found from anything that is published beside it."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from titik_collector.public.suppression import (
    FEW,
    HIDDEN,
    LEAST,
    Cell,
    Published,
    Raw,
    Total,
    publish,
)

CLIENTS = st.one_of(
    st.none(),
    st.integers(0, 60).map(float),
    st.floats(0, 60, width=32),
    st.floats(4, 8, width=32),  # where cells begin to be shown
    st.sampled_from([0.0, 4.99, 5.0, 7.49, 7.5, 12.49]),
)
RATES = st.sampled_from([None, 0.0, 1_234_567.0])
CAPACITIES = st.sampled_from([None, 1, 5, 6, 9, 10, 11, 40])  # of small places most is hidden
EDGES = st.sampled_from([0.0, 4.99, 5.0, 7.49, 7.5])  # of what is shown


def raw(clients: float | None, down: float | None, up: float | None, capacity: int | None) -> Raw:
    """A place with these figures."""
    return Raw(clients, down, up, capacity=capacity)


PLACES = st.lists(st.builds(raw, CLIENTS, RATES, RATES, CAPACITIES), max_size=9) | st.lists(
    st.builds(raw, EDGES, st.none(), st.none(), CAPACITIES), min_size=HIDDEN, max_size=9
)
BELOW = (0.0, 1.0, 2.5, 4.0, 4.999)  # what a hidden count may be


def counts(*clients: float | None) -> Published:
    """Of places with these counts."""
    return publish([Raw(one) for one in clients])


@pytest.mark.parametrize(
    ("clients", "expected"),
    [(0, FEW), (4.99, FEW), (5, 5), (7.49, 5), (7.5, 10), (12.4, 10), (153, 155), (None, None)],
)
def test_a_count_is_a_multiple_of_five_or_few(clients: float | None, expected: object) -> None:
    """Zero is few; what is not known stays so."""
    assert expected == counts(clients).cells[0].clients


def test_a_total_is_of_what_is_shown() -> None:
    """While few cells are hidden, it says no more than the cells beside it."""
    assert Total(30, is_whole=False) == counts(11.4, 19.2, 4, 4, 0, 0).total
    assert Total(30) == counts(11.4, 19.2, None).total
    assert Total(FEW, is_whole=False) == counts(4, 4).total
    assert Total(None) == counts(None, None).total


def test_a_total_of_many_hidden_cells_is_rounded_on_its_own() -> None:
    """To tens; below ten it is few."""
    assert Total(50) == counts(33, *[4.0] * HIDDEN).total
    assert Total(FEW) == counts(*[0.5] * HIDDEN).total


def test_a_total_never_says_that_a_hidden_place_has_somebody() -> None:
    """Six times 4.9 is 29.4, which rounds to 30: then each of them has more than none."""
    assert Total(20) == counts(*[4.9] * 6).total


def test_a_total_never_says_that_a_hidden_place_is_nearly_empty() -> None:
    """The two that are shown have 12.5 at least; a total of 10 would leave 2.5 for the others."""
    assert Total(20) == counts(5, 7.5, *[0.0] * 5).total


def test_a_rate_is_shown_where_its_count_is() -> None:
    """Alone it would say that somebody is there; the total is of those that are shown."""
    found = publish([Raw(12, 1_234_567.0, 98_765.0), Raw(3, 5e6, 5e6), Raw(None, 5e6, 5e6)])
    assert (Cell(10, 1_200_000, 99_000), Cell(FEW), Cell()) == found.cells
    assert Total(10, 1_200_000, 99_000, is_whole=False) == found.total


def test_of_a_cause_only_known_words_pass() -> None:
    """A text of its own could name a person or a count."""
    found = publish([Raw(cause="power cut"), Raw(cause="3 visitors of Ibu Rambu")])
    assert ["power cut", None] == [one.cause for one in found.cells]


@pytest.mark.parametrize(
    ("clients", "capacity", "expected"),
    [
        (30, 250, "quiet"),
        (122.4, 250, "quiet"),  # shown as 120
        (122.5, 250, "busy"),  # shown as 125, half of 250
        (195, 250, "busy"),
        (200, 250, "full"),
        (400, 250, "full"),
        (0, 250, "quiet"),
        (3, 11, "quiet"),  # as full as 5 would be
        (0, 10, None),  # 5 would be busy, so the word would say that there are fewer
        (4, 5, None),
        (30, None, None),
        (None, 250, None),
    ],
)
def test_how_full_a_place_is_follows_from_the_count_that_is_shown(
    clients: float | None, capacity: int | None, expected: str | None
) -> None:
    """Where a count is hidden, each count that it may be has to give the same word."""
    assert expected == publish([Raw(clients, capacity=capacity)]).cells[0].load


@given(PLACES)
def test_what_is_shown_is_a_multiple_of_five_from_five_on(places: list[Raw]) -> None:
    """And close to what it is; a rate stands beside a count only."""
    for raw, cell in zip(places, publish(places).cells, strict=True):
        if isinstance(cell.clients, int):
            assert raw.clients is not None
            assert cell.clients % 5 == 0
            assert cell.clients >= 5
            assert abs(cell.clients - raw.clients) <= 2.500001
        else:
            assert (None, None) == (cell.down_bps, cell.up_bps)
            assert (cell.clients is None) == (raw.clients is None)
            assert raw.clients is None or raw.clients < LEAST


@given(PLACES)
def test_any_count_below_five_would_have_given_the_same(places: list[Raw]) -> None:
    """For each hidden place and each count it may have had, another city publishes the same."""
    published = publish(places)
    hidden = [n for n, cell in enumerate(published.cells) if cell.clients == FEW]
    for place, value in product(hidden, BELOW):
        other = twin(places, published, place, value)
        assert published == publish(other), (place, value, other)


def twin(places: list[Raw], published: Published, place: int, value: float) -> list[Raw]:
    """A city with the same cells in which this place has this count, and the total is the same."""
    ranges = [
        (value, value) if n == place else bounds(one, cell)
        for n, (one, cell) in enumerate(zip(places, published.cells, strict=True))
    ]
    low, high = ([one[end] for one in ranges] for end in (0, 1))
    goal = middle(published, sum(low), sum(high))
    room = sum(high) - sum(low)
    share = (goal - sum(low)) / room if room > 1e-6 else 0.0
    counted = [a + share * (b - a) for a, b in zip(low, high, strict=True)]
    return [
        one if one.clients is None else one._replace(clients=count)
        for one, count in zip(places, counted, strict=True)
    ]


def bounds(raw: Raw, cell: Cell) -> tuple[float, float]:
    """What the count of a cell may be, by what is shown of it."""
    if raw.clients is None:
        return 0.0, 0.0
    if cell.clients == FEW:
        return 0.0, 4.9999
    assert isinstance(cell.clients, int)
    return max(5.0, cell.clients - 2.5), cell.clients + 2.4999


def middle(published: Published, least: float, most: float) -> float:
    """A sum of all counts that gives the published total, and that these places can have."""
    few = sum(one.clients == FEW for one in published.cells)
    if few < HIDDEN:
        return least
    clients = published.total.clients
    total = clients if isinstance(clients, int) else 0
    below, above = max(least, total - 5), min(most, total + 4.9995)
    if above < below:  # the limit was reached: the total is above or below it
        return most if total < most else least
    return (below + above) / 2
