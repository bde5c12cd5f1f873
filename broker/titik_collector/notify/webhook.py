"""A program gets an incident as one ticket: opened, updated and closed, and it may acknowledge.

Rule: `ticket` is the same for all messages of an incident. Whoever opens a ticket for each new one,
and writes to the one that is there else, has one ticket an incident.
Rule: the body is signed with its time, so that nobody can send one of their own, or an old one.
Rule: a program acknowledges at `ack_url`, with a token of the page. What it answers is not read.
"""

import hashlib
import hmac
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from titik_collector.alerts.alert import What
from titik_collector.config.receiver_tables import Receiver, wrong_url
from titik_collector.notify import http_call, secret_files
from titik_collector.notify.composed import Composed
from titik_collector.notify.http_call import DEADLINE_S, HttpCall
from titik_collector.notify.undelivered import Passed, Undelivered, nothing

Action = Literal["open", "update", "close", "note"]
_ACTIONS: dict[What, Action] = {
    "firing": "open",
    "update": "update",
    "repeat": "update",
    "escalation": "update",
    "flapping": "update",
    "resolved": "close",
}


@dataclass(frozen=True, slots=True)
class WebhookChannel:
    """The way to one program."""

    url: str | None
    url_file: Path | None
    secret_file: Path | None
    ca_file: Path | None
    deadline_s: float = DEADLINE_S

    @classmethod
    def of(cls, receiver: Receiver) -> "WebhookChannel":
        """As it is configured."""
        return cls(receiver.url, receiver.url_file, receiver.secret_file, receiver.ca_file)

    def deliver(self, one: Composed, passed: Passed = nothing) -> None:
        """Post it; Undelivered if it is not taken."""
        url = self.url or read_url(self.url_file)
        secret = None
        if self.secret_file is not None:
            secret = secret_files.read(self.secret_file, "a long random text")
        passed("secret")
        body = payload(one)
        headers = {
            "Content-Type": "application/json",
            "Titik-Notification": f"{one.city}/{one.key.id}",
        }
        if secret is not None:
            headers["Titik-Signature"] = signature(secret, one.at_ms // 1000, body)
        call = HttpCall("POST", url, "url or url_file", headers, body, self.ca_file)
        http_call.send(call, self.deadline_s, passed)


def read_url(file: Path | None) -> str:
    """The address that a file holds; Undelivered if it is none."""
    assert file is not None
    url = secret_files.read(file, "the address")
    if why := wrong_url(url):  # the address itself stays out of the log
        remedy = "write one address that begins with https:// or http:// into it"
        raise Undelivered("secret", f"{file} {why}", remedy=remedy)
    return url


def payload(one: Composed) -> bytes:
    """What is posted; docs/alerts.md has its fields."""
    message = one.message
    return json.dumps(
        {
            "v": 1,
            "action": _ACTIONS.get(message.what, "note"),
            "ticket": None if one.thread is None else f"{one.city}/{one.thread}",
            "notification": f"{one.city}/{one.key.id}",
            "city": one.city,
            "incident": one.incident,
            "what": message.what,
            "kind": message.kind,
            "severity": message.severity,
            "scope": message.subject.scope,
            "name": message.subject.name,
            "title": message.title,
            "since": one.since,
            "until": one.until,
            "cause": message.cause,
            "acknowledged_by": message.acked_by,
            "members": [
                {"scope": member.subject.scope, "name": member.subject.name, "title": member.title}
                for member in message.members
            ],
            "notes": list(message.notes),
            "subject": one.subject,
            "text": one.text,
            "url": one.link,
            "ack_url": one.ack_url,
        },
        ensure_ascii=False,
    ).encode()


def signature(secret: str, at_s: int, body: bytes) -> str:
    """Of the time, a point and the body, as HMAC-SHA256."""
    signed = hmac.new(secret.encode(), b"%d." % at_s + body, hashlib.sha256)
    return f"t={at_s},v1={signed.hexdigest()}"
