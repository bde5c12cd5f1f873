"""When a report is mailed, and what the mail says."""

from typing import Any

import pytest

from tests.reports.made import SPAN, ZONE, availability, headline, made
from titik_collector.languages.language import language
from titik_collector.reports import report_mail
from titik_collector.reports.report import Headline
from titik_collector.reports.report_words import ReportWords

FIRST = headline()


def used(**changed: Any) -> Headline:
    """The same with other figures of its use."""
    return Headline(FIRST.use._replace(**changed), FIRST.availability, FIRST.regardless, 2, 2)


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        (FIRST, False),
        (used(clients=40.3), False),
        (used(clients=40.5), True),
        (used(visits_max=1262), False),
        (used(visits_max=1263), True),
        (used(down_bytes=None), True),
        (headline(availability(290)), False),
        (headline(availability(500)), True),
    ],
)
def test_a_hundredth_is_worth_a_second_mail(last: Headline, expected: bool) -> None:
    """Of availability, devices, traffic, visits or interruptions, whichever moved."""
    assert expected == report_mail.moved(FIRST, last) == report_mail.moved(last, FIRST)


@pytest.mark.parametrize(
    ("changed", "mailed", "expected"),
    [
        ({"is_over": False}, None, False),
        ({}, None, True),
        ({}, used(clients=1.0), False),
        ({"revision": 1, "frozen_ms": SPAN.end_ms}, FIRST, False),
        ({"revision": 1, "frozen_ms": SPAN.end_ms}, used(clients=1.0), True),
        ({"revision": 1, "frozen_ms": SPAN.end_ms}, None, True),
    ],
)
def test_a_month_is_mailed_once_and_its_final_report_only_if_it_moved(
    changed: dict[str, Any], mailed: Headline | None, expected: bool
) -> None:
    """A month that goes on is not mailed at all."""
    assert expected == report_mail.due(made(**changed), mailed)


def test_a_mail_is_whole_without_its_pdf() -> None:
    """The first line says whether it can still change."""
    words = ReportWords(language("id"), ZONE)
    found = report_mail.mail(made(), words, "https://wifi.example/")
    assert "Kota Kupang: November 2026 (Sementara)" == found.subject
    assert ("tersedia", "antara 96,0% dan 98,0%") == found.rows[0]
    assert (
        "Gangguan terlama: Taman Tirosa, 1 j 30 m, sejak 1 Nov 05.00;"
        " penyebab yang mungkin: listrik padam."
    ) == found.last[0]
    assert ("https://wifi.example/reports/2026-11", "titik-2026-11.pdf") == (found.link, found.file)
    assert report_mail.mail(made(), words, None).link is None


def test_a_mail_of_a_month_that_is_known_in_part_says_so() -> None:
    """Before the figures."""
    parts = tuple(
        one._replace(coverage=None) if n < 24 else one for n, one in enumerate(made().parts)
    )
    words = ReportWords(language("en"), ZONE)
    sent = report_mail.mail(made(parts=parts), words, None)
    assert "Data from Nov 25 to Nov 30: 6 of 30 days." == sent.lines[-1]
