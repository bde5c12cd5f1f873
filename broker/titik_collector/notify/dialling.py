"""A connection to another machine, with one deadline for all of it.

Rule: a timeout of a socket is for one read. So a timer ends the connection when the whole time is
over: a peer that sends a byte now and then would hold a lane for ever.
"""

import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple, Protocol

from titik_collector.limits import MAX_ADDRESSES
from titik_collector.notify.undelivered import Passed, Undelivered

Address = tuple[Any, ...]


class Peer(NamedTuple):
    """Where to, and what the file calls it."""

    host: str
    port: int
    key: str  # of the configuration, for remedies


class Holder(Protocol):
    """What has the socket; STARTTLS gives it another one."""

    sock: Any

    def close(self) -> None:
        """Let go of it, and of what reads from it."""
        ...


class Deadline:
    """When a try must be over, in monotonic seconds."""

    def __init__(self, length_s: float) -> None:
        self.length_s = length_s
        self._end = time.monotonic() + length_s

    def left_s(self) -> float:
        """Above zero; Undelivered when it is over."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise self.over()
        return left

    def is_over(self) -> bool:
        """Whether nothing is left."""
        return time.monotonic() >= self._end

    def over(self) -> Undelivered:
        """What it is called when the time is over."""
        return Undelivered("send", f"no end within {self.length_s:g} s", remedy="try again later")


def connect(peer: Peer, deadline: Deadline, passed: Passed) -> socket.socket:
    """A connected socket; Undelivered with the step that failed."""
    addresses = _resolve(peer, deadline)
    passed("dns")
    try:
        sock = dial(addresses[:MAX_ADDRESSES], deadline)
    except OSError as failure:
        where = f"{peer.host}:{peer.port}"
        reason = _why(failure)
        remedy = f"check {peer.key}, the firewall, and the line of this server"
        raise Undelivered("tcp", f"{where}: {reason}", remedy=remedy) from failure
    passed("tcp")
    return sock


def dial(addresses: Sequence[tuple[int, Address]], deadline: Deadline) -> socket.socket:
    """The first that answers; OSError of the last. Each has its share of the time that is left."""
    failure: OSError = OSError("no address")
    for place, (family, address) in enumerate(addresses):
        left_s = deadline.left_s()
        try:
            sock = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:  # such as IPv6 where the kernel has none
            failure = error
            continue
        try:
            sock.settimeout(left_s / (len(addresses) - place))
            sock.connect(address)
        except OSError as error:
            sock.close()
            failure = error
        else:
            sock.settimeout(left_s)
            return sock
    raise failure


def context(ca_file: Path | None, key: str) -> ssl.SSLContext:
    """What is trusted; Undelivered if the file cannot be used."""
    try:
        return ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except OSError as error:  # ssl.SSLError is one
        remedy = f"check {key}: it holds certificates in PEM"
        raise Undelivered("tls", f"{ca_file}: {_why(error)}", remedy=remedy) from error


def secure(
    sock: socket.socket, peer: Peer, trusted: ssl.SSLContext, deadline: Deadline
) -> ssl.SSLSocket:
    """The same connection with TLS; Undelivered if the other end is not who it should be."""
    sock.settimeout(deadline.left_s())
    try:
        return trusted.wrap_socket(sock, server_hostname=peer.host)
    except OSError as error:
        sock.close()
        raise untrusted(peer, error) from error


def untrusted(peer: Peer, error: OSError) -> Undelivered:
    """Why TLS with it failed, and what to do."""
    where = f"{peer.host}:{peer.port}"
    if isinstance(error, ssl.SSLCertVerificationError):
        remedy = f"check {peer.key} and ca_file; its certificate must bear the name {peer.host}"
        return Undelivered("tls", f"{where}: {error.verify_message}", remedy=remedy)
    if isinstance(error, ssl.SSLError):
        remedy = "check port and security: it may speak no TLS there"
        return Undelivered("tls", f"{where}: {error.reason or error}", remedy=remedy)
    return Undelivered("tls", f"{where}: {_why(error)}", remedy=f"check {peer.key}")


@contextmanager
def ending(holder: Holder, deadline: Deadline) -> Iterator[None]:
    """End the connection when the time is over, whatever the other end does."""

    def end() -> None:
        with suppress(OSError):
            if holder.sock is not None:
                socket.socket.shutdown(holder.sock, socket.SHUT_RDWR)

    timer = threading.Timer(deadline.left_s(), end)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (OSError, ssl.SSLError) as error:
        raise broken(error, deadline) from error
    finally:
        timer.cancel()
        holder.close()


def broken(error: Exception, deadline: Deadline) -> Undelivered:
    """Why a connection that was there ended."""
    if deadline.is_over() or isinstance(error, TimeoutError):
        return deadline.over()
    return Undelivered("send", f"the connection broke: {_why(error)}", remedy="try again later")


def _resolve(peer: Peer, deadline: Deadline) -> list[tuple[int, Address]]:
    """Asked in a thread: the system's own patience with name servers can be a minute."""
    found: SimpleQueue[list[tuple[int, Address]] | OSError | UnicodeError] = SimpleQueue()

    def ask() -> None:
        try:
            answers = socket.getaddrinfo(peer.host, peer.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            found.put(error)
        else:
            found.put([(int(one[0]), one[4]) for one in answers])

    threading.Thread(target=ask, name="resolving", daemon=True).start()
    try:
        answer = found.get(timeout=deadline.left_s())
    except Empty:
        remedy = "check the name servers of this server"
        raise Undelivered("dns", f"{peer.host}: no name server answers", remedy=remedy) from None
    if isinstance(answer, Exception):
        remedy = f"check {peer.key}, and the name servers of this server"
        raise Undelivered("dns", f"{peer.host}: {_why(answer)}", remedy=remedy) from answer
    return answer


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer"
    return str((error.strerror if isinstance(error, OSError) else None) or error)
