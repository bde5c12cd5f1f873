"""A report on paper: what stands in it, and that it can be read aloud."""

import io
import re
import sys
from dataclasses import replace
from typing import Any

import pytest
from pypdf import PdfReader

from tests.reports.made import DAYS, SPAN, ZONE, availability, headline, made, use
from titik_collector.languages.language import language
from titik_collector.queries.availability import Availability
from titik_collector.reports import printing
from titik_collector.reports.printing import NoPdf
from titik_collector.reports.report import PlaceHeadline, Report, ReportSubject
from titik_collector.reports.report_words import ReportWords


def html(found: Report, code: str = "en") -> str:
    """As one page."""
    return printing.html(found, ReportWords(language(code), ZONE), "Kota Kupang")


def plain(page: str) -> str:
    """Without tags."""
    body = page.partition("</style>")[2]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", body))


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, "<b>Provisional</b>: late data can change it until 8 December 2026"),
        ({"is_over": False}, "<b>Provisional</b>: the time until 1 December 2026 00:00 WITA"),
        (
            {"revision": 3, "frozen_ms": made().span.end_ms},
            "<b>Final</b>, revision 3, frozen on 1 December 2026",
        ),
        ({"is_simulated": True}, "A demo: its visitors, figures and outages are invented."),
        ({"has_hours": True}, "Only the opening hours count."),
        ({"left_out": 7}, "7 shorter ones are left out."),
        ({"before": None}, "Not compared with October 2026: too little is known of it."),
        ({"interruptions": ()}, "No interruption is known."),
    ],
)
def test_a_report_says_how_far_it_can_be_believed(changed: dict[str, Any], expected: str) -> None:
    """Whether it can still change, and what it lacks."""
    assert expected in html(made(**changed))


@pytest.mark.parametrize(
    ("code", "known", "words"),
    [
        ("en", range(24, 30), "Data from Nov 25 to Nov 30: 6 of 30 days."),
        ("id", range(24, 30), "Data dari 25 Nov sampai 30 Nov: 6 dari 30 hari."),
        ("en", range(24, 25), "Data of Nov 25: 1 of 30 days."),
        ("en", range(30), ""),
        ("en", range(0), ""),
    ],
)
def test_a_month_that_is_known_in_part_says_so(code: str, known: range, words: str) -> None:
    """On the first page, before what it says of that part."""
    nothing = use(SPAN)._replace(clients=None, coverage=None)
    parts = tuple(
        use(day) if number in known else nothing._replace(span=day)
        for number, day in enumerate(DAYS)
    )
    found = plain(html(made(parts=parts), code))
    assert words == "".join(re.findall(r"Data (?:from|of|dari) .*?\.", found)[:1])
    assert not words or found.index(words) < found.index("98")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("en", "may be too low: flow offload is on"),
        ("id", "mungkin terlalu rendah: flow offload aktif"),
    ],
)
def test_traffic_that_passed_the_counters_by_is_marked(code: str, words: str) -> None:
    """At its figure, and in the lines of places by a sign that fits there."""
    low = replace(headline(), use=headline().use._replace(flow_offload=0.1))
    place = PlaceHeadline(ReportSubject("site", "tirosa", "Taman Tirosa"), low)
    found = plain(html(made(headline=low, places=(place,)), code))
    assert words in found
    assert 2 == found.count("\N{GREATER-THAN OR EQUAL TO} 1")
    assert words not in plain(html(made(), code))


@pytest.mark.parametrize(
    ("code", "lead", "fact"),
    [
        ("en", "The busiest hour began on", "06:00: 88.5 devices on average"),
        ("id", "Jam tersibuk mulai pada", "06.00: rata-rata 88,5 perangkat"),
    ],
)
def test_most_devices_are_the_mean_of_an_hour_and_called_so(
    code: str, lead: str, fact: str
) -> None:
    """The history has the most of a minute, which is more."""
    found = plain(html(made(), code))
    assert (True, True) == (lead in found, fact in found)


