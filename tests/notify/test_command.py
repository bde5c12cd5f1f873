"""`titik notify test` and `list`, as an operator types them."""

import os
import pwd
import re
import shutil
import tempfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.notify.cities import city, mailbox, now_ms, webhook
from tests.notify.messages import notification
from tests.notify.programs import Inbox, Program, mailing, serving
from tests.ports import free_port
from titik_collector.cli import titik
from titik_collector.store import delivery_rows, notify_opening, report_mail_rows
from titik_collector.store.delivery_rows import DeliveryRow
from titik_collector.store.report_mail_rows import ReportMailRow
from titik_collector.wording import when

pytestmark = pytest.mark.thorough
NOBODY = pwd.getpwuid(65534)
FOLDER = '[[receiver]]\nname = "it"\ntype = "folder"\nfolder = "mail"\nreports = true\n'


def typed(file: Path, *words: str) -> Result:
    """What `titik notify` prints."""
    return CliRunner().invoke(titik, ["notify", *words, "--config", str(file)])


def test_a_test_message_walks_each_step(tmp_path: Path) -> None:
    """And arrives."""
    inbox = Inbox()
    with mailing(inbox) as port, city(tmp_path, mailbox(port)) as one:
        done = typed(one.settings.file, "test", "it")
    assert (0, 1) == (done.exit_code, len(inbox.mails))
    steps = [line.split()[1] for line in done.output.splitlines() if line.startswith("ok")]
    assert ["config", "secret", "dns", "tcp", "send"] == steps
    assert "sent; does it arrive at it?" in done.output


def test_where_it_ends_the_remedy_follows(tmp_path: Path) -> None:
    """Each step before it is there."""
    port = free_port()
    with city(tmp_path, webhook(tmp_path, "desk", f"http://127.0.0.1:{port}/s3cr3t")) as one:
        done = typed(one.settings.file, "test", "desk")
        (tmp_path / "desk.url").chmod(0o644)
        open_ = typed(one.settings.file, "test", "desk")
        nobody = typed(one.settings.file, "test", "desc")
    assert 1 == done.exit_code
    assert f"FAIL  tcp: 127.0.0.1:{port}: Connection refused" in done.output
    assert "check url or url_file, the firewall" in done.output
    assert "s3cr3t" not in done.output
    assert "chmod 600" in open_.output
    assert "there is no receiver desc; allowed: desk" in nobody.output


def test_a_program_that_does_not_know_us_is_named(tmp_path: Path) -> None:
    """At the step of the login."""
    with (
        serving(Program([(401, {}, b"")])) as program,
        city(tmp_path, webhook(tmp_path, "desk", program.url)) as one,
    ):
        done = typed(one.settings.file, "test", "desk")
    assert "FAIL  login: it answered 401 Unauthorized" in done.output


def test_mails_of_reports_are_listed_with_the_next_one(tmp_path: Path) -> None:
    """Which month it was; the next one comes on the 1st, with the summary of a day."""
    with city(tmp_path, FOLDER) as one:
        begin = typed(one.settings.file, "list").output.splitlines()
        with notify_opening.opened(one.settings.store) as db, db.transaction():
            report_mail_rows.add(db, ReportMailRow(1, "2026-10", 0, "it", 60_000, "{}"))
            report_mail_rows.add(db, ReportMailRow(2, "2026-10", 1, "it", 60_000, "{}"))
            tries = [DeliveryRow("own", n, 60_000, None, "it", n, "delivered") for n in (1, 2)]
            delivery_rows.add(db, tries)
        *listed, last = typed(one.settings.file, "list").output.splitlines()
    assert ["none", last] == begin
    assert [
        "1970-01-01 08:00  it  delivered report 2026-10 (provisional)",
        "1970-01-01 08:00  it  delivered report 2026-10",
    ] == listed
    assert re.fullmatch(r"\d{4}-\d\d-01 08:00  report \d{4}-\d\d is mailed next, to it", last)


def test_what_was_tried_is_listed(tmp_path: Path) -> None:
    """By time in the city's zone; of a city without any there is nothing."""
    with city(tmp_path, webhook(tmp_path, "desk", "http://127.0.0.1:1/")) as one:
        file = one.settings.file
        assert "none\n" == typed(file, "list").output
        rows = [
            DeliveryRow("store", 1, 1, 12, "desk", 0, "failed", "tcp: refused"),
            DeliveryRow("store", 1, 1, 12, "desk", 60_000, "delivered"),
            DeliveryRow("store", 2, 1, None, "it", 60_000, "expired", "of before a restore"),
        ]
        with notify_opening.opened(one.settings.store) as db, db.transaction():
            delivery_rows.add(db, rows)
        assert [
            "1970-01-01 08:00  desk  failed incident 12 (tcp: refused)",
            "1970-01-01 08:01  desk  delivered incident 12",
            "1970-01-01 08:01  it  expired (of before a restore)",
        ] == typed(file, "list").output.splitlines()
        assert 1 == len(typed(file, "list", "--expired").output.splitlines())
        assert 1 == len(typed(file, "list", "--failed").output.splitlines())


def test_what_waits_is_listed_below(tmp_path: Path) -> None:
    """Until when; not who is asked if nobody acknowledges."""
    with city(tmp_path, webhook(tmp_path, "desk", "http://127.0.0.1:1/")) as one:
        at_ms = now_ms() + 3_600_000
        one.put(
            notification(1, due_ms=at_ms, receiver="desk", incident=12),
            notification(2, "escalation", due_ms=at_ms, receiver="boss", incident=12),
        )
        (line,) = typed(one.settings.file, "list").output.splitlines()
        assert "none\n" == typed(one.settings.file, "list", "--failed").output
    expected = when.show(at_ms, one.settings.city.timezone)
    assert f"{expected}  desk  waits until then incident 12" == line


STORE_GROUP = 54321


@pytest.mark.system
def test_root_tests_as_the_user_that_delivers() -> None:
    """What root may read, that user may not; afterwards root is root again."""
    folder = Path(tempfile.mkdtemp(prefix="titik-notify-", dir="/tmp"))  # pytest's is root's alone
    try:
        folder.chmod(0o755)
        with (
            serving(Program()) as program,
            city(folder, webhook(folder, "desk", program.url)) as one,
        ):
            kept = notify_opening.folder_of(folder / "titik.db")
            kept.mkdir()
            os.chown(kept, NOBODY.pw_uid, STORE_GROUP)
            refused = typed(one.settings.file, "test", "desk")
            os.chown(folder, -1, STORE_GROUP)  # as the unit, the test may enter
            folder.chmod(0o750)
            os.chown(folder / "desk.url", NOBODY.pw_uid, -1)
            sent = typed(one.settings.file, "test", "desk")
    finally:
        shutil.rmtree(folder)
    assert (1, 0, 0) == (refused.exit_code, sent.exit_code, os.geteuid())
    assert f"as the user {NOBODY.pw_name}" in refused.output
    assert f"FAIL  secret: {folder}/desk.url may not be read" in refused.output
    assert "chown titik-notify" in refused.output
    assert 1 == len(program.bodies)
