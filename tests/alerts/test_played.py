"""A night and a month are played in cities of three sizes: people get exactly what was expected.

What was expected was written before anything was played, from the script alone. On a difference
the test prints it; `python -m tests.alerts.played.player night 10` prints both inboxes.
"""

from functools import cache
from typing import NamedTuple

import pytest

from tests.alerts.played import inbox
from tests.alerts.played.inbox import InboxLine
from tests.alerts.played.player import Player, lines_of, play_of
from tests.alerts.played.script import Acknowledged

MOST_PAGES = 2  # of one person in one shift
LONG = pytest.mark.long
NIGHTS = (10, 400, pytest.param(2000, marks=LONG))
MONTHS = (10, pytest.param(400, marks=LONG))  # of 2,000: by hand, it takes minutes


class PlayedInbox(NamedTuple):
    """What came of a play."""

    expected: list[InboxLine]
    actual: list[InboxLine]
    unmet: list[Acknowledged]  # there was nothing to acknowledge


@cache
def played(name: str, size: int) -> PlayedInbox:
    """Once for all tests."""
    play = play_of(name, size)
    player = Player(play)
    actual = lines_of(play, player.run())
    expected = list(inbox.read(inbox.expected_file(play).read_text()))
    return PlayedInbox(expected, actual, player.desk.unmet)


def differences(found: PlayedInbox) -> str:
    """One line for each message that is missing, too many or not as expected."""
    return "\n".join(map(str, inbox.differences(found.expected, found.actual)))


@pytest.mark.thorough
@pytest.mark.parametrize("size", NIGHTS)
def test_receivers_get_exactly_the_messages_of_the_night(size: int) -> None:
    """Power cut, flapping, broker restart, full disk, cut line, backbone, copy and maintenance."""
    found = played("night", size)
    assert "" == differences(found)
    assert [] == found.unmet


@pytest.mark.thorough
@pytest.mark.parametrize("size", MONTHS)
def test_receivers_get_exactly_the_messages_of_the_month(size: int) -> None:
    """The same, spread over 30 days with the outages that every city has."""
    assert "" == differences(played("month", size))


@pytest.mark.thorough
@pytest.mark.parametrize("size", MONTHS)
def test_nobody_is_woken_more_than_twice_in_a_shift_of_the_month(size: int) -> None:
    """A page is a critical message to who is on call, but its end."""
    pages = inbox.pages_by_shift(played("month", size).actual)
    assert {} == {shift: count for shift, count in pages.items() if count > MOST_PAGES}


@pytest.mark.long
@pytest.mark.thorough
def test_looks_where_something_can_change_are_as_good_as_all() -> None:
    """A look each 5 seconds, as the collector's, gives the same inbox."""
    play = play_of("night", 10)
    assert lines_of(play, Player(play, every_look=True).run()) == played("night", 10).actual
