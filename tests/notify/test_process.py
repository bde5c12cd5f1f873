"""`titik notify` as a process: what arrives, when others hang, and when it is killed."""

import json
import shutil
import signal
import time
from contextlib import closing
from dataclasses import replace
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from tests.notify.cities import city, mailbox, now_ms, webhook
from tests.notify.messages import notification
from tests.notify.programs import Inbox, Program, mailing, serving
from tests.ports import free_port
from tests.until import until
from titik_collector.alerts.alert import Notification, What
from titik_collector.desk.desk_reading import DeskReading

pytestmark = pytest.mark.system
HOUR_MS = 3_600_000


def due(
    number: int, receiver: str, what: What = "firing", ago_ms: int = 0, incident: int = 1
) -> Notification:
    """One that is due now, or was."""
    at_ms = now_ms() - ago_ms
    made = notification(number, what, at_ms, receiver, incident)
    return replace(made, message=replace(made.message, from_ms=at_ms - 600_000))


def test_a_message_arrives_and_is_marked(tmp_path: Path, store: str) -> None:
    """As e-mail and at a program, on each engine."""
    inbox = Inbox()
    with serving(Program()) as program, mailing(inbox) as port:
        tables = mailbox(port) + webhook(tmp_path, "desk", program.url)
        with city(tmp_path, tables, store) as one:
            one.put(due(1, "it"), due(2, "desk"))
            one.start()
            expected = {("it", 1, "delivered"), ("desk", 2, "delivered")}
            assert expected == until(lambda: set(one.outcomes()), expected)
            one.put(due(3, "desk", "resolved"))
            assert 2 == until(lambda: len(program.bodies), 2)
            with closing(DeskReading(one.settings.store, one.settings.city.timezone)) as desk:
                (first,) = until(lambda: desk.facts(now_ms()).delivered, one.first_delivered())
            assert 1 == first.incident
    (raw,) = inbox.mails
    assert "🔴 Taman Tirosa" in message_from_bytes(raw, policy=policy.default)["Subject"]
    assert ["open", "close"] == [body["action"] for body in program.bodies]
    assert 1 == len({body["ticket"] for body in program.bodies})


def test_a_receiver_that_is_added_gets_what_waited_for_it(tmp_path: Path) -> None:
    """The collector takes an edit too, and may write for the new one first."""
    with serving(Program()) as program, city(tmp_path, "") as one:
        process = one.start()
        one.put(due(1, "desk"))
        assert until(lambda: "message to nobody" in one.log(), True)
        file = one.settings.file
        file.write_text(file.read_text() + webhook(tmp_path, "desk", program.url))
        expected = [("desk", 1, "delivered")]
        assert expected == until(one.outcomes, expected)
        process.send_signal(signal.SIGTERM)
        assert 0 == process.wait(20)


def test_an_edit_sends_nothing_twice(tmp_path: Path) -> None:
    """What is under way is finished; an edit that is wrong changes nothing."""
    with serving(Program(hang_s=2.0)) as program:
        with city(tmp_path, webhook(tmp_path, "desk", program.url)) as one:
            one.put(due(1, "desk"))
            one.start()
            assert 1 == until(lambda: program.begun, 1)
            file = one.settings.file
            right = file.read_text()
            file.write_text(right + "[[receiver]]\n")
            assert until(lambda: "configuration not taken" in one.log(), True)
            file.write_text(right + "# edited\n")
            assert 2 == until(lambda: one.log().count("notifier started"), 2)
            one.put(due(2, "desk", incident=2))
            expected = [("desk", 1, "delivered"), ("desk", 2, "delivered")]
            assert expected == until(one.outcomes, expected)
        assert 2 == program.begun


def test_a_kill_between_sending_and_marking_costs_one_double(tmp_path: Path) -> None:
    """Both have the same id, so the other end can see that they are one."""
    program = Program(hang_s=600.0)
    with serving(program), city(tmp_path, webhook(tmp_path, "desk", program.url)) as one:
        one.put(due(1, "desk"))
        one.start()
        assert 1 == until(lambda: program.begun, 1)
        one.kill()
        assert [] == one.outcomes()
        program.hang_s = 0.0
        one.start()
        assert [("desk", 1, "delivered")] == until(one.outcomes, [("desk", 1, "delivered")])
        one.kill()
        one.start()
        one.put(due(2, "desk"))
        assert 2 == until(lambda: len(one.outcomes()), 2)
    assert 3 == program.begun
    (first, again) = program.heads[0], program.heads[-1]
    assert first["Titik-Notification"] != again["Titik-Notification"]


