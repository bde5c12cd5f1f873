"""E-mail leaves by one server: connect, secure, log in, send, within half a minute in all.

Rule: a password never goes over a connection without TLS to another machine.
"""

import smtplib
import socket
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any

from titik_collector.config.receiver_tables import Smtp
from titik_collector.notify import dialling, mail, secret_files
from titik_collector.notify.composed import Composed
from titik_collector.notify.dialling import Deadline, Peer
from titik_collector.notify.undelivered import Passed, Step, Undelivered, nothing

DEADLINE_S = 30.0  # of a whole try


@dataclass(frozen=True, slots=True)
class MailChannel:
    """The way to one mailbox."""

    smtp: Smtp
    to: str
    city_title: str
    deadline_s: float = DEADLINE_S

    def deliver(self, one: Composed, passed: Passed = nothing) -> None:
        """Hand it to the server; Undelivered if it is not taken."""
        smtp = self.smtp
        assert smtp.host is not None
        assert smtp.sender is not None
        password = None
        if smtp.password_file is not None:
            password = secret_files.read(smtp.password_file, "the password of smtp.user")
        passed("secret")
        built = mail.build(one, self.to, smtp.sender, self.city_title)
        deadline = Deadline(self.deadline_s)
        peer = Peer(smtp.host, smtp.real_port, "smtp.host and smtp.port")
        sock = dialling.connect(peer, deadline, passed)
        if smtp.security == "tls":
            sock = dialling.secure(
                sock, peer, dialling.context(smtp.ca_file, "smtp.ca_file"), deadline
            )
            passed("tls")
        client = _Client(sock, peer.host, deadline)
        with dialling.ending(client, deadline):
            try:
                self._converse(client, peer, password, built, passed)
            except smtplib.SMTPServerDisconnected as error:
                raise dialling.broken(error, deadline) from error
            except smtplib.SMTPException as error:
                raise _refused(error, one.pdf is not None) from error

    def _converse(
        self,
        client: "_Client",
        peer: Peer,
        password: str | None,
        built: EmailMessage,
        passed: Passed,
    ) -> None:
        smtp = self.smtp
        client.greet()
        if smtp.security == "starttls":
            try:
                client.starttls(context=dialling.context(smtp.ca_file, "smtp.ca_file"))
            except smtplib.SMTPNotSupportedError as error:
                remedy = 'if it has a port with TLS, give security = "tls"'
                raise Undelivered("tls", "it offers no STARTTLS", remedy=remedy) from error
            except OSError as error:
                raise dialling.untrusted(peer, error) from error
            passed("tls")
        if smtp.user is not None and password is not None:
            client.login(smtp.user, password)
            passed("login")
        client.send_message(built, smtp.sender, [self.to])
        passed("send")
        client.leave()


class _Client(smtplib.SMTP):
    """smtplib over a socket that is connected already."""

    def __init__(self, sock: socket.socket, host: str, deadline: Deadline) -> None:
        self._given = sock
        super().__init__(local_hostname="titik", timeout=deadline.left_s())
        self.sock = sock
        sock.settimeout(deadline.left_s())
        self._host = host  # whose certificate STARTTLS must show

    def greet(self) -> None:
        """Hear the server's first line."""
        code, text = self.connect("-", 25)  # the socket is there
        if code != 220:
            raise smtplib.SMTPConnectError(code, text)

    def leave(self) -> None:
        """The message is theirs by now, whatever becomes of the goodbye."""
        try:
            self.docmd("QUIT")
        except (OSError, smtplib.SMTPException):
            self.close()

    def _get_socket(self, *_: Any) -> socket.socket:
        return self._given


def _refused(error: smtplib.SMTPException, has_pdf: bool) -> Undelivered:
    """What the server answered, without what we sent; a later try goes without the PDF."""
    if isinstance(error, smtplib.SMTPAuthenticationError):
        remedy = "check smtp.user and smtp.password_file; many want a password for programs"
        return _worded("login", error.smtp_code, error.smtp_error, remedy)
    if isinstance(error, smtplib.SMTPNotSupportedError):
        remedy = 'it takes a password over TLS only; give security = "starttls"'
        return Undelivered("login", "it offers no login", remedy=remedy)
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        ((code, text),) = error.recipients.values()
        return _worded("send", code, text, "check the receiver's `to`")
    if isinstance(error, smtplib.SMTPResponseException):
        why = _worded("send", error.smtp_code, error.smtp_error, "ask who runs the mail server")
        why.is_permanent = why.is_permanent and not has_pdf
        return why
    return Undelivered("send", str(error), remedy="ask who runs the mail server")


def _worded(step: Step, code: int, text: bytes | str, remedy: str) -> Undelivered:
    answer = text.decode(errors="replace") if isinstance(text, bytes) else text
    shown = " ".join(answer.split())
    # 4xx of SMTP is "try again"; 5xx is for ever, but for a password that somebody may mend.
    is_permanent = 500 <= code < 600 and step != "login"
    return Undelivered(
        step, f"it answered {code} {shown}", is_permanent=is_permanent, remedy=remedy
    )
