"""Posts the report of the last month for `titik notify`, which mails it.

Who sends may not read the desk, where maintenance and final reports are. So the page makes it, with
its PDF, in each language in which somebody gets it.

Rule: it is posted on the 1st, at the hour of the daily summary. From the 8th on the final one takes
its place, and a week later there is none.
Rule: a PDF is made by a process of its own. Where that fails, the report is posted without one.
"""

import logging
from collections.abc import Callable
from typing import NamedTuple

from titik_collector.config.model import Config
from titik_collector.desk import posting
from titik_collector.files.locks import locked
from titik_collector.files.replace import replacing
from titik_collector.languages.language import language as language_of
from titik_collector.limits import MAX_ATTACHED, MAX_POSTED_REPORTS
from titik_collector.reports import (
    city_reports,
    freezing,
    posted_report,
    printing,
    report_mail,
)
from titik_collector.reports import period as periods
from titik_collector.reports.city_reports import AskedReport, Planned
from titik_collector.reports.period import Period
from titik_collector.reports.printing import NoPdf
from titik_collector.reports.report import Report
from titik_collector.reports.report_words import ReportWords
from titik_collector.store import desk_posted_reports, desk_reports
from titik_collector.store.database import Database
from titik_collector.store.desk_posted_reports import PostedKey, PostedRow
from titik_collector.store.opening import Where

log = logging.getLogger(__name__)
Print = Callable[[str], bytes]


class PostedPeriod(NamedTuple):
    """What is posted now."""

    month: Period
    revision: int  # 0: provisional


def due(settings: Config, now_ms: int, revision: Callable[[str], int]) -> PostedPeriod | None:
    """The month before this one; None: it is too early or too late for its mail."""
    zone = settings.city.timezone
    month = periods.at(now_ms, zone).before
    number = revision(month.name)
    begin_ms = report_mail.begin_ms(month, zone, settings.alert_settings.digest_min)
    end_ms = report_mail.end_ms(month, zone, is_final=number > 0)
    return PostedPeriod(month, number) if begin_ms <= now_ms < end_ms else None


def languages(settings: Config) -> list[str]:
    """Those in which somebody gets reports."""
    return sorted(
        {one.language or settings.web.language for one in settings.receiver if one.reports}
    )


def update(
    db: Database,
    desk: Database,
    settings: Config,
    now_ms: int,
    work: Planned,
    pdf: Print = printing.apart,
) -> list[str]:
    """Make what is due and missing, and forget the rest; a line for each report that was made."""
    wanted = due(settings, now_ms, lambda name: desk_reports.revision(desk, name))
    city = city_reports.city_of(settings)
    if wanted is not None and wanted.month not in city_reports.known_periods(db, city, now_ms):
        wanted = None
    keys: list[PostedKey] = []
    if wanted is not None:
        keys = [PostedKey(wanted.month.name, wanted.revision, one) for one in languages(settings)]
    there = [key for key, _ in desk_posted_reports.keys(desk)]
    missing = [key for key in keys if key not in there]
    if missing:
        report = _report(db, desk, settings, missing[0].period, now_ms, work)
        rows = [_row(report, key, settings, now_ms, pdf) for key in missing]
        with desk.transaction():
            for row in rows:
                desk_posted_reports.put(desk, row)
    old = [key for key in there if key not in keys]
    if old:
        with desk.transaction():
            for key in old:
                desk_posted_reports.remove(desk, key)
    post(desk, settings.page_store)
    return [_line(key) for key in missing]


def _report(
    db: Database, desk: Database, settings: Config, period: str, now_ms: int, work: Planned
) -> Report:
    frozen = freezing.read(desk, period, "city", "")
    if frozen is not None:
        return frozen
    with db.snapshot():
        return city_reports.one(db, settings, AskedReport(period), now_ms, work)


def _row(report: Report, key: PostedKey, settings: Config, now_ms: int, pdf: Print) -> PostedRow:
    words = ReportWords(language_of(key.language), settings.city.timezone)
    made = None
    try:
        made = pdf(printing.html(report, words, settings.city.title))
    except NoPdf as error:
        log.warning("the report is mailed without a PDF reason=%s", error)
    if made is not None and len(made) > MAX_ATTACHED:
        log.warning("the PDF is too large for a mail bytes=%d at_most=%d", len(made), MAX_ATTACHED)
        made = None
    return PostedRow(*key, now_ms, freezing.encode(report), made)


def post(desk: Database, where: Where) -> None:
    """Let `titik notify` see it; what fails is logged, and the next one makes up for it."""
    if where.path is None:
        return
    file = posted_report.file_of(where.path)
    try:
        with locked(file.parent):
            rows = desk_posted_reports.all_of(desk)
            if not rows:
                file.unlink(missing_ok=True)
                return
            text = posted_report.to_file(rows)
            reader = posting.share(file.parent, where.path.parent.stat().st_gid)
            if posting.has(file, text, reader.gid):
                return
            if len(text) > MAX_POSTED_REPORTS:
                raise OSError(f"{file}: would have {len(text)} bytes, at most {MAX_POSTED_REPORTS}")
            with replacing(file, reader) as raw:
                raw.write(text)
    except OSError as error:
        log.warning("the report cannot be posted, so it is not mailed reason=%s", error)


def _line(key: PostedKey) -> str:
    state = f"revision {key.revision}" if key.revision else "provisional"
    return f"{key.period}: the {state} report is posted for mails ({key.language})"
