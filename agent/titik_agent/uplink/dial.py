"""From a broker's name to a connected socket, with a deadline and plain words for every step.

Rule: whatever fails is LinkDown, and nothing stays open.
Rule: TLS is 1.2 or later, and the certificate's name is always checked.
"""

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import ssl

CONNECT_TIMEOUT_S = 10.0  # each: TCP, TLS handshake, and the broker's answer to CONNECT
MAX_ADDRESSES = 4  # of a broker name, so that many dead ones cannot take minutes
# A dead peer is noticed after one to two of these. Shorter costs radio time on LTE uplinks and
# gives up on stalls that pass.
KEEPALIVE_S = 45

# What OpenSSL says of a broker's certificate (X509_V_ERR_*), and the remedy.
_NOT_YET_VALID = 9
_REMEDIES = {
    10: "renew it, or set this router's clock",
    62: "broker.host must be a name that the certificate bears",
    64: "broker.host must be an address that the certificate bears",
}

Step = Literal["dns", "tcp", "tls", "login", "lost"]


class LinkDown(Exception):
    """There is no connection. `slow`: trying again soon is useless until a person mends it."""

    def __init__(self, step: Step, reason: str, slow: bool = False) -> None:
        super().__init__(reason)
        self.step = step  # where it ended; lost: it had been connected
        self.reason = reason
        self.slow = slow


@dataclass(frozen=True, slots=True)
class Tls:
    """Files in PEM; without a CA file the system's count."""

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None


@dataclass(frozen=True, slots=True)
class Broker:
    """Where to connect, and as whom."""

    host: str
    port: int
    router: str
    password: str | None = None
    username: str | None = None  # None: the router, which hardened brokers insist on
    tls: Tls | None = None
    keepalive_s: int = KEEPALIVE_S
    connect_timeout_s: float = CONNECT_TIMEOUT_S


def dial(broker: Broker) -> socket.socket:
    """Connect, blocking: name, TCP, TLS."""
    sock = _connect(broker.host, broker.port, broker.connect_timeout_s)
    if broker.tls is not None:
        sock = _secure(sock, broker.host, broker.port, broker.tls)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # Data that the peer's kernel does not confirm for this long: the path is gone.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, broker.keepalive_s * 1000)
    return sock


def _connect(host: str, port: int, timeout_s: float) -> socket.socket:
    failure = OSError("no address")
    for family, kind, protocol, _, address in _resolve(host, port)[:MAX_ADDRESSES]:
        sock = socket.socket(family, kind, protocol)
        sock.settimeout(timeout_s)
        try:
            sock.connect(address)
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    raise LinkDown("tcp", _tcp_words(failure, f"{host}:{port}")) from failure


def _resolve(host: str, port: int) -> list[tuple[int, int, int, str, tuple[str | int, ...]]]:
    try:
        # As bytes: a str would import the IDNA tables, a megabyte, for plain ASCII.
        name = host.encode() if host.isascii() else host
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise LinkDown(
            "dns", f"no address for {host}: check broker.host and the router's DNS ({error})"
        ) from error
    return [(int(one[0]), int(one[1]), *one[2:]) for one in found]


def _tcp_words(error: OSError, where: str) -> str:
    if isinstance(error, ConnectionRefusedError):
        return f"nothing listens at {where}: check broker.port, and that the broker runs"
    if isinstance(error, TimeoutError):
        return f"no answer from {where}: check the uplink, and the broker's firewall"
    return f"cannot reach {where}: {error.strerror or error}"


def _secure(sock: socket.socket, host: str, port: int, tls: Tls) -> "ssl.SSLSocket":
    import ssl  # megabytes that a router without TLS need not carry

    try:
        context = ssl.create_default_context(cafile=tls.ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # Python 3.13 began to refuse CAs without a key usage; an upgrade of the firmware must not
        # cut a router off from a CA that it has trusted for years.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if tls.cert_file is not None:
            context.load_cert_chain(tls.cert_file, tls.key_file)
    except OSError as error:  # ssl.SSLError is one
        sock.close()
        files = ", ".join(one for one in (tls.ca_file, tls.cert_file, tls.key_file) if one)
        raise LinkDown(
            "tls",
            f"cannot load {files}: check that they exist, are PEM and belong together ({error})",
            slow=True,
        ) from error
    try:
        # As bytes, see `_resolve`.
        name = host.encode() if host.isascii() else host
        return context.wrap_socket(sock, server_hostname=name)
    except OSError as error:
        sock.close()
        raise tls_failure(error, f"{host}:{port}") from error


def verdict(sock: socket.socket) -> LinkDown | None:
    """The alert by which a TLS peer refused us after the handshake, if one lies unread.

    TLS 1.3 checks our certificate only then, so what fails first is often our next write.
    """
    sock.settimeout(0)
    try:
        sock.recv(1)
    except OSError as error:
        failure = tls_failure(error, "the broker")
        return failure if failure.slow else None
    return None


def tls_failure(error: OSError, where: str) -> LinkDown:
    """What an error of TLS means, in words an installer understands."""
    code = getattr(error, "verify_code", None)
    if code == _NOT_YET_VALID:
        # A router boots months in the past; NTP mends this soon, so the wait is a short one.
        words = f"the certificate of {where} is not yet valid: is this router's clock set?"
        return LinkDown("tls", words)
    if code is not None:
        remedy = _REMEDIES.get(code, "check broker.ca_file")
        message = getattr(error, "verify_message", "")
        return LinkDown("tls", f"the certificate of {where}: {message}; {remedy}", slow=True)
    reason = str(getattr(error, "reason", None) or error)
    if "ALERT" in reason and "CERTIFICATE_REVOKED" in reason:
        words = (
            f"{where} refused this router's certificate ({reason}): it was revoked; ask for a new"
            " bundle (titik router rotate)"
        )
        return LinkDown("tls", words, slow=True)
    if "ALERT" in reason and ("CERTIFICATE" in reason or "UNKNOWN_CA" in reason):
        words = f"{where} refused this router's certificate ({reason}): check broker.cert_file"
        return LinkDown("tls", words, slow=True)
    if isinstance(error, TimeoutError):
        return LinkDown("tls", f"no answer to the TLS handshake from {where}")
    return LinkDown("tls", f"no TLS with {where} ({reason}): check broker.port and broker.tls")
