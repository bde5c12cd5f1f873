"""What the pages of a place and of a router show of maintenance: what goes on, what comes."""

from typing import Any

from starlette.requests import Request

from titik_collector.alerts.alert import AlertSubject
from titik_collector.alerts.desk_facts import Maintenance
from titik_collector.desk.desk_reading import EARLY_MS
from titik_collector.figures.windows import Span
from titik_collector.languages.codes import marked
from titik_collector.web import alert_view
from titik_collector.web.rendering import city_of
from titik_wire.instant import DAY_MS

AHEAD_MS = 14 * DAY_MS
MOST = 5  # that are listed, of each weekly one the next
# How long a click lasts, by what its button sends.
LENGTHS = {
    "1h": marked("1 hour"),
    "4h": marked("4 hours"),
    "tomorrow": marked("until 08:00 tomorrow"),
}


def work_shown(request: Request, subject: AlertSubject) -> dict[str, Any]:
    """By the names that the templates have for it."""
    view = city_of(request)
    span = Span(view.now_ms, view.now_ms + AHEAD_MS)
    first: dict[int, Maintenance] = {}
    for one in alert_view.work_of(view, subject, span):
        first.setdefault(one.number, one)
    work = list(first.values())[:MOST]
    each_week = {one.number for one in view.desk.posted.maintenance if one.weekly is not None}
    return {
        "work": work,
        "work_now": [one for one in work if one.from_ms < view.now_ms + EARLY_MS],
        "work_from_ms": view.now_ms + EARLY_MS,
        "work_place": subject,
        "work_weekly": each_week,  # to end one of these ends all of its weeks
        "lengths": LENGTHS,
        "title_of": lambda of: alert_view.title_of(view.config, of),
    }
