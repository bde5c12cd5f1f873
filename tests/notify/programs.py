"""Other ends for tests: HTTP servers that behave badly, and mail servers that do."""

import http.server
import ipaddress
import json
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOST = "127.0.0.1"


@dataclass
class Program:
    """An HTTP server: `answers` are its next ones, the last of them again and again."""

    answers: list[tuple[int, dict[str, str], bytes]] = field(
        default_factory=lambda: [(200, {}, b"")]
    )
    hang_s: float = 0.0  # before it answers
    trickles: bool = False  # a byte at a time, for ever
    drops: bool = False  # it takes the request and closes
    bodies: list[dict[str, Any]] = field(default_factory=list)
    heads: list[dict[str, str]] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    at: list[float] = field(default_factory=list)  # when each came, in seconds since 1970
    begun: int = 0  # requests that came whole
    port: int = 0
    scheme: str = "http"

    @property
    def url(self) -> str:
        """Where it is."""
        return f"{self.scheme}://{HOST}:{self.port}/hook?key=s3cr3t-part"

    def answer(self, to: http.server.BaseHTTPRequestHandler) -> None:
        """One request."""
        body = to.rfile.read(int(to.headers.get("Content-Length") or 0))
        if self.trickles:
            while True:
                to.wfile.write(b"H")
                time.sleep(0.05)
        self.begun += 1
        time.sleep(self.hang_s)
        self.at.append(time.time())
        self.raw.append(body)
        self.paths.append(to.path)
        self.heads.append(dict(to.headers.items()))
        self.bodies.append(json.loads(body) if body else {})
        if self.drops:
            to.close_connection = True
            return
        status, headers, text = self.answers.pop(0) if self.answers[1:] else self.answers[0]
        to.send_response(status)
        for name, value in {"Content-Length": str(len(text)), **headers}.items():
            to.send_header(name, value)
        to.end_headers()
        to.wfile.write(text)


@contextmanager
def serving(program: Program, tls: tuple[Path, Path] | None = None) -> Iterator[Program]:
    """The program, until the end of the block."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            try:
                program.answer(self)
            except OSError:
                self.close_connection = True

        do_GET = do_POST

        def log_message(self, *_: object) -> None:
            """Nothing."""

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, *_: object) -> None:
            """Who refuses a certificate breaks off."""

    server = Server((HOST, program.port), Handler)
    program.port = server.server_port
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
        program.scheme = "https"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield program
    finally:
        server.shutdown()
        server.server_close()


def certificate(folder: Path, *, host: str = HOST, days: int = 1) -> tuple[Path, Path]:
    """A certificate that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    try:
        other: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        other = x509.DNSName(host)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([other]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = folder / f"{host}{days}.crt", folder / f"{host}{days}.key"
    cert_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return cert_file, key_file


@dataclass
class Inbox:
    """What a mail server took."""

    mails: list[bytes] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    answer: str = "250 OK"  # to the message
    to_recipient: str | None = None  # None: it is taken
    hang_s: float = 0.0
    on_mail: Callable[[], object] = lambda: None

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: object
    ) -> str:
        """A mailbox."""
        if self.to_recipient is not None:
            return self.to_recipient
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        """A message."""
        import asyncio

        await asyncio.sleep(self.hang_s)
        if self.answer.startswith("250"):
            assert isinstance(envelope.content, bytes)
            self.mails.append(envelope.content)
        self.on_mail()
        return self.answer


class _WholeTls(Controller):
    """TLS from the first byte; the name in its certificate is not ours to check."""

    def _trigger_server(self) -> None:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with (
            socket.create_connection((self.hostname, self.port), 5) as raw,
            context.wrap_socket(raw) as inside,
        ):
            inside.recv(1024)


@contextmanager
def mailing(
    inbox: Inbox,
    tls: tuple[Path, Path] | None = None,
    starttls: tuple[Path, Path] | None = None,
    password: str | None = None,
    port: int = 0,
) -> Iterator[int]:
    """A mail server that gives what it takes to the inbox; its port."""
    from tests.ports import free_port

    def check(*_: Any) -> AuthResult:
        given = _[-1]
        assert isinstance(given, LoginPassword)
        inbox.users.append(given.login.decode())
        return AuthResult(success=given.password == (password or "").encode(), handled=False)

    logging.getLogger("mail.log").disabled = True  # it logs what tests do to it, at its own time
    options: dict[str, Any] = {"hostname": HOST, "port": port or free_port()}
    if password is not None:
        options |= {"authenticator": check, "auth_required": True, "auth_require_tls": False}
    kind: type[Controller] = Controller
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
        options["ssl_context"] = context
        kind = _WholeTls
    if starttls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*starttls)
        options |= {"tls_context": context, "require_starttls": True}
    controller = kind(inbox, **options)
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()


@contextmanager
def silent() -> Iterator[int]:
    """A port that takes connections and says nothing."""
    with socket.create_server((HOST, 0)) as listening:
        yield int(listening.getsockname()[1])
