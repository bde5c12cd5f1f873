"""A report as tables for other programs: names of the contract's kind, ISO times, no separators.

Rule: what is not known is empty. Times have the offset of the city's zone, and lengths are minutes.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from titik_collector.queries.availability import PARTIES
from titik_collector.reports.report import Headline, PlaceHeadline, Report, ReportSubject
from titik_collector.reports.report_words import evidence, known_interruptions
from titik_collector.wording import when
from titik_wire.instant import MINUTE_MS

CAUSES = tuple(PARTIES)
PLACES = (
    *("period", "state", "kind", "name", "title", "places", "available_least", "available_most"),
    *("available_min", "not_available_min", "not_known_min", "excluded_min"),
    *("available_regardless_of_excluded", "internet_not_checked_min", "interruptions"),
    *(f"{cause.replace(' ', '_')}_min" for cause in CAUSES),
    *("clients_mean", "coverage_ratio", "wifi_down_bytes", "wifi_up_bytes", "wifi_coverage_ratio"),
    *("site_visits_min", "site_visits_max", "simulated", "flow_offload_ratio"),
)
INTERRUPTIONS = (
    *("period", "state", "site", "title", "provider", "circuit", "from", "to", "length_min"),
    *("cause", "party", "evidence", "goes_on"),
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def places(report: Report) -> str:
    """The subject first, then its providers, districts and places."""
    whole = PlaceHeadline(report.subject, report.headline)
    every = [whole, *report.providers, *report.districts, *report.places]
    return _written(PLACES, (_place(report, one.subject, one.headline) for one in every))


def interruptions(report: Report, zone: ZoneInfo) -> str:
    """One line each."""
    return _written(
        INTERRUPTIONS,
        (
            [
                *(report.period, _state(report), one.site, one.title, one.provider, one.circuit),
                *(when.iso(one.span.start_ms, zone), when.iso(one.span.end_ms, zone)),
                *(_minutes(one.lost_ms), one.cause, one.party, evidence(one)),
                "true" if one.goes_on and not report.is_over else "",
            ]
            for one in report.interruptions
        ),
    )


def _place(report: Report, subject: ReportSubject, head: Headline) -> Sequence[Any]:
    of, use = head.availability, head.use
    lost = {one.cause: one.ms for one in of.lost}
    return [
        *(report.period, _state(report), *subject, head.places, _ratio(of.least), _ratio(of.most)),
        *map(_minutes, (of.available_ms, of.lost_ms, of.unknown_ms, of.excluded_ms)),
        *(_ratio(head.regardless.ratio), _minutes(of.unchecked_ms), known_interruptions(head)),
        *(_minutes(lost.get(cause, 0)) for cause in CAUSES),
        *(_ratio(use.clients), _ratio(use.coverage), use.down_bytes, use.up_bytes),
        *(_ratio(use.traffic_coverage), use.visits_min, use.visits_max),
        "true" if report.is_simulated else "",
        _ratio(use.flow_offload or None),
    ]


def _state(report: Report) -> str:
    return "provisional" if report.revision is None else f"final {report.revision}"


def _minutes(ms: int) -> float:
    return round(ms / MINUTE_MS, 1)


def _ratio(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _written(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows([_plain(one) for one in row] for row in rows)
    return text.getvalue()


def _plain(value: Any) -> Any:
    """A spreadsheet takes what begins so for a formula."""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value
