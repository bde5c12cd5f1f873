"""The windows of time that rollups are of: minutes, and the hours and days of the city's zone.

Rule: windows of one kind follow each other without gap or overlap, whatever the zone does.
Rule: a day is whole hours and an hour is whole minutes, so that sums add up. Where the offset
changes inside an hour, the hour is cut there: half an hour can stand alone, and two hours can
both be called 01:00.
Rule: a day begins at its first midnight; where the clock skips midnight, when it skips.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from titik_collector.limits import MAX_HOURS, MAX_MIDNIGHTS
from titik_wire.instant import HOUR_MS, MINUTE_MS

Window = Literal["1m", "1h", "1d"]
REFRESH_MS = 10 * MINUTE_MS


class Span(NamedTuple):
    """A stretch of time: from `start_ms` to before `end_ms`."""

    start_ms: int
    end_ms: int


def minute(at_ms: int) -> Span:
    """The minute that `at_ms` lies in; offsets are whole minutes, so the zone does not matter."""
    start_ms = at_ms - at_ms % MINUTE_MS
    return Span(start_ms, start_ms + MINUTE_MS)


class Calendar:
    """Hours and days of one time zone."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        # A day of one router asks for the same few windows 1440 times.
        self._hour_of_minute = lru_cache(maxsize=MAX_HOURS)(self._find_hour)
        self._midnight = lru_cache(maxsize=MAX_MIDNIGHTS)(self._find_midnight)

    def window(self, kind: Window, at_ms: int) -> Span:
        """The window of a kind that `at_ms` lies in."""
        if kind == "1m":
            return minute(at_ms)
        return self.hour(at_ms) if kind == "1h" else self.day(at_ms)

    def hour(self, at_ms: int) -> Span:
        """The hour that `at_ms` lies in."""
        return self._hour_of_minute(at_ms // MINUTE_MS)

    def day(self, at_ms: int) -> Span:
        """The day that `at_ms` lies in."""
        day = self._local(at_ms).date()
        # Where a clock is put back over midnight, the hour after still belongs to the new day.
        if at_ms < self._midnight(day):
            day -= timedelta(days=1)
        while at_ms >= self._midnight(day + timedelta(days=1)):
            day += timedelta(days=1)
        return Span(self._midnight(day), self._midnight(day + timedelta(days=1)))

    def day_before(self, at_ms: int) -> Span:
        """The day before the one that `at_ms` lies in."""
        return self.day(self.day(at_ms).start_ms - 1)

    def day_starts(self, at_ms: int, count: int) -> tuple[int, ...]:
        """The starts of the day that `at_ms` lies in and of those after it, from 1970 on.

        A server whose clock was never set is at the end of 1969 in half of the world.
        """
        starts = [self.day(at_ms).start_ms]
        while len(starts) < count:
            starts.append(self.day(starts[-1]).end_ms)
        return tuple(one for one in starts if one >= 0)

    def refreshed_ms(self, at_ms: int) -> int:
        """When the hour and the day that go on are computed for what is of `at_ms`.

        Every ten minutes of the hour, and at its end.
        """
        start_ms, end_ms = self.hour(at_ms)
        return min(at_ms - (at_ms - start_ms) % REFRESH_MS + REFRESH_MS, end_ms)

    def hours(self, from_ms: int, to_ms: int) -> Iterator[Span]:
        """The hours that touch the time from `from_ms` to before `to_ms`."""
        while from_ms < to_ms:
            yield (span := self.hour(from_ms))
            from_ms = span.end_ms

    def days(self, from_ms: int, to_ms: int) -> Iterator[Span]:
        """The days that touch the time from `from_ms` to before `to_ms`."""
        while from_ms < to_ms:
            yield (span := self.day(from_ms))
            from_ms = span.end_ms

    def _find_hour(self, minutes: int) -> Span:
        at_ms = minutes * MINUTE_MS
        offset_ms = self._offset(at_ms)
        start_ms = at_ms - (at_ms + offset_ms) % HOUR_MS
        end_ms = start_ms + HOUR_MS
        if self._offset(start_ms) != offset_ms:
            start_ms = self._change(start_ms, at_ms)
        if self._offset(end_ms - MINUTE_MS) != offset_ms:
            end_ms = self._change(at_ms, end_ms - MINUTE_MS)
        return Span(start_ms, end_ms)

    def _find_midnight(self, day: date) -> int:
        midnight = datetime(day.year, day.month, day.day, tzinfo=self._zone, fold=0)
        return int(midnight.timestamp()) * 1000

    def _change(self, before_ms: int, after_ms: int) -> int:
        """The first minute after `before_ms` that has the offset of `after_ms`."""
        offset_ms = self._offset(after_ms)
        while after_ms - before_ms > MINUTE_MS:
            middle_ms = (before_ms + after_ms) // 2 // MINUTE_MS * MINUTE_MS
            if self._offset(middle_ms) == offset_ms:
                after_ms = middle_ms
            else:
                before_ms = middle_ms
        return after_ms

    def _offset(self, at_ms: int) -> int:
        offset = self._local(at_ms).utcoffset()
        assert offset is not None  # the zone is set
        return round(offset.total_seconds()) * 1000

    def _local(self, at_ms: int) -> datetime:
        return datetime.fromtimestamp(at_ms // 1000, UTC).astimezone(self._zone)
