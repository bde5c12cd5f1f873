"""Which mail about a report is due, and what it says; who sends it is not decided here.

Rule: a month that is over is mailed once, as provisional. Its final report is mailed again only
where a figure of the headline moved by more than a hundredth since.
Rule: the mail is what `titik report` prints, so it is whole without the PDF and without pictures.
"""

from collections.abc import Iterator
from typing import NamedTuple

from titik_collector.reports import city_reports
from titik_collector.reports.report import Headline, Report
from titik_collector.reports.report_words import ReportWords, traffic

MOVED = 0.01


class ReportMail(NamedTuple):
    """One mail, in the language of its receiver."""

    subject: str
    lines: tuple[str, ...]
    link: str | None  # where the page shows it; None: the page has no address
    file: str  # the name of the PDF beside it


def due(report: Report, mailed: Headline | None) -> bool:
    """Whether it is to be mailed; `mailed`: the headline of the mail before, if there was one."""
    if not report.is_over:
        return False
    return mailed is None or (report.revision is not None and moved(mailed, report.headline))


def moved(first: Headline, last: Headline) -> bool:
    """By more than MOVED; what was not known and is, or the other way, moved too."""
    pairs = zip(_figures(first), _figures(last), strict=True)
    return any(_differs(one, other) for one, other in pairs)


def mail(report: Report, words: ReportWords, url: str | None) -> ReportMail:
    """What it says."""
    subject, *lines = city_reports.summary(report, words)
    link = None if url is None else f"{url.rstrip('/')}/reports/{report.period}"
    return ReportMail(subject, tuple(lines), link, f"titik-{report.period}.pdf")


def _figures(of: Headline) -> Iterator[float | None]:
    yield of.availability.least
    yield of.availability.most
    yield of.use.clients
    yield traffic(of.use)
    yield of.use.visits_max
    yield of.interruptions


def _differs(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is not other
    return abs(one - other) > MOVED * max(abs(one), abs(other))
