"""Which mail about a report is due, and what it says; who sends it is not decided here.

Rule: a month that is over is mailed once, as provisional. Its final report is mailed again only
where a figure of the headline moved by more than a hundredth since.
Rule: the provisional mail goes out until the month is frozen, and the final one for a week more. So
whoever comes back from a backup or from a long absence sends nothing old.
Rule: the mail has the first page of the report, so it is whole without the PDF and pictures.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from titik_collector.languages.codes import marked
from titik_collector.reports import city_reports
from titik_collector.reports import period as periods
from titik_collector.reports.period import Period
from titik_collector.reports.report import Headline, Report
from titik_collector.reports.report_words import ReportWords, traffic
from titik_wire.instant import DAY_MS

MOVED = 0.01
LATE_MS = 7 * DAY_MS  # after the freeze
_LATE_DATA = marked("late data can change it until {day}")
_MOVED = marked("This final report takes the place of the provisional one: its figures changed.")
_BEFORE = marked("{value} (provisional: {before})")
_NO_PDF = marked("No PDF is attached: the server could not make or send one.")
_DEMO = marked("A demo: its visitors, figures and outages are invented.")
_LONGEST = marked(
    "The longest interruption: {name}, {length}, from {moment}; probable cause: {cause}."
)


class ReportMail(NamedTuple):
    """One mail, in the language of its receiver."""

    subject: str
    lines: tuple[str, ...]
    rows: tuple[tuple[str, str], ...]  # figures, each with its name
    last: tuple[str, ...]  # what stands below them
    link: str | None  # where the page shows it; None: the page has no address
    file: str  # the name of the PDF beside it


def begin_ms(month: Period, zone: ZoneInfo, minute: int) -> int:
    """When a month's mail can go: on the 1st of the next, so many minutes after midnight."""
    after, (hour, rest) = month.after, divmod(minute, 60)
    moment = datetime(after.year, after.month or 1, 1, hour, rest, tzinfo=zone)
    return round(moment.timestamp() * 1000)


def end_ms(period: Period, zone: ZoneInfo, *, is_final: bool) -> int:
    """When such a mail is too late."""
    return period.frozen_ms(zone) + (LATE_MS if is_final else 0)


def is_late(report: Report, zone: ZoneInfo, now_ms: int) -> bool:
    """Whether it is mailed no more."""
    period = periods.parse(report.period)
    return now_ms >= end_ms(period, zone, is_final=report.revision is not None)


def due(report: Report, mailed: Headline | None) -> bool:
    """Whether it is to be mailed; `mailed`: the headline of the mail before, if there was one."""
    if not report.is_over:
        return False
    return mailed is None or (report.revision is not None and moved(mailed, report.headline))


def moved(first: Headline, last: Headline) -> bool:
    """By more than MOVED; what was not known and is, or the other way, moved too."""
    pairs = zip(_figures(first), _figures(last), strict=True)
    return any(_differs(one, other) for one, other in pairs)


def mail(
    report: Report,
    words: ReportWords,
    url: str | None,
    before: Headline | None = None,
    has_pdf: bool = True,
) -> ReportMail:
    """What it says; `before`: the headline of the mail that it takes the place of."""
    link = None if url is None else f"{url.rstrip('/')}/reports/{report.period}"
    return ReportMail(
        city_reports.title(report, words),
        tuple(_lines(report, words, before)),
        tuple(_rows(report.headline, before, words)),
        tuple(_last(report, words, has_pdf)),
        link,
        f"titik-{report.period}.pdf",
    )


def _lines(report: Report, words: ReportWords, before: Headline | None) -> Iterator[str]:
    say = words.lang.say
    if report.is_simulated:
        yield say(_DEMO)
    if report.revision is None:
        late = say(_LATE_DATA).format(day=words.frozen(report.period))
        yield f"{say('Provisional')}: {late}"
    elif before is not None:
        yield say(_MOVED)
    if known := words.known_part(report):
        yield known


def _rows(head: Headline, before: Headline | None, words: ReportWords) -> Iterator[tuple[str, str]]:
    now = city_reports.figures(head, words)
    then = now if before is None else city_reports.figures(before, words)
    for (name, value), (_, old) in zip(now, then, strict=True):
        changed = words.lang.say(_BEFORE).format(value=value, before=old)
        yield name, value if value == old else changed


def _last(report: Report, words: ReportWords, has_pdf: bool) -> Iterator[str]:
    say = words.lang.say
    if worst := words.longest(report):
        yield say(_LONGEST).format(
            name=worst.title,
            length=words.length(worst.lost_ms),
            moment=words.moment(worst.span.start_ms),
            cause=words.cause(worst.cause),
        )
    if bad := words.most_lost(report):
        places = [
            f"{one.subject.title} {words.length(one.headline.availability.lost_ms)}" for one in bad
        ]
        yield f"{say('Where most time was lost')}: {', '.join(places)}."
    if not has_pdf:
        yield say(_NO_PDF)


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