def test_a_time_without_data_has_no_number_of_interruptions() -> None:
    """Of the whole and of a place."""
    nothing = replace(headline(Availability(0, (), 600)), interruptions=0)
    place = PlaceHeadline(ReportSubject("site", "tirosa", "Taman Tirosa"), nothing)
    found = html(made(headline=nothing, places=(place,), providers=(), interruptions=()))
    assert "<dt>interruptions</dt><dd>·</dd>" in found
    assert 'data-label="interruptions">·</td>' in found


def test_much_excluded_time_turns_the_figure_grey_and_gives_both() -> None:
    """Above a twentieth."""
    grey = headline(availability(200, excluded=2000))
    assert 'class="r-figure r-grey"' in html(made(headline=grey))
    assert "with the excluded time: between 96.0% and 98.0%" in html(made(headline=grey))
    assert "with the excluded time" not in html(made())


def test_where_nobody_asked_the_internet_the_report_says_so() -> None:
    """Everywhere, or in a part of the time."""
    some = html(made())
    assert "Internet not checked everywhere" in some
    assert "in 50.0% of the available time" in some
    of = availability()
    none = headline(type(of)(of.available_ms, of.lost, of.unknown_ms, 0, of.available_ms))
    assert "<b>Internet not checked</b>" in html(made(headline=none))


def test_what_people_entered_is_text() -> None:
    """A provider's name is no HTML."""
    assert "&lt;b&gt;Telkom&lt;/b&gt;" in html(made())
    assert "<b>Telkom</b>" not in html(made())


def test_visits_are_never_visitors() -> None:
    """In no language, but for the note of a demo."""
    for code, word in (("en", "visitor"), ("id", "pengunjung")):
        text = plain(html(made(), code)).lower()
        assert word not in text
        assert {"en": "site visits", "id": "kunjungan"}[code] in text


def test_days_that_nobody_knows_are_hatched() -> None:
    """In each chart, as the bar and as what is known of the day."""
    assert 4 == len(re.findall(r'<rect fill="url\(#h-(?:devices|traffic)\)"', html(made())))


@pytest.mark.thorough
@pytest.mark.parametrize("code", ["en", "id"])
def test_a_pdf_is_tagged_and_has_the_text(code: str) -> None:
    """Its first page is whole without the others; headings, tables and pictures are tagged."""
    reader = PdfReader(io.BytesIO(printing.pdf(html(made(), code))))
    words = ReportWords(language(code), ZONE)
    first = " ".join(reader.pages[0].extract_text().split())
    assert words.available(availability()) in first
    assert words.period("2026-11") in first
    root: Any = reader.trailer["/Root"]
    assert (True, code) == (root["/MarkInfo"]["/Marked"], root["/Lang"])
    assert {"/H1", "/H2", "/Table", "/TH", "/TD", "/P", "/LI", "/Figure"} <= tags(
        root["/StructTreeRoot"]
    )
    assert f"Kota Kupang: {words.period('2026-11')}" == reader.metadata.title  # type: ignore[union-attr]


def tags(node: Any) -> set[str]:
    """Of a PDF's tree, by their names."""
    node = node.get_object() if hasattr(node, "get_object") else node
    if isinstance(node, list):
        return set().union(*map(tags, node))
    if not isinstance(node, dict):
        return set()
    own = {str(node["/S"])} if "/S" in node else set()
    return own | (tags(node["/K"]) if "/K" in node else set())


@pytest.mark.thorough
def test_a_pdf_fetches_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """What a page names is not asked for, on the network or the disk."""
    page = html(made()).replace("</body>", '<img src="file:///etc/passwd" alt="x"></body>')
    assert b"/Image" not in printing.pdf(page)
    assert "file:///etc/passwd" in caplog.text


def test_without_its_library_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """As an operator can type it."""
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    with pytest.raises(NoPdf, match=f'{sys.executable} -m pip install "weasyprint>=68"'):
        printing.pdf("<p>x</p>")
