"""What follows from published hours: a day, and when a place is usually quiet."""

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from titik_collector.figures.windows import Span
from titik_collector.public import drawing, public_past, usual_day
from titik_collector.public.public_past import PublicDay, PublicHour
from titik_collector.public.suppression import FEW, Cell, Shown, Total
from titik_collector.public.usual_day import ClockHours, UsualDay
from titik_wire.instant import DAY_MS, HOUR_MS

UTC = ZoneInfo("UTC")
NIGHT: list[Shown] = [FEW] * 6


def day(counts: Sequence[Shown], number: int = 0) -> PublicDay:
    """A day with these hours, which are over; 1970-01-01, a Thursday, is the first."""
    start_ms = number * DAY_MS
    hours = [PublicHour(start_ms + n * HOUR_MS, Cell(one)) for n, one in enumerate(counts)]
    return public_past.day_of(Span(start_ms, start_ms + DAY_MS), hours)


def usual(*days: Sequence[Shown], hours: str | None = None) -> UsualDay | None:
    """Of these days."""
    return usual_day.of([day(one, n) for n, one in enumerate(days)], UTC, hours)


def test_a_day_follows_from_its_published_hours() -> None:
    """An hour that is few counts 2, one that is not known nothing."""
    found = day([FEW, None, 20, 10, FEW])
    assert (10, 4, True) == (found.clients, found.known, found.goes_on)
    few = public_past.day_of(Span(0, DAY_MS), [PublicHour(0, Total(FEW))])
    assert FEW == few.clients
    assert day([]).clients is None
    assert not day([5] * 24).goes_on


def test_a_day_names_its_busiest_and_its_quietest_hours() -> None:
    """Of hours with the same count the longest stretch; an hour that is not known ends it."""
    found = day([FEW, None, FEW, FEW, 20, 10, 20, 20, FEW])
    assert (6 * HOUR_MS, 8 * HOUR_MS, 20) == found.busiest
    assert (2 * HOUR_MS, 4 * HOUR_MS, FEW) == found.quietest


def test_a_day_of_equal_hours_has_none_that_is_quiet() -> None:
    """And where each hour is hidden, none is busy."""
    assert (None, (0, 2 * HOUR_MS, 10)) == (day([10, 10]).quietest, day([10, 10]).busiest)
    assert (None, None) == (day([FEW, FEW]).quietest, day([FEW, FEW]).busiest)


def test_a_usual_day_is_the_mean_of_each_hour_of_the_clock() -> None:
    """Of published counts, published in the same way; one known on two days is not known."""
    found = usual([FEW, 10, 10, 40], [FEW, 20, 10, 40], [FEW, 35, None, 50])
    assert found is not None
    assert (FEW, 20, None, 45) == found.hours[:4]
    assert 3 == found.days
    assert usual([10], [10]) is None


def test_the_quiet_hours_go_over_midnight() -> None:
    """Hours that come close to the lowest and to the highest belong to them."""
    counts = [*NIGHT, 10, *[20] * 10, 60, 55, 60, 30, 10, FEW, FEW]
    found = usual(*[counts] * 3)
    assert found is not None
    assert (ClockHours(21, 7), ClockHours(17, 20)) == (found.quietest, found.busiest)


def test_a_closed_place_is_not_quiet() -> None:
    """Its night is no answer; the opening hours are those of each day."""
    counts = [*NIGHT, 10, 10, *[20] * 9, 60, 55, 60, 30, 20, FEW, FEW]
    hours = "07:00-22:00; Fr off"
    assert usual(*[counts] * 3, hours=hours) is None  # Friday is closed, and two days are too few
    found = usual(*[counts] * 4, hours=hours)
    assert found is not None
    assert (None, 10, None) == (found.hours[3], found.hours[7], found.hours[22])
    assert (ClockHours(7, 17), ClockHours(17, 20)) == (found.quietest, found.busiest)


def test_where_all_hours_are_alike_none_is_named() -> None:
    """One step of rounding is no difference."""
    found = usual(*[[10, 15] * 12] * 3)
    assert found is not None
    assert (None, None) == (found.quietest, found.busiest)


def test_each_day_has_a_column_whatever_its_length() -> None:
    """A day of 25 hours is as wide as another, and the hours to come are left free."""
    long = public_past.day_of(
        Span(0, 25 * HOUR_MS), [PublicHour(n * HOUR_MS, Cell(10)) for n in range(25)]
    )
    drawn = drawing.week([long, day([5, 5], 2)])
    assert (2, 2 * 120) == (drawn.columns, drawn.width)
    assert [115.2, 120, 125] == [one.x for one in drawn.bars[-3:]]
    assert (10, 120.0, 60.0) == (drawn.top, drawn.bars[0].height, drawn.bars[-1].height)
