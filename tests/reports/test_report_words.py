"""How a report says its figures."""

from dataclasses import replace

import pytest

from tests.reports.made import SPAN, ZONE, headline, made, use
from titik_collector.figures.windows import Span
from titik_collector.languages.language import language
from titik_collector.queries.availability import Availability, LostTime
from titik_collector.reports import city_reports
from titik_collector.reports.report_words import ReportWords
from titik_wire.instant import DAY_MS, HOUR_MS, MINUTE_MS

ENGLISH, INDONESIAN = (ReportWords(language(code), ZONE) for code in ("en", "id"))


def of(available: int, lost: int, unknown: int = 0) -> Availability:
    """Of some minutes."""
    return Availability(available, (LostTime("reboot", lost),) if lost else (), unknown)


@pytest.mark.parametrize(
    ("found", "english", "column"),
    [
        (of(100, 0), "100.0%", "100.0%"),
        (of(99_999, 1), "99.9%", "99.9%"),
        (of(9840, 160), "98.4%", "98.4%"),
        (of(9610, 160, 230), "between 96.1% and 98.4%", "96.1\N{EN DASH}98.4%"),
        (of(9611, 161, 229), "between 96.1% and 98.4%", "96.1\N{EN DASH}98.4%"),
        (of(9996, 0, 4), "100.0%", "100.0%"),
        (of(0, 0, 10), "between 0.0% and 100.0%", "0.0\N{EN DASH}100.0%"),
        (of(0, 0), "·", "·"),
    ],
)
def test_an_availability_is_its_bounds_where_it_is_not_known(
    found: Availability, english: str, column: str
) -> None:
    """It is never rounded up to what would be better than it was."""
    assert (english, column) == (ENGLISH.available(found), ENGLISH.short(found))


def test_of_a_time_without_data_no_number_of_interruptions_is_known() -> None:
    """On the page and at the prompt; where something is known, none is `0`."""
    heads = [replace(headline(one), interruptions=0) for one in (of(0, 0), of(0, 0, 9), of(9, 0))]
    assert ["·", "·", "0"] == [ENGLISH.interruptions(one) for one in heads]
    prompt = [dict(city_reports.figures(one, ENGLISH))["interruptions"] for one in heads]
    assert ["·", "·", "0"] == prompt


def test_a_change_is_signed_and_a_small_one_is_none() -> None:
    """Of availability in points, of amounts in percent."""
    assert ["+1.0 points", "as before", ""] == [
        ENGLISH.points(of(980, 20), of(*before)) for before in ((970, 30), (980, 20), (0, 0))
    ]
    assert ["+50%", "\N{MINUS SIGN}25%", "as before", ""] == [
        ENGLISH.change(now, before) for now, before in ((15, 10), (75, 100), (1001, 1000), (5, 0))
    ]


def test_what_is_compared_is_known() -> None:
    """a month that is known for a week is no month to compare with."""
    little = headline().use._replace(coverage=0.25)
    short = made(before=headline().__class__(little, of(1, 0), of(1, 0), 2, 0))
    assert ENGLISH.comparable(short) is None
    assert headline() == ENGLISH.comparable(made())


def test_times_are_the_city_s_and_end_at_midnight() -> None:
    """Within a day its date stands once."""
    begin = SPAN.start_ms
    spans = (
        Span(begin + 6 * HOUR_MS, begin + 7 * HOUR_MS + 5 * MINUTE_MS),
        Span(begin + 23 * HOUR_MS, begin + DAY_MS),
        Span(begin + 23 * HOUR_MS, begin + DAY_MS + HOUR_MS),
    )
    assert [
        "1 Nov 06.00 \N{EN DASH} 07.05",
        "1 Nov 23.00 \N{EN DASH} 24.00",
        "1 Nov 23.00 \N{EN DASH} 2 Nov 01.00",
    ] == [INDONESIAN.moments(one) for one in spans]


def test_amounts_are_short() -> None:
    """As people say them."""
    assert ("1,200 to 1,250", "1.2 GB") == (ENGLISH.visits(use(SPAN)), ENGLISH.traffic(use(SPAN)))
    assert ["·", "0", "7.4", "437"] == [ENGLISH.devices(one) for one in (None, 0, 7.42, 436.9)]
    assert ["0", "1 m", "2 h 10 m"] == [ENGLISH.length(ms) for ms in (0, 5000, 130 * MINUTE_MS)]
    assert ("November 2026", "8 Desember 2026") == (
        ENGLISH.period("2026-11"), INDONESIAN.frozen("2026-11"),
    )  # fmt: skip
