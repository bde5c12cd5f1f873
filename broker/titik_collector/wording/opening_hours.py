"""Opening hours as a short text: `Mo-Fr 08:00-17:00; Sa 08:00-12:00`, and when they are.

Rule: the notation is the plain part of OpenStreetMap's `opening_hours`. A later part of the text
counts for the days that it names. A day that no part names is closed.
"""

import re
from datetime import datetime
from typing import NamedTuple

DAYS = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")
EXAMPLE = "Mo-Fr 08:00-17:00; Sa 08:00-12:00"
ALWAYS = "24/7"
CLOSED = ("off", "closed")
DAY_MINUTES = 24 * 60
_PART = re.compile(r"([a-z,\s-]*?)\s*(off|closed|\d.*)", re.IGNORECASE)
_TIMES = re.compile(r"(\d{1,2}):(\d\d)-(\d{1,2}):(\d\d)")

Hours = tuple[tuple[int, int], ...]  # from and to before a minute of the day


class OpeningHours(NamedTuple):
    """Of each day from Monday on; an end above 24 h is on the day after."""

    week: tuple[Hours, ...]

    def is_open(self, moment: datetime) -> bool:
        """Whether the hours have this moment, which is of the site's time zone."""
        minute, day = moment.hour * 60 + moment.minute, moment.weekday()
        return any(start <= minute < end for start, end in self.week[day]) or any(
            minute + DAY_MINUTES < end for _, end in self.week[day - 1]
        )


def parse(text: str) -> OpeningHours:
    """ValueError: which part is wrong."""
    week: list[Hours] = [()] * len(DAYS)
    for part in text.split(";"):
        days, hours = _part(part.strip())
        for day in days:
            week[day] = hours
    return OpeningHours(tuple(week))


def _part(part: str) -> tuple[list[int], Hours]:
    if part == ALWAYS:
        return list(range(len(DAYS))), ((0, DAY_MINUTES),)
    found = _PART.fullmatch(part)
    if found is None:
        raise ValueError(f"'{part}' has no time from and to (08:00-17:00), and is not off")
    named, times = (re.sub(r"\s", "", one) for one in found.groups())
    days = _days(named) if named else list(range(len(DAYS)))
    if times.lower() in CLOSED:
        return days, ()
    return days, tuple(_hours(one) for one in times.split(","))


def _days(text: str) -> list[int]:
    """`Mo-Fr`, `Sa,Su`, `Fr-Mo`."""
    found = []
    for one in text.split(","):
        first, _, last = one.partition("-")
        begin, end = _day(first), _day(last or first)
        found += [(begin + n) % len(DAYS) for n in range((end - begin) % len(DAYS) + 1)]
    return found


def _day(text: str) -> int:
    try:
        return DAYS.index(text.capitalize())
    except ValueError:
        raise ValueError(f"'{text}' is no day ({', '.join(DAYS)})") from None


def _hours(text: str) -> tuple[int, int]:
    """`18:00-02:00` ends on the day after."""
    found = _TIMES.fullmatch(text)
    if found is None:
        raise ValueError(f"'{text}' is no time from and to (08:00-17:00)")
    hours, minutes, to_hours, to_minutes = map(int, found.groups())
    start, end = hours * 60 + minutes, to_hours * 60 + to_minutes
    if max(minutes, to_minutes) > 59 or start >= DAY_MINUTES or end > DAY_MINUTES:
        raise ValueError(f"'{text}' is outside 00:00 to 24:00")
    if start == end:
        raise ValueError(f"'{text}' is no time at all; a whole day is 00:00-24:00")
    return start, end if end > start else end + DAY_MINUTES
