"""When maintenance is: each row as stretches of time, the weekly ones by the city's clock."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta, tzinfo

from titik_collector.alerts.desk_facts import Maintenance
from titik_collector.desk.planned_work import DAYS
from titik_collector.figures.windows import Span
from titik_collector.store.desk_maintenance import MaintenanceRow, Weekly


def within(rows: Iterable[MaintenanceRow], span: Span, zone: tzinfo) -> list[Maintenance]:
    """Every stretch that reaches into the span, whole, by its begin."""
    found = [one for row in rows for one in _of(row, span, zone)]
    return sorted(found, key=lambda one: (one.from_ms, one.number))


def _of(row: MaintenanceRow, span: Span, zone: tzinfo) -> Iterator[Maintenance]:
    """What begins before the row counts, or ends after it, is cut off."""
    planned = [Span(row.from_ms, row.to_ms)] if row.to_ms is not None else []
    if row.weekly is not None:
        planned = list(_each_week(row.weekly, span, zone))
    for one in planned:
        start_ms = max(one.start_ms, row.from_ms)
        end_ms = one.end_ms if row.end_ms is None else min(one.end_ms, row.end_ms)
        if start_ms < end_ms and start_ms < span.end_ms and end_ms > span.start_ms:
            yield Maintenance(
                *(row.number, row.subject, start_ms, end_ms, row.actor, row.reason),
                *(row.is_public, row.is_retroactive),
            )


def _each_week(weekly: Weekly, span: Span, zone: tzinfo) -> Iterator[Span]:
    """It lasts as long as planned, also where the clock is set in it."""
    first = datetime.fromtimestamp((span.start_ms - weekly.length_ms) / 1000, zone).date()
    last = datetime.fromtimestamp(span.end_ms / 1000, zone).date()
    for ahead in range((last - first).days + 1):
        day = first + timedelta(days=ahead)
        if DAYS[day.weekday()] in weekly.days:
            hour, minute = divmod(weekly.minute, 60)
            begin = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone)
            start_ms = round(begin.timestamp() * 1000)
            yield Span(start_ms, start_ms + weekly.length_ms)
