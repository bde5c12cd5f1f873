"""When work was planned at a subject, or at what it is a part of.

Rule: where nothing was ever entered, there was none.
"""

from collections.abc import Collection
from zoneinfo import ZoneInfo

from titik_collector.alerts.alert import AlertSubject
from titik_collector.alerts.desk_facts import Maintenance
from titik_collector.desk import work_times
from titik_collector.figures.windows import Span
from titik_collector.store import desk_maintenance, desk_opening
from titik_collector.store.database import Database
from titik_collector.store.opening import Where


def spans(
    desk: Database, subjects: Collection[AlertSubject], span: Span, zone: ZoneInfo
) -> list[Maintenance]:
    """Every stretch of these that reaches into the span, whole, by its begin; some overlap."""
    rows = desk_maintenance.not_over(desk, span.start_ms)
    return work_times.within([one for one in rows if one.subject in subjects], span, zone)


def read(where: Where, span: Span, zone: ZoneInfo) -> list[Maintenance]:
    """Of the whole city, from the desk of a store."""
    if not desk_opening.exists(where):
        return []
    with desk_opening.opened(where) as desk:
        rows = desk_maintenance.not_over(desk, span.start_ms)
        return work_times.within(rows, span, zone)


def merged(found: Collection[Maintenance], span: Span) -> list[Span]:
    """The time in which there was any, inside the span, without overlaps."""
    times: list[Span] = []
    for one in sorted(found, key=lambda one: one.from_ms):
        start_ms, end_ms = max(one.from_ms, span.start_ms), min(one.to_ms, span.end_ms)
        if start_ms >= end_ms:
            continue
        if times and start_ms <= times[-1].end_ms:
            times[-1] = Span(times[-1].start_ms, max(times[-1].end_ms, end_ms))
        else:
            times.append(Span(start_ms, end_ms))
    return times
