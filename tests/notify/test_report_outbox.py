"""Which receiver gets the report of a month; a mail as it is put together."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.notify.messages import DOWN
from tests.reports.made import ZONE, headline, made
from titik_collector.config import model
from titik_collector.config.model import Config
from titik_collector.languages.language import language
from titik_collector.notify import choosing, mail
from titik_collector.notify.choosing import Waiting
from titik_collector.notify.composing import Writing
from titik_collector.notify.report_outbox import ReportOutbox
from titik_collector.notify.report_watch import ReportWatch
from titik_collector.reports import period as periods
from titik_collector.reports.posted_report import PostedReport
from titik_collector.reports.report import Headline, Report
from titik_collector.store.delivery_rows import DeliveryRow, Outcome
from titik_wire.instant import DAY_MS

FROZEN_MS = periods.parse("2026-11").frozen_ms(ZONE)
SECOND_MS = FROZEN_MS - 6 * DAY_MS  # 2 December
FOLDER = '[[receiver]]\nname = "{name}"\ntype = "folder"\nfolder = "mail"\n'
TABLES = (
    FOLDER.format(name="it") + "reports = true\n" + FOLDER.format(name="head")
    + 'language = "en"\nreports = true\n' + FOLDER.format(name="other")
)  # fmt: skip
BUSY = replace(headline(), use=headline().use._replace(clients=50.0))
FINAL = made(revision=1, frozen_ms=FROZEN_MS)
MOVED = made(revision=1, frozen_ms=FROZEN_MS, headline=BUSY)


class Posted(ReportWatch):
    """What a test has posted."""

    def __init__(self, *reports: Report) -> None:
        self.reports = reports

    def look(self) -> tuple[PostedReport, ...]:
        """In both languages."""
        codes = ("id", "en")
        return tuple(PostedReport(one, code, b"%PDF-") for one in self.reports for code in codes)


def settings_of(folder: Path) -> Config:
    """A city with two who get reports, and one who does not."""
    file = folder / "titik.toml"
    file.write_text(
        '[city]\nname = "kupang"\ntitle = "Kota Kupang"\ntimezone = "Asia/Makassar"\n'
        f'[store]\npath = "titik.db"\n[broker]\nport = 1\n{TABLES}'
    )
    return model.load(file)


def waiting(mails: ReportOutbox, now_ms: int, *deliveries: DeliveryRow) -> list[Waiting]:
    """What is to be sent at that moment."""
    mails._next_look = 0.0
    mails.look(now_ms, deliveries)
    return choosing.waiting_of(mails.messages(now_ms), deliveries)


def tried(one: Waiting, at_ms: int, outcome: Outcome = "delivered") -> DeliveryRow:
    """A row about a try."""
    return choosing.row_of(one, at_ms, outcome, None)


def names(some: list[Waiting]) -> list[str]:
    """To whoever."""
    return [one.notification.receiver for one in some]


def mails_of(folder: Path, *reports: Report) -> ReportOutbox:
    """As a notifier has them after its start."""
    return ReportOutbox(settings_of(folder), Posted(*reports))


@pytest.mark.parametrize(
    ("report", "days", "expected"),
    [
        (made(), 0, ["it", "head"]),
        (made(), 5.99, ["it", "head"]),
        (made(), 6, []),
        (made(is_over=False), 0, []),
        (FINAL, 6, ["it", "head"]),
        (FINAL, 12.99, ["it", "head"]),
        (FINAL, 13, []),
        (FINAL, 200, []),
    ],
)
def test_a_mail_goes_out_until_the_next_one_is_due(
    tmp_path: Path, report: Report, days: float, expected: list[str]
) -> None:
    """So whoever comes back after days sends it, and after a month sends nothing old."""
    now_ms = SECOND_MS + round(days * DAY_MS)
    assert expected == names(waiting(mails_of(tmp_path, report), now_ms))


@pytest.mark.parametrize(("last", "expected"), [(FINAL, []), (MOVED, ["it", "head"]), (made(), [])])
def test_the_final_report_is_mailed_only_if_a_figure_moved(
    tmp_path: Path, last: Report, expected: list[str]
) -> None:
    """Since the mail that arrived, also after a restart."""
    mails = mails_of(tmp_path, made())
    arrived = [tried(one, SECOND_MS) for one in waiting(mails, SECOND_MS)]
    assert [] == waiting(mails, SECOND_MS + 1, *arrived)
    mails.watch = Posted(last)
    assert expected == names(waiting(mails, FROZEN_MS, *arrived))


def test_who_did_not_get_the_provisional_report_gets_the_final_one(tmp_path: Path) -> None:
    """It is tried for days, until the final one takes its place."""
    mails = mails_of(tmp_path, made())
    (it, head) = waiting(mails, SECOND_MS)
    arrived, failed = tried(head, SECOND_MS), tried(it, SECOND_MS, "failed")
    later_ms = FROZEN_MS - 1
    (again,) = waiting(mails, later_ms, arrived, failed)
    assert (it.key, 1, False) == (again.key, again.tries, choosing.is_over(again, later_ms))
    mails.watch = Posted(FINAL)
    (final,) = waiting(mails, FROZEN_MS, arrived, failed)
    assert ("it", True) == (final.notification.receiver, final.key != it.key)


def test_a_report_that_is_frozen_again_is_mailed_again_if_it_moved(tmp_path: Path) -> None:
    """And not the same revision twice."""
    mails = mails_of(tmp_path, FINAL)
    arrived = [tried(one, FROZEN_MS) for one in waiting(mails, FROZEN_MS)]
    mails.watch = Posted(replace(MOVED, revision=2))
    second = waiting(mails, FROZEN_MS + 1, *arrived)
    assert ["it", "head"] == names(second)
    arrived += [tried(one, FROZEN_MS) for one in second]
    assert [] == waiting(mails, FROZEN_MS + 2, *arrived)


def test_a_restart_keeps_the_number_of_a_mail(tmp_path: Path) -> None:
    """So a double has the same Message-ID."""
    first = waiting(mails_of(tmp_path, made()), SECOND_MS)
    again = waiting(mails_of(tmp_path, made()), SECOND_MS + DAY_MS)
    assert [one.key.id for one in first] == [one.key.id for one in again]
    assert 2 == len({one.key.id for one in first})


@pytest.mark.parametrize(
    ("code", "before", "subject", "first", "row"),
    [
        (
            "id", None, "Kota Kupang: November 2026 (Sementara)",
            "Sementara: data yang terlambat dapat mengubahnya sampai 8 Desember 2026",
            ("perangkat, rata-rata", "40,0"),
        ),
        (
            "en", None, "Kota Kupang: November 2026 (Provisional)",
            "Provisional: late data can change it until 8 December 2026",
            ("devices, on average", "40.0"),
        ),
        (
            "en", BUSY, "Kota Kupang: November 2026 (Final)",
            "This final report takes the place of the provisional one: its figures changed.",
            ("devices, on average", "40.0 (provisional: 50.0)"),
        ),
    ],
)  # fmt: skip
def test_a_mail_has_the_first_page_and_the_pdf(
    tmp_path: Path,
    code: str,
    before: Headline | None,
    subject: str,
    first: str,
    row: tuple[str, str],
) -> None:
    """In the language of its receiver; a second one says what changed."""
    report = made() if before is None else FINAL
    mails = mails_of(tmp_path, report)
    (it, _) = waiting(mails, FROZEN_MS - 1 if before is None else FROZEN_MS)
    ready = mails.mail_of(it)
    assert ready is not None
    writing = Writing(language=language(code), zone=ZONE, city="kupang", url="https://wifi.example")
    found = ready._replace(before=before).compose(writing, SECOND_MS)
    assert (subject, (subject, first)) == (found.subject, found.lines)
    assert row in found.rows
    assert ("https://wifi.example/reports/2026-11", None) == (found.link, found.thread)
    built = mail.build(found, "it@k.id", "t@k.id", "Kota Kupang")
    (attached,) = built.iter_attachments()
    assert ("titik-2026-11.pdf", b"%PDF-") == (
        attached.get_filename(), attached.get_content(),
    )  # fmt: skip


def test_a_pdf_that_does_not_go_through_stays_at_home(tmp_path: Path) -> None:
    """After three tries the mail goes without it, and says so."""
    mails = mails_of(tmp_path, made())
    (it, _) = waiting(mails, SECOND_MS)
    ready = mails.mail_of(it._replace(tries=3))
    assert ready is not None
    writing = Writing(language=language("en"), zone=ZONE, city="kupang")
    found = ready.compose(writing, SECOND_MS)
    last = "No PDF is attached: the server could not make or send one."
    assert (None, None, last) == (found.pdf, found.link, found.last[-1])


def test_a_message_that_is_no_report_is_left_alone(tmp_path: Path) -> None:
    """It is worded as ever."""
    mails = mails_of(tmp_path, made())
    (it, _) = waiting(mails, SECOND_MS)
    about = replace(it.notification, message=DOWN)
    assert mails.mail_of(it._replace(notification=about)) is None
