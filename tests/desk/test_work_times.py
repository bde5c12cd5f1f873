"""When maintenance is, by the city's clock."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from titik_collector.alerts.alert import AlertSubject
from titik_collector.desk import work_times
from titik_collector.figures.windows import Span
from titik_collector.store.desk_maintenance import MaintenanceRow, Weekly

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
KUPANG, BERLIN = ZoneInfo("Asia/Makassar"), ZoneInfo("Europe/Berlin")
SITE = AlertSubject("site", "taman-tirosa")


def at(text: str, zone: ZoneInfo = KUPANG) -> int:
    """Milliseconds of a time of the zone."""
    return round(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp() * 1000)


def row(
    begin: str, to_ms: int | None = None, weekly: Weekly | None = None, ended_ms: int | None = None
) -> MaintenanceRow:
    """As it was entered."""
    from_ms = at(begin)
    return MaintenanceRow(
        *(1, SITE, from_ms, to_ms, weekly, "budi", from_ms, "work", False, False, ended_ms)
    )


def spans(one: MaintenanceRow, span: Span, zone: ZoneInfo = KUPANG) -> list[tuple[int, int]]:
    """When it is."""
    return [(found.from_ms, found.to_ms) for found in work_times.within([one], span, zone)]


def test_a_stretch_is_there_while_it_lasts() -> None:
    """Its end is no part of it; an earlier end counts."""
    start_ms, end_ms = at("2026-11-28T10:00"), at("2026-11-28T12:00")
    planned = row("2026-11-28T10:00", end_ms)
    for moment_ms, there in (
        (start_ms - 1, []),
        (start_ms, [(start_ms, end_ms)]),
        (end_ms - 1, [(start_ms, end_ms)]),
        (end_ms, []),
    ):
        assert there == spans(planned, Span(moment_ms, moment_ms + 1))
    ended = planned._replace(ended_ms=start_ms + HOUR_MS)
    day = Span(at("2026-11-28T00:00"), at("2026-11-29T00:00"))
    assert [(start_ms, start_ms + HOUR_MS)] == spans(ended, day)
    assert [] == spans(planned._replace(ended_ms=start_ms), day)


def test_a_week_has_its_days() -> None:
    """Over midnight too; what was before it was entered does not count, nor what is after its end.

    28 November 2026 is a Saturday.
    """
    weekly = Weekly(("mon", "sat"), 23 * 60 + 30, 2 * HOUR_MS)
    entered = row("2026-11-28T12:00", weekly=weekly)
    weeks = Span(at("2026-11-20T00:00"), at("2026-12-06T01:00"))
    begins = [at(f"{day}T23:30") for day in ("2026-11-28", "2026-11-30", "2026-12-05")]
    assert [(one, one + 2 * HOUR_MS) for one in begins] == spans(entered, weeks)
    ended_ms = at("2026-12-01T00:30")
    ended = entered._replace(ended_ms=ended_ms)
    assert [(begins[0], begins[0] + 2 * HOUR_MS), (begins[1], ended_ms)] == spans(ended, weeks)
    after_midnight = Span(at("2026-11-29T01:00"), at("2026-11-29T01:00") + 1)
    assert [(begins[0], begins[0] + 2 * HOUR_MS)] == spans(entered, after_midnight)


@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25"])
def test_the_clock_may_be_set_in_it(day: str) -> None:
    """It begins by the clock, and lasts as long as planned."""
    weekly = Weekly(("sun",), 60, 4 * HOUR_MS)
    begin_ms = at(f"{day}T01:00", BERLIN)
    span = Span(begin_ms - DAY_MS, begin_ms + DAY_MS)
    planned = row("2026-01-01T00:00", weekly=weekly)
    assert [(begin_ms, begin_ms + 4 * HOUR_MS)] == spans(planned, span, BERLIN)
