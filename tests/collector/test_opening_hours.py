"""Opening hours: what a text says, and when it is open."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from titik_collector.wording import opening_hours
from titik_collector.wording.opening_hours import DAYS

# 2026-11-23 is a Monday.
CASES = [
    ("Mo-Fr 08:00-17:00; Sa 08:00-12:00", "23 07:59 closed, 23 08:00 open, 23 16:59 open"),
    ("Mo-Fr 08:00-17:00; Sa 08:00-12:00", "23 17:00 closed, 28 11:59 open, 29 11:00 closed"),
    ("08:00-22:00; Su off", "28 21:59 open, 29 09:00 closed"),
    ("16:00-02:00", "23 15:59 closed, 23 23:59 open, 24 01:59 open, 24 02:00 closed"),
    ("Sa 18:00-02:00; Su off", "28 23:00 open, 29 01:59 open, 29 02:00 closed, 28 01:00 closed"),
    ("Su 22:00-04:00", "23 03:59 open, 23 04:00 closed, 29 22:00 open"),
    ("Mo,We 08:00-12:00, 13:00-17:00", "23 12:30 closed, 25 13:00 open, 24 13:00 closed"),
    ("Fr-Mo 08:00-24:00", "27 23:59 open, 23 08:00 open, 24 08:00 closed, 26 08:00 closed"),
    ("24/7", "23 00:00 open, 29 23:59 open"),
    ("24/7; Fr closed", "27 12:00 closed, 28 00:00 open"),
    ("mo 8:00-9:00", "23 08:30 open"),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_when_it_is_open(text: str, expected: str) -> None:
    """Of each minute: days, breaks, closed days, and a night that ends on the day after."""
    hours = opening_hours.parse(text)
    for one in expected.split(", "):
        day, time, state = one.split()
        moment = datetime.fromisoformat(f"2026-11-{day}T{time}")
        assert (one, state == "open") == (one, hours.is_open(moment))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "'' has no time from and to (08:00-17:00), and is not off"),
        ("Mo-Fr", "'Mo-Fr' has no time from and to"),
        ("Mo-Fr 08:00-17:00;", "'' has no time from and to"),
        ("Senin 08:00-17:00", "'Senin' is no day (Mo, Tu, We, Th, Fr, Sa, Su)"),
        ("PH off", "'PH' is no day"),
        ("Mo 08:00", "'08:00' is no time from and to (08:00-17:00)"),
        ("Mo 08.00-17.00", "'08.00-17.00' is no time from and to"),
        ("Mo 08:00-25:00", "'08:00-25:00' is outside 00:00 to 24:00"),
        ("Mo 08:60-09:00", "'08:60-09:00' is outside 00:00 to 24:00"),
        ("Mo 24:00-02:00", "'24:00-02:00' is outside 00:00 to 24:00"),
        ("Mo 08:00-08:00", "'08:00-08:00' is no time at all; a whole day is 00:00-24:00"),
    ],
)
def test_what_is_wrong_is_named(text: str, expected: str) -> None:
    """The part of the text, and what would be right."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        opening_hours.parse(text)
    assert expected in str(caught.value)


@given(st.text(alphabet="MoTuWeThFrSa0123456789:-,; 247/of", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    """What is read has seven days of hours that begin within the day."""
    try:
        hours = opening_hours.parse(text)
    except ValueError:
        return
    assert len(DAYS) == len(hours.week)
    assert all(0 <= start < 1440 and start < end < 2880 for day in hours.week for start, end in day)


def test_a_day_of_another_length_goes_by_its_clock() -> None:
    """Berlin leaves out the hour from 2 to 3 on this day; it is open from 3 on."""
    hours, zone = opening_hours.parse("02:30-04:00"), ZoneInfo("Europe/Berlin")
    before = datetime.fromisoformat("2026-03-29T00:59:00+00:00").astimezone(zone)
    after = datetime.fromisoformat("2026-03-29T01:00:00+00:00").astimezone(zone)
    assert [False, True] == [hours.is_open(before), hours.is_open(after)]
