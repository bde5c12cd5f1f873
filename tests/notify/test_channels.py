"""Channels against real servers that refuse, hang, trickle, drop and answer what they like."""

import hashlib
import hmac
import os
import socket
import sys
import time
from dataclasses import replace
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from tests.notify.messages import composed
from tests.notify.programs import HOST, Inbox, Program, certificate, mailing, serving, silent
from tests.ports import free_port
from titik_collector.config.receiver_tables import Smtp
from titik_collector.notify import apprise_process, mail
from titik_collector.notify.apprise_call import AppriseChannel
from titik_collector.notify.composed import MailPdf
from titik_collector.notify.mail_server import MailChannel
from titik_collector.notify.undelivered import Step, Undelivered
from titik_collector.notify.webhook import WebhookChannel

SHORT_S = 2.0


def secret(folder: Path, text: str, mode: int = 0o600, name: str = "secret") -> Path:
    """A file with a secret."""
    file = folder / name
    file.write_text(text + "\n")
    file.chmod(mode)
    return file


def webhook(url: str, deadline_s: float = 5.0, ca_file: Path | None = None) -> WebhookChannel:
    """To an address that is no secret."""
    return WebhookChannel(url, None, None, ca_file, deadline_s)


def failure(channel: WebhookChannel | MailChannel | AppriseChannel) -> Undelivered:
    """Why a try failed."""
    with pytest.raises(Undelivered) as caught:
        channel.deliver(composed())
    return caught.value


# Webhooks.


def test_a_program_gets_one_ticket_and_who_sent_it(tmp_path: Path) -> None:
    """The signature is of the time and the body, by the secret that both have."""
    with serving(Program()) as program:
        file = secret(tmp_path, program.url, name="url")
        channel = WebhookChannel(None, file, secret(tmp_path, "shared"), None)
        passed: list[Step] = []
        channel.deliver(composed(), passed.append)
    assert ["secret", "dns", "tcp", "send"] == passed
    (head,), (body,), (raw,) = program.heads, program.bodies, program.raw
    assert ("open", "kupang/incident-3") == (body["action"], body["ticket"])
    assert "kupang/" + composed().key.id == head["Titik-Notification"] == body["notification"]
    at, _, signed = head["Titik-Signature"].removeprefix("t=").partition(",v1=")
    expected = hmac.new(b"shared", f"{at}.".encode() + raw, hashlib.sha256).hexdigest()
    assert expected == signed
    assert ["/hook?key=s3cr3t-part"] == program.paths


@pytest.mark.parametrize(
    ("status", "headers", "is_permanent", "wait_s"),
    [
        (500, {}, False, None),
        (503, {"Retry-After": "7"}, False, 7.0),
        (429, {"Retry-After": "90"}, False, 90.0),
        (429, {"Retry-After": "999999"}, False, 3600.0),
        (429, {"Retry-After": "Sun, 29 Nov 2026 12:00:00 GMT"}, False, None),
        (408, {}, False, None),
        (401, {}, True, None),
        (403, {}, True, None),
        (404, {}, True, None),
        (405, {}, True, None),
        (410, {}, True, None),
        (302, {"Location": "/elsewhere"}, True, None),
    ],
)
def test_what_an_answer_says_about_trying_again(
    status: int, headers: dict[str, str], is_permanent: bool, wait_s: float | None
) -> None:
    """A program that is busy says when; one that does not know us never will."""
    with serving(Program([(status, headers, b"no")])) as program:
        why = failure(webhook(program.url))
    assert (is_permanent, wait_s) == (why.is_permanent, why.wait_s)
    assert str(status) in why.reason
    assert "s3cr3t" not in why.reason + why.remedy
    assert not is_permanent or why.remedy


@pytest.mark.parametrize("how", ["hangs", "trickles"])
def test_a_try_ends_in_time(how: str) -> None:
    """Also where a byte comes now and then, so that no read ever times out."""
    program = Program(hang_s=60.0) if how == "hangs" else Program(trickles=True)
    with serving(program):
        began = time.monotonic()
        why = failure(webhook(program.url, SHORT_S))
        took = time.monotonic() - began
    assert ("send", False, "no end within 2 s") == (why.step, why.is_permanent, why.reason)
    assert took < 20.0


