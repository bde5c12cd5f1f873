"""A month or a year of the city's calendar, by the name that commands and addresses have."""

import re
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from titik_collector.figures.windows import Calendar, Span
from titik_collector.wording.mendable import Mendable

FROZEN_DAY = 8  # of the month after: what comes later changes no report
_NAME = re.compile(r"(20\d\d)(?:-(0[1-9]|1[0-2]))?")


class BadPeriod(Mendable):
    """What was typed names no month and no year, or one that has not begun."""


class Period(NamedTuple):
    """`2026-11`, or `2026`."""

    year: int
    month: int | None = None

    @property
    def name(self) -> str:
        """As it is typed."""
        return f"{self.year}" if self.month is None else f"{self.year}-{self.month:02d}"

    @property
    def before(self) -> "Period":
        """The one that it is compared with."""
        if self.month is None:
            return Period(self.year - 1)
        return Period(self.year - (self.month == 1), (self.month - 2) % 12 + 1)

    @property
    def after(self) -> "Period":
        """The one that follows."""
        if self.month is None:
            return Period(self.year + 1)
        return Period(self.year + (self.month == 12), self.month % 12 + 1)

    @property
    def months(self) -> "tuple[Period, ...]":
        """Itself, or those of the year."""
        if self.month is not None:
            return (self,)
        return tuple(Period(self.year, month) for month in range(1, 13))

    def span(self, zone: ZoneInfo) -> Span:
        """From its first midnight to before the one of the next."""
        return Span(_begin(self, zone), _begin(self.after, zone))

    def frozen_ms(self, zone: ZoneInfo) -> int:
        """When it is frozen: what arrives later is not looked at again."""
        after = self.after
        noon = datetime(after.year, after.month or 1, FROZEN_DAY, 12, tzinfo=zone)
        return Calendar(zone).day(round(noon.timestamp() * 1000)).start_ms


def parse(text: str) -> Period:
    """The inverse of `name`; BadPeriod."""
    found = _NAME.fullmatch(text)
    if found is None:
        raise BadPeriod(f"{text!r} is no month and no year; use one such as 2026-11 or 2026")
    return Period(int(found[1]), int(found[2]) if found[2] else None)


def at(at_ms: int, zone: ZoneInfo) -> Period:
    """The month that a moment lies in."""
    moment = datetime.fromtimestamp(at_ms / 1000, zone)
    return Period(moment.year, moment.month)


def _begin(period: Period, zone: ZoneInfo) -> int:
    noon = datetime(period.year, period.month or 1, 1, 12, tzinfo=zone)
    return Calendar(zone).day(round(noon.timestamp() * 1000)).start_ms
