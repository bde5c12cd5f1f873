"""Which receiver gets the report of a month, and whether the final one follows.

The page posts the report with its PDF, so nothing is computed here. A mail goes the way of all
messages: through the lane of its receiver, with their tries.

Rule: a mail has its row before its first try. A kill between sending and marking makes one double,
with the same Message-ID.
Rule: the figures of a row are those that were mailed. Whether the final report is mailed is judged
by the last ones that arrived.
Rule: a PDF that did not go through, or was refused, at a few tries stays at home.
"""

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from titik_collector.alerts.alert import AlertSubject, Message, Notification
from titik_collector.config.model import Config
from titik_collector.config.receiver_tables import Receiver
from titik_collector.notify import choosing, composing
from titik_collector.notify.choosing import Waiting
from titik_collector.notify.composed import Composed, MessageKey
from titik_collector.notify.composing import Writing
from titik_collector.notify.report_watch import ReportWatch
from titik_collector.reports import report_mail
from titik_collector.reports.posted_report import PostedReport
from titik_collector.reports.report import Headline, Report
from titik_collector.reports.report_words import ReportWords
from titik_collector.store import notify_opening, report_mail_rows
from titik_collector.store.database import StoreError
from titik_collector.store.delivery_rows import DeliveryRow
from titik_collector.store.report_mail_rows import KnownReportMail, ReportMailRow
from titik_wire.instant import DAY_MS

log = logging.getLogger(__name__)

LOOK_S = 60.0
TRIES_WITH_PDF = 3
KEPT_MS = 90 * DAY_MS  # as deliveries are


class WaitingReport(NamedTuple):
    """A report on its way to one receiver."""

    one: Waiting
    posted: PostedReport
    before: Headline | None  # what was mailed of the same month

    def compose(self, writing: Writing, now_ms: int) -> Composed:
        """In its words."""
        pdf = self.posted.pdf if self.one.tries < TRIES_WITH_PDF else None
        words = ReportWords(writing.language, writing.zone)
        mail = report_mail.mail(
            self.posted.report, words, writing.url, self.before, pdf is not None
        )
        return composing.compose_report(self.one, mail, pdf, writing, now_ms)