def test_a_port_that_accepts_and_is_silent_is_a_failure_in_time() -> None:
    """As a process that hangs."""
    with silent() as port:
        assert "no end within 2 s" == failure(webhook(f"http://{HOST}:{port}", SHORT_S)).reason


def test_a_dropped_connection_is_tried_again() -> None:
    """Whether the message arrived is not known, so its id is the same the next time."""
    with serving(Program(drops=True)) as program:
        why = failure(webhook(program.url))
    assert ("send", False) == (why.step, why.is_permanent)
    assert "broke" in why.reason


def test_who_refuses_the_connection_is_named_with_the_key() -> None:
    """At the step where it ends."""
    port = free_port()
    why = failure(webhook(f"http://{HOST}:{port}/"))
    assert ("tcp", f"{HOST}:{port}: Connection refused") == (why.step, why.reason)
    assert "url" in why.remedy


def test_a_name_that_nobody_has_is_named() -> None:
    """At the first step that asks the network."""
    why = failure(webhook("http://nobody.invalid/"))
    assert ("dns", False) == (why.step, why.is_permanent)


def test_a_certificate_must_be_of_a_trusted_authority_and_of_the_name(tmp_path: Path) -> None:
    """Who is in the middle reads nothing; one that the operator trusts is believed."""
    made = certificate(tmp_path)
    with serving(Program(), made) as program:
        unknown = failure(webhook(program.url))
        webhook(program.url, ca_file=made[0]).deliver(composed())
    other = certificate(tmp_path, host="other.example")
    with serving(Program(), other) as program:
        wrong_name = failure(webhook(program.url, ca_file=other[0]))
    ended = certificate(tmp_path, days=-1)
    with serving(Program(), ended) as program:
        expired = failure(webhook(program.url, ca_file=ended[0]))
    with serving(Program()) as program:
        plain = failure(webhook(program.url.replace("http:", "https:")))
    found = [unknown, wrong_name, expired, plain]
    assert ["tls"] * 4 == [why.step for why in found]
    assert "self-signed" in unknown.reason.replace(" ", "-")
    assert "mismatch" in wrong_name.reason
    assert "expired" in expired.reason
    assert "no TLS" in plain.remedy


# Secrets.


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o620])
def test_a_secret_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    """Nothing is sent, and the remedy is the command."""
    with serving(Program()) as program:
        file = secret(tmp_path, program.url, mode)
        why = failure(WebhookChannel(None, file, None, None))
    assert ("secret", f"type: chmod 600 {file}") == (why.step, why.remedy)
    assert [] == program.bodies


@pytest.mark.parametrize("text", ["not an address", "ftp://x/s3cr3t", "http://u:s3cr3t@x/", "a\nb"])
def test_a_file_without_an_address_is_named_without_what_is_in_it(
    tmp_path: Path, text: str
) -> None:
    """It may be half of a secret."""
    why = failure(WebhookChannel(None, secret(tmp_path, text), None, None))
    assert "secret" == why.step
    assert "s3cr3t" not in why.reason + why.remedy


def test_a_secret_that_is_not_there_is_tried_again(tmp_path: Path) -> None:
    """Somebody may write it while the message waits."""
    why = failure(WebhookChannel(None, tmp_path / "none", None, None))
    assert ("secret", False) == (why.step, why.is_permanent)


# E-mail.


def smtp(port: int, **others: object) -> Smtp:
    """A mail server on this machine."""
    values = {"security": "none", "sender": "titik@kupang.go.id", **others}
    return Smtp(host=HOST, port=port, **values)  # type: ignore[arg-type]


def mailbox(smtp_: Smtp, deadline_s: float = 5.0) -> MailChannel:
    """The mailbox of one person."""
    return MailChannel(smtp_, "it@kupang.go.id", "Kota Kupang", deadline_s)


