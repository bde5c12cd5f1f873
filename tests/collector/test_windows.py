"""Hours and days of a city's zone, where the clock is simple and where it is not."""

from datetime import datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from tests.cases import few
from titik_collector.figures.windows import Calendar, Span, minute
from titik_wire import instant, topics
from titik_wire.codec import decode, encode
from titik_wire.instant import DAY_MS, HOUR_MS, MINUTE_MS
from titik_wire.messages import CollectorStatus

ZONES = [
    "Asia/Makassar",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
    "America/Havana",
    "America/St_Johns",
    "Europe/Berlin",
    "Pacific/Apia",
]


def ms(text: str) -> int:
    """`2026-11-23T10:00` of UTC in milliseconds."""
    return instant.from_text(f"{text}:00.000Z")


def test_a_minute_is_the_same_in_every_zone() -> None:
    """Offsets are whole minutes."""
    assert Span(ms("2026-11-23T10:07"), ms("2026-11-23T10:08")) == minute(
        ms("2026-11-23T10:07") + 59_999
    )


def test_a_day_of_kupang_begins_at_16_utc() -> None:
    """Days are those of the city's zone."""
    assert Span(ms("2026-11-22T16:00"), ms("2026-11-23T16:00")) == Calendar(
        ZoneInfo("Asia/Makassar")
    ).day(ms("2026-11-23T15:59"))


def test_an_hour_follows_a_zone_of_odd_minutes() -> None:
    """Kathmandu is 5:45 ahead."""
    assert Span(ms("2026-11-23T09:15"), ms("2026-11-23T10:15")) == Calendar(
        ZoneInfo("Asia/Kathmandu")
    ).hour(ms("2026-11-23T10:00"))


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29T12:00", 23), ("2026-10-25T12:00", 25)])
def test_a_day_on_which_the_clock_is_set_has_23_or_25_hours(day: str, hours: int) -> None:
    """Every hour of the day is there, once."""
    calendar = Calendar(ZoneInfo("Europe/Berlin"))
    span = calendar.day(ms(day))
    assert hours * HOUR_MS == span.end_ms - span.start_ms
    assert hours == len(list(calendar.hours(*span)))


def test_half_an_hour_stands_alone_where_the_clock_goes_back_by_half_an_hour() -> None:
    """On Lord Howe 02:00 becomes 01:30: 01:00 to 02:00, and again 01:30 to 02:00."""
    spans = list(
        Calendar(ZoneInfo("Australia/Lord_Howe")).hours(
            ms("2026-04-04T14:00"), ms("2026-04-04T16:00")
        )
    )
    assert [60, 30, 60] == [(end - start) // MINUTE_MS for start, end in spans]


def test_a_day_begins_when_the_clock_skips_midnight() -> None:
    """In Sao Paulo 2018-11-04 began at 01:00."""
    zone = ZoneInfo("America/Sao_Paulo")
    span = Calendar(zone).day(ms("2018-11-04T12:00"))
    assert "2018-11-04T01:00" == datetime.fromtimestamp(span.start_ms / 1000, zone).isoformat()[:16]


@pytest.mark.parametrize("name", few(1, ZONES))
@pytest.mark.parametrize("year", few(1, [2011, 1987, 2026]))
def test_days_are_whole_hours_without_gap_or_overlap(name: str, year: int) -> None:
    """The sum of hours is the day, in every zone, all the year."""
    calendar = Calendar(ZoneInfo(name))
    at = ms(f"{year}-01-01T00:00")
    while at < ms(f"{year + 1}-01-01T00:00"):
        day = calendar.day(at)
        hours = list(calendar.hours(*day))
        assert (day.start_ms, day.end_ms) == (hours[0].start_ms, hours[-1].end_ms)
        assert all(one.end_ms == two.start_ms for one, two in pairwise(hours))
        assert day == calendar.day(day.start_ms) == calendar.day(day.end_ms - MINUTE_MS)
        assert day.end_ms - day.start_ms <= 2 * DAY_MS
        at = day.end_ms


@pytest.mark.parametrize("name", ["Europe/Tirane", "America/Bogota"])
def test_a_clock_that_was_never_set_has_day_starts_that_can_be_published(name: str) -> None:
    """East of Greenwich its day began before 1970."""
    starts = Calendar(ZoneInfo(name)).day_starts(5000, 4)
    status = CollectorStatus("main", "online", "1", day_starts=starts)
    assert status == decode(topics.collector("main"), encode(status))
    assert len(starts) >= 3
