"""Times as an operator types and reads them."""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from titik_wire.instant import DAY_MS, HOUR_MS

_UNITS = {"m": 60_000, "h": HOUR_MS, "d": DAY_MS, "w": 7 * DAY_MS, "y": 366 * DAY_MS}
_WANTED = "such as 90m, 24h, 7d, 1y, 2026-11-23 or 2026-11-23T08:00"

_AHEAD = "such as 90m, 2h, 3d, 08:00, 2026-11-23 or 2026-11-23T08:00"


class BadTime(ValueError):
    """What was typed is no time; says what would be."""


def parse(text: str, zone: ZoneInfo, now_ms: int) -> int:
    """Milliseconds since 1970: a length before now, or a date or time of the city's zone."""
    length = re.fullmatch(r"(\d{1,6})([mhdwy])", text)
    try:
        if length:
            found = now_ms - int(length[1]) * _UNITS[length[2]]
        elif text == "now":
            found = now_ms
        else:
            moment = datetime.fromisoformat(text)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=zone)
            found = int(moment.timestamp() * 1000)
    except (ValueError, OverflowError):
        raise BadTime(f"{text!r} is no time; use one {_WANTED}") from None
    if found < 0:
        raise BadTime(f"{text!r} is before 1970; use a later time, {_WANTED}")
    if found > now_ms + _UNITS["y"]:
        raise BadTime(f"{text!r} is more than a year ahead; use an earlier time, {_WANTED}")
    return found


def parse_ahead(text: str, zone: ZoneInfo, now_ms: int) -> int:
    """The same after now: a length from now on, the next `08:00`, or a date or time."""
    if length := re.fullmatch(r"(\d{1,6})([mhdw])", text):
        return now_ms + int(length[1]) * _UNITS[length[2]]
    if clock := re.fullmatch(r"([01]?\d|2[0-3])[:.]([0-5]\d)", text):
        now = datetime.fromtimestamp(now_ms / 1000, zone)
        found = now.replace(hour=int(clock[1]), minute=int(clock[2]), second=0, microsecond=0)
        if found <= now:
            found = (found + timedelta(days=1)).replace(tzinfo=zone)
        return round(found.timestamp() * 1000)
    if re.fullmatch(r"\d+[a-z]", text):
        raise BadTime(f"{text!r} is no time; use one {_AHEAD}")
    return parse(text, zone, now_ms)


def parse_length(text: str) -> int:
    """Milliseconds of `90m`, `2h` or `3d`."""
    length = re.fullmatch(r"(\d{1,6})([mhdw])", text)
    if length is None:
        raise BadTime(f"{text!r} is no length; use one such as 90m, 2h or 3d")
    return int(length[1]) * _UNITS[length[2]]


def show(at_ms: int, zone: ZoneInfo | None) -> str:
    """Local time to the minute, or ISO 8601 in UTC where there is no zone."""
    moment = datetime.fromtimestamp(at_ms / 1000, zone or UTC)
    return moment.strftime("%Y-%m-%d %H:%M" if zone else "%Y-%m-%dT%H:%M:%SZ")


def iso(at_ms: int, zone: ZoneInfo | None) -> str:
    """ISO 8601 with the offset of the zone, or Z."""
    if zone is None:
        return show(at_ms, None)
    return datetime.fromtimestamp(at_ms // 1000, zone).isoformat()


def zone_name(at_ms: int, zone: ZoneInfo | None) -> str:
    """`WITA`, or `UTC`."""
    return datetime.fromtimestamp(at_ms / 1000, zone or UTC).tzname() or str(zone)


def show_named(at_ms: int, zone: ZoneInfo | None) -> str:
    """With the name of the zone, because another machine's people read it too."""
    return f"{show(at_ms, zone)} {zone_name(at_ms, zone)}"


def length(ms: int) -> str:
    """`45 s`, `12 min`, `3 h 05 min`, `2 d 04 h`."""
    span = timedelta(milliseconds=max(0, ms))
    minutes = span.seconds // 60
    if span.days:
        return f"{span.days} d {minutes // 60:02d} h"
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes} min" if minutes else f"{span.seconds} s"
