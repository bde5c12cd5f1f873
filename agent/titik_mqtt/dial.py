"""From a broker's name to a connected socket, with a deadline and plain words for every step.

Rule: whatever fails is LinkDown, and nothing stays open.
"""

import socket
from typing import TYPE_CHECKING

from titik_mqtt import failures
from titik_mqtt.endpoint import Endpoint, Tls
from titik_mqtt.failures import LinkDown, Remedies

if TYPE_CHECKING:
    import ssl

Found = tuple[int, int, int, str, tuple[str | int, ...]]

MAX_ADDRESSES = 4  # of a broker name, so that many dead ones cannot take minutes


def dial(
    to: Endpoint, remedies: type[Remedies], timeout_s: float, give_up_s: float | None = None
) -> socket.socket:
    """Connect, blocking: name, TCP, TLS; `timeout_s` is for each address and for the handshake.

    `give_up_s`: what the peer's kernel does not confirm for this long means that the path is gone.
    """
    sock = _connect(to, remedies, timeout_s)
    if to.tls is not None:
        sock = _secure(sock, to, to.tls, remedies)
    # Else an answer waits for TCP to confirm what was sent before it, up to 40 ms.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if give_up_s is not None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(give_up_s * 1000))
    return sock


def verdict(sock: socket.socket, remedies: type[Remedies]) -> LinkDown | None:
    """The alert by which a TLS peer refused us after the handshake, if one lies unread.

    TLS 1.3 checks our certificate only then, so what fails first is often our next write.
    """
    sock.settimeout(0)
    try:
        sock.recv(1)
    except OSError as error:
        failure = failures.tls_failure(error, "the broker", remedies)
        return failure if failure.slow else None
    return None


def _connect(to: Endpoint, remedies: type[Remedies], timeout_s: float) -> socket.socket:
    failure = OSError("no address")
    for family, kind, protocol, _, address in resolve(to, remedies)[:MAX_ADDRESSES]:
        sock = socket.socket(family, kind, protocol)
        sock.settimeout(timeout_s)
        try:
            sock.connect(address)
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    raise failures.unreachable(to.where, failure, remedies) from failure


def resolve(to: Endpoint, remedies: type[Remedies]) -> list[Found]:
    """What the resolver has of a name, as `getaddrinfo` gives it."""
    try:
        found = socket.getaddrinfo(_bytes(to.host), to.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise failures.no_address(to.host, error, remedies) from error
    return [(int(one[0]), int(one[1]), *one[2:]) for one in found]


def _secure(
    sock: socket.socket, to: Endpoint, tls: Tls, remedies: type[Remedies]
) -> "ssl.SSLSocket":
    from titik_mqtt import trust  # brings ssl: megabytes that a router without TLS need not carry

    try:
        context = trust.context(tls)
    except OSError as error:  # ssl.SSLError is one
        sock.close()
        files = ", ".join(one for one in (tls.ca_file, tls.cert_file, tls.key_file) if one)
        raise failures.unreadable_files(files, error) from error
    try:
        return context.wrap_socket(sock, server_hostname=_bytes(to.host))
    except OSError as error:
        sock.close()
        raise failures.tls_failure(error, to.where, remedies) from error


def _bytes(host: str) -> str | bytes:
    """As bytes: a str would import the IDNA tables, a megabyte, for plain ASCII."""
    return host.encode() if host.isascii() else host