def test_a_kill_while_a_mail_is_taken_costs_one_double(tmp_path: Path) -> None:
    """With the same Message-ID."""
    inbox = Inbox()
    with mailing(inbox) as port, city(tmp_path, mailbox(port)) as one:
        inbox.on_mail = lambda: one.kill() if len(inbox.mails) == 1 else None
        one.put(due(1, "it"))
        one.start()
        assert 1 == until(lambda: len(inbox.mails), 1)
        until(lambda: one.processes[-1].poll() is not None, True)
        one.start()
        assert [("it", 1, "delivered")] == until(one.outcomes, [("it", 1, "delivered")])
    first, second = (message_from_bytes(raw, policy=policy.default) for raw in inbox.mails)
    assert first["Message-ID"] == second["Message-ID"]


def test_a_receiver_that_hangs_delays_no_other(tmp_path: Path) -> None:
    """Each has a lane of its own."""
    hung, inbox = Program(trickles=True), Inbox()
    with serving(hung), mailing(inbox) as port:
        tables = mailbox(port) + webhook(tmp_path, "hung", hung.url)
        with city(tmp_path, tables) as one:
            one.put(*(due(n, "hung", incident=n) for n in range(1, 20)), due(50, "it"))
            one.start()
            assert 1 == until(lambda: len(inbox.mails), 1)
            began = time.monotonic()
            one.put(due(51, "it", incident=9))
            assert 2 == until(lambda: len(inbox.mails), 2)
            assert time.monotonic() - began < 8.0


def test_what_fails_is_tried_again_and_what_is_refused_is_not(tmp_path: Path) -> None:
    """A program that restarts loses nothing."""
    answers = [(503, {"Retry-After": "1"}, b""), (200, {}, b"")]
    busy, gone = Program(answers), Program([(404, {}, b"")])
    with serving(busy), serving(gone):
        tables = webhook(tmp_path, "busy", busy.url) + webhook(tmp_path, "gone", gone.url)
        with city(tmp_path, tables) as one:
            one.put(due(1, "busy"), due(2, "gone"))
            one.start()
            expected = ["failed", "delivered"]
            assert expected == until(
                lambda: [row.outcome for row in one.deliveries() if row.receiver == "busy"],
                expected,
            )
            (refused,) = [row for row in one.deliveries() if row.receiver == "gone"]
    assert ("refused", "send: it answered 404 Not Found") == (refused.outcome, refused.detail)
    assert 1 == len(gone.bodies)


def test_no_secret_is_logged(tmp_path: Path) -> None:
    """Whatever fails."""
    with city(tmp_path, webhook(tmp_path, "off", f"http://127.0.0.1:{free_port()}/s3cr3t")) as one:
        one.put(due(1, "off"))
        one.start()
        assert 1 == until(lambda: len(one.deliveries()), 1)
        assert until(lambda: "receiver=off" in one.log(), True)  # after it is kept
        assert "s3cr3t" not in one.log()


def test_a_copy_of_a_city_sends_nothing(tmp_path: Path) -> None:
    """Until a collector has opened it; then what is older than an hour is marked and listed."""
    with serving(Program()) as program:
        tables = webhook(tmp_path, "desk", program.url)
        with city(tmp_path, tables) as one:
            one.put(due(1, "desk", ago_ms=2 * HOUR_MS), due(2, "desk", incident=2))
            copied = tmp_path / "copied.db"
            shutil.copy(tmp_path / "titik.db", copied)
            copied.replace(tmp_path / "titik.db")
            one.start()
            until(lambda: "nothing is sent" in one.log(), True)
            time.sleep(2.0)
            assert ([], []) == (program.bodies, one.outcomes())
            one.opened()
            expected = [("desk", 1, "expired"), ("desk", 2, "delivered")]
            assert expected == until(one.outcomes, expected)
    assert [2] == [int(body["notification"].split("-")[1]) for body in program.bodies]


def test_it_ends_by_a_signal_and_keeps_what_was_delivered(tmp_path: Path) -> None:
    """Nothing is sent twice after an orderly stop."""
    with serving(Program()) as program:
        with city(tmp_path, webhook(tmp_path, "desk", program.url)) as one:
            one.put(due(1, "desk"))
            process = one.start()
            assert 1 == until(lambda: len(program.bodies), 1)
            process.send_signal(signal.SIGTERM)
            assert 0 == process.wait(20)
            one.start()
            one.put(due(2, "desk", incident=2))
            assert 2 == until(lambda: len(one.outcomes()), 2)
        assert 2 == len(program.bodies)
        assert json.loads(program.raw[0])["v"] == 1