@dataclass(eq=False)
class ReportOutbox:
    """From its first look on; where nothing can be written, reports wait."""

    settings: Config
    watch: ReportWatch
    _rows: list[KnownReportMail] | None = None  # None: not read yet
    _posted: tuple[PostedReport, ...] = ()
    _next_look: float = 0.0
    _logged: str | None = None

    def look(self, now_ms: int, deliveries: Iterable[DeliveryRow]) -> None:
        """Once a minute: what is posted, what arrived, and what is due."""
        if time.monotonic() < self._next_look or not any(self._receivers()):
            return
        self._next_look = time.monotonic() + LOOK_S
        self._posted = self.watch.look()
        try:
            self._take(now_ms, deliveries)
        except StoreError as error:
            if str(error) != self._logged:
                log.error("mails of reports cannot be written reason=%s", error)
            self._logged = str(error)
        else:
            self._logged = None

    def messages(self, now_ms: int) -> list[tuple[MessageKey, Notification]]:
        """Those that may have to be sent."""
        return [
            (key_of(row), self._notification(row, posted.report))
            for receiver in self._receivers()
            for row, posted in self._waiting(receiver, now_ms)
        ]

    def mail_of(self, one: Waiting) -> WaitingReport | None:
        """What is behind a message; None: it is no report."""
        about = one.notification
        if about.message.what != "report":
            return None
        row = next(known.row for known in self._rows or () if key_of(known.row) == one.key)
        posted = self._of(row)
        assert posted is not None
        mine = self._mine(about.receiver, row.period)
        return WaitingReport(one, posted, mailed([known for known in mine if known.row != row]))

    def _receivers(self) -> Iterator[Receiver]:
        return (one for one in self.settings.receiver if one.reports)

    def _take(self, now_ms: int, deliveries: Iterable[DeliveryRow]) -> None:
        if self._rows is None:
            with notify_opening.opened(self.settings.page_store) as db:
                self._rows = report_mail_rows.all_of(db)
        became = {choosing.tried(one): one.outcome for one in deliveries if one.outcome != "failed"}
        self._rows = [
            known._replace(outcome=known.outcome or became.get(key_of(known.row)))
            for known in self._rows
        ]
        for receiver in self._receivers():
            for posted in self._posted:
                mine = self._mine(receiver.name, posted.report.period)
                is_its = posted.language == self._language(receiver)
                if is_its and self._is_due(posted.report, mine, now_ms):
                    self._add(receiver.name, posted.report, now_ms)

    def _is_due(self, report: Report, mine: Sequence[KnownReportMail], now_ms: int) -> bool:
        revision = report.revision or 0
        if any(known.row.revision >= revision for known in mine):
            return False
        if report_mail.is_late(report, self.settings.city.timezone, now_ms):
            return False
        return report_mail.due(report, mailed(mine))

    def _add(self, receiver: str, report: Report, now_ms: int) -> None:
        assert self._rows is not None
        number = max((known.row.number for known in self._rows), default=0) + 1
        headline = msgspec.json.encode(report.headline).decode()
        revision = report.revision or 0
        row = ReportMailRow(number, report.period, revision, receiver, now_ms, headline)
        with notify_opening.opened(self.settings.page_store) as db, db.transaction():
            report_mail_rows.add(db, row)
            report_mail_rows.prune(db, now_ms - KEPT_MS)
        self._rows = [*self._rows, KnownReportMail(row, None)]
        log.info("report is mailed receiver=%s period=%s", receiver, report.period)

    def _mine(self, receiver: str, period: str) -> list[KnownReportMail]:
        return [
            known
            for known in self._rows or ()
            if known.row.receiver == receiver and known.row.period == period
        ]

    def _waiting(
        self, receiver: Receiver, now_ms: int
    ) -> Iterator[tuple[ReportMailRow, PostedReport]]:
        """The newest, if nothing became of it, and it can be sent: a later one replaces it."""
        mine = [known for known in self._rows or () if known.row.receiver == receiver.name]
        if not mine or mine[-1].outcome is not None:
            return
        row = mine[-1].row
        posted = self._of(row)
        zone = self.settings.city.timezone
        if posted is not None and not report_mail.is_late(posted.report, zone, now_ms):
            yield row, posted

    def _of(self, row: ReportMailRow) -> PostedReport | None:
        receiver = next(one for one in self.settings.receiver if one.name == row.receiver)
        wanted = (row.period, row.revision, self._language(receiver))
        return next(
            (
                one
                for one in self._posted
                if (one.report.period, one.report.revision or 0, one.language) == wanted
            ),
            None,
        )

    def _language(self, receiver: Receiver) -> str:
        return receiver.language or self.settings.web.language

    def _notification(self, row: ReportMailRow, report: Report) -> Notification:
        city = self.settings.city
        return Notification(
            number=row.number,
            incident=None,
            receiver=row.receiver,
            made_ms=row.made_ms,
            due_ms=row.made_ms,
            message=Message(
                what="report",
                kind="group-outage",
                severity="info",
                subject=AlertSubject("city", city.name),
                title=city.title,
                from_ms=report.span.start_ms,
                to_ms=report.span.end_ms,
            ),
        )


def key_of(row: ReportMailRow) -> MessageKey:
    """Of the message that a row is about."""
    return MessageKey("own", row.number, row.made_ms)


def mailed(mine: Iterable[KnownReportMail]) -> Headline | None:
    """The figures of the last mail that arrived; None: none did."""
    arrived = [known.row for known in mine if known.outcome == "delivered"]
    return msgspec.json.decode(arrived[-1].headline, type=Headline) if arrived else None
