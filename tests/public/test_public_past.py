"""What follows from published hours: a day, and when a place is usually quiet."""

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from titik_collector.figures.windows import Span
from titik_collector.public import drawing, public_past, usual_day
from titik_collector.public.public_past import PublicDay, PublicHour
from titik_collector.public.suppression import FEW, Cell, Shown, Total
from titik_collector.public.usual_day import ClockHours, UsualDay
from titik_wire.instant import DAY_MS, HOUR_MS

UTC = ZoneInfo("UTC")
SHOWN = st.none() | st.just(FEW) | st.sampled_from(range(5, 60, 5))
HOURS = ("08:00-22:00", "16:00-02:00", "07:30-16:30")
NIGHT: list[Shown] = [FEW] * 6


def day(counts: Sequence[Shown], number: int = 0, hours: str | None = None) -> PublicDay:
    """A day with these hours, which are over; 1970-01-01, a Thursday, is the first."""
    start_ms, opened = number * DAY_MS, public_past.open_hours(hours)
    made = [
        PublicHour(start_ms + n * HOUR_MS, Cell(one), ((number + 3) % 7, n) in opened)
        for n, one in enumerate(counts)
    ]
    return public_past.day_of(Span(start_ms, start_ms + DAY_MS), made)


def usual(*days: Sequence[Shown], hours: str | None = None) -> UsualDay | None:
    """Of these days."""
    return usual_day.of([day(one, n, hours) for n, one in enumerate(days)], UTC)


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
    assert (((21, 7),), ((17, 20),)) == (found.quietest, found.busiest)


def test_a_closed_place_is_not_quiet() -> None:
    """Its night is no answer; the opening hours are those of each day."""
    counts = [*NIGHT, 10, 10, *[20] * 9, 60, 55, 60, 30, 20, FEW, FEW]
    hours = "07:00-22:00; Fr off"
    assert usual(*[counts] * 3, hours=hours) is None  # Friday is closed, and two days are too few
    found = usual(*[counts] * 4, hours=hours)
    assert found is not None
    assert (None, 10, None) == (found.hours[3], found.hours[7], found.hours[22])
    assert (((7, 17), (21, 22)), ((17, 20),)) == (found.quietest, found.busiest)


def test_where_all_hours_are_alike_none_is_named() -> None:
    """One step of rounding is no difference."""
    found = usual(*[[10, 15] * 12] * 3)
    assert found is not None
    assert ((), ()) == (found.quietest, found.busiest)


def test_quiet_hours_may_lie_apart() -> None:
    """A night that is busier than the morning does not hide the morning."""
    counts = [45, *[None] * 7, *[30] * 5, *[60] * 6, 90, 45, 45, 35, 30]
    found = usual(*[counts] * 3)
    assert found is not None
    assert (ClockHours(8, 13), ClockHours(20, 1)) == found.quietest


@given(st.lists(SHOWN, min_size=24, max_size=24), st.sampled_from([None, *HOURS]))
def test_quiet_hours_are_quieter_than_all_others(counts: list[Shown], hours: str | None) -> None:
    """And busy ones busier; hours in which the place is not open are neither."""
    found = usual(*[counts] * 8, hours=hours)
    if found is None or not found.quietest:
        return
    opened = {hour for _, hour in public_past.open_hours(hours)}
    known = {n: public_past.number(one) for n, one in enumerate(counts) if one is not None}
    known = {n: one for n, one in known.items() if n in opened}
    quiet, busy = clock_of(found.quietest), clock_of(found.busiest)
    assert quiet | busy <= known.keys()
    for named, sign in ((quiet, 1), (busy, -1)):
        others = [sign * one for n, one in known.items() if n not in named]
        assert all(sign * known[n] < one for n in named for one in others)


def clock_of(named: Sequence[ClockHours]) -> set[int]:
    """Each hour that is named."""
    ends = [one.end if one.end > one.start else one.end + 24 for one in named]
    return {n % 24 for one, end in zip(named, ends, strict=True) for n in range(one.start, end)}


def test_the_ends_of_a_day_are_of_hours_when_the_place_is_open() -> None:
    """An hour in which it opens or closes is neither; a day without any is closed."""
    counts = [*NIGHT, 80, 5, 20, 20, 10, 60, 60, 60, FEW]
    found = day(counts, hours="07:30-12:00")
    assert (10 * HOUR_MS, 11 * HOUR_MS, 10) == found.quietest
    assert (11 * HOUR_MS, 12 * HOUR_MS, 60) == found.busiest
    closed = day(counts, hours="Th off; Fr 08:00-12:00")
    assert (None, None, None, True) == (
        closed.busiest,
        closed.quietest,
        closed.alike,
        closed.is_closed,
    )
    assert (10, FEW) == (day([10, 10]).alike, day([FEW, FEW]).alike)


def test_an_open_hour_is_open_from_its_first_to_its_last_minute() -> None:
    """Also after midnight, and with a pause in it."""
    found = public_past.open_hours("Sa 22:00-02:30; Su 08:00-10:15,10:45-12:00")
    assert {(5, 22), (5, 23), (6, 0), (6, 1), (6, 8), (6, 9), (6, 11)} == found
    assert 7 * 24 == len(public_past.open_hours(None))


def test_each_day_has_a_column_whatever_its_length() -> None:
    """A day of 25 hours is as wide as another, and the hours to come are left free."""
    long = public_past.day_of(
        Span(0, 25 * HOUR_MS), [PublicHour(n * HOUR_MS, Cell(10)) for n in range(25)]
    )
    drawn = drawing.week([long, day([5, 5], 2)])
    assert (2, 2 * 120) == (drawn.columns, drawn.width)
    assert [115.2, 120, 125] == [one.x for one in drawn.bars[-3:]]
    assert (10, 120.0, 60.0) == (drawn.top, drawn.bars[0].height, drawn.bars[-1].height)