def test_a_mail_says_first_what_and_where_as_text_and_html() -> None:
    """No picture, no script, and the same id at each try."""
    inbox = Inbox()
    with mailing(inbox) as port:
        passed: list[Step] = []
        for _ in range(2):
            mailbox(smtp(port)).deliver(composed(), passed.append)
    assert ["secret", "dns", "tcp", "send"] == passed[:4]
    first, second = (message_from_bytes(one, policy=policy.default) for one in inbox.mails)
    assert first["Message-ID"] == second["Message-ID"] == mail.message_id(composed())
    assert "<incident-3.it@kupang>" == first["References"]
    assert composed().subject == first["Subject"]
    assert "auto-generated" == first["Auto-Submitted"]
    plain, rich = (part.get_content() for part in first.iter_parts())
    assert plain.startswith(composed().lines[0])
    assert "<strong>" + composed().lines[0] in rich
    assert "&lt;b&gt;" in rich
    assert "<img" not in rich
    assert "https://titik.example/alerts/3" in plain


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_a_mail_leaves_over_tls_with_a_login(tmp_path: Path, security: str) -> None:
    """By each of the two ways that mail servers have."""
    made, inbox = certificate(tmp_path), Inbox()
    file = secret(tmp_path, "pass word")
    options = {"security": security, "user": "titik", "password_file": file, "ca_file": made[0]}
    passed: list[Step] = []
    with mailing(inbox, password="pass word", **{security: made}) as port:  # type: ignore[arg-type]
        mailbox(smtp(port, **options)).deliver(composed(), passed.append)
    assert (1, ["titik"]) == (len(inbox.mails), inbox.users[:1])
    assert ["secret", "dns", "tcp", "tls", "login", "send"] == passed


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_a_mail_server_must_show_a_certificate_that_is_trusted(
    tmp_path: Path, security: str
) -> None:
    """The password is not given to anybody else."""
    made, inbox = certificate(tmp_path), Inbox()
    options = {"security": security, "user": "u", "password_file": secret(tmp_path, "p")}
    with mailing(inbox, password="p", **{security: made}) as port:  # type: ignore[arg-type]
        why = failure(mailbox(smtp(port, **options)))
    assert ("tls", [], []) == (why.step, inbox.mails, inbox.users)


def test_a_server_without_starttls_gets_no_password(tmp_path: Path) -> None:
    """Somebody in the middle may have taken the offer out."""
    inbox = Inbox()
    options = {"security": "starttls", "user": "u", "password_file": secret(tmp_path, "p")}
    with mailing(inbox, password="p") as port:
        why = failure(mailbox(smtp(port, **options)))
    assert ("tls", "it offers no STARTTLS", []) == (why.step, why.reason, inbox.users)


def test_a_wrong_password_is_tried_again_and_never_shown(tmp_path: Path) -> None:
    """Somebody may mend it."""
    file = secret(tmp_path, "s3cr3t")
    with mailing(Inbox(), password="right") as port:
        why = failure(mailbox(smtp(port, user="titik", password_file=file)))
    assert ("login", False) == (why.step, why.is_permanent)
    assert "535" in why.reason
    assert "s3cr3t" not in why.reason + why.remedy


@pytest.mark.parametrize(
    ("inbox", "is_permanent"),
    [
        (Inbox(answer="451 try later"), False),
        (Inbox(answer="554 no"), True),
        (Inbox(to_recipient="450 greylisted"), False),
        (Inbox(to_recipient="550 no such user"), True),
    ],
)
def test_what_a_mail_server_answers_says_whether_to_try_again(
    inbox: Inbox, is_permanent: bool
) -> None:
    """4xx is for now, 5xx for ever."""
    with mailing(inbox) as port:
        why = failure(mailbox(smtp(port)))
    assert ("send", is_permanent, []) == (why.step, why.is_permanent, inbox.mails)


