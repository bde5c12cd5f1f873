"""Milliseconds since 1970, and RFC 3339 UTC text with milliseconds.

It has its own arithmetic. `datetime` costs the router memory that nothing else there needs, and
`time.gmtime` ends in 2038 where the C library's time is 32 bits wide.
"""

import re

from titik_wire.limits import MAX_MS

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000

_TEXT = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})\.([0-9]{3})Z"
)


def to_text(ms: int) -> str:
    """`0` gives `1970-01-01T00:00:00.000Z`; ValueError outside 1970 to 9999."""
    if not 0 <= ms <= MAX_MS:
        raise ValueError("outside the years 1970 to 9999")
    days, milli = divmod(ms, DAY_MS)
    year, month, day = _date(days)
    second = milli // 1000
    return (
        f"{year:04}-{month:02}-{day:02}"
        f"T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}.{milli % 1000:03}Z"
    )


def from_text(text: str) -> int:
    """The inverse of `to_text`; ValueError for anything it would not have written."""
    found = _TEXT.fullmatch(text)
    if found is None:
        raise ValueError("not an instant such as 2026-11-23T03:04:05.120Z")
    year, month, day, hour, minute, second, milli = map(int, found.groups())
    ms = (_days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second) * 1000 + milli
    if not (0 <= ms <= MAX_MS and 1 <= month <= 12 and to_text(ms) == text):
        raise ValueError("no such day or time of day, or before 1970")
    return ms


def _days(year: int, month: int, day: int) -> int:
    """Days from 1970-01-01 to a day of the proleptic Gregorian calendar."""
    year -= month <= 2  # years that begin in March end in the leap day
    shifted = (month + 9) % 12
    leap_days = year // 4 - year // 100 + year // 400
    return 365 * year + leap_days + (153 * shifted + 2) // 5 + day - 719469


def _date(days: int) -> tuple[int, int, int]:
    """The inverse of `_days`: year, month and day."""
    era, day = divmod(days + 719468, 146097)  # of 400 years, which all are equally long
    year = (day - day // 1460 + day // 36524 - day // 146096) // 365
    day -= 365 * year + year // 4 - year // 100
    shifted = (5 * day + 2) // 153
    month = shifted + 3 if shifted < 10 else shifted - 9
    return 400 * era + year + (month <= 2), month, day - (153 * shifted + 2) // 5 + 1
