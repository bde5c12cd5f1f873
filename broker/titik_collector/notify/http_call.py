"""One HTTP request with a deadline for all of it: no redirect, no cookie, no second try.

Rule: an address may be a secret, so no text names more of it than its host.
"""

import http.client
import ssl
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from titik_collector.limits import MAX_ANSWER
from titik_collector.notify import dialling, undelivered
from titik_collector.notify.dialling import Deadline, Peer
from titik_collector.notify.undelivered import Passed

DEADLINE_S = 10.0  # of a whole try


class HttpCall(NamedTuple):
    """What is asked, and where the configuration says so."""

    method: str
    url: str
    key: str
    headers: Mapping[str, str] = {}
    body: bytes | None = None
    ca_file: Path | None = None


def send(call: HttpCall, deadline_s: float, passed: Passed) -> None:
    """Ask it; Undelivered if the answer is no 2xx."""
    parts = urlsplit(call.url)
    assert parts.hostname is not None
    is_tls = parts.scheme == "https"
    deadline = Deadline(deadline_s)
    peer = Peer(parts.hostname, parts.port or (443 if is_tls else 80), call.key)
    trusted = dialling.context(call.ca_file, "ca_file") if is_tls else None
    connection = http.client.HTTPConnection(peer.host, peer.port)
    connection.sock = dialling.connect(peer, deadline, passed)
    if trusted is not None:
        connection.sock = dialling.secure(connection.sock, peer, trusted, deadline)
        passed("tls")
    connection.sock.settimeout(deadline.left_s())
    with dialling.ending(connection, deadline):
        try:
            path = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
            headers = {"Host": parts.netloc, "User-Agent": "titik", **call.headers}
            connection.request(call.method, path, call.body, headers)
            answer = connection.getresponse()
            answer.read(MAX_ANSWER)
        except (http.client.HTTPException, ssl.SSLError) as error:
            raise dialling.broken(error, deadline) from error
    if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
        raise undelivered.of_status(answer.status, answer.reason, answer.getheader("Retry-After"))
    passed("send")
