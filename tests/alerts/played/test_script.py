"""The script of the plays is the same everywhere, and its noise is what it promises to be."""

import hashlib
from datetime import timedelta
from functools import cache
from itertools import pairwise

import pytest

from tests.alerts.played.script import (
    PLACES,
    SIZES,
    Away,
    DiskFree,
    Play,
    Trouble,
    line,
    month,
    night,
)

# Whoever changes a play changes its expected inbox, too.
DIGESTS = {
    ("night", 10): "4fe232e40bf59efa",
    ("month", 10): "2c8b80082fe5de73",
    ("night", 400): "c73fe719c629c890",
    ("month", 400): "8f7e33a5dcc3d79c",
    ("night", 2000): "0fe076d809c83ce3",
    ("month", 2000): "1786aa31189117ab",
}
COUNTS = {10: (8, 129), 400: (355, 825), 2000: (1892, 4145)}  # long and short pieces of noise


@cache
def play(name: str, size: int) -> Play:
    """Making the largest takes a second."""
    return {"night": night, "month": month}[name](size)


def noise_of(size: int) -> list[Away]:
    """In order of time."""
    return [one for one in play("month", size).events if isinstance(one, Away) and one.is_noise]


@pytest.mark.parametrize("size", SIZES)
def test_a_city_has_as_many_routers_as_its_name_says(size: int) -> None:
    """All with names of their own."""
    routers = [router for place in PLACES[size] for router in place.routers]
    assert (size, size) == (len(routers), len(set(routers)))


@pytest.mark.parametrize(("name", "size"), DIGESTS)
def test_a_play_is_the_same_everywhere(name: str, size: int) -> None:
    """Expected inboxes were written from these very lines."""
    text = "\n".join(line(event) for event in play(name, size).events)
    assert DIGESTS[name, size] == hashlib.sha256(text.encode()).hexdigest()[:16]


@pytest.mark.parametrize(("name", "size"), DIGESTS)
def test_events_name_places_of_the_city(name: str, size: int) -> None:
    """And begin within the play."""
    shown = play(name, size)
    named = {one.place for one in shown.events if not isinstance(one, Trouble | DiskFree)}
    assert set() == named - {place.name for place in shown.places}
    assert [] == [one for one in shown.events if not shown.begins <= one.begins <= shown.ends]


@pytest.mark.parametrize("size", SIZES)
def test_noise_is_alone(size: int) -> None:
    """So that each piece of it has the messages of one place."""
    begins = [one.begins for one in noise_of(size)]
    assert timedelta(minutes=5) <= min(later - before for before, later in pairwise(begins))


@pytest.mark.parametrize("size", SIZES)
def test_noise_grows_with_the_city(size: int) -> None:
    """Long outages, of seven minutes and more, and short ones."""
    lengths = [one.ends - one.begins for one in noise_of(size) if one.ends is not None]
    long = sum(length >= timedelta(minutes=7) for length in lengths)
    assert COUNTS[size] == (long, len(lengths) - long)
