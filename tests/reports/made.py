"""A report of a month for tests: nobody knows one of its days, and a provider's name is HTML."""

from typing import Any
from zoneinfo import ZoneInfo

from titik_collector.figures.windows import Calendar, Span
from titik_collector.queries.availability import Availability, LostTime
from titik_collector.reports import period as periods
from titik_collector.reports.report import (
    Headline,
    Peak,
    PlaceHeadline,
    Report,
    ReportedInterruption,
    ReportedMaintenance,
    ReportSubject,
    Use,
)
from titik_wire.instant import HOUR_MS, MINUTE_MS

ZONE = ZoneInfo("Asia/Makassar")
SPAN = periods.parse("2026-11").span(ZONE)
DAYS = list(Calendar(ZONE).days(*SPAN))
GONE = 3  # the day, from 0
SITE = ReportSubject("site", "tirosa", "Taman Tirosa")


def use(span: Span, clients: float | None = 40.0) -> Use:
    """Of some time."""
    return Use(span, clients, 0.97, 1_000_000_000, 200_000_000, 0.9, 1200, 1250)


def availability(unknown: int = 200, excluded: int = 0) -> Availability:
    """In minutes: 96 % is known to be good, and what is not known is 2 %."""
    return Availability(
        9600 * MINUTE_MS,
        (LostTime("power cut", 150 * MINUTE_MS), LostTime("no internet", 50 * MINUTE_MS)),
        unknown * MINUTE_MS,
        excluded * MINUTE_MS,
        4800 * MINUTE_MS,
    )


def headline(of: Availability | None = None) -> Headline:
    """Of two places."""
    of = of or availability()
    return Headline(use(SPAN), of, of, 2, 2)


def made(**changed: Any) -> Report:
    """The report of the city, with what is changed."""
    at = SPAN.start_ms + 5 * HOUR_MS
    values: dict[str, Any] = {
        "period": "2026-11",
        "subject": ReportSubject("city", "kupang", "Kota Kupang"),
        "span": SPAN,
        "made_ms": SPAN.end_ms + HOUR_MS,
        "headline": headline(),
        "before": headline(),
        "peak_hour": Peak(Span(at, at + HOUR_MS), 88.5),
        "busiest_day": Peak(DAYS[7], 51.25),
        "parts": tuple(
            use(day) if number != GONE else Use(day, None, 0.0, None, None, None, None, None)
            for number, day in enumerate(DAYS)
        ),
        "places": (PlaceHeadline(SITE, headline()),),
        "providers": (
            PlaceHeadline(ReportSubject("provider", "<b>Telkom</b>", "<b>Telkom</b>"), headline()),
        ),
        "interruptions": (
            ReportedInterruption(
                "tirosa", "Taman Tirosa", "=Telkom", "0123", Span(at, at + 90 * MINUTE_MS),
                90 * MINUTE_MS, "power cut", "power", None, False,
            ),
            ReportedInterruption(
                "tirosa", "Taman Tirosa", None, None, Span(SPAN.end_ms - HOUR_MS, SPAN.end_ms),
                HOUR_MS, "no internet", "provider", None, True,
            ),
        ),
        "planned": (ReportedMaintenance("site", "tirosa", Span(at, at + HOUR_MS), "mast", True),),
    }  # fmt: skip
    return Report(**{**values, **changed})
