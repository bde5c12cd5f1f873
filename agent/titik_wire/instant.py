"""Milliseconds since 1970, and RFC 3339 UTC text with milliseconds.

Its own arithmetic, because `datetime` costs the router memory that nothing else there needs.
"""

import re
import time

MAX_MS = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z, the last that RFC 3339 can write

_TEXT = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})\.([0-9]{3})Z"
)


def to_text(ms: int) -> str:
    """`0` gives `1970-01-01T00:00:00.000Z`; ValueError outside 1970 to 9999."""
    if not 0 <= ms <= MAX_MS:
        raise ValueError("outside the years 1970 to 9999")
    t = time.gmtime(ms // 1000)
    return (
        f"{t.tm_year:04}-{t.tm_mon:02}-{t.tm_mday:02}"
        f"T{t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02}.{ms % 1000:03}Z"
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
