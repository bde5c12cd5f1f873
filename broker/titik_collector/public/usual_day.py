"""When a place is usually quiet: an average day by the clock, of hours that were published.

Rule: hours in which the place is closed do not count; nobody asks when a closed place is quiet.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from titik_collector.public.public_past import PublicDay, mean, number
from titik_collector.public.suppression import STEP, Shown
from titik_collector.wording import opening_hours
from titik_wire.instant import MINUTE_MS

HOURS = 24
LEAST_DAYS = 3  # that an hour of the clock has to be known on
EDGE = 0.25  # of the way from the lowest to the highest hour: so far both reach


class ClockHours(NamedTuple):
    """From an hour of the clock to before another one, which may be of the next day."""

    start: int
    end: int  # 1 to 24


@dataclass(frozen=True, slots=True)
class UsualDay:
    """Of a place or of the city."""

    hours: tuple[Shown, ...]  # by the clock; None: not known, or closed
    days: int  # that it is of, at most
    busiest: ClockHours | None  # None: one hour is much like another
    quietest: ClockHours | None


def of(days: Sequence[PublicDay], zone: ZoneInfo, hours: str | None = None) -> UsualDay | None:
    """None: no hour is known on enough days. `hours`: when the place is open; None: always."""
    counts: list[list[Shown]] = [[] for _ in range(HOURS)]
    for hour, clients in _known(days, zone, hours):
        counts[hour].append(clients)
    means = tuple(mean(one) if len(one) >= LEAST_DAYS else None for one in counts)
    if all(one is None for one in means):
        return None
    return UsualDay(means, max(map(len, counts)), *_ends(means))


def _known(
    days: Sequence[PublicDay], zone: ZoneInfo, hours: str | None
) -> Iterator[tuple[int, Shown]]:
    """Hours of the clock, and what they had."""
    opened = opening_hours.parse(hours or opening_hours.ALWAYS)
    for one in (hour for day in days for hour in day.hours):
        middle = datetime.fromtimestamp((one.start_ms + 30 * MINUTE_MS) / 1000, zone)
        if one.figures.clients is not None and opened.is_open(middle):
            yield middle.hour, one.figures.clients


def _ends(means: Sequence[Shown]) -> tuple[ClockHours | None, ClockHours | None]:
    """The hours around the highest, and around the lowest."""
    known = {hour: number(one) for hour, one in enumerate(means) if one is not None}
    high, low = max(known, key=known.__getitem__), min(known, key=known.__getitem__)
    reach = (known[high] - known[low]) * EDGE
    if known[high] - known[low] <= STEP:
        return None, None
    return (
        _around(high, lambda hour: known.get(hour, -1) >= known[high] - reach),
        _around(low, lambda hour: hour in known and known[hour] <= known[low] + reach),
    )


def _around(hour: int, belongs: Callable[[int], bool]) -> ClockHours:
    """To both sides, over midnight too."""
    start = end = hour
    while belongs((start - 1) % HOURS):
        start -= 1
    while belongs((end + 1) % HOURS):
        end += 1
    return ClockHours(start % HOURS, end % HOURS + 1)
