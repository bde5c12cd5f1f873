"""Months and years by their names."""

from zoneinfo import ZoneInfo

import pytest

from titik_collector.reports import period as periods
from titik_collector.reports.period import BadPeriod, Period
from titik_wire import instant
from titik_wire.instant import DAY_MS, HOUR_MS

BERLIN = ZoneInfo("Europe/Berlin")
KUPANG = ZoneInfo("Asia/Makassar")


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("2026-11", "2026-10", "2026-12"),
        ("2026-01", "2025-12", "2026-02"),
        ("2026-12", "2026-11", "2027-01"),
        ("2026", "2025", "2027"),
    ],
)
def test_periods_follow_each_other(name: str, before: str, after: str) -> None:
    """Without gap or overlap, in every zone."""
    one = periods.parse(name)
    assert (name, before, after) == (one.name, one.before.name, one.after.name)
    assert one.span(BERLIN).end_ms == one.after.span(BERLIN).start_ms
    assert one.months[-1].span(BERLIN).end_ms == one.span(BERLIN).end_ms


@pytest.mark.parametrize("name", ["2026-13", "2026-1", "26-11", "november", "", "2026-11-01"])
def test_what_names_no_month_is_refused_with_one_that_does(name: str) -> None:
    """The remedy is an example."""
    with pytest.raises(BadPeriod, match="use one such as 2026-11 or 2026"):
        periods.parse(name)


def test_a_month_is_the_city_s_and_is_frozen_on_the_eighth() -> None:
    """By its own midnights; in March Berlin lacks an hour."""
    march = Period(2026, 3)
    assert 31 * DAY_MS - HOUR_MS == march.span(BERLIN).end_ms - march.span(BERLIN).start_ms
    assert "2026-10-31T16:00:00.000Z" == instant.to_text(Period(2026, 11).span(KUPANG).start_ms)
    assert "2026-12-07T16:00:00.000Z" == instant.to_text(Period(2026, 11).frozen_ms(KUPANG))
    assert "2027-01-07T16:00:00.000Z" == instant.to_text(Period(2026).frozen_ms(KUPANG))
    assert Period(2026, 12) == periods.at(instant.from_text("2026-11-30T16:00:00.000Z"), KUPANG)