@pytest.mark.parametrize(
    ("inbox", "is_permanent"),
    [(Inbox(answer="552 too large"), False), (Inbox(to_recipient="550 no such user"), True)],
)
def test_a_mail_that_is_refused_with_its_pdf_is_tried_again(
    inbox: Inbox, is_permanent: bool
) -> None:
    """It may be taken without; who is no receiver gets none."""
    report = replace(composed(), pdf=MailPdf("titik-2026-11.pdf", b"%PDF-"))
    with mailing(inbox) as port, pytest.raises(Undelivered) as caught:
        mailbox(smtp(port)).deliver(report)
    assert ("send", is_permanent) == (caught.value.step, caught.value.is_permanent)


def test_a_mail_server_that_hangs_ends_in_time() -> None:
    """Before its first line, or after the message."""
    with silent() as port:
        first = failure(mailbox(smtp(port), SHORT_S))
    with mailing(Inbox(hang_s=60.0)) as port:
        later = failure(mailbox(smtp(port), SHORT_S))
    assert ["no end within 2 s"] * 2 == [first.reason, later.reason]
    assert [False, False] == [first.is_permanent, later.is_permanent]


def test_a_mail_server_that_closes_is_tried_again() -> None:
    """It took the connection, and no more."""
    with socket.create_server((HOST, 0)) as listening:
        port = listening.getsockname()[1]
        import threading

        thread = threading.Thread(target=lambda: listening.accept()[0].close())
        thread.start()
        why = failure(mailbox(smtp(port)))
        thread.join()
    assert ("send", False) == (why.step, why.is_permanent)


# Every other service.


@pytest.mark.system
def test_a_service_of_apprise_gets_the_message(tmp_path: Path) -> None:
    """By a process of its own; here the service is its plainest."""
    with serving(Program()) as program:
        address = f"json://{HOST}:{program.port}/hook"
        AppriseChannel(secret(tmp_path, address)).deliver(composed())
    (body,) = program.bodies
    assert (composed().subject, "failure") == (body["title"], body["type"])
    assert composed().rest == body["message"].strip()


@pytest.mark.system
def test_a_service_that_fails_says_why_without_its_address(tmp_path: Path) -> None:
    """Apprise returns a mere no; what it logged is the reason."""
    with serving(Program([(500, {}, b"")])) as program:
        address = f"json://{HOST}:{program.port}/s3cr3tpart"
        why = failure(AppriseChannel(secret(tmp_path, address)))
    assert ("send", False) == (why.step, why.is_permanent)
    assert "500" in why.reason
    assert "s3cr3t" not in why.reason


@pytest.mark.system
def test_an_address_that_apprise_does_not_know_is_named(tmp_path: Path) -> None:
    """It returns False and says nothing, so a message would be lost in silence."""
    file = secret(tmp_path, "mailto:/bad")
    why = failure(AppriseChannel(file))
    assert ("secret", True) == (why.step, str(file) in why.remedy)


@pytest.mark.system
def test_a_service_that_hangs_is_killed(tmp_path: Path) -> None:
    """Whatever its plugin does."""
    with serving(Program(trickles=True)) as program:
        file = secret(tmp_path, f"json://{HOST}:{program.port}/")
        why = failure(AppriseChannel(file, 3.0))
    assert ("send", "no end within 3 s") == (why.step, why.reason)


@pytest.mark.system
def test_without_apprise_the_command_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after `pip install titik[server]`."""
    (tmp_path / "apprise.py").write_text("raise ImportError('not here')\n")
    paths = [str(tmp_path), *(one for one in sys.path if one)]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    why = failure(AppriseChannel(secret(tmp_path, "json://localhost")))
    assert ("config", "apprise is not installed") == (why.step, why.reason)
    assert "pip install" in why.remedy


def test_no_part_of_an_address_is_in_a_reason() -> None:
    """Tokens stand anywhere in it."""
    url = "tgram://123456789:AAtoken-x/-100200300?token=abcdefgh"
    text = f"Could not reach {url}; bot 123456789 with AAtoken-x had abcdefgh"
    shown = apprise_process._without(url, [text])
    assert [] == [one for one in ("123456789", "AAtoken", "abcdefgh", "100200") if one in shown]
