"""When a place is usually quiet: an average day by the clock, of hours that were published.

Rule: hours in which the place is closed do not count; nobody asks when a closed place is quiet.
Rule: each hour that is named as quiet has fewer visitors than each that is not, busy ones more.
"""

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from titik_collector.public.public_past import PublicDay, mean, number
from titik_collector.public.suppression import STEP, Shown
from titik_wire.instant import MINUTE_MS

HOURS = 24
LEAST_DAYS = 3  # that an hour of the clock has to be known on
EDGE = 0.25  # of the way from the lowest to the highest hour: so far from both an hour is named


class ClockHours(NamedTuple):
    """From an hour of the clock to before another one, which may be of the next day."""

    start: int
    end: int  # 1 to 24


@dataclass(frozen=True, slots=True)
class UsualDay:
    """Of a place or of the city."""

    hours: tuple[Shown, ...]  # by the clock; None: not known, or closed
    days: int  # that it is of, at most
    busiest: tuple[ClockHours, ...]  # none: one hour is much like another
    quietest: tuple[ClockHours, ...]


def of(days: Sequence[PublicDay], zone: ZoneInfo) -> UsualDay | None:
    """None: no hour is known on enough days."""
    counts: list[list[Shown]] = [[] for _ in range(HOURS)]
    for hour, clients in _known(days, zone):
        counts[hour].append(clients)
    means = tuple(mean(one) if len(one) >= LEAST_DAYS else None for one in counts)
    if all(one is None for one in means):
        return None
    return UsualDay(means, max(map(len, counts)), *_ends(means))


def _known(days: Sequence[PublicDay], zone: ZoneInfo) -> Iterator[tuple[int, Shown]]:
    """Hours of the clock, and what they had."""
    for one in (hour for day in days for hour in day.hours):
        if one.figures.clients is not None and one.is_open:
            middle = datetime.fromtimestamp((one.start_ms + 30 * MINUTE_MS) / 1000, zone)
            yield middle.hour, one.figures.clients


def _ends(means: Sequence[Shown]) -> tuple[tuple[ClockHours, ...], tuple[ClockHours, ...]]:
    """The hours close to the highest, and those close to the lowest."""
    known = {hour: number(one) for hour, one in enumerate(means) if one is not None}
    high, low = max(known.values()), min(known.values())
    reach = (high - low) * EDGE
    if high - low <= STEP:
        return (), ()
    return (
        _joined({hour for hour, clients in known.items() if clients >= high - reach}),
        _joined({hour for hour, clients in known.items() if clients <= low + reach}),
    )


def _joined(hours: Set[int]) -> tuple[ClockHours, ...]:
    """Hours after each other as one, over midnight too."""
    starts = sorted(hour for hour in hours if (hour - 1) % HOURS not in hours)
    return tuple(ClockHours(start, _end(start, hours)) for start in starts)


def _end(start: int, hours: Set[int]) -> int:
    """Before which hour these end."""
    last = next(hour for hour in range(start, start + HOURS) if (hour + 1) % HOURS not in hours)
    return last % HOURS + 1
