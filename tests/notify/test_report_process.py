"""The report of a month on its way, from the page's command to a mailbox, by real processes."""

from dataclasses import replace
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest

from tests.notify.cities import City, city, mailbox, now_ms, webhook
from tests.notify.messages import notification
from tests.notify.programs import Inbox, Program, mailing, serving
from tests.reports.made import ZONE, headline, made
from tests.until import until
from titik_collector.reports import freezing, posting_reports
from titik_collector.reports import period as periods
from titik_collector.reports.report import Report
from titik_collector.store import desk_opening, desk_posted_reports
from titik_collector.store.desk_posted_reports import PostedKey, PostedRow

pytestmark = pytest.mark.system
# This month, whose mails are never late; the report has that it is over.
MONTH = periods.at(now_ms(), ZONE).name
DELIVERED = [("it", 1, "delivered")]
MORE_VISITS = replace(headline(), use=headline().use._replace(visits_max=2000))


def post(one: City, report: Report) -> None:
    """As the page does."""
    key = PostedKey(report.period, report.revision or 0, "id")
    with desk_opening.opened(one.settings.page_store) as desk:
        with desk.transaction():
            for old, _ in desk_posted_reports.keys(desk):
                desk_posted_reports.remove(desk, old)
            row = PostedRow(*key, now_ms(), freezing.encode(report), b"%PDF-1.7")
            desk_posted_reports.put(desk, row)
        posting_reports.post(desk, one.settings.page_store)


def read(raw: bytes) -> EmailMessage:
    """As a mail program does."""
    found = message_from_bytes(raw, policy=policy.default)
    assert isinstance(found, EmailMessage)
    return found


def test_a_report_arrives_and_its_final_one_only_if_it_moved(tmp_path: Path, store: str) -> None:
    """As e-mail with its PDF, and as text at a program; a restart sends nothing twice."""
    inbox = Inbox()
    with serving(Program()) as program, mailing(inbox) as port:
        tables = mailbox(port) + "reports = true\n"
        tables += webhook(tmp_path, "desk", program.url) + "reports = true\n"
        with city(tmp_path, tables, store) as one:
            one.put()
            post(one, made(period=MONTH))
            one.start()
            both = {("it", 1, "delivered"), ("desk", 2, "delivered")}
            assert both == until(lambda: set(one.outcomes()), both)
            one.kill()
            post(one, made(period=MONTH, revision=1, frozen_ms=1))
            one.put(notification(7, due_ms=now_ms(), incident=None))
            one.start()
            last = ("it", 7, "delivered")  # the report was looked at before
            assert last == until(lambda: one.outcomes()[-1], last)
            one.kill()
            post(one, made(period=MONTH, revision=2, frozen_ms=1, headline=MORE_VISITS))
            one.start()
            assert 3 == until(lambda: len(inbox.mails), 3)
            assert 2 == until(lambda: len(program.bodies), 2)
    first, _, second = (read(raw) for raw in inbox.mails)
    assert ["Sementara" in first["Subject"], "Final" in second["Subject"]] == [True, True]
    (attached,) = first.iter_attachments()
    assert ("application/pdf", b"%PDF-1.7") == (
        attached.get_content_type(), attached.get_content(),
    )  # fmt: skip
    text = second.get_body(("plain",))
    assert text is not None
    assert "(sementara: 1.200 sampai 1.250)" in text.get_content()
    assert [("report", "note")] * 2 == [(one["what"], one["action"]) for one in program.bodies]


def test_a_kill_while_a_report_is_taken_costs_one_double(tmp_path: Path) -> None:
    """With the same Message-ID."""
    inbox = Inbox()
    with mailing(inbox) as port, city(tmp_path, mailbox(port) + "reports = true\n") as one:
        inbox.on_mail = lambda: one.kill() if len(inbox.mails) == 1 else None
        one.put()
        post(one, made(period=MONTH))
        one.start()
        assert 1 == until(lambda: len(inbox.mails), 1)
        until(lambda: one.processes[-1].poll() is not None, True)
        one.start()
        assert DELIVERED == until(one.outcomes, DELIVERED)
    first, second = (read(raw) for raw in inbox.mails)
    assert first["Message-ID"] == second["Message-ID"]
